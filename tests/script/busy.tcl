# Scripts that take longer than busy-reply-threshold: what other clients are answered meanwhile, and how scripts end.

set busy_script "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
set busy_function "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
set killed "ERR Script killed by user with SCRIPT KILL... script: *"
set for_ever "while true do end"

set library {#!lua name=busy
redis.register_function('spin', function() while true do end end)
redis.register_function{function_name = 'hold', flags = {'no-writes'},
                        callback = function() while true do redis.pcall('GET', 'k') end end}
redis.register_function('write', function(keys) redis.call('SET', keys[1], 'x') while true do end end)}

# Lua that takes some processor time, behind these calls. The threshold of the tests is far below, so that others are
# heard in time on a loaded machine, too.
proc work {seconds {before ""}} { return "$before local t = os.clock() while os.clock() - t < $seconds do end" }

# Sends it from a client of its own, which is returned, and waits until others are told that it is busy. What a test
# that failed has left is ended.
proc busy {args} {
    set c [client]
    foreach kill {SCRIPT FUNCTION} { catch {$c $kill KILL} }
    $c -send {*}$args
    wait_busy
    return $c
}
proc is_busy {c} { return [expr {[catch {$c PING} error] && [string match BUSY* $error]}] }
proc wait_busy {} {
    set ::prober [client]
    wait_for {[is_busy $::prober]}
    $::prober -close
}
proc assert_killed {c} {
    global killed
    assert_equal OK [[client] SCRIPT KILL]
    assert_error $killed {$c -read}
    assert_equal PONG [$c PING]
}

with_server {busy-reply-threshold 50} {
    test "A client that comes meanwhile is told so, may call a few commands, and may end the script" {
        set c [busy EVAL $for_ever 0]
        foreach command {
            PING {GET k} {SET k v} {EVAL "return 1" 0} {EVALSHA x 0} {SCRIPT FLUSH} {CONFIG GET x} INFO
            {CLIENT KILL ID 1}
            {FUNCTION KILL} SHUTDOWN {SHUTDOWN SAVE} {SUBSCRIBE c} MONITOR {PSYNC ? -1} {DEBUG SLEEP 0}
        } {
            assert_error $busy_script {r {*}$command}
        }
        assert_error "ERR unknown command*" {r NO SUCH}
        assert_error "ERR wrong number*" {r WATCH}
        assert_error "ERR AUTH*" {r AUTH x}
        assert_match "*proto 2*" [r HELLO]
        assert_equal OK [r WATCH k]
        assert_equal OK [r UNWATCH]
        assert_equal OK [r REPLCONF listening-port 1]
        assert_equal RESET [r RESET]
        set quits [client]
        assert_equal OK [$quits QUIT]
        assert [$quits -closed]
        assert_killed $c
        assert_equal OK [r SET k v]
        assert_error "NOTBUSY No scripts in execution right now." {r SCRIPT KILL}
        assert_error "NOTBUSY No scripts in execution right now." {r FUNCTION KILL}
    }

    test "A transaction can begin meanwhile, but nothing is queued: EXEC fails" {
        set c [busy EVAL $for_ever 0]
        assert_equal OK [r MULTI]
        assert_error $busy_script {r SET k v}
        assert_error "EXECABORT Transaction discarded because of: $busy_script" {r EXEC}
        assert_equal OK [r MULTI]
        assert_equal OK [r DISCARD]
        assert_equal OK [r MULTI]
        assert_error $busy_script {r SET k other}
        assert_killed $c
        assert_error "EXECABORT Transaction discarded because of previous errors." {r EXEC}
    }

    test "SCRIPT KILL is for scripts and FUNCTION KILL for functions, which STATS shows" {
        r FUNCTION LOAD REPLACE $library
        set c [busy FCALL spin 0 arg]
        assert_error $busy_function {r GET k}
        assert_error $busy_function {r SCRIPT KILL}
        assert_error $busy_function {r SHUTDOWN}
        set stats [dict get [r FUNCTION STATS] running_script]
        assert_equal spin [dict get $stats name]
        assert_equal {FCALL spin 0 arg} [dict get $stats command]
        assert {[dict get $stats duration_ms] >= 50 && [dict get $stats duration_ms] < 20000}
        assert_equal OK [r FUNCTION KILL]
        assert_error "ERR Script killed by user with SCRIPT KILL... script: spin, on @user_function:2." {$c -read}
        assert_equal (nil) [dict get [r FUNCTION STATS] running_script]
        set c [busy FCALL hold 0]
        assert_equal OK [r FUNCTION KILL]
        assert_error "ERR Script killed*" {$c -read}
    }

    # Each of these catches errors, or runs code where a hook of the main thread alone would not see it.
    foreach {name script} {
        "a loop of pcall" { while true do pcall(function() while true do end end) end }
        "a loop of redis.pcall" { while true do redis.pcall('GET', 'k') redis.pcall('nosuch') end }
        "pcall in pcall" { local function f() while true do pcall(f) end end f() }
        "a coroutine" { coroutine.wrap(function() while true do end end)() }
        "a loop of coroutines" {
            while true do coroutine.resume(coroutine.create(function() while true do end end)) end
        }
        "coroutines in coroutines" {
            local function deep(n)
                if n == 0 then while true do end end
                while true do coroutine.resume(coroutine.create(function() deep(n - 1) end)) end
            end
            deep(10)
        }
        "short coroutines in short ones" {
            local function short(n)
                if n == 0 then for i = 1, 90000 do end return end
                for i = 1, 1000 do coroutine.wrap(short)(n - 1) end
            end
            short(5)
        }
        "pcall in a coroutine" {
            local c = coroutine.wrap(function()
                while true do pcall(function() while true do end end) coroutine.yield() end
            end)
            while true do c() end
        }
        "xpcall" { while true do xpcall(function() while true do end end, function() return 1 end) end }
        "a handler of errors" { xpcall(error, function() while true do end end) }
        "a handler in a loop" {
            while true do xpcall(error, function() pcall(function() while true do end end) end) end
        }
        "an order for sort" { table.sort({3, 2, 1, 5, 4}, function(a, b) while true do end end) }
        "a replacement for gsub" {
            while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end
        }
        "a metamethod" {
            local t = setmetatable({}, {__index = function() while true do end end})
            while true do pcall(function() return t.x end) end
        }
        "__tostring" { pcall(tostring, setmetatable({}, {__tostring = function() while true do end end})) }
        "code that is loaded" { local f = loadstring('while true do end') while true do pcall(f) end }
        "code that is read at the top" { load(function() while true do end end) }
        "code that is read" { while true do pcall(load, function() while true do end end) end }
    } {
        test "SCRIPT KILL ends $name" {
            assert_killed [busy EVAL $script 0]
        }
    }

    test "The sandbox is as before when a script was killed in the middle of it" {
        assert_equal {1 3 a} [r EVAL {
            local ok, e = pcall(error, 'a', 0)
            local co = coroutine.wrap(function() coroutine.yield(1) error({}) end)
            return {co(), #KEYS + 3, e}
        } 0]
        assert_equal 0 [r EVAL {return pcall(error) and 1 or 0} 0]
    }

    test "A script that is busy and ends is answered, and so are the requests that its client sent behind it" {
        set c [busy EVAL "[work 0.4] return 'done'" 0]
        $c -send PING
        $c -send SET from c
        assert_error $busy_script {r PING}
        assert_equal done [$c -read]
        assert_equal PONG [$c -read]
        assert_equal OK [$c -read]
        assert_equal c [r GET from]
    }

    test "The client of a busy script may hang up" {
        set c [busy EVAL [work 0.4 "redis.call('SET', 'gone', 'no')"] 0]
        $c -close
        wait_for {![is_busy r]}
        assert_equal no [r GET gone]
        set c [busy EVAL $for_ever 0]
        $c -close
        assert_equal OK [r SCRIPT KILL]
        assert_equal PONG [r PING]
    }

    test "A script that has written cannot be killed" {
        r FUNCTION LOAD REPLACE $library
        set c [busy EVAL [work 0.4 "redis.call('SET', KEYS\[1\], 'x')"] 1 written]
        assert_error "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either\
            wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command." {
            r SCRIPT KILL
        }
        assert_error "UNKILLABLE Sorry*" {r FUNCTION KILL}
        assert_equal (nil) [$c -read]
        assert_equal x [r GET written]
    }

    test "A subscriber gets what a script published before it was busy, and a monitor what others call meanwhile" {
        set s [client]
        set m [client]
        $s SUBSCRIBE news
        $m MONITOR
        set c [busy EVAL "redis.call('PUBLISH', 'news', 'early') $for_ever" 0]
        assert_equal {message news early} [$s -read]
        [client] RESET
        while {![string match {*"RESET"*} [$m -read]]} {}
        assert_killed $c
    }

    test "A client that waits for a key gets it when the script ends, and may leave before" {
        set waits [client]
        set leaves [client]
        $leaves -send BLPOP list 0
        wait_for {[info_field blocked_clients] == 1}
        $waits -send BLPOP list 0
        wait_for {[info_field blocked_clients] == 2}
        set c [busy EVAL [work 0.4 "redis.call('RPUSH', 'list', 'a')"] 0]
        $leaves -close
        assert_error $busy_script {r PING}
        assert_equal (nil) [$c -read]
        assert_equal {list a} [$waits -read]
        assert_equal 0 [r EXISTS list]
    }

    test "The second client of a turn can end the script of the first" {
        set sleeper [client]
        foreach name {before first second third} { set $name [client]; [set $name] PING }
        $sleeper -send DEBUG SLEEP 0.3
        after 100    ;# the requests below come while the server sleeps, so that one turn finds them all
        $before -send SET b 1
        $first -send EVAL $for_ever 0
        $first -send PING
        $third -send PING
        $second -send SCRIPT KILL
        $third -send GET b
        assert_equal OK [$before -read]
        foreach reply {1 2} { catch {$third -read} answer($reply) }
        assert_error $killed {$first -read}
        assert_equal PONG [$first -read]
        assert_equal OK [$second -read]
        assert_equal $busy_script $answer(1)
        assert {$answer(2) in [list $busy_script 1]}
        assert_equal OK [$sleeper -read]
    }

    test "Requests are read meanwhile, whether inline or large, in pieces or in pipelines" {
        set c [busy EVAL $for_ever 0]
        set p [client]
        $p -raw "PING\r\nHELLO\r\nRESET\r\n"
        assert_error $busy_script {$p -read}
        assert_match "*proto*" [$p -read]
        assert_equal RESET [$p -read]
        set value [string repeat x 300000]
        for {set i 0} {$i < 100} {incr i} { $p -send SET k $i }
        $p -send SET k $value
        $p -send RESET
        for {set i 0} {$i < 101} {incr i} { assert_error $busy_script {$p -read} }
        assert_equal RESET [$p -read]
        $p -raw "*2\r\n\$3\r\nGET\r\n\$1\r\n"
        assert_error $busy_script {r PING}
        assert_killed $c
        r SET k whole
        $p -raw "k\r\n"
        assert_equal whole [$p -read]
        $p -raw "*1\r\n\$x\r\n"
        assert_error "ERR Protocol error*" {$p -read}
    }

    test "A protocol error, and a first byte of TLS, end their connections meanwhile" {
        set c [busy EVAL $for_ever 0]
        set p [client]
        $p -raw "*1\r\n\$x\r\n"
        assert_error "ERR Protocol error*" {$p -read}
        assert [$p -closed]
        assert_killed $c
    }

    test "A script that EXEC runs can be killed; the rest of the transaction is executed" {
        set c [client]
        $c MULTI
        $c EVAL $for_ever 0
        $c SET behind it
        $c -send EXEC
        wait_busy
        assert_equal OK [r SCRIPT KILL]
        assert_match "{ERR Script killed*} OK" [$c -read]
        assert_equal it [r GET behind]
    }

    test "Many connections come and go meanwhile" {
        set c [busy EVAL $for_ever 0]
        for {set i 0} {$i < 200} {incr i} {
            set p [client]
            assert_error $busy_script {$p PING}
            if {$i % 2} { $p -close } else { lappend open $p }
        }
        foreach p $open { assert_error $busy_script {$p GET k} }
        assert_killed $c
        foreach p $open { assert_equal PONG [$p PING]; $p -close }
    }

    test "Others are answered soon after the threshold, and a killed script ends soon" {
        set slack [expr {300 * [slowness]}]
        set c [client]
        set began [clock milliseconds]
        $c -send EVAL $for_ever 0
        wait_busy
        assert {[clock milliseconds] - $began < 50 + $slack}
        set began [clock milliseconds]
        r SCRIPT KILL
        assert_error $killed {$c -read}
        assert {[clock milliseconds] - $began < $slack}
    }

    test "The threshold can be changed, under both of its names; 0 means that no script is ever busy" {
        assert_equal {busy-reply-threshold 50} [r CONFIG GET busy-reply-threshold]
        assert_equal {lua-time-limit 50} [r CONFIG GET lua-time-limit]
        assert_error "*argument must be between 0 and *" {r CONFIG SET busy-reply-threshold -1}
        r CONFIG SET lua-time-limit 0
        set c [client]
        $c -send EVAL "[work 0.4] return 'done'" 0
        set began [clock milliseconds]
        assert_equal PONG [r PING]
        assert_equal done [$c -read]
        r CONFIG SET busy-reply-threshold 50
        assert_killed [busy EVAL $for_ever 0]
    }

    test "SIGTERM waits for the end of the script" {
        set c [busy EVAL $for_ever 0]
        send_signal TERM [server_pid]
        assert_error $busy_script {r PING}
        assert_equal OK [r SCRIPT KILL]
        assert_equal 0 [server_wait_exit]
        server_restart {busy-reply-threshold 50}
    }

    test "SHUTDOWN NOSAVE ends the server at once" {
        set c [busy EVAL "redis.call('SET', 'k', 'half') $for_ever" 0]
        r -send SHUTDOWN NOSAVE
        assert_equal 0 [server_wait_exit [expr {5000 * [slowness]}]]
        assert_match "*Redis is now ready to exit, bye bye*" [server_log]
        server_restart {busy-reply-threshold 50}
    }
}

# --- The log ---------------------------------------------------------------------------------------

foreach fsync {always everysec} {
    with_server [list busy-reply-threshold 50 appendonly yes appendfsync $fsync] {
        test "Complete replies leave before a busy script ends, and the file has what they acknowledge ($fsync)" {
            set sleeper [client]
            set writer [client]
            set c [client]
            $writer PING
            $c PING
            $sleeper -send DEBUG SLEEP 0.3
            after 100
            $writer -send SET acknowledged yes
            $c -send EVAL $for_ever 0
            assert_equal OK [$writer -read]
            wait_busy
            set aof [lindex [glob [server_folder]/appendonlydir/*.incr.aof] 0]
            set f [open $aof rb]
            assert_match "*acknowledged*" [read $f]
            close $f
            assert_killed $c
        }

        test "A script that SHUTDOWN NOSAVE ends has changed nothing ($fsync)" {
            set writer [client]
            r SET kept 1
            r DEL half other
            set c [busy EVAL "redis.call('SET', 'half', 1) redis.call('SET', 'other', 1) $for_ever" 0]
            r -send SHUTDOWN NOSAVE
            assert_equal 0 [server_wait_exit [expr {5000 * [slowness]}]]
            server_restart [list busy-reply-threshold 50 appendonly yes appendfsync $fsync]
            assert_equal {1 0 0} [list [r EXISTS kept] [r EXISTS half] [r EXISTS other]]
            assert_equal 0 [regexp {aside|truncated} [server_log]]
        }
    }
}

# --- A log that is read --------------------------------------------------------------------------

# A log of another server may have a script in it: one line of the shape that makes a folder of an append-only file.
proc log_with {folder commands} {
    file mkdir $folder/appendonlydir
    set f [open $folder/appendonlydir/appendonly.aof.1.incr.aof wb]
    foreach command $commands { puts -nonewline $f [resp_encode {*}$command] }
    close $f
    set f [open $folder/appendonlydir/appendonly.aof.manifest w]
    puts $f "file appendonly.aof.1.incr.aof seq 1 type i"
    close $f
}

proc loading_script {} {
    set h [server_start {appendonly yes busy-reply-threshold 50}]
    server_kill $h
    file delete -force {*}[glob [server_folder $h]/appendonlydir/*]
    log_with [server_folder $h] [list {SELECT 0} {SET a 1} [list EVAL $::for_ever 0]]
    return $h
}

proc start_busy_loading {} {
    set h [loading_script]
    set next [server_start {appendonly yes busy-reply-threshold 50} -folder [server_folder $h] -wait 0]
    wait_for {![catch {resp_connect 127.0.0.1 [server_port $next]} ::connected]}
    wait_for {[catch {$::connected INFO} error] && [string match BUSY* $error]}
    return $next
}
proc end_busy_loading {h} {
    assert_equal 0 [server_wait_exit [expr {5000 * [slowness]}] $h]
    server_forget $h
    $::connected -close
}

test "While a log is read in which a script is busy, requests are told of the load first; it cannot be killed" {
    set h [start_busy_loading]
    set c $::connected
    foreach command {PING {GET a} {SCRIPT KILL}} { assert_error "LOADING*" {$c {*}$command} }
    assert_error $busy_script {$c CLIENT ID}
    assert_match "*proto*" [$c HELLO]
    assert_error $busy_script {$c SHUTDOWN}
    $c -send SHUTDOWN NOSAVE
    end_busy_loading $h
}

test "SIGTERM ends a server that reads a log in which a script is busy" {
    set h [start_busy_loading]
    send_signal TERM [server_pid $h]
    end_busy_loading $h
}

# --- Replication -----------------------------------------------------------------------------------

with_nodes {a kura {busy-reply-threshold 50} b kura {busy-reply-threshold 50}} {
    proc busy_at {h args} {
        set c [client $h]
        $c -send {*}$args
        set ::prober [client $h]
        wait_for {[is_busy $::prober]}
        $::prober -close
        return $c
    }

    test "A replica that comes while a script is busy is synchronized behind it" {
        $a SET k 1
        set c [busy_at $a EVAL "redis.call('SET', 'half', 1) [work 0.4] redis.call('SET', 'whole', 1)" 0]
        $b REPLICAOF 127.0.0.1 [server_port $a]
        assert_equal (nil) [$c -read]
        wait_link $b
        level $a $b
        assert_equal {1 1} [list [$b GET half] [$b GET whole]]
    }

    test "A busy function on a replica lets the stream and a full sync of its primary wait, and can be killed" {
        $a FUNCTION LOAD REPLACE $library
        $a SET k 1
        level $a $b
        set syncs [full_syncs $a]
        set c [busy_at $b FCALL_RO hold 0]
        $a SET k 2
        $a FUNCTION DELETE busy             ;# the library of the function that runs
        $a DEBUG CHANGE-REPL-ID
        [client $a] CLIENT KILL TYPE replica
        $a SET k 3
        after 300                           ;# a time in which nothing may happen
        assert_error $busy_function {$b GET k}
        assert_equal OK [[client $b] FUNCTION KILL]
        assert_error "ERR Script killed*" {$c -read}
        wait_link $b
        level $a $b
        assert_equal 3 [$b GET k]
        assert_equal [expr {$syncs + 1}] [full_syncs $a]
        assert_error "ERR Function not found" {$b FCALL_RO hold 0}
    }

    test "The link of a busy primary stays" {
        set syncs [expr {[full_syncs $a] + [partial_syncs $a]}]
        set c [busy_at $a EVAL $for_ever 0]
        set p [client $b]
        assert_equal 3 [$p GET k]
        assert_equal OK [[client $a] SCRIPT KILL]
        assert_error $killed {$c -read}
        $a SET k 4
        level $a $b
        assert_equal 4 [$b GET k]
        assert_equal $syncs [expr {[full_syncs $a] + [partial_syncs $a]}]
    }
}
