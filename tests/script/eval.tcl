# EVAL and the cache of scripts: what the comparison with redis-server 7.0 (tests/compat/scripting.cmds) cannot show.

proc numbers {n} {
    set numbers {}
    for {set i 0} {$i < $n} {incr i} { lappend numbers $i }
    return $numbers
}
proc numbered {i} { return "return $i" }
proc sha_of {text} { return [r EVAL {return redis.sha1hex(ARGV[1])} 0 $text] }
proc sha_known {sha} { return [r SCRIPT EXISTS $sha] }

# Sends all at once, and returns the replies; errors are texts.
proc pipeline {commands} {
    foreach command $commands { r -send {*}$command }
    return [lmap - $commands { if {[catch {r -read} reply]} { set reply "-$reply" } else { set reply } }]
}

with_server {} {
    # --- The cache -------------------------------------------------------------------------------

    test "Scripts of EVAL are the 500 that were called last" {
        r SCRIPT FLUSH
        r CONFIG RESETSTAT
        set shas [pipeline [lmap i [numbers 600] { list EVAL {return redis.sha1hex(ARGV[1])} 0 [numbered $i] }]]
        r SCRIPT FLUSH
        pipeline [lmap i [numbers 500] { list EVAL [numbered $i] 0 }]
        assert_equal 500 [info_field number_of_cached_scripts]
        assert_equal 0 [info_field evicted_scripts]
        assert_equal 0 [r EVALSHA [lindex $shas 0] 0]       ;# young again, by its name
        assert_equal 1 [r EVAL [numbered 1] 0]              ;# and by its text
        assert_equal 1 [sha_known [lindex $shas 2]]         ;# that one only was asked for
        r EVAL [numbered 500] 0
        assert_equal 500 [info_field number_of_cached_scripts]
        assert_equal 1 [info_field evicted_scripts]
        assert_equal {1 1 0 1 1} [r SCRIPT EXISTS {*}[lmap i {0 1 2 3 500} { lindex $shas $i }]]
        assert_error "NOSCRIPT*" { r EVALSHA [lindex $shas 2] 0 }
        assert_equal 2 [r EVAL [numbered 2] 0]
        assert_equal {1 0} [r SCRIPT EXISTS [lindex $shas 2] [lindex $shas 3]]
        r CONFIG RESETSTAT
        assert_equal 0 [info_field evicted_scripts]
    }

    test "What SCRIPT LOAD has brought stays, also if EVAL brought it before" {
        r SCRIPT FLUSH
        set before [r SCRIPT LOAD "return 'before'"]
        r EVAL "return 'after'" 0
        set after [r SCRIPT LOAD "return 'after'"]
        r EVAL "return 'before'" 0
        pipeline [lmap i [numbers 1200] { list EVAL [numbered $i] 0 }]
        assert_equal {1 1} [r SCRIPT EXISTS $before $after]
        assert_equal 502 [info_field number_of_cached_scripts]
        assert_equal before [r EVALSHA $before 0]
        assert_equal after [r EVALSHA [string toupper $after] 0]
    }

    test "What fails to compile is not kept, and drops nothing" {
        r SCRIPT FLUSH
        pipeline [lmap i [numbers 500] { list EVAL [numbered $i] 0 }]
        foreach text {"this is no Lua" "#!lua flags=x\nreturn 1"} {
            assert_error "ERR *" { r EVAL $text 0 }
            assert_error "ERR *" { r SCRIPT LOAD $text }
        }
        assert_equal 500 [info_field number_of_cached_scripts]
    }

    test "SCRIPT FLUSH forgets, FLUSHALL and DEBUG RELOAD do not" {
        foreach how {{} ASYNC SYNC} {
            set sha [r SCRIPT LOAD "return 'x'"]
            r EVAL "return 'y'" 0
            assert_equal OK [r SCRIPT FLUSH {*}$how]
            assert_equal 0 [sha_known $sha]
            assert_equal 0 [info_field number_of_cached_scripts]
            assert_equal 0 [info_field used_memory_scripts_eval]
            assert_error "NOSCRIPT No matching script*" { r EVALSHA $sha 0 }
            assert_equal x [r EVAL "return 'x'" 0]
        }
        set sha [r SCRIPT LOAD "return 'x'"]
        r FLUSHALL
        r DEBUG RELOAD
        assert_equal x [r EVALSHA $sha 0]
    }

    test "A flush of 20,000 scripts holds up no other client" {
        r SCRIPT FLUSH
        pipeline [lmap i [numbers 20000] { list SCRIPT LOAD [numbered $i] }]
        assert_equal 20000 [info_field number_of_cached_scripts]
        set used [info_field used_memory]
        set c [client]
        r CONFIG RESETSTAT
        r SCRIPT FLUSH ASYNC
        assert_equal PONG [$c PING]
        $c -close
        regexp {usec=(\d+)} [info_field {cmdstat_script\|flush}] -> usec
        assert {$usec < 5000 * [slowness]}
        wait_for { [info_field lazyfree_pending_objects] == 0 }
        assert {[info_field lazyfreed_objects] >= 20000}
        wait_for { [info_field used_memory] < $used - 20000 * 100 }
    }

    test "lazyfree-lazy-user-flush says what SCRIPT FLUSH without a word does" {
        foreach {value objects} {yes 1 no 0} {
            r CONFIG SET lazyfree-lazy-user-flush $value
            r SCRIPT FLUSH SYNC
            r CONFIG RESETSTAT
            r SCRIPT LOAD "return 1"
            r SCRIPT FLUSH
            wait_for { [info_field lazyfree_pending_objects] == 0 }
            assert_equal $objects [info_field lazyfreed_objects]
        }
    }

    test "A transaction that flushes calls the scripts that come behind" {
        set sha [r SCRIPT LOAD "return 'x'"]
        r MULTI
        r EVALSHA $sha 0
        r SCRIPT FLUSH
        r EVAL "return 'y'" 0
        r SCRIPT LOAD "return 'x'"
        r EVALSHA $sha 0
        assert_equal [list x OK y $sha x] [r EXEC]
    }

    test "EVALSHA of what a transaction has flushed is an error in its place" {
        set sha [r SCRIPT LOAD "return 'x'"]
        r MULTI
        r SCRIPT FLUSH
        r EVALSHA $sha 0
        r -send EXEC
        assert_equal "*2\r\n+OK\r\n-NOSCRIPT No matching script. Please use EVAL.\r\n" [r -bytes 57]
    }

    test "After a restart the cache is empty" {
        set sha [r SCRIPT LOAD "return 'x'"]
        server_restart {}
        assert_error "NOSCRIPT*" { r EVALSHA $sha 0 }
        assert_equal x [r EVAL "return 'x'" 0]
        assert_equal x [r EVALSHA $sha 0]
    }

    # --- Memory ----------------------------------------------------------------------------------

    test "INFO tells the memory of scripts" {
        r SCRIPT FLUSH
        set text "return 1 --[string repeat x 100000]"
        r EVAL $text 0
        assert_equal 1 [info_field number_of_cached_scripts]
        set bytes [info_field used_memory_scripts_eval]
        assert {$bytes > 100000 && $bytes < 140000}
        assert_equal [expr {$bytes + [info_field used_memory_functions]}] [info_field used_memory_scripts]
        set lua [info_field used_memory_lua]
        assert {$lua > 10000}
        assert_equal $lua [info_field used_memory_vm_eval]
        assert_equal [expr {$lua + [info_field used_memory_vm_functions]}] [info_field used_memory_vm_total]
        assert_match {*[KM]} [info_field used_memory_lua_human]
        assert_match {*[KM]} [info_field used_memory_vm_total_human]
        assert_match {*K} [info_field used_memory_scripts_human]
        set stats [r MEMORY STATS]
        assert {[dict get $stats lua.caches] == $bytes}
        assert_equal 0 [dict get $stats functions.caches]
    }

    test "Lua's heap is part of used_memory, and is not counted for eviction" {
        r SCRIPT FLUSH SYNC
        r EVAL "return 1" 0
        set before [list [info_field used_memory] [info_field mem_not_counted_for_evict] [info_field used_memory_lua]]
        r EVAL {local t = {} for i = 1, 100 do t[i] = string.rep(tostring(i), 20000) end return #t} 0
        set now [list [info_field used_memory] [info_field mem_not_counted_for_evict] [info_field used_memory_lua]]
        lassign [lmap a $now b $before { expr {$a - $b} }] used uncounted lua
        assert {$lua > 1000000}
        assert {abs($used - $lua) < 200000}
        assert {abs($uncounted - $lua) < 200000}
    }

    test "MEMORY DOCTOR tells of more than 1000 scripts" {
        r SCRIPT FLUSH
        r SET large [string repeat x 6000000]
        pipeline [lmap i [numbers 1000] { list SCRIPT LOAD [numbered $i] }]
        assert {![string match "*Scripts:*" [r MEMORY DOCTOR]]}
        r SCRIPT LOAD "return 'one more'"
        assert_match "*Scripts: more than 1000 are cached*" [r MEMORY DOCTOR]
        r SCRIPT FLUSH
        r DEL large
    }

    # --- Calls -----------------------------------------------------------------------------------

    test "Scripts and other commands in one pipeline are answered in order" {
        r DEL n
        set sha [r SCRIPT LOAD {return redis.call('INCR', KEYS[1])}]
        set commands {}
        for {set i 1} {$i <= 1000} {incr i} {
            switch [expr {$i % 4}] {
                0 { lappend commands {INCR n} }
                1 { lappend commands [list EVALSHA $sha 1 n] }
                2 { lappend commands [list EVAL {return redis.call('INCR', KEYS[1])} 1 n] }
                3 { lappend commands {EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 n} }
            }
        }
        set n 0
        foreach command $commands reply [pipeline $commands] {
            if {[string match *ffff* $command]} {
                assert_equal "-NOSCRIPT No matching script. Please use EVAL." $reply
            } else {
                assert_equal [incr n] $reply
            }
        }
    }

    test "Scripts may be sent inline" {
        r DEL k
        r -raw "EVAL \"return {KEYS\[1\], ARGV\[1\]}\" 1 key 'an argument'\r\n"
        assert_equal {key {an argument}} [r -read]
        r -raw "eval 'return redis.call(\"set\", KEYS\[1\], ARGV\[1\])' 1 k v\r\nGET k\r\n"
        assert_equal {OK v} [list [r -read] [r -read]]
    }

    test "A script may have thousands of keys and arguments, and long ones" {
        set keys [lmap i [numbers 5000] { string cat key $i }]
        set args [lmap i [numbers 3000] { string cat argument $i }]
        assert_equal {5000 3000 key4999 argument2999} [r EVAL {return {#KEYS, #ARGV, KEYS[5000], ARGV[3000]}} 5000 \
            {*}$keys {*}$args]
        set long [random_bytes 300000]
        assert {[r EVAL {return ARGV[1]} 0 $long] eq $long}
        assert {[r EVAL {return KEYS[1] .. ARGV[1]} 1 $long $long] eq "$long$long"}
    }

    test "A request that comes in pieces runs its script once" {
        r DEL n
        set request [resp_encode EVAL {return redis.call('INCR', KEYS[1])} 1 n]
        foreach at {1 10 30 50 60} {
            r -raw [string range $request 0 $at-1]
            after 5
            r -raw [string range $request $at end]
            r -read
        }
        assert_equal 5 [r GET n]
    }

    test "Texts that differ in a byte are different scripts" {
        for {set at 0} {$at < 300} {incr at 7} {
            set comment [string repeat - 300]
            set text "return redis.sha1hex(ARGV\[1\]) --[string replace $comment $at $at +]"
            set sha [r EVAL $text 0 $text]
            assert_equal 1 [sha_known $sha]
            assert_equal $sha [r EVALSHA $sha 0 $text]
        }
    }

    test "MONITOR shows the call of a script before its calls" {
        set c [client]
        $c MONITOR
        r EVAL {return redis.call('SET', KEYS[1], 'v')} 1 k
        assert_match {* \[0 127.0.0.1:*\] "EVAL" "return redis.call('SET', KEYS\[1\], 'v')" "1" "k"} [$c -read]
        assert_match {* \[0 lua\] "SET" "k" "v"} [$c -read]
        catch { r EVALSHA ffffffffffffffffffffffffffffffffffffffff 0 }
        assert_match {* "EVALSHA" "ffff*" "0"} [$c -read]
        $c -close
    }

    # --- What a script says of itself --------------------------------------------------------------

    # Each text with the beginning of its reply.
    proc judged {cases} {
        foreach {text expected} $cases {
            if {[catch { r EVAL $text 0 } reply]} { set reply "-$reply" }
            assert_match $expected $reply
        }
    }

    test "Above the memory limit a script runs if its flags allow that, and old ones until they need memory" {
        r SET k v
        r CONFIG SET maxmemory 1
        judged {
            "#!lua\nreturn 1" {-OOM command not allowed when used memory > 'maxmemory'.}
            "#!lua flags=allow-stale\nreturn 1" -OOM*
            "#!lua flags=no-writes\nreturn redis.call('GET', 'k')" v
            "#!lua flags=allow-oom\nreturn redis.call('SET', 'k', 'w')" OK
            "return redis.call('GET', 'k')" w
            "return redis.call('SET', 'k', 'x')" "-OOM* script: *, on @user_script:1."
            "redis.call('DEL', 'k') return redis.call('SET', 'k', 'y')" OK
        }
        r MULTI
        assert_error OOM* { r EVAL "#!lua\nreturn 1" 0 }
        assert_error EXECABORT* { r EXEC }
        set sha [r SCRIPT LOAD "#!lua\nreturn 1"]
        assert_error OOM* { r EVALSHA $sha 0 }
        assert_error NOSCRIPT* { r EVALSHA [string repeat f 40] 0 }
        r CONFIG SET maxmemory 0
        assert_equal 1 [r EVALSHA $sha 0]
    }

    test "With too few replicas a script runs if it does not write" {
        r CONFIG SET min-replicas-to-write 1
        judged {
            "#!lua\nreturn 1" {-NOREPLICAS Not enough good replicas to write.}
            "#!lua flags=no-writes\nreturn redis.call('GET', 'k')" y
            "return redis.call('GET', 'k')" y
            "return redis.call('SET', 'k', 'x')" "-NOREPLICAS* script: *, on @user_script:1."
        }
        r CONFIG SET min-replicas-to-write 0
    }

    test "A replica runs what does not write, and without its primary what may be stale" {
        r REPLICAOF 127.0.0.1 1
        judged {
            "#!lua\nreturn 1" {-READONLY You can't write against a read only replica.}
            "#!lua flags=no-writes\nreturn redis.call('GET', 'k')" y
            "return redis.call('GET', 'k')" y
            "return redis.call('SET', 'k', 'x')" "-READONLY* script: *, on @user_script:1."
        }
        r CONFIG SET replica-serve-stale-data no
        judged {
            "return 1" -MASTERDOWN*
            "#!lua flags=no-writes\nreturn 1" -MASTERDOWN*
            "#!lua flags=no-writes,allow-stale\nreturn 1" 1
            "#!lua flags=no-writes,allow-stale\nreturn redis.call('GET', 'k')"
            "-ERR Can not execute the command on a stale replica script: *"
        }
        assert_equal 40 [string length [r SCRIPT LOAD "return 1"]]
        assert_error MASTERDOWN* { r SCRIPT EXISTS x }
        assert_error MASTERDOWN* { r SCRIPT FLUSH }
        r CONFIG SET replica-serve-stale-data yes
        r REPLICAOF NO ONE
    }

    test "CLIENT PAUSE WRITE holds up scripts that may write" {
        set sha [r SCRIPT LOAD "#!lua flags=no-writes\nreturn redis.call('GET', 'k')"]
        r CLIENT PAUSE 60000 WRITE
        assert_equal y [r EVALSHA $sha 0]
        assert_equal y [r EVAL_RO "return redis.call('GET', 'k')" 0]
        set waiting {}
        foreach text {"return 1" "#!lua\nreturn 1" "#!lua flags=allow-oom\nreturn 1"} {
            lappend waiting [set c [client]]
            $c -send EVAL $text 0
        }
        wait_for { [info_field blocked_clients] == 3 }
        r CLIENT UNPAUSE
        foreach c $waiting {
            assert_equal 1 [$c -read]
            $c -close
        }
    }

    test "commandstats count the calls of a script and those that it makes" {
        r CONFIG RESETSTAT
        r EVAL {redis.call('SET', 'k', 'v') redis.call('GET', 'k') return redis.pcall('LPUSH', 'k', 'v')['err']} 0
        assert_match "calls=1,*failed_calls=0" [info_field cmdstat_eval]
        assert_match "calls=1,*" [info_field cmdstat_set]
        assert_match "calls=1,*" [info_field cmdstat_get]
        assert_match "calls=1,*failed_calls=1" [info_field cmdstat_lpush]
        assert_equal "count=1" [info_field errorstat_WRONGTYPE]
        catch { r EVALSHA ffffffffffffffffffffffffffffffffffffffff 0 }
        assert_match "calls=1,*failed_calls=1" [info_field cmdstat_evalsha]
        assert_equal "count=1" [info_field errorstat_NOSCRIPT]
    }
}

with_server {requirepass secret} {
    test "Scripts need the password, as all else does" {
        foreach command {{EVAL "return 1" 0} {EVALSHA x 0} {SCRIPT LOAD "return 1"} {SCRIPT KILL} {SCRIPT FLUSH}} {
            assert_error "NOAUTH*" { r {*}$command }
        }
        r AUTH secret
        assert_equal 1 [r EVAL "return 1" 0]
    }
}
