# Commands that set, remove and tell deadlines.
with_server {} {
    test "Four commands set a deadline, and four tell it" {
        set at [expr {[clock seconds] + 1000}]
        foreach {command value} [list EXPIRE 1000 PEXPIRE 1000000 EXPIREAT $at PEXPIREAT ${at}000] {
            r SET k v
            assert_equal 1 [r $command k $value]
            assert {[r TTL k] >= 998 && [r TTL k] <= 1001}
            assert {[r PTTL k] > 998000 && [r PTTL k] <= 1001000}
            assert {abs([r EXPIRETIME k] - $at) <= 2}
            assert {abs([r PEXPIRETIME k] - $at * 1000) <= 2000}
            assert_equal v [r GET k]
        }
        r PEXPIREAT k ${at}600
        assert_equal ${at}600 [r PEXPIRETIME k]
        assert_equal [expr {$at + 1}] [r EXPIRETIME k]
    }

    test "A missing key has no deadline to tell, and a key without one says so" {
        r DEL k
        foreach command {EXPIRE PEXPIRE EXPIREAT PEXPIREAT} { assert_equal 0 [r $command k 100] }
        foreach command {TTL PTTL EXPIRETIME PEXPIRETIME} { assert_equal -2 [r $command k] }
        assert_equal 0 [r PERSIST k]
        r SET k v
        foreach command {TTL PTTL EXPIRETIME PEXPIRETIME} { assert_equal -1 [r $command k] }
        assert_equal 0 [r PERSIST k]
    }

    test "PERSIST and EXPIRE keep keys and values of every size" {
        foreach key [list k [string repeat K 7] [string repeat K 254] [string repeat K 255] [string repeat K 1000]] {
            foreach length {0 1 8 100 16383 20000} {
                set value [string repeat 7 $length]
                r SET $key $value
                for {set round 0} {$round < 2} {incr round} {
                    assert_equal 1 [r EXPIRE $key 100]
                    assert_equal $value [r GET $key]
                    assert_equal 1 [r PERSIST $key]
                    assert_equal $value [r GET $key]
                    assert_equal -1 [r TTL $key]
                }
            }
        }
    }

    test "A deadline in the past deletes the key at once" {
        foreach {command value} {EXPIRE 0 EXPIRE -1 PEXPIRE -1000 EXPIREAT 1 PEXPIREAT 0 PEXPIREAT -5} {
            r SET k v
            assert_equal 1 [r $command k $value]
            assert_equal 0 [r EXISTS k]
        }
    }

    test "NX, XX, GT and LT decide by the former deadline" {
        foreach {before conditions seconds result} {
            0 NX 100 1      200 NX 100 0
            0 XX 100 0      200 XX 100 1
            0 GT 100 0      200 GT 100 0     200 GT 300 1
            0 LT 100 1      200 LT 100 1     200 LT 300 0
            0 "XX GT" 100 0 200 "XX LT" 100 1 200 "XX GT" 300 1 200 "LT LT" 100 1
        } {
            r SET k v
            if {$before} { r EXPIRE k $before }
            assert_equal $result [r EXPIRE k $seconds {*}$conditions]
            set expected [expr {$result ? $seconds : $before ? $before : -1}]
            assert {abs([r TTL k] - $expected) <= 1}
        }
        set refusal "ERR NX and XX, GT or LT options at the same time are not compatible"
        foreach options {{NX XX} {NX GT} {LT NX}} {
            assert_error $refusal {r EXPIRE k 1 {*}$options}
        }
        assert_error "ERR GT and LT options at the same time are not compatible" {r EXPIRE k 1 GT LT}
        assert_error "ERR Unsupported option foo" {r EXPIRE k 1 foo}
        assert_error "ERR Unsupported option foo" {r EXPIRE k abc NX foo}
    }

    test "Times beyond the bounds are refused and change nothing" {
        r SET k v
        foreach {command values} {
            EXPIRE {9223372036854775807 9223372036854775 -9223372036854775808}
            PEXPIRE {9223372036854775807}
            EXPIREAT {9223372036854776 -9223372036854776}
        } {
            foreach value $values {
                assert_error "ERR invalid expire time in '[string tolower $command]' command" {r $command k $value}
            }
        }
        foreach value {abc "" 1.5 9223372036854775808} {
            assert_error "ERR value is not an integer or out of range" {r EXPIRE k $value}
        }
        assert_equal -1 [r TTL k]
        assert_equal 1 [r PEXPIREAT k 9223372036854775807]
        assert_equal 9223372036854775807 [r PEXPIRETIME k]
        assert {[r PTTL k] > 9000000000000000000}
        assert {[r TTL k] > 9000000000000000}
        assert_equal 1 [r PERSIST k]
    }
}
