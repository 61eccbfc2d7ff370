# INCR, DECR, INCRBY, DECRBY and INCRBYFLOAT.
with_server {} {
    test "Counters count from nothing, in both directions, to both ends" {
        r DEL k
        assert_equal 1 [r INCR k]
        assert_equal 0 [r DECR k]
        assert_equal -10 [r DECRBY k 10]
        assert_equal 90 [r INCRBY k 100]
        assert_equal 9223372036854775807 [r INCRBY k 9223372036854775717]
        assert_error "ERR increment or decrement would overflow" {r INCR k}
        r SET k -9223372036854775807
        assert_equal -9223372036854775808 [r DECR k]
        assert_error "ERR increment or decrement would overflow" {r DECR k}
        assert_equal -9223372036854775808 [r GET k]
        assert_error "ERR decrement would overflow" {r DECRBY k -9223372036854775808}
    }

    test "A value that is no integer is refused and left alone" {
        set long [list [string repeat 1 30] [string repeat x 20000]]
        foreach value [list "" abc 1.5 " 1" "1 " 01 +1 9223372036854775808 {*}$long] {
            r SET k $value
            assert_error "ERR value is not an integer or out of range" {r INCR k}
            assert_error "ERR value is not an integer or out of range" {r INCRBY other $value}
            assert_equal $value [r GET k]
        }
        assert_equal 0 [r EXISTS other]
    }

    test "Counting keeps the lifetime" {
        r SET k 1 EX 100
        r INCR k
        r INCRBYFLOAT k 0.5
        assert {[r TTL k] > 98}
    }

    test "INCRBYFLOAT prints numbers as Redis does" {
        foreach {start by result} {
            "" 1 1              1 0.1 1.1            10.5 0.1 10.6        3.0 1.000000000000000005 4.00000000000000001
            1.5 1.5 3           -1.5 +1.5 0          1e3 1 1001           5.0e3 200 5200
            0 1e-17 0.00000000000000001              0 1e-18 0            1 -1 0
            0 0x10 16           17179869184 1 17179869185                 0 1e20 100000000000000000000
        } {
            if {$start eq ""} { r DEL k } else { r SET k $start }
            assert_equal $result [r INCRBYFLOAT k $by]
            assert_equal $result [r GET k]
        }
    }

    test "INCRBYFLOAT refuses values that are no numbers, and sums that are none" {
        r SET k 1
        foreach by {abc "" " 1" "1 " nan 1.2.3} {
            assert_error "ERR value is not a valid float" {r INCRBYFLOAT k $by}
        }
        foreach by {inf -inf +inf} {
            assert_error "ERR increment would produce NaN or Infinity" {r INCRBYFLOAT k $by}
        }
        r SET k abc
        assert_error "ERR value is not a valid float" {r INCRBYFLOAT k 1}
        assert_equal abc [r GET k]
    }
}
