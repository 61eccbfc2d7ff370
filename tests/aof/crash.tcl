# kill -9 at random moments under load, while children save and rewrite. Under `always` every acknowledged write must
# survive; under any policy nothing may appear that was not sent. CRASH_ROUNDS sets the number of rounds.

set rounds [expr {[info exists env(CRASH_ROUNDS)] ? $env(CRASH_ROUNDS) : [slowness] > 1 ? 4 : 10}]

# Four clients count up, each in a key of its own, with several requests under way, until another process kills the
# server: that process does not wait for a quiet moment. `told` gets the last reply of each client, `sent` the number
# of its requests.
proc load_until_death {h ms} {
    upvar told told sent sent
    set clients {}
    for {set i 0} {$i < 4} {incr i} { lappend clients [resp_connect 127.0.0.1 [server_port $h]] }
    exec sh -c "sleep [expr {$ms / 1000.0}]; kill -9 [server_pid $h]" &
    while {![catch {
        foreach c $clients i {0 1 2 3} {
            for {set n 0} {$n < 5} {incr n} {
                incr sent($i)
                $c -send INCR counter:$i
            }
        }
        foreach c $clients i {0 1 2 3} {
            for {set n 0} {$n < 5} {incr n} { set told($i) [$c -read] }
        }
        switch [random_below 20] {
            0 { catch {[lindex $clients 0] BGSAVE} }
            1 { catch {[lindex $clients 0] BGREWRITEAOF} }
        }
    }]} {}
    foreach c $clients { catch {$c -close} }
    server_kill $h
}

foreach {policy preamble} {always yes everysec no} {
    test "kill -9 under load loses nothing with appendfsync $policy, $rounds times" {
        array set told {0 0 1 0 2 0 3 0}
        array set sent {0 0 1 0 2 0 3 0}
        set directives [list appendonly yes appendfsync $policy aof-use-rdb-preamble $preamble \
            auto-aof-rewrite-min-size 2000 auto-aof-rewrite-percentage 50]
        set h [server_start $directives]
        set folder [server_folder $h]
        for {set round 0} {$round < $rounds} {incr round} {
            load_until_death $h [expr {20 + [random_below 250]}]
            set h [server_start $directives -folder $folder]
            set c [resp_connect 127.0.0.1 [server_port $h]]
            for {set i 0} {$i < 4} {incr i} {
                set value [$c GET counter:$i]
                if {$value eq "(nil)"} { set value 0 }
                # The process died, not the machine: every write survives under any policy.
                assert {$value >= $told($i)}
                assert {$value <= $sent($i)}
                set told($i) $value
                set sent($i) $value
            }
            $c -close
        }
        server_kill $h
        assert {![regexp {Bad file format|FATAL} [server_log $h]]}
        server_forget $h
    }
}
