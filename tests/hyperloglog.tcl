# HyperLogLogs: behaviour that cannot be compared with redis-server, or would take too long.
proc hll {runs} { return "HYLL\x01[string repeat \0 11]$runs" }

with_server {} {
    test "The estimate is within five standard errors, sparse and dense" {
        r DEL h
        set total 0
        foreach {upto encoding} {100 sparse 1000 sparse 10000 dense 100000 dense} {
            while {$total < $upto} {
                set elements {}
                for {set i 0} {$i < 100} {incr i} { lappend elements element:[incr total] }
                r PFADD h {*}$elements
            }
            set error [expr {abs([r PFCOUNT h] - $total) / double($total)}]
            assert {$error < 5 * 0.0081}
            assert_equal $encoding [r PFDEBUG ENCODING h]
        }
        assert_equal 12304 [r STRLEN h]
    }

    test "A union counts each element once, in all representations" {
        r DEL a b
        for {set i 0} {$i < 2000} {incr i 50} {
            set elements {}
            for {set k $i} {$k < $i + 50} {incr k} { lappend elements $k }
            r PFADD a {*}$elements
            if {$i < 500} { r PFADD b {*}$elements }
        }
        r PFADD b only:b
        r PFMERGE both a b
        assert_equal [r PFCOUNT a b] [r PFCOUNT both]
        assert {abs([r PFCOUNT both] - 2001) < 100}
        r PFDEBUG TODENSE b
        assert_equal [r PFCOUNT both] [r PFCOUNT a b]
        r PFMERGE dense a b
        assert_equal dense [r PFDEBUG ENCODING dense]
        assert_equal [r PFCOUNT both] [r PFCOUNT dense]
    }

    test "PFCOUNT writes the cached number and counts as one change" {
        r DEL h
        r PFADD h a b c
        set before [info_field rdb_changes_since_last_save]
        assert_equal 3 [r PFCOUNT h]
        assert_equal 3 [r PFCOUNT h]
        assert_equal [expr {$before + 1}] [info_field rdb_changes_since_last_save]
        assert_equal "\3\0\0\0\0\0\0\0" [r GETRANGE h 8 15]
    }

    test "hll-sparse-max-bytes decides when a value becomes dense" {
        r CONFIG SET hll-sparse-max-bytes 100
        r DEL h
        r PFADD h
        for {set i 0} {[r PFDEBUG ENCODING h] eq "sparse"} {incr i} {
            assert {[r STRLEN h] <= 100}
            r PFADD h $i
        }
        assert {$i > 20 && $i < 60}
        r CONFIG SET hll-sparse-max-bytes 3000
        assert_equal 0 [r PFDEBUG TODENSE h]
    }

    test "A value without the header is refused" {
        foreach bytes [list "" HYLL "HYLL\1" [string repeat x 100] "HYLL\2[string repeat \0 11]\x7f\xff" \
                "HYLL\0[string repeat \0 11]" "HYLL\0[string repeat \0 12288]" "HYLL\0[string repeat \0 12300]"] {
            r SET h $bytes
            foreach command {{PFADD h x} {PFCOUNT h} {PFCOUNT h h} {PFMERGE d h} {PFMERGE h} {PFDEBUG TODENSE h}} {
                assert_error "WRONGTYPE Key is not a valid HyperLogLog string value." {r {*}$command}
            }
            assert_equal $bytes [r GET h]
        }
    }

    test "A value whose runs do not add up to 16384 registers is refused" {
        foreach runs [list "" "\x7f" "\x7f\xfe" "\x7f\xff\0" "\x7f\xfe\xff" [string repeat "\x7f\xff" 140000] \
                [string repeat "\x3f" 300] [string repeat "\xff" 5000] "\x7f\xff\x40"] {
            r SET h [hll $runs]
            r SETRANGE h 15 "\x80"
            foreach command {{PFCOUNT h} {PFCOUNT h h} {PFMERGE d h} {PFMERGE h} {PFDEBUG TODENSE h}
                             {PFDEBUG GETREG h}} {
                assert_error "INVALIDOBJ Corrupted HLL object detected" {r {*}$command}
            }
            assert_equal 0 [r EXISTS d]
        }
        r SET h [hll ""]
        assert_error "INVALIDOBJ*" {r PFADD h a}
        r SET h [hll [string repeat "\x7f\xff" 140000]]
        assert_error "INVALIDOBJ*" {r PFADD h a}
    }

    test "Random forgeries do no harm" {
        for {set round 0} {$round < 300} {incr round} {
            r SET h [hll [random_bytes [random_below 200]]]
            foreach command {{PFADD h a b c d} {PFCOUNT h} {PFMERGE h h} {PFDEBUG DECODE h} {PFDEBUG TODENSE h}} {
                catch {r {*}$command}
            }
        }
        assert_equal PONG [r PING]
    }

    test "PFCOUNT counts impossible registers of a dense value without harm" {
        foreach byte [list "\xff" "\xcb" "\xaa"] {
            r SET h "HYLL\0[string repeat \0 10]\x80[string repeat $byte 12288]"
            r PFCOUNT h
            r PFCOUNT h h
        }
        assert_equal PONG [r PING]
    }

    test "A copy and its original part at the first change" {
        r DEL h
        r PFADD h a
        r PFDEBUG TODENSE h
        r COPY h copy
        r PFADD copy b
        assert_equal 1 [r PFCOUNT h]
        assert_equal 2 [r PFCOUNT copy]
    }

    test "PFSELFTEST takes the same time whatever hll-sparse-max-bytes says" {
        set usual [lindex [time {assert_equal OK [r PFSELFTEST]}] 0]
        # This allows very long sparse values.
        r CONFIG SET hll-sparse-max-bytes 1000000
        set long [lindex [time {assert_equal OK [r PFSELFTEST]}] 0]
        r CONFIG SET hll-sparse-max-bytes 3000
        assert {$long < 10 * $usual + 500000}
    }
}
