# kill -9 at random moments under load. Under `always` nothing that was acknowledged may be missing; never may anything
# be there that was not sent. CRASH_ROUNDS makes it longer.

set rounds [expr {[info exists env(CRASH_ROUNDS)] ? $env(CRASH_ROUNDS) : [slowness] > 1 ? 4 : 10}]

# Clients that count up, each in a key of its own, several requests on the way at a time, until the server dies.
# What each has been told comes back in `told`, and what it has sent in `sent`.
proc load_until_death {h ms} {
    upvar told told sent sent
    set clients {}
    for {set i 0} {$i < 4} {incr i} {
        set c [resp_connect 127.0.0.1 [server_port $h]]
        lappend clients $c
        if {![info exists told($i)]} { set told($i) 0 }
        if {![info exists sent($i)]} { set sent($i) 0 }
    }
    set deadline [expr {[clock milliseconds] + $ms}]
    set killed 0
    while {!$killed || 1} {
        if {!$killed && [clock milliseconds] > $deadline} {
            send_signal KILL [server_pid $h]
            set killed 1
        }
        if {[catch {
            for {set i 0} {$i < 4} {incr i} {
                set c [lindex $clients $i]
                for {set n 0} {$n < 5} {incr n} {
                    $c -send INCR counter:$i
                    incr sent($i)
                }
            }
            for {set i 0} {$i < 4} {incr i} {
                set c [lindex $clients $i]
                for {set n 0} {$n < 5} {incr n} { set told($i) [$c -read] }
            }
        }]} { break }
    }
    foreach c $clients { catch {$c -close} }
    server_kill $h
}

foreach {policy preamble} {always yes everysec no} {
    test "kill -9 under load with appendfsync $policy: $rounds times" {
        array unset told
        array unset sent
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
                # The process died, not the machine: what was written is there under any policy.
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
