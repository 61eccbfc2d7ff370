# Client-side caching, beyond the comparison of tests/compat/tracking.clients: figures, flags, the bound of the table,
# and the order of messages and replies when a client's own request causes the messages.

proc tracker {args} {
    set c [client]
    $c HELLO 3
    assert_equal OK [$c CLIENT TRACKING ON {*}$args]
    return $c
}

# The keys in the next invalidation message.
proc told {c} {
    set push [$c -read]
    assert_equal invalidate [lindex $push 0]
    return [lindex $push 1]
}

# The client has received nothing but the reply to this.
proc assert_untold {c} { assert_equal none [$c ECHO none] }

proc flags_of {c} {
    regexp { flags=(\S*) .* redir=(\S*) } [r CLIENT LIST ID [$c CLIENT ID]] -> flags redirection
    return "$flags $redirection"
}

with_server {} {
    test "INFO counts tracking clients, keys, items and prefixes" {
        assert_equal 0 [info_field tracking_clients]
        set a [tracker]
        set b [tracker]
        set c [tracker BCAST PREFIX x PREFIX y]
        set d [tracker BCAST PREFIX x]
        assert_equal 4 [info_field tracking_clients]
        assert_equal 2 [info_field tracking_total_prefixes]
        $a MGET k1 k2 k3
        $b MGET k1 k1
        $b GET k1
        $c GET k9
        assert_equal 3 [info_field tracking_total_keys]
        assert_equal 4 [info_field tracking_total_items]
        r SET k1 v
        assert_equal 2 [info_field tracking_total_keys]
        assert_equal k1 [told $a]
        assert_equal k1 [told $b]
        $c CLIENT TRACKING OFF
        assert_equal 1 [info_field tracking_total_prefixes]
        assert_equal 3 [info_field tracking_clients]
        $a -close
        wait_for {[info_field tracking_clients] == 2}
        # No client wants messages any more; a key forgets the clients that are gone when it is its turn.
        assert_equal 2 [info_field tracking_total_keys]
        $b MGET k2 k3
        assert_equal 2 [info_field tracking_total_items]
        r FLUSHDB
        assert_equal (nil) [told $b]
        assert_equal 0 [info_field tracking_total_keys]
        foreach c [list $b $c $d] { $c -close }
        wait_for {[info_field tracking_clients] == 0}
    }

    test "Each flush sends one message" {
        set a [tracker]
        foreach flush {FLUSHALL FLUSHALL FLUSHDB} {
            r CONFIG RESETSTAT
            r $flush
            assert_equal (nil) [told $a]
            assert_untold $a
        }
    }

    test "Messages without a receiver cost no work" {
        set a [tracker]
        set b [client]
        $b HELLO 3
        # The keys change and tracking stops in one pipeline, with prefixes and with a table over its bound.
        $b -raw [resp_encode CLIENT TRACKING ON BCAST][resp_encode SET k v][resp_encode CLIENT TRACKING OFF]
        foreach reply {OK OK OK} { assert_equal OK [$b -read] }
        $a MGET k1 k2 k3
        $a CLIENT TRACKING OFF
        r CONFIG SET tracking-table-max-keys 1
        wait_for {[info_field tracking_total_keys] == 1}
        r CONFIG SET tracking-table-max-keys 1000000
        set cycles [info_field eventloop_cycles]
        after 100
        assert {[info_field eventloop_cycles] - $cycles < 100}
        assert_untold $a
        assert_untold $b
    }

    test "CLIENT LIST shows flags and redirection" {
        set a [tracker]
        assert_equal {t 0} [flags_of $a]
        $a CLIENT TRACKING OFF
        assert_equal {N -1} [flags_of $a]
        $a CLIENT TRACKING ON BCAST
        assert_equal {tB 0} [flags_of $a]
        $a CLIENT TRACKING OFF
        set b [client]
        set id [$b CLIENT ID]
        $a CLIENT TRACKING ON REDIRECT $id
        assert_equal "t $id" [flags_of $a]
        $a GET k
        $b -close
        wait_for {[r CLIENT LIST ID $id] eq ""}
        assert_equal "t $id" [flags_of $a]
        r SET k v
        assert_equal "tracking-redir-broken $id" [$a -read]
        assert_equal "tR $id" [flags_of $a]
        $a RESET
        assert_equal {N -1} [flags_of $a]
    }

    test "A client that changes a key gets the message behind its reply" {
        set a [tracker]
        set b [client]
        $b HELLO 3
        $b CLIENT TRACKING ON REDIRECT [$a CLIENT ID]
        $a MGET k1 k2
        $b MGET k1 k2
        # Messages come for a itself and, through b, for a again; they must not split the reply.
        $a -send MULTI
        $a -send SET k1 v
        $a -send MGET k1 k2
        $a -send DEL k2
        $a -send EXEC
        foreach reply {OK QUEUED QUEUED QUEUED} { assert_equal $reply [$a -read] }
        assert_equal {OK {v (nil)} 0} [$a -read]
        assert_equal {k1 k1} [list [told $a] [told $a]]
        assert_untold $a
        # a has read k1 and k2 in between.
        $b DEL k1
        assert_equal k1 [told $a]
        assert_untold $a
    }

    test "A client that finds a key expired gets a message, unless NOLOOP" {
        r DEBUG SET-ACTIVE-EXPIRE 0
        set a [tracker]
        r SET k v PX 5
        $a GET k
        after 10
        assert_equal (nil) [$a GET k]
        assert_equal k [told $a]
        $a CLIENT TRACKING ON NOLOOP
        r SET k v PX 5
        assert_equal k [told $a]
        $a GET k
        after 10
        $a GET k
        assert_untold $a
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "A blocked client that gets an element invalidates the list for its readers" {
        set a [tracker]
        $a LLEN l
        set b [tracker]
        $b LLEN l
        $b -send BLPOP l 0
        wait_for {[info_field blocked_clients] == 1}
        r RPUSH l x
        assert_equal l [told $a]
        set got [list [$b -read] [$b -read]]
        assert {[lsearch $got {l x}] >= 0 && [lsearch $got {invalidate l}] >= 0}
    }

    test "A broadcast names each key once, in order, and NOLOOP goes by the last change" {
        set a [tracker BCAST PREFIX k NOLOOP]
        set b [tracker BCAST]
        set c [client]
        $c -raw [resp_encode MSET k2 1 k1 1 other 1][resp_encode INCR k2][resp_encode DEL k1]
        assert_equal {k1 k2} [told $a]
        assert_equal {k1 k2 other} [told $b]
        $a -raw [resp_encode SET k3 1][resp_encode SET k4 1]
        assert_equal {OK OK} [list [$a -read] [$a -read]]
        assert_equal {k3 k4} [told $b]
        assert_untold $a
        r DEBUG SET-ACTIVE-EXPIRE 1
        r SET k5 v PX 10
        assert_equal {k5 k5} [list [told $a] [told $b]]
        assert_equal {k5 k5} [list [told $a] [told $b]]
    }

    test "A client may have a hundred thousand prefixes, and overlapping ones are found at once" {
        set a [client]
        set words {}
        for {set i 0} {$i < 100000} {incr i} { lappend words PREFIX p$i: }
        assert_equal OK [$a CLIENT TRACKING ON BCAST {*}$words]
        assert_equal 100000 [llength [lindex [$a CLIENT TRACKINGINFO] 5]]
        assert_error "*'p99999:x' overlaps with an existing prefix 'p99999:'.*" {
            $a CLIENT TRACKING ON BCAST PREFIX q PREFIX p99999:x
        }
        $a CLIENT TRACKING OFF
        assert_error "*'p99999:' overlaps with another provided prefix 'p99999:'.*" {
            $a CLIENT TRACKING ON BCAST {*}$words PREFIX p99999:
        }
        assert_equal OK [$a CLIENT TRACKING ON BCAST {*}$words]
        $a -close
        wait_for {[info_field tracking_total_prefixes] < 100}
    }

    test "The table is bounded, and clients get a message for each key that it drops" {
        set max [lindex [r CONFIG GET tracking-table-max-keys] 1]
        set a [tracker]
        r FLUSHALL
        assert_equal (nil) [told $a]
        r CONFIG SET tracking-table-max-keys 100
        for {set i 0} {$i < 5000} {incr i} { $a -send GET key:$i }
        $a -send ECHO end
        set dropped {}
        for {set replies 0} {$replies <= 5000} {} {
            set reply [$a -read]
            if {[lindex $reply 0] eq "invalidate"} { lappend dropped [lindex $reply 1] } else { incr replies }
        }
        wait_for {[info_field tracking_total_keys] == 100}
        while {[llength $dropped] < 4900} { lappend dropped [told $a] }
        assert_equal 4900 [llength [lsort -unique $dropped]]
        assert_untold $a
        r CONFIG SET tracking-table-max-keys 10
        for {set i 0} {$i < 90} {incr i} { told $a }
        assert_equal 10 [info_field tracking_total_keys]
        r CONFIG SET tracking-table-max-keys 0
        for {set i 0} {$i < 500} {incr i} { $a GET key:$i }
        assert {[info_field tracking_total_keys] >= 500}
        r CONFIG SET tracking-table-max-keys $max
    }

    test "A client that does not read is closed at its limit, and others do not wait for it" {
        r CONFIG SET client-output-buffer-limit "normal 100000 0 0"
        set a [tracker BCAST]
        set key [string repeat k 1000]
        for {set i 0} {$i < 20000 && [info_field tracking_clients] > 0} {incr i} { r SET $key$i v }
        assert {[$a -rest] ne ""}
        r CONFIG SET client-output-buffer-limit "normal 0 0 0"
    }
}
