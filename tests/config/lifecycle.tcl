# Listening, limits on clients, signals, the end.

proc config {name} { return [lindex [r CONFIG GET $name] 1] }

# The title that ps prints, without ps: the words of the command line, joined by blanks.
proc process_title {pid} {
    set file [open /proc/$pid/cmdline rb]
    set words [split [string trimright [read $file] \0] \0]
    close $file
    return [join $words]
}

if {[attached]} return

with_server {} {
    test "The log has the lines that scripts wait for" {
        foreach line {"oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo" "Redis version=7.2.6, bits=64"
                      "Configuration loaded" "Server initialized" "Ready to accept connections tcp"} {
            assert_match "*$line*" [server_log]
        }
    }

    test "CONFIG SET changes port and bind at run time, and connected clients stay" {
        set old [server_port]
        set new [free_port]
        set c [client]
        assert_equal OK [r CONFIG SET port $new]
        assert_equal PONG [$c PING]
        assert_error * { resp_connect 127.0.0.1 $old }
        assert_equal PONG [[resp_connect 127.0.0.1 $new] PING]
        assert_equal OK [r CONFIG SET port $old bind "127.0.0.1 127.0.0.2 -203.0.113.1"]
        assert_equal PONG [[resp_connect 127.0.0.2 $old] PING]
        assert_equal OK [r CONFIG SET bind *]
        assert_equal PONG [[resp_connect 127.0.0.3 $old] PING]
        r CONFIG SET bind 127.0.0.1
        assert_error * { resp_connect 127.0.0.3 $old }
    }

    test "CONFIG SET refuses a port in use, and the old one stays" {
        set listener [socket -server {} -myaddr 127.0.0.1 0]
        set taken [lindex [fconfigure $listener -sockname] 2]
        assert_error "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port.\
            Check server logs." {r CONFIG SET port $taken}
        close $listener
        assert_equal [server_port] [config port]
        assert_equal PONG [[client] PING]
    }

    test "A second server on the same port says so and exits with 1" {
        set code [catch {exec [server_binary] --port [server_port] --bind 127.0.0.1 2>@1} output]
        assert_equal 1 $code
        assert_match "*Warning: Could not create server TCP listening socket 127.0.0.1:[server_port]: bind: Address\
            already in use*" $output
        assert_match "*Failed listening on port [server_port] (tcp), aborting.*" $output
    }

    test "The server refuses one client more than maxclients" {
        set full [client]
        $full PING
        r PING
        r CONFIG SET maxclients 2
        set c [resp_connect 127.0.0.1 [server_port]]
        assert_error "ERR max number of clients reached" { $c -read }
        assert {[$c -closed]}
        r CONFIG SET maxclients 100
        assert_equal PONG [[client] PING]
    }

    test "timeout closes idle clients" {
        set idle [client]
        $idle PING
        r CONFIG SET timeout 1
        for {set i 0} {$i < 30 && [info_field connected_clients] > 1} {incr i} { after 100 }
        assert {[$idle -closed]}
        r CONFIG SET timeout 0
    }

    test "SHUTDOWN refuses wrong options" {
        assert_error "ERR syntax error" { r SHUTDOWN foo }
        assert_error "ERR syntax error" { r SHUTDOWN SAVE NOSAVE }
        assert_error "ERR syntax error" { r SHUTDOWN NOW ABORT }
        assert_error "ERR No shutdown in progress." { r SHUTDOWN ABORT }
    }
}

test "Protected mode refuses clients of other machines until a password is set" {
    set address [lindex [exec hostname -I] 0]
    if {![regexp {^[0-9.]+$} $address]} { skip "this machine has no address but its own" }
    set h [server_start {bind *}]
    set c [resp_connect $address [server_port $h]]
    assert_error "DENIED Redis is running in protected mode*" { $c -read }
    assert {[$c -closed]}
    $c -close
    set local [client $h]
    $local CONFIG SET requirepass secret
    set c [resp_connect $address [server_port $h]]
    assert_error "NOAUTH*" { $c PING }
    $c -close
    $local CONFIG SET requirepass "" protected-mode no
    set c [resp_connect $address [server_port $h]]
    assert_equal PONG [$c PING]
    $c -close
    $local -close
    server_stop $h
    server_forget $h
}

test "A Unix socket has its permissions, and the server removes it in the end" {
    set folder [string trim [exec mktemp -d]]
    set h [server_start [list unixsocket $folder/sock unixsocketperm 700] -folder $folder]
    assert {([file attributes $folder/sock -permissions] & 0777) == 0700}
    assert_match "*Ready to accept connections unix*" [server_log $h]
    set c [resp_connect $folder/sock]
    assert_equal PONG [$c PING]
    $c -close
    server_stop $h
    assert {![file exists $folder/sock]}
    assert_match "*Removing the unix socket file.*" [server_log $h]
    server_forget $h
}

test "The server refuses to start without a port and a socket" {
    assert_equal 1 [catch {exec [server_binary] --port 0 2>@1} output]
    assert_match "*Configured to not listen anywhere, exiting.*" $output
}

test "SHUTDOWN removes the pid file, and always-show-logo shows the logo" {
    set h [server_start {pidfile server.pid always-show-logo yes}]
    set path [server_folder $h]/server.pid
    wait_for {[file exists $path]}
    assert_equal [server_pid $h] [string trim [exec cat $path]]
    assert_match "*Running in standalone mode*Port: [server_port $h]*PID: [server_pid $h]*" [server_log $h]
    set c [client $h]
    $c -send SHUTDOWN NOSAVE
    assert {[$c -closed]}
    assert_equal 0 [server_wait_exit 5000 $h]
    assert {![file exists $path]}
    foreach line {"User requested shutdown..." "Removing the pid file." "Redis is now ready to exit, bye bye..."} {
        assert_match "*$line*" [server_log $h]
    }
    server_forget $h
}

foreach signal {TERM INT} {
    test "SIG$signal ends the server in order" {
        set h [server_start {}]
        assert_equal 0 [server_kill $h $signal]
        assert_match "*Received SIG$signal scheduling shutdown...*ready to exit, bye bye...*" [server_log $h]
        server_forget $h
    }
}

test "A second SIGINT ends the server at once, whatever it is doing" {
    set h [server_start {}]
    set c [client $h]
    $c -send DEBUG SLEEP 20
    $c -channel
    after 200
    send_signal INT [server_pid $h]
    after 100
    assert_equal 1 [server_kill $h INT]
    assert_match "*You insist... exiting now.*" [server_log $h]
    $c -close
    server_forget $h
}

test "The server ignores signals that others send for purposes of their own" {
    set h [server_start {}]
    set c [client $h]
    foreach name {HUP PIPE USR1 USR2 ALRM XFSZ} {
        send_signal $name [server_pid $h]
        assert_equal PONG [$c PING]
    }
    $c -close
    server_stop $h
    server_forget $h
}

test "A crash leaves a report with a stack trace" {
    set h [server_start {}]
    send_signal SEGV [server_pid $h]
    assert {[server_wait_exit 20000 $h] ni {0 ""}}
    assert_match "*=== REDIS BUG REPORT START: Cut & paste starting from here ===*crashed by signal: 11*STACK\
        TRACE*BUG REPORT END*" [server_log $h]
    server_forget $h
}

test "With daemonize the parent returns, and the server writes its log and its pid file" {
    set folder [string trim [exec mktemp -d]]
    set port [free_port]
    exec [server_binary] --port $port --bind 127.0.0.1 --daemonize yes --dir $folder --logfile $folder/log \
        --pidfile $folder/pid --save {}
    wait_for {[file exists $folder/pid] && [file size $folder/pid]}
    wait_for {![catch {resp_connect 127.0.0.1 $port} c]}
    assert_equal PONG [$c PING]
    $c -send SHUTDOWN
    assert {[$c -closed]}
    $c -close
    wait_for {![file exists $folder/pid]}
    file delete -force $folder
}

test "The title that ps shows follows proc-title-template" {
    set h [server_start {}]
    assert_match "*kura-server 127.0.0.1:[server_port $h]" [process_title [server_pid $h]]
    set c [client $h]
    $c CONFIG SET proc-title-template "here {port}"
    assert_match "here [server_port $h]" [process_title [server_pid $h]]
    $c -close
    server_stop $h
    server_forget $h
}

proc oom_score {} {
    set f [open /proc/[server_pid]/oom_score_adj]
    gets $f score
    close $f
    return $score
}

with_server {} {
    test "The OOM score is relative to the former one, and goes back to it" {
        set at_start [oom_score]
        if {$at_start > 900} { skip "the OOM score is too high to add to" }
        set f [open /proc/[server_pid]/oom_score_adj w]
        puts $f [expr {$at_start + 20}]
        close $f
        r CONFIG SET oom-score-adj-values "9 9 9" oom-score-adj yes
        assert_equal [expr {$at_start + 29}] [oom_score]
        r CONFIG SET oom-score-adj-values "15 15 15"
        assert_equal [expr {$at_start + 35}] [oom_score]
        r CONFIG SET oom-score-adj absolute
        assert_equal 15 [oom_score]
        r CONFIG SET oom-score-adj no
        assert_equal [expr {$at_start + 20}] [oom_score]
    }
}
