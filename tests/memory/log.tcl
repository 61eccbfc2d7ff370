# Eviction and the append-only file: victims are commands of their own, and a replay gives the same dataset.

set policies {allkeys-lru allkeys-lfu allkeys-random volatile-lru volatile-lfu volatile-random volatile-ttl noeviction}
set start {appendonly yes appendfsync no auto-aof-rewrite-percentage 0}

# Memory in use that counts: the buffer of the log does not.
proc counted {} {
    set info [r INFO memory]
    regexp {used_memory:(\d+)} $info -> used
    regexp {mem_not_counted_for_evict:(\d+)} $info -> uncounted
    return [expr {$used - $uncounted}]
}

# A limit of so many bytes above what is in use now.
proc set_limit {bytes} {
    wait_for {[info_field lazyfree_pending_objects] == 0}
    r CONFIG SET maxmemory [expr {[counted] + $bytes}]
}

# The commands in the log since its last rewrite.
proc logged {} {
    set file [open [lindex [lsort [glob [file join [server_folder] appendonlydir *.incr.aof]]] end] rb]
    set commands {}
    while {[gets $file line] >= 0} {
        if {[string index $line 0] ne "*"} { continue } ;# a frame begins, or a stamp
        set command {}
        for {set n [string trimright [string range $line 1 end]]} {$n > 0} {incr n -1} {
            gets $file head
            lappend command [read $file [string trimright [string range $head 1 end]]]
            read $file 2
        }
        lappend commands $command
    }
    close $file
    return $commands
}

proc names {commands} {
    return [lmap command $commands {lindex $command 0}]
}

with_server [concat $start {maxmemory-policy volatile-random}] {
    test "A victim is one DEL before the command that needed the room" {
        r SET k [string repeat x 20000] EX 1000
        set_limit 5000
        r -raw [resp_encode SETRANGE n 10000 x][resp_encode INCR counter]
        assert_equal {10001 1} [list [r -read] [r -read]]
        assert_equal {{SETRANGE n 10000 x} {DEL k} {INCR counter}} [lrange [logged] end-2 end]
        assert_equal 1 [info_field evicted_keys]
    }

    test "With lazyfree-lazy-eviction it is one UNLINK" {
        r CONFIG SET maxmemory 0 lazyfree-lazy-eviction yes
        r FLUSHALL
        r SET k [string repeat x 20000] EX 1000
        set_limit 5000
        r -raw [resp_encode SETRANGE n 10000 x][resp_encode INCR counter]
        assert_equal {10001 1} [list [r -read] [r -read]]
        assert_equal {{SETRANGE n 10000 x} {UNLINK k} {INCR counter}} [lrange [logged] end-2 end]
        r CONFIG SET lazyfree-lazy-eviction no
    }

    test "A victim is never inside the MULTI of a transaction" {
        r CONFIG SET maxmemory 0
        r FLUSHALL
        foreach i {1 2} { r SET k:$i [string repeat x 30000] EX 1000 }
        set_limit 5000
        set commands {MULTI {SETRANGE n 10000 x} {SETRANGE m 30000 x} EXEC MULTI {INCR a} {INCR b} EXEC PING}
        r -raw [join [lmap command $commands {resp_encode {*}$command}] ""]
        foreach command $commands { r -read }
        wait_for {[info_field evicted_keys] >= 4}
        set names [names [lrange [logged] end-9 end]]
        assert_equal {MULTI SETRANGE SETRANGE EXEC DEL DEL MULTI INCR INCR EXEC} $names
    }

    test "Victims of a lower limit are logged when nothing else is" {
        r CONFIG SET maxmemory 0
        r FLUSHALL
        for {set i 0} {$i < 100} {incr i} { r SET k:$i [string repeat x 1000] EX 1000 }
        set before [llength [logged]]
        r CONFIG SET maxmemory 1
        wait_for {[r DBSIZE] == 0}
        assert_equal [lrepeat 100 DEL] [lrange [names [logged]] $before end]
    }
}

# --- replays --------------------------------------------------------------------------------------

proc some_key {} { return k:[random_below 400] }

proc some_value {} {
    return [string repeat [random_below 10] [random_below [lindex {10 100 1000 20000} [random_below 4]]]]
}

proc some_command {} {
    switch [random_below 17] {
        0 - 1 - 2 { return [list SET [some_key] [some_value]] }
        3 - 4 { return [list SET [some_key] [some_value] EX 10000] }
        5 { return [list GET [some_key]] }
        6 { return [list APPEND [some_key] [some_value]] }
        7 { return [list LPUSH [some_key] [some_value] [some_value]] }
        8 { return [list HSET [some_key] [random_below 100] [some_value] x [some_value]] }
        9 { return [list SADD [some_key] [random_below 1000] [some_value]] }
        10 { return [list ZADD [some_key] [random_below 100] [some_value]] }
        11 { return [list INCR [some_key]] }
        12 { return [list EXPIRE [some_key] [expr {1000 + [random_below 1000]}]] }
        13 { return [list RENAME [some_key] [some_key]] }
        14 { return [list SUNIONSTORE [some_key] [some_key] [some_key]] }
        15 { return [list DEL [some_key]] }
        16 { return [list LMOVE [some_key] [some_key] LEFT RIGHT] }
    }
}

# So many random commands, some of them in transactions. Errors are welcome.
proc run {count} {
    set requests 0
    set bytes ""
    for {set i 0} {$i < $count} {incr i} {
        set command [some_command]
        if {[random_below 20] == 0} {
            append bytes [resp_encode MULTI][resp_encode {*}$command][resp_encode {*}[some_command]][resp_encode EXEC]
            incr requests 4
        } else {
            append bytes [resp_encode {*}$command]
            incr requests
        }
    }
    r -raw $bytes
    while {$requests > 0} {
        catch {r -read}
        incr requests -1
    }
}

foreach policy $policies {
    set how [concat $start [list maxmemory-policy $policy]]
    with_server $how {
        test "A replay of the log gives the same dataset under $policy" {
            set empty [info_field used_memory]
            for {set round 0} {$round < 40} {incr round} {
                r CONFIG SET maxmemory [expr {$empty + 100000 + [random_below 600000]}]
                if {$round == 20} { catch {r BGREWRITEAOF} }
                run 100
            }
            wait_for {[info_field aof_rewrite_in_progress] == 0}
            assert {([info_field evicted_keys] > 0) == ($policy ne "noeviction")}
            r CONFIG SET maxmemory 0 ;# nothing more goes
            set digest [r DEBUG DIGEST]
            set keys [r DBSIZE]
            server_restart $how KILL
            assert_equal [list $keys $digest] [list [r DBSIZE] [r DEBUG DIGEST]]
        }
    }
}

with_server [concat $start {maxmemory-policy allkeys-random}] {
    test "Loading a log that exceeds the limit evicts nothing before its end" {
        for {set i 0} {$i < 2000} {incr i} { r -send SET k:$i [string repeat x 200] }
        for {set i 0} {$i < 2000} {incr i} { r -read }
        set digest [r DEBUG DIGEST]
        set limit [expr {[counted] - 200000}]
        server_restart [concat $start [list maxmemory $limit maxmemory-policy allkeys-random]] KILL
        wait_for {[counted] <= $limit}
        r CONFIG SET maxmemory 0 ;# nothing more goes
        assert {[r DBSIZE] < 2000}
        set dels [llength [lsearch -all [names [logged]] DEL]]
        assert {$dels >= 2000 - [r DBSIZE]}
        set left [r DEBUG DIGEST]
        server_restart $start KILL
        assert_equal $left [r DEBUG DIGEST]
    }
}

test "On a full disk the victims' DELs wait like any write" {
    with_wrapped_server "trap '' XFSZ; ulimit -f 64" {appendonly yes appendfsync everysec logfile ""} {
        for {set i 0} {$i < 30} {incr i} { r SET k:$i [string repeat x 1000] }
        catch { while 1 { r RPUSH list [string repeat x 1000] } } error
        assert_match "MISCONF Errors writing to the AOF file: *" $error
        r CONFIG SET maxmemory-policy allkeys-random maxmemory 1
        wait_for {[r DBSIZE] == 0}
        assert_equal err [info_field aof_last_write_status]
        assert {[info_field mem_aof_buffer] > 31 * 10}
        assert_error "OOM *" {r SET n 1}
        r CONFIG SET maxmemory 0
        assert_error "MISCONF *" {r SET n 1}
    }
}
