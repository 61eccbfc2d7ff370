# WATCH: expiry, several clients, many keys; and no update is lost.

proc exec_reply {c} {
    $c MULTI
    $c PING
    return [$c EXEC]
}

with_server {enable-debug-command yes} {
    test "A change by another client fails EXEC once" {
        set c [client]
        $c WATCH a b
        r SET b 1
        assert_equal (nil) [exec_reply $c]
        assert_equal PONG [exec_reply $c]
        $c WATCH a
        $c WATCH b
        r SET other 1
        assert_equal PONG [exec_reply $c]
        $c WATCH b
        $c UNWATCH
        r SET b 2
        assert_equal PONG [exec_reply $c]
        $c -close
    }

    test "All watchers of a key hear of its change, after some of them have gone" {
        set watchers {}
        for {set i 0} {$i < 20} {incr i} { lappend watchers [client] }
        foreach c $watchers { $c WATCH k j }
        foreach c [lrange $watchers 0 4] { $c -close }
        [lindex $watchers 5] UNWATCH
        [lindex $watchers 6] RESET
        [lindex $watchers 7] MULTI
        [lindex $watchers 7] DISCARD
        wait_for {[llength [split [string trim [r CLIENT LIST]] \n]] == 16}
        r SET k 1
        foreach i {5 6 7} { assert_equal PONG [exec_reply [lindex $watchers $i]] }
        foreach c [lrange $watchers 8 end] { assert_equal (nil) [exec_reply $c] }
        foreach c [lrange $watchers 5 end] { $c -close }
    }

    test "A key that expires later fails EXEC, whether it is removed or not" {
        foreach remove {0 1} {
            r DEBUG SET-ACTIVE-EXPIRE $remove
            r SET k 1 PX 20
            r WATCH k
            after 40
            assert_equal (nil) [exec_reply r]
        }
        r DEBUG SET-ACTIVE-EXPIRE 0
        r SET k 1 PX 20
        r WATCH k
        after 40
        assert_equal (nil) [r GET k]
        assert_equal (nil) [exec_reply r]
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    foreach {what ends change} {
        "nothing"             PONG  {}
        "GET"                 PONG  {r GET k}
        "DEL"                 PONG  {r DEL k}
        "FLUSHDB"             PONG  {r FLUSHDB}
        "active expiry"       PONG  {r DEBUG SET-ACTIVE-EXPIRE 1; wait_for {[r DBSIZE] == 0}}
        "SET"                 (nil) {r SET k 2}
        "removal, then SET"   (nil) {r GET k; r SET k 2}
        "SWAPDB with nothing" PONG  {r SWAPDB 0 5}
        "SWAPDB with a key"   (nil) {r SELECT 5; r SET k 1; r SELECT 0; r SWAPDB 0 5}
    } {
        test "A watched key that had expired before WATCH: $what" {
            r FLUSHALL
            r DEBUG SET-ACTIVE-EXPIRE 0
            r SET k 1 PX 1
            after 10
            r WATCH k
            eval $change
            assert_equal $ends [exec_reply r]
            r DEBUG SET-ACTIVE-EXPIRE 1
        }
    }

    test "SWAPDB that brings an expired key does not fail EXEC, as there was none and there is none" {
        r FLUSHALL
        r DEBUG SET-ACTIVE-EXPIRE 0
        r SELECT 5
        r SET k 1 PX 1
        r SELECT 0
        after 10
        r WATCH k
        r SWAPDB 0 5
        assert_equal PONG [exec_reply r]
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "100,000 watched keys slow nothing down and leave no memory behind" {
        r FLUSHALL
        set before [info_field used_memory]
        set c [client]
        for {set batch 0} {$batch < 100} {incr batch} {
            set keys {}
            for {set i 0} {$i < 1000} {incr i} { lappend keys key:$batch:$i }
            $c -send WATCH {*}$keys
        }
        for {set batch 0} {$batch < 100} {incr batch} { assert_equal OK [$c -read] }
        assert {[info_field used_memory] > $before + 5000000}
        for {set i 0} {$i < 1000} {incr i} { r -send SET other:$i 1 }
        for {set i 0} {$i < 1000} {incr i} { assert_equal OK [r -read] }
        assert_equal PONG [exec_reply $c]
        assert {[info_field used_memory] < $before + 1000000}
        $c -close
    }

    test "A key that is watched again and again takes no more memory" {
        set c [client]
        $c WATCH a b c
        set before [info_field used_memory]
        for {set i 0} {$i < 2000} {incr i} { $c WATCH a b c a }
        assert {[info_field used_memory] < $before + 20000}
        $c -close
    }

    test "The counters of many racing clients lose no update" {
        r FLUSHALL
        set clients {}
        for {set i 0} {$i < 16} {incr i} { lappend clients [client] }
        set done 0
        set lost 0
        for {set round 0} {$round < 40} {incr round} {
            # All clients look, then all of them try: each counter moves once.
            foreach c $clients {
                set key counter:[random_below 3]
                $c -send WATCH $key
                $c -send GET $key
                set tried($c) $key
            }
            foreach c $clients {
                $c -read
                set old($c) [$c -read]
            }
            foreach c $clients {
                $c -send MULTI
                $c -send SET $tried($c) [expr {$old($c) eq "(nil)" ? 1 : $old($c) + 1}]
                $c -send EXEC
            }
            foreach c $clients {
                $c -read
                $c -read
                if {[$c -read] eq "OK"} { incr done } else { incr lost }
            }
        }
        set sum 0
        foreach key [r KEYS counter:*] { incr sum [r GET $key] }
        assert_equal $done $sum
        assert {$lost > 100 && $done > 40}
        foreach c $clients { $c -close }
    }
}
