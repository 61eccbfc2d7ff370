# Broken RESP: the server sends the text of Redis, byte by byte, and closes the connection.

proc fatal {bytes text} {
    set c [client]
    $c -raw $bytes
    assert_equal "-ERR Protocol error: $text\r\n" [$c -rest]
    $c -close
}

with_server {} {
    test "Broken counts and lengths get the error of Redis, then the end of the connection" {
        fatal "*abc\r\n" "invalid multibulk length"
        fatal "*\r\n" "invalid multibulk length"
        fatal "*3x\r\n" "invalid multibulk length"
        fatal "* 1\r\n" "invalid multibulk length"
        fatal "*2147483648\r\n" "invalid multibulk length"
        fatal "*9223372036854775808\r\n" "invalid multibulk length"
        fatal "*1\r\n$\r\n" "invalid bulk length"
        fatal "*1\r\n\$abc\r\n" "invalid bulk length"
        fatal "*1\r\n\$-1\r\n" "invalid bulk length"
        fatal "*1\r\n\$-2000\r\n" "invalid bulk length"
        fatal "*1\r\n\$536870913\r\n" "invalid bulk length"
        fatal "*1\r\n\$9223372036854775808\r\n" "invalid bulk length"
        fatal "*1\r\n\$+4\r\nPING\r\n" "invalid bulk length"
    }

    test "An error names a bulk that does not begin with a dollar" {
        fatal "*1\r\nx4\r\nPING\r\n" "expected '$', got 'x'"
        fatal "*1\r\n:4\r\n" "expected '$', got ':'"
        fatal "*2\r\n\$3\r\nGET\r\nfoo\r\n" "expected '$', got 'f'"
        fatal "*1\r\n\r\n" "expected '$', got ' '"
    }

    test "Lines without an end have a limit" {
        fatal "*[string repeat 1 70000]" "too big mbulk count string"
        fatal "*1\r\n\$[string repeat 1 70000]" "too big bulk count string"
        fatal [string repeat a 70000] "too big inline request"
    }

    test "Requests before the mistake are answered first" {
        set c [client]
        $c -raw "[resp_encode SET before 1][resp_encode GET before]*x\r\n"
        assert_equal "+OK\r\n\$1\r\n1\r\n-ERR Protocol error: invalid multibulk length\r\n" [$c -rest]
    }

    test "Empty and negative counts are no commands" {
        set c [client]
        $c -raw "*0\r\n*-1\r\n*-100\r\n\r\n\r\n"
        assert_equal PONG [$c PING]
    }

    test "proto-max-bulk-len may be changed" {
        r CONFIG SET proto-max-bulk-len 2mb
        fatal "*2\r\n\$4\r\nECHO\r\n\$2097153\r\n" "invalid bulk length"
        assert_equal 2097152 [string length [r ECHO [string repeat x 2097152]]]
        r SET long [string repeat x 2097152]
        assert_error "ERR string exceeds maximum allowed size*" {r APPEND long x}
        r CONFIG SET proto-max-bulk-len 512mb
    }

    test "HTTP is refused without an answer" {
        foreach bytes {"POST / HTTP/1.1\r\n\r\n" "Host: localhost\r\n" "host: x\r\n" "post /\r\nPING\r\n"} {
            set c [client]
            $c -raw [subst -nocommands -novariables $bytes]
            assert_equal "" [$c -rest]
            $c -close
        }
        if {![attached]} {
            assert_match "*Possible SECURITY ATTACK detected*Connection from 127.0.0.1:* aborted.*" [server_log]
            assert_equal 1 [regexp -all "SECURITY ATTACK" [server_log]]
        }
        assert_equal PONG [r PING]
    }

    test "A TLS handshake is refused without an answer, and logged once" {
        set hello "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03[string repeat "\n\x00" 250]"
        for {set i 0} {$i < 3} {incr i} {
            set c [client]
            $c -raw $hello
            assert_equal "" [$c -rest]
            $c -close
        }
        if {![attached]} {
            assert_match "*TLS handshake*Connection from 127.0.0.1:* aborted.*" [server_log]
            assert_equal 1 [regexp -all "TLS handshake" [server_log]]
        }
    }

    test "A line ends in CR and LF, and in nothing else" {
        set text "invalid CRLF in request"
        fatal "*1\r\n\$4\r\nPINGxx*1\r\n\$4\r\nPING\r\n" $text
        fatal "*1\r\n\$4\r\nPING\r\r" $text
        fatal "*1\rx\$4\r\nPING\r\n" $text
        fatal "*1\r\n\$4\r\rPING\r\n" $text
        fatal "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$3000000\r\n[string repeat x 3000000]\n\n" $text
        assert_equal "(nil)" [r GET k]
    }

    test "A NUL byte in an inline request is an error, and no other command" {
        r MSET a 1 ab 2
        fatal "DEL a\0b\r\n" "NUL byte in inline request"
        fatal "PING\0\r\n" "NUL byte in inline request"
        assert_equal {1 2} [r MGET a ab]
        r DEL a ab
    }

    test "Lengths that no memory can hold are errors, whatever proto-max-bulk-len allows" {
        r CONFIG SET proto-max-bulk-len 9223372036854775807
        r SET k value
        foreach request {
            {SETBIT k 9223372036854775807 1} {SETBIT new 9223372036854775807 1} {SETRANGE k 9223372036854775800 x}
            {SETRANGE new 4611686018427387904 x} {BITFIELD k SET u8 9223372036854775800 1}
            {BITFIELD new INCRBY i64 #144115188075855870 1} {SETRANGE k 9223372036854775807 x}
        } {
            assert_error "ERR *" {r {*}$request}
        }
        assert_equal value [r GET k]
        assert_equal 0 [r EXISTS new]
        assert_equal 0 [r GETBIT k 9223372036854775807]
        assert_equal "" [r GETRANGE k 9223372036854775806 9223372036854775807]
        r CONFIG SET proto-max-bulk-len 512mb
        r DEL k
    }

    test "The error of a command keeps the connection and changes nothing" {
        r SET k 1
        assert_error "ERR wrong number of arguments for 'get' command" {r GET}
        assert_error "ERR unknown command 'nope', with args beginning with: 'a' 'b' " {r nope a b}
        assert_error "ERR unknown command 'a  b', with args beginning with: " {r "a\r\nb"}
        assert_error "ERR syntax error" {r SET k 2 nope}
        assert_equal 1 [r GET k]
    }
}

with_server {requirepass secret} {
    test "Before authentication the limits are tiny" {
        fatal "*11\r\n" "unauthenticated multibulk length"
        fatal "*1\r\n\$16385\r\n" "unauthenticated bulk length"
        set c [client]
        assert_error "NOAUTH Authentication required." {$c MGET 1 2 3 4 5 6 7 8 9}
        assert_error "NOAUTH Authentication required." {$c ECHO [string repeat x 16384]}
        assert_equal OK [$c AUTH secret]
        assert_equal 100000 [string length [$c ECHO [string repeat x 100000]]]
    }

    test "AUTH takes both forms and refuses wrong passwords" {
        set c [client]
        assert_error "NOAUTH Authentication required." {$c GET x}
        assert_error "WRONGPASS invalid username-password pair or user is disabled." {$c AUTH wrong}
        assert_error "WRONGPASS invalid username-password pair or user is disabled." {$c AUTH default wrong}
        assert_error "WRONGPASS invalid username-password pair or user is disabled." {$c AUTH other secret}
        assert_equal OK [$c AUTH default secret]
        assert_equal "(nil)" [$c GET x]
    }

    test "HELLO authenticates, and without a password it is refused" {
        set c [client]
        assert_error "NOAUTH HELLO must be called with the client already authenticated*" {$c HELLO 3}
        assert_error "WRONGPASS *" {$c HELLO 3 AUTH default no}
        assert_equal 3 [dict get [$c HELLO 3 AUTH default secret SETNAME me] proto]
        assert_equal me [$c CLIENT GETNAME]
    }

    test "RESET forgets authentication and the rest" {
        set c [client]
        $c HELLO 3 AUTH default secret SETNAME me
        $c SELECT 3
        assert_equal RESET [$c RESET]
        assert_error "NOAUTH *" {$c GET x}
        $c AUTH secret
        assert_equal "" [string map {(nil) ""} [$c CLIENT GETNAME]]
        $c -tagged 1
        assert_equal nil [$c GET x]
        assert_match "* db=0 *" [$c CLIENT INFO]
    }
}
