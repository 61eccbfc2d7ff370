# BZPOPMIN, BZPOPMAX, BZMPOP: only what is special about them; tests/list/block.tcl tests waiting itself.

with_server {} {
    foreach {encoding limit} {listpack 128 skiplist 0} {
        test "BZPOPMIN, BZPOPMAX and BZMPOP pop from a $encoding" {
            r CONFIG SET zset-max-listpack-entries $limit
            r DEL z
            r ZADD z 1 a 2 b 3 c 4 d 5 e
            assert_equal $encoding [r OBJECT ENCODING z]
            assert_equal {z a 1} [r BZPOPMIN none z 0]
            assert_equal {z e 5} [r BZPOPMAX none z 0]
            assert_equal {z {{d 4} {c 3}}} [r BZMPOP 0 2 none z MAX COUNT 2]
            assert_equal {z {{b 2}}} [r BZMPOP 0 1 z MIN COUNT 9223372036854775807]
            assert_equal 0 [r EXISTS z]
        }
    }

    test "Scores are doubles in RESP3" {
        set c [client]
        $c HELLO 3
        $c -tagged 1
        $c -send BZPOPMIN z 0
        wait_for {[info_field blocked_clients] == 1}
        r ZADD z 1.5 a inf b
        assert_equal {array {{bulk z} {bulk a} {double 1.5}}} [$c -read]
        assert_equal {array {{bulk z} {bulk b} {double inf}}} [$c BZPOPMAX z 0]
        assert_equal nil [$c BZMPOP 0.001 1 z MIN]
    }

    test "A client that waits for a sorted set leaves a list alone, and is served when a sorted set replaces it" {
        set a [client]
        set b [client]
        $a -send BZPOPMIN k 0
        wait_for {[info_field blocked_clients] == 1}
        $b -send BLPOP k 0
        wait_for {[info_field blocked_clients] == 2}
        r RPUSH k 1
        assert_equal {k 1} [$b -read]
        r ZADD other 1 m
        r SET k text
        r RENAME other k
        assert_equal {k m 1} [$a -read]
    }

    test "A sorted set that replaces another value makes its key ready" {
        set a [client]
        $a -send BZPOPMIN k 0
        wait_for {[info_field blocked_clients] == 1}
        r SET k text
        r ZADD one 1 m
        r ZUNIONSTORE k 1 one
        assert_equal {k m 1} [$a -read]
        $a -send BZPOPMIN k 0
        wait_for {[info_field blocked_clients] == 1}
        r SET k text
        r COPY one k REPLACE
        assert_equal {k m 1} [$a -read]
    }
}
