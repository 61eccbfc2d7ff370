# DEBUG subcommands that end the process, start it anew or hold it up.

# The server answers again after a restart that client $c has asked for; the descriptor of the old connection is gone.
proc wait_for_new_life {c} {
    assert {[$c -closed]}
    $c -close
    wait_for {![catch {client} ::fresh] && ![catch {$::fresh PING}]}
    return $::fresh
}

# The server has a configuration file.
proc with_configured_server {directives body} {
    set folder [string trim [exec mktemp -d]]
    close [open [file join $folder kura.conf] w]
    set h [server_start $directives -folder $folder -file [file join $folder kura.conf]]
    lappend server::stack $h
    uplevel 1 $body
    set server::stack [lrange $server::stack 0 end-1]
    if {[catch {server_stop $h} problem]} { test_failed "end of the server" $problem }
    server_forget $h
}

with_configured_server {save "3600 1"} {
    test "DEBUG RESTART saves the data and the configuration, and starts the same process anew" {
        set c [client]
        $c SET k v
        $c CONFIG SET maxclients 1234
        set before [info_field run_id $c]
        set pid [server_pid]
        set open [llength [glob /proc/$pid/fd/*]]
        $c -send DEBUG RESTART 10
        set c [wait_for_new_life $c]
        assert_equal v [$c GET k]
        assert_equal 1234 [dict get [$c CONFIG GET maxclients] maxclients]
        assert_equal $pid [info_field process_id $c]
        assert {[info_field run_id $c] ne $before}
        assert {[llength [glob /proc/$pid/fd/*]] <= $open + 1}
        $c -close
    }

    test "DEBUG CRASH-AND-RECOVER starts it anew without saving" {
        set c [client]
        $c SET lost v
        $c -send DEBUG CRASH-AND-RECOVER
        set c [wait_for_new_life $c]
        assert_equal (nil) [$c GET lost]
        assert_equal v [$c GET k]
        $c -close
    }

    test "DEBUG RESTART refuses a wrong delay, and tells if the data cannot be saved" {
        set c [client]
        assert_error "ERR value is not an integer or out of range" { $c DEBUG RESTART x }
        assert_error "ERR value is not an integer or out of range" { $c DEBUG CRASH-AND-RECOVER x }
        $c SET k w
        file delete [server_folder]/dump.rdb
        file mkdir [server_folder]/dump.rdb/in-the-way
        assert_error "ERR failed to restart the server. Check server logs." { $c DEBUG RESTART }
        assert_equal w [$c GET k]
        assert_match "*Can't restart: error preparing for shutdown*" [server_log]
        file delete -force [server_folder]/dump.rdb
        $c -close
    }

    test "DEBUG CONFIG-REWRITE-FORCE-ALL writes options that have their defaults too" {
        set c [client]
        assert_equal OK [$c CONFIG REWRITE]
        set path [info_field config_file $c]
        proc lines_of {path} {
            set file [open $path]
            set lines [split [read $file] \n]
            close $file
            return $lines
        }
        assert {[lsearch -regexp [lines_of $path] "^hz "] < 0}
        assert_equal OK [$c DEBUG CONFIG-REWRITE-FORCE-ALL]
        assert {[lsearch -regexp [lines_of $path] "^hz 10$"] >= 0}
        assert {[llength [lines_of $path]] > 150}
        $c -close
    }

    test "DEBUG LEAK loses memory, MALLCTL shows numbers" {
        set c [client]
        set before [info_field used_memory $c]
        assert_equal OK [$c DEBUG LEAK [string repeat x 3000000]]
        assert {[info_field used_memory $c] > $before + 2900000}
        if {![string match libc* [info_field mem_allocator $c]]} {
            assert_equal 4096 [$c DEBUG MALLCTL arenas.page]
            set decay [$c DEBUG MALLCTL arenas.dirty_decay_ms]
            assert_equal $decay [$c DEBUG MALLCTL arenas.dirty_decay_ms 5000]
            assert_equal 5000 [$c DEBUG MALLCTL arenas.dirty_decay_ms]
        }
        assert_error "ERR No such file or directory" { $c DEBUG MALLCTL nosuch }
        assert_error "ERR value is not an integer or out of range" { $c DEBUG MALLCTL nosuch x }
        $c -close
    }

    test "DEBUG PAUSE-CRON stops the work of the clock" {
        set c [client]
        $c CONFIG SET timeout 1
        $c DEBUG PAUSE-CRON 1
        set idle [client]
        $idle PING
        set began [clock milliseconds]
        while {[clock milliseconds] < $began + 2500} { $c PING }
        assert_equal PONG [$idle PING]
        $c DEBUG PAUSE-CRON 0
        assert {[$idle -closed]}
        $c -close
        set c [client]
        $c CONFIG SET timeout 0
        $c -close
    }

    test "DEBUG QUICKLIST writes the nodes of a long list to the log" {
        set c [client]
        for {set i 0} {$i < 300} {incr i} { $c RPUSH list [string repeat [expr {$i % 10}] 100] }
        assert_equal "Quicklist structure printed on stdout" [$c DEBUG QUICKLIST list]
        assert_match "*quicklist: 300 elements, * nodes*quicklist: node 0: *" [server_log]
        assert_equal "Quicklist structure printed on stdout" [$c DEBUG QUICKLIST list 1]
        assert_match "*quicklist: node 0: *listpack: *5555555555*" [server_log]
        $c SET string v
        assert_error "ERR Not a quicklist encoded object." { $c DEBUG QUICKLIST string }
        assert_error "ERR no such key" { $c DEBUG QUICKLIST none }
        $c -close
    }
}

with_server {enable-debug-command yes appendonly yes appendfsync no} {
    test "DEBUG AOF-FLUSH-SLEEP delays writes of the log" {
        r DEBUG AOF-FLUSH-SLEEP 200000
        set began [clock milliseconds]
        r SET k v
        assert {[clock milliseconds] - $began >= 200}
        r DEBUG AOF-FLUSH-SLEEP 0
    }
}

foreach {subcommand trace} {ASSERT "ASSERTION FAILED" OOM "" PANIC "DEBUG PANIC" SEGFAULT ""} {
    test "DEBUG $subcommand ends the server" {
        set h [server_start {enable-debug-command yes}]
        set c [client $h]
        $c -send DEBUG $subcommand
        assert {[server_wait_exit 20000 $h] ni {0 ""}}
        assert_match "*$trace*" [server_log $h]
        $c -close
        server_forget $h
    }
}
