# Many clients subscribe, publish, write, kill each other and vanish, mostly without reading their messages, and with
# small limits. Only the end is compared: nothing may be left. Sanitizers see the rest.
set topics {a b ab "" * a* ?b [ab]* __keyevent@0__:* __key* __keyspace@0__:k1}
set small [string repeat x 40]
set large [string repeat y 20000]

proc one_of {list} {
    return [lindex $list [random_below [llength $list]]]
}

proc random_request {} {
    global topics small large
    switch [random_below 16] {
        0 - 1 { return [list SUBSCRIBE [one_of $topics] [one_of $topics]] }
        2 - 3 { return [list PSUBSCRIBE [one_of $topics] [one_of $topics]] }
        4 { return [list SSUBSCRIBE [one_of $topics]] }
        5 { return [list [one_of {UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE}]] }
        6 { return [list [one_of {UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE}] [one_of $topics]] }
        7 - 8 { return [list PUBLISH [one_of $topics] [one_of [list $small $large]]] }
        9 { return [list SPUBLISH [one_of $topics] $small] }
        10 - 11 { return [list SET k[random_below 3] $small PX [expr {1 + [random_below 20]}]] }
        12 { return [list MSET k1 $large k2 $small k3 $small] }
        13 { return [list HELLO [one_of {2 3 3}]] }
        14 { return [list CLIENT REPLY [one_of {ON OFF SKIP}]] }
        15 { return [one_of [list RESET QUIT [list CLIENT KILL TYPE pubsub SKIPME [one_of {yes no}]] [list FLUSHALL] \
            [list CLIENT KILL ID [random_below 400]] [list LPUSH k[random_below 3] $small]]] }
    }
}

with_server {notify-keyspace-events KEA client-output-buffer-limit "pubsub 400000 0 0"} {
    test "The server survives subscribers in a storm and keeps nothing of them" {
        array set clients {}
        for {set round 0} {$round < 8000} {incr round} {
            set i [random_below 12]
            if {[info exists clients($i)] && [random_below 30] == 0} {
                $clients($i) -close
                unset clients($i)
            }
            if {![info exists clients($i)]} { set clients($i) [client] }
            set bytes ""
            for {set n [random_below 8]} {$n >= 0} {incr n -1} { append bytes [resp_encode {*}[random_request]] }
            # The server may have killed it, or it reads slowly because the test does not read its replies.
            if {[catch {$clients($i) -raw $bytes}]} {
                $clients($i) -close
                unset clients($i)
            } elseif {[random_below 3] == 0} {
                catch {read [$clients($i) -channel]}
            }
        }
        foreach i [array names clients] { $clients($i) -close }
        r_reset
        set c [client]
        wait_for {[regexp -all {id=} [$c CLIENT LIST]] <= 2}
        assert_equal {} [$c PUBSUB CHANNELS]
        assert_equal {} [$c PUBSUB SHARDCHANNELS]
        assert_equal 0 [$c PUBSUB NUMPAT]
    }
}
