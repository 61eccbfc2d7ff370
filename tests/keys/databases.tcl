# Several databases: a change in one is invisible in the others.
with_server {} {
    test "SELECT keeps databases apart" {
        r FLUSHALL
        for {set i 0} {$i < 16} {incr i} {
            assert_equal OK [r SELECT $i]
            assert_equal 0 [r DBSIZE]
            r MSET k $i key:$i x
        }
        for {set i 0} {$i < 16} {incr i} {
            r SELECT $i
            assert_equal $i [r GET k]
            assert_equal 2 [r DBSIZE]
        }
        foreach index {16 -1 1000000} { assert_error "ERR DB index is out of range" {r SELECT $index} }
        foreach index {x "" 1.5 99999999999999999999} {
            assert_error "ERR value is not an integer or out of range" {r SELECT $index}
        }
        assert_error "ERR value is out of range*" {r SELECT 3000000000}
        assert_equal 15 [r GET k]
        r SELECT 0
    }

    test "FLUSHDB empties one database, FLUSHALL all of them" {
        foreach mode {{} SYNC ASYNC} {
            r FLUSHALL
            r SET k v EX 100
            r SELECT 1
            r SET k v
            assert_equal OK [r FLUSHDB {*}$mode]
            assert_equal 0 [r DBSIZE]
            r SELECT 0
            assert_equal 1 [r DBSIZE]
            assert_equal OK [r FLUSHALL {*}$mode]
            assert_equal 0 [r DBSIZE]
        }
        assert_error "ERR syntax error" {r FLUSHDB NOW}
        assert_error "ERR syntax error" {r FLUSHALL SYNC ASYNC}
    }

    test "SWAPDB swaps databases while clients are in them" {
        r FLUSHALL
        set c [client]
        $c SELECT 1
        r SET k zero EX 100
        $c SET k one
        assert_equal OK [r SWAPDB 0 1]
        assert_equal one [r GET k]
        assert_equal zero [$c GET k]
        assert {[$c TTL k] > 98}
        assert_equal OK [r SWAPDB 1 1]
        assert_error "ERR invalid first DB index" {r SWAPDB a 1}
        assert_error "ERR invalid second DB index" {r SWAPDB 1 a}
        assert_error "ERR DB index is out of range" {r SWAPDB 0 16}
        $c PEXPIRE k 20
        wait_for {[$c DBSIZE] == 0}
        $c -close
    }

    test "MOVE moves a key only if its name is free in the other database" {
        r FLUSHALL
        r SET k v EX 100
        assert_equal 0 [r MOVE none 1]
        assert_equal 1 [r MOVE k 1]
        assert_equal 0 [r EXISTS k]
        r SET k w
        assert_equal 0 [r MOVE k 1]
        assert_equal w [r GET k]
        r SELECT 1
        assert_equal v [r GET k]
        assert {[r TTL k] > 98}
        r SELECT 0
        assert_error "ERR source and destination objects are the same" {r MOVE k 0}
        assert_error "ERR DB index is out of range" {r MOVE k 16}
        assert_error "ERR value is not an integer or out of range" {r MOVE k x}
    }
}
