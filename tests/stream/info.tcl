# What XINFO tells beyond Redis 7.0, which tests/compat/streams.cmds compares: when consumers were seen and active, and
# a lag that is right where 7.0 is wrong. And the events of consumers.

proc consumer_field {name field} {
    foreach consumer [r XINFO CONSUMERS s g] {
        if {[dict get $consumer name] eq $name} { return [dict get $consumer $field] }
    }
    error "no consumer $name"
}

# How much later the consumer was seen than it was active, in milliseconds.
proc seen_after_success {name} {
    foreach consumer [r XINFO CONSUMERS s g] {
        if {[dict get $consumer name] eq $name} {
            return [expr {[dict get $consumer inactive] - [dict get $consumer idle]}]
        }
    }
}

proc lag {group {key s}} {
    foreach state [r XINFO GROUPS $key] {
        if {[dict get $state name] eq $group} { return [dict get $state lag] }
    }
}

with_server {} {
    test "A consumer is seen by each attempt, and active by success" {
        r XGROUP CREATE s g $ MKSTREAM
        r XREADGROUP GROUP g reads STREAMS s >
        r XGROUP CREATECONSUMER s g made
        r XCLAIM s g claims 0 1-1
        r XAUTOCLAIM s g searches 0 0
        foreach name {reads made claims searches} {
            assert_equal -1 [consumer_field $name inactive]
            assert {[consumer_field $name idle] < 10000}
        }
        r XADD s 1-1 f v
        r XREADGROUP GROUP g noack NOACK STREAMS s >
        assert_equal -1 [consumer_field noack inactive]
        r XADD s 2-1 f v
        r XREADGROUP GROUP g reads STREAMS s >
        assert {[consumer_field reads inactive] >= 0}
        r XCLAIM s g claims 0 2-1
        assert {[consumer_field claims inactive] >= 0}
        r XAUTOCLAIM s g searches 0 0
        assert {[consumer_field searches inactive] >= 0}
        foreach attempt {
            {XREADGROUP GROUP g searches STREAMS s >}
            {XREADGROUP GROUP g searches STREAMS s 99}
            {XCLAIM s g searches 0 99-1}
            {XAUTOCLAIM s g searches 100000 0}
        } {
            wait_for {[consumer_field searches idle] >= 20}
            set before [seen_after_success searches]
            r {*}$attempt
            assert {[seen_after_success searches] >= $before + 20}
        }
        set full [lindex [dict get [r XINFO STREAM s FULL] groups] 0]
        foreach consumer [dict get $full consumers] {
            set now [clock milliseconds]
            assert {abs($now - [dict get $consumer seen-time]) < 10000}
            set active [dict get $consumer active-time]
            assert {$active == -1 || abs($now - $active) < 10000}
        }
    }

    test "The lag is right where it can be counted" {
        r DEL s
        for {set i 1} {$i <= 5} {incr i} { r XADD s $i-1 f v }
        r XGROUP CREATE s g 0
        r XGROUP CREATE s mid 3-1
        r XGROUP CREATE s end $
        assert_equal {5 2 0} [list [lag g] [lag mid] [lag end]]
        r XDEL s 4-1 ;# behind two of the groups
        assert_equal {4 1 0} [list [lag g] [lag mid] [lag end]]
        r XTRIM s MAXLEN 1
        assert_equal {1 1 0} [list [lag g] [lag mid] [lag end]]
        r XADD s 6-1 f v
        assert_equal {2 2 1} [list [lag g] [lag mid] [lag end]]
        foreach group {g mid end} { r XREADGROUP GROUP $group c STREAMS s > }
        assert_equal {0 0 0} [list [lag g] [lag mid] [lag end]]
        r XTRIM s MAXLEN 0
        assert_equal {0 0 0} [list [lag g] [lag mid] [lag end]]
        r XGROUP SETID s g 0
        assert_equal 0 [lag g]
    }

    test "Consumers have events" {
        r DEL s
        r CONFIG SET notify-keyspace-events Et
        set a [client]
        $a PSUBSCRIBE __keyevent@0__:xgroup-*
        r XGROUP CREATE s g 0 MKSTREAM
        r XREADGROUP GROUP g one STREAMS s >
        r XCLAIM s g two 0 1-1
        r XAUTOCLAIM s g three 0 0
        r XGROUP CREATECONSUMER s g three
        r XGROUP CREATECONSUMER s g four
        r XGROUP DELCONSUMER s g four
        r XGROUP DELCONSUMER s g four
        r XGROUP SETID s g 0
        r XGROUP DESTROY s g
        foreach event {create createconsumer createconsumer createconsumer createconsumer delconsumer setid destroy} {
            assert_equal __keyevent@0__:xgroup-$event [lindex [$a -read] 2]
        }
        r CONFIG SET notify-keyspace-events ""
    }

    test "XREAD + reads the last entry, or waits for the first" {
        r DEL s
        set a [client]
        $a -send XREAD BLOCK 0 STREAMS s +
        wait_for {[info_field blocked_clients] == 1}
        r XADD s 1-1 f v
        assert_equal {{s {{1-1 {f v}}}}} [$a -read]
        r XADD s 2-1 f v
        r XADD s 3-1 f v
        r XDEL s 3-1
        assert_equal {{s {{2-1 {f v}}}}} [r XREAD COUNT 5 STREAMS s +]
        assert_equal {{s {{2-1 {f v}}}}} [r XREAD BLOCK 0 STREAMS s +]
        r XGROUP CREATE s g 0
        assert_error "ERR The + ID is meaningless*" { r XREADGROUP GROUP g c STREAMS s + }
    }
}
