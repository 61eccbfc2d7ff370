# Publish and subscribe between clients: order, counts, both protocols, and clients that go meanwhile.

# Waits until the channel has n subscribers, as requests of other connections take their time.
proc wait_subscribers {channel count} {
    wait_for "\[lindex \[r PUBSUB NUMSUB $channel\] 1\] == $count"
}

proc flags_of {c} {
    set id [$c CLIENT ID]
    regexp {flags=(\S+).* sub=(\S+) psub=(\S+) ssub=(\S+)} [r CLIENT LIST ID $id] -> flags sub psub ssub
    return [list $flags $sub $psub $ssub]
}

with_server {} {
    test "A message goes to the subscribers of the channel in their order, then to the patterns in theirs" {
        set s [client]
        $s PSUBSCRIBE n*
        $s SUBSCRIBE news
        $s PSUBSCRIBE *s
        $s PSUBSCRIBE x*
        assert_equal 3 [r PUBLISH news hello]
        assert_equal {message news hello} [$s -read]
        assert_equal {pmessage n* news hello} [$s -read]
        assert_equal {pmessage *s news hello} [$s -read]
        assert_equal 1 [r PUBLISH nothing hello]
        assert_equal {pmessage n* nothing hello} [$s -read]
    }

    test "In RESP3 messages are pushes, and a subscriber may use every command" {
        set s [client]
        $s -tagged 1
        $s HELLO 3
        assert_equal {push {{bulk subscribe} {bulk a} {int 1}}} [$s SUBSCRIBE a]
        assert_equal {simple OK} [$s SET k v]
        r PUBLISH a m
        assert_equal {push {{bulk message} {bulk a} {bulk m}}} [$s -read]
        assert_equal {push {{bulk psubscribe} {bulk *} {int 2}}} [$s PSUBSCRIBE *]
        r PUBLISH b m
        assert_equal {push {{bulk pmessage} {bulk *} {bulk b} {bulk m}}} [$s -read]
        assert_equal {push {{bulk unsubscribe} nil {int 1}}} [lindex [list [$s UNSUBSCRIBE a] [$s UNSUBSCRIBE]] 1]
    }

    test "A message that a client publishes to itself follows the reply" {
        set s [client]
        $s HELLO 3
        $s SUBSCRIBE a
        $s -raw [resp_encode GET k][resp_encode PUBLISH a 1][resp_encode PUBLISH a 2][resp_encode ECHO end]
        set seen {}
        for {set i 0} {$i < 6} {incr i} { lappend seen [$s -read] }
        assert_equal {v 1 {message a 1} 1 {message a 2} end} $seen
        set large [string repeat x 100000]
        assert_equal 1 [$s PUBLISH a $large]
        assert_equal [list message a $large] [$s -read]
    }

    test "CLIENT REPLY OFF silences replies, not messages" {
        set s [client]
        $s -send CLIENT REPLY OFF
        $s -send SUBSCRIBE quiet
        assert_equal {subscribe quiet 1} [$s -read]
        r PUBLISH quiet m
        assert_equal {message quiet m} [$s -read]
        $s -send PING
        $s -send UNSUBSCRIBE quiet
        assert_equal {unsubscribe quiet 0} [$s -read]
    }

    test "CLIENT LIST shows a subscriber as one only as long as it has subscriptions" {
        set s [client]
        assert_equal {N 0 0 0} [flags_of $s]
        $s HELLO 3
        $s SUBSCRIBE a
        $s SUBSCRIBE b
        $s PSUBSCRIBE a*
        $s SSUBSCRIBE a
        assert_equal {P 2 1 1} [flags_of $s]
        assert_equal 1 [regexp -all {id=} [r CLIENT LIST TYPE PUBSUB]]
        $s UNSUBSCRIBE a
        $s UNSUBSCRIBE b
        $s PUNSUBSCRIBE a*
        assert_equal {P 0 0 1} [flags_of $s]
        $s SUNSUBSCRIBE a
        assert_equal {N 0 0 0} [flags_of $s]
        assert_equal "" [r CLIENT LIST TYPE PUBSUB]
    }

    test "Everything that ends a subscriber ends its subscriptions" {
        set ends {{QUIT} {-close} {RESET} {KILL}}
        foreach end $ends {
            set s [client]
            $s SUBSCRIBE a
            $s -send PSUBSCRIBE b c
            $s -read
            $s -read
            $s SSUBSCRIBE d
            assert_equal {a 1} [r PUBSUB NUMSUB a]
            if {$end eq "KILL"} { assert_equal 1 [r CLIENT KILL TYPE PUBSUB] } else { $s $end }
            wait_subscribers a 0
            assert_equal 0 [r PUBSUB NUMPAT]
            assert_equal {} [r PUBSUB SHARDCHANNELS]
            assert_equal 0 [info_field pubsub_channels]
        }
    }

    test "A subscriber that kills all subscribers still gets its reply and its own message" {
        set s [client]
        set t [client]
        $s HELLO 3
        $s SUBSCRIBE a
        $t SUBSCRIBE a
        $s -raw [resp_encode PUBLISH a m][resp_encode CLIENT KILL TYPE PUBSUB SKIPME no][resp_encode PUBLISH a n]
        assert_equal 2 [$s -read]
        assert_equal {message a m} [$s -read]
        assert_equal 2 [$s -read]
        assert {[$s -closed]}
        assert {[$t -closed]}
        wait_subscribers a 0
    }

    test "The receivers of a large message share it, and it arrives whole" {
        set all {}
        for {set i 0} {$i < 5} {incr i} {
            set s [client]
            if {$i % 2} { $s HELLO 3 }
            $s SUBSCRIBE big
            lappend all $s
        }
        foreach size {1023 1024 16384 200000} {
            set message [random_bytes $size]
            assert_equal 5 [r PUBLISH big $message]
            foreach s $all { assert_equal [list message big $message] [$s -read] }
        }
    }

    test "Ten thousand patterns and a hundred thousand channels cost a message nothing" {
        set s [client]
        for {set i 0} {$i < 10000} {incr i 500} {
            set names {}
            for {set k $i} {$k < $i + 500} {incr k} { lappend names user:$k:* }
            $s -send PSUBSCRIBE {*}$names
            for {set k 0} {$k < 500} {incr k} { $s -read }
        }
        assert_equal 10000 [r PUBSUB NUMPAT]
        set began [info_field used_cpu_user]
        for {set i 0} {$i < 2000} {incr i} { assert_equal 0 [r PUBLISH other:$i x] }
        # Redis tries 20 million patterns, for over a second.
        assert {[info_field used_cpu_user] - $began < 0.5 * [slowness]}
        assert_equal 1 [r PUBLISH user:77:x m]
        assert_equal {pmessage user:77:* user:77:x m} [$s -read]
        $s -close
        wait_for {[r PUBSUB NUMPAT] == 0}
    }

    test "Clients that subscribe and leave at random get exactly the messages that are theirs" {
        set channels {a ab abc b "" *}
        set patterns {* a* ab* *b ?b [ab] \\* "" abc}
        set all [list [client] [client] [client]]
        array unset has
        for {set round 0} {$round < 400} {incr round} {
            set i [random_below 3]
            set s [lindex $all $i]
            set kind [lindex {SUBSCRIBE PSUBSCRIBE} [random_below 2]]
            set list [expr {$kind eq "SUBSCRIBE" ? $channels : $patterns}]
            set topic [lindex $list [random_below [llength $list]]]
            set un [expr {[info exists has($i,$kind,$topic)] ? "UN" : ""}]
            set verb [expr {$un eq "" ? $kind : $kind eq "SUBSCRIBE" ? "UNSUBSCRIBE" : "PUNSUBSCRIBE"}]
            if {$un eq ""} { set has($i,$kind,$topic) 1 } else { unset has($i,$kind,$topic) }
            assert_equal [list [string tolower $verb] $topic [llength [array names has $i,*]]] [$s $verb $topic]
            set channel [lindex $channels [random_below [llength $channels]]]
            set expected 0
            set hears {0 0 0}
            for {set k 0} {$k < 3} {incr k} {
                set n [info exists has($k,SUBSCRIBE,$channel)]
                foreach p $patterns {
                    if {[info exists has($k,PSUBSCRIBE,$p)] && ($channel ne "" || $p eq "")} {
                        incr n [string match $p $channel]
                    }
                }
                lset hears $k $n
                incr expected $n
            }
            assert_equal $expected [r PUBLISH $channel $round]
            for {set k 0} {$k < 3} {incr k} {
                for {set n [lindex $hears $k]} {$n > 0} {incr n -1} {
                    assert_equal $round [lindex [[lindex $all $k] -read] end]
                }
            }
        }
    }
}

with_server {timeout 1} {
    test "timeout does not close a subscriber" {
        set s [client]
        set idle [client]
        $s SUBSCRIBE a
        assert {[$idle -closed]}
        assert_equal 1 [r PUBLISH a m]
        assert_equal {message a m} [$s -read]
    }
}

with_server {client-output-buffer-limit "pubsub 300000 0 0"} {
    test "A subscriber that does not read is closed at the hard limit within PUBLISH, and others notice nothing" {
        set slow [client]
        set good [client]
        $slow SUBSCRIBE a
        $good SUBSCRIBE a
        set message [string repeat x 10000]
        set sent 0
        while {[r PUBLISH a $message] == 2} {
            assert_equal [list message a $message] [$good -read]
            assert {[incr sent] < 5000}
        }
        assert_equal [list message a $message] [$good -read]
        assert_match "*scheduled to be closed ASAP for overcoming of output buffer limits*" [server_log]
        assert_equal 1 [info_field client_output_buffer_limit_disconnections]
        r PUBLISH a last
        assert_equal {message a last} [$good -read]
    }

    test "Many messages of one turn that exceed the limit close the subscriber once" {
        set slow [client]
        $slow SUBSCRIBE b
        set many ""
        for {set i 0} {$i < 500} {incr i} { append many [resp_encode PUBLISH b [string repeat x 100000]] }
        r -raw $many
        for {set i 0} {$i < 500} {incr i} { r -read }
        wait_subscribers b 0
        assert_equal 2 [info_field client_output_buffer_limit_disconnections]
        assert_equal PONG [r PING]
    }
}

with_server {client-output-buffer-limit "pubsub 0 200000 1"} {
    test "The soft limit leaves a subscriber its time" {
        set slow [client]
        $slow SUBSCRIBE a
        set message [string repeat x 100000]
        # The buffers of the kernel take some megabytes first.
        while {![regexp {omem=([3-9]\d{5}|\d{7,})} [r CLIENT LIST TYPE PUBSUB]]} { r PUBLISH a $message }
        set began [clock milliseconds]
        assert_equal {a 1} [r PUBSUB NUMSUB a]
        wait_for {[r PUBSUB NUMSUB a] eq {a 0}}
        assert {[clock milliseconds] - $began > 900}
    }
}
