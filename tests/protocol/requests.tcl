# Well-formed requests of every shape: inline, multibulk, in pieces, in long pipelines.

with_server {} {
    test "Inline requests may have spaces and either end of line" {
        set c [client]
        $c -raw "PING\r\n"
        assert_equal PONG [$c -read]
        $c -raw "PING\n"
        assert_equal PONG [$c -read]
        $c -raw "  SET   inline    value  \r\n"
        assert_equal OK [$c -read]
        $c -raw "GET inline\r\n"
        assert_equal value [$c -read]
        $c -raw "\tECHO\tx\t\r\n"
        assert_equal x [$c -read]
    }

    test "Inline requests may have quotes and escapes" {
        set c [client]
        foreach {line value} {
            {"a b"} "a b"       {'a b'} "a b"        {""} ""        {''} ""
            {"a\"b"} "a\"b"     {'a\'b'} "a'b"       {'a\nb'} {a\nb}
            {"\x41\x00\xff"} "A\0\xff"               {"\n\r\t\b\a\q"} "\n\r\t\b\aq"
            {a"b"} ab           {\x41} {\x41}        {"\xzz"} xzz
        } {
            $c -raw "ECHO $line\r\n"
            assert_equal $value [$c -read]
        }
    }

    test "Unbalanced quotes are a protocol error" {
        foreach line {{SET k "v} {SET k 'v} {SET "k"v x} {SET 'k'v x}} {
            set c [client]
            $c -raw "$line\r\n"
            assert_equal "-ERR Protocol error: unbalanced quotes in request\r\n" [$c -rest]
            $c -close
        }
    }

    test "The server skips empty lines and bare CR LF" {
        set c [client]
        $c -raw "\r\n\r\n\n   \r\nPING\r\n\r\n[resp_encode PING]\r\n"
        assert_equal {PONG PONG} [list [$c -read] [$c -read]]
    }

    test "A request may be split anywhere" {
        set bytes "[resp_encode SET split "a\r\n\0b"]PING\r\n[resp_encode GET split]"
        for {set cut 1} {$cut < [string length $bytes]} {incr cut} {
            set c [client]
            $c -raw [string range $bytes 0 [expr {$cut - 1}]]
            # Another connection's answer shows that the first part has been read.
            r PING
            $c -raw [string range $bytes $cut end]
            assert_equal [list OK PONG "a\r\n\0b"] [list [$c -read] [$c -read] [$c -read]]
            $c -close
        }
    }

    test "A request may come one byte at a time" {
        set c [client]
        foreach byte [split [resp_encode SET slow value] ""] {
            $c -raw $byte
        }
        assert_equal OK [$c -read]
        assert_equal value [r GET slow]
    }

    test "A pipeline may mix inline and multibulk requests" {
        set c [client]
        $c -raw "PING\r\n[resp_encode SET a 1]INCR a\r\n[resp_encode INCR a]\r\nPING x\r\n"
        assert_equal {PONG OK 2 3 x} [list [$c -read] [$c -read] [$c -read] [$c -read] [$c -read]]
    }

    test "A pipeline of 100,000 commands is answered in order" {
        set c [client]
        set bytes ""
        for {set i 0} {$i < 100000} {incr i} { append bytes "*2\r\n\$4\r\nECHO\r\n\$[string length $i]\r\n$i\r\n" }
        $c -raw $bytes
        set wrong 0
        for {set i 0} {$i < 100000} {incr i} { if {[$c -read] ne $i} { incr wrong } }
        assert_equal 0 $wrong
    }

    test "Keys and values may hold any bytes" {
        for {set i 0} {$i < 200} {incr i} {
            set key [random_bytes [random_below 50]]
            set value [random_bytes [random_below 300]]
            assert_equal OK [r SET $key $value]
            assert_equal $value [r GET $key]
        }
    }

    test "Values keep their bytes around the sizes at which the server changes its ways" {
        foreach size {0 1 31 32 33 43 44 45 63 64 127 128 16383 16384 16385 32767 32768 65535 65536 1000000 5000000} {
            set value [string repeat x $size]
            assert_equal OK [r SET sized $value]
            assert_equal $size [r STRLEN sized]
            assert {[r GET sized] eq $value}
            assert_equal $value [lindex [r MGET sized nope] 0]
        }
    }

    test "A large value may come in pieces, with other requests behind it" {
        set value [random_bytes 50000]
        set bytes "[resp_encode SET pieces $value][resp_encode STRLEN pieces]PING\r\n"
        set c [client]
        while {$bytes ne ""} {
            set n [expr {1 + [random_below 9000]}]
            $c -raw [string range $bytes 0 $n-1]
            set bytes [string range $bytes $n end]
            r PING
        }
        assert_equal {OK 50000 PONG} [list [$c -read] [$c -read] [$c -read]]
        assert {[r GET pieces] eq $value}
    }

    test "Commands may be written in any case" {
        assert_equal PONG [r pInG]
        assert_equal OK [r set k v eX 100]
        assert_equal 100 [r ttl k]
    }

    test "QUIT answers and closes" {
        set c [client]
        $c -raw "[resp_encode QUIT][resp_encode PING]"
        assert_equal "+OK\r\n" [$c -rest]
    }

    test "A client that half-closes gets its answers" {
        set c [client]
        $c -raw "[resp_encode PING][resp_encode ECHO last]"
        chan close [$c -channel] write
        assert_match "+PONG\r\n*" [$c -rest]
    }

    test "CLIENT REPLY turns replies off and on and skips one" {
        set c [client]
        $c -raw "[resp_encode CLIENT REPLY OFF][resp_encode PING][resp_encode SET off 1]"
        assert_equal OK [$c CLIENT REPLY ON]
        assert_equal 1 [$c GET off]
        $c -raw "[resp_encode CLIENT REPLY SKIP][resp_encode ECHO skipped][resp_encode ECHO seen]"
        assert_equal seen [$c -read]
    }
}
