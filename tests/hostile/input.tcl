# Input that attacks the server: it must answer or close, stay up, and keep neither memory nor connections.

# Sends the bytes on a new connection and takes the replies for as long as another client needs for an answer.
proc attack {bytes} {
    set c [client]
    catch {$c -raw $bytes}
    assert_equal PONG [r PING]
    $c -close
}

proc only_this_client {} {
    wait_for {[info_field connected_clients] == 1}
}

# INFO and the buffers of the client vary a little; thousands of attacks must leave nothing behind.
proc assert_memory_back {before {slack 1500000}} {
    only_this_client
    wait_for "\[info_field used_memory\] < [expr {$before + $slack}]" 10000
}

with_server {} {
    r SET canary alive

    test "Huge counts and lengths are refused or cost nothing" {
        set before [info_field used_memory]
        foreach bytes {
            "*2147483647\r\n" "*1000000000\r\n" "*99999999999999999999\r\n" "*-9223372036854775808\r\n"
            "*2147483647\r\n\$4\r\nPING\r\n" "*1048576\r\n\$0\r\n\r\n" "*1\r\n\$536870912\r\n"
            "*1\r\n\$536870912\r\nabc"
            "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$536870912\r\nx" "*2\r\n\$536870912\r\n" "*1\r\n\$2147483648\r\n"
            "*1\r\n\$18446744073709551616\r\n" "*1\r\n\$-9223372036854775808\r\n"
            "*1\r\n\$00000000000000000000004\r\nPING\r\n"
        } {
            attack [subst -nocommands -novariables $bytes]
        }
        # A length alone must not take that memory: the bytes have to come.
        assert_memory_back $before
    }

    test "Many announcements of huge values at once take little memory" {
        set before [info_field used_memory]
        set all {}
        for {set i 0} {$i < 40} {incr i} {
            lappend all [client]
            [lindex $all end] -raw "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$500000000\r\nstart"
        }
        assert_equal PONG [r PING]
        assert {[info_field used_memory_rss] < 4000000000.0}
        foreach c $all { $c -close }
        assert_memory_back $before
    }

    test "NULs and other bytes where text is expected do no harm" {
        foreach bytes {
            "\0" "\0\r\n" "*\0\r\n" "*1\0\r\n\$4\r\nPING\r\n" "*1\r\n\0\r\n" "*1\r\n\$4\0\r\nPING\r\n"
            "*1\r\n\$4\r\n\0\0\0\0\r\n"
            "PI\0NG\r\n" "\0PING\r\n" "\"\0\"\r\n" "\xff\xfe\xfd\r\n" "\r\r\r\r\n" "\n\n\n\n"
            "*1\n\$4\nPING\n" "*1\r\r\n"
            "+OK\r\n" "-ERR\r\n" ":1\r\n" "\$5\r\nhello\r\n" "%1\r\n" "~1\r\n" ">3\r\n" "*1\r\n*1\r\n\$4\r\nPING\r\n"
            "*1\r\n\$4\r\nPINGxx*1\r\n\$4\r\nPING\r\n" "'" "\"" "\"\\" "\"\\x" "\"\\xf" "'\\'" "ECHO \"\\x00\\xff\"\r\n"
        } {
            attack [subst -nocommands -novariables $bytes]
        }
        only_this_client
    }

    test "A connection may end after every beginning of a request" {
        set before [info_field used_memory]
        set bytes [resp_encode SET k [string repeat v 40]]
        for {set n 0} {$n < [string length $bytes] - 1} {incr n} {
            attack [string range $bytes 0 $n]
            attack "PING\r\n[string range $bytes 0 $n]"
        }
        assert_memory_back $before
        assert_equal "(nil)" [r GET k]
    }

    test "One megabyte without an end of line is refused" {
        set before [info_field used_memory]
        set c [client]
        catch {$c -raw [string repeat a 1000000]}
        # A reset may cut the rest off, since the server closes with input unread.
        catch {$c -rest} answer
        assert {$answer eq "" || [string match "-ERR Protocol error: too big inline request*" $answer] ||
            [string match *reset* $answer]}
        assert_memory_back $before
    }

    test "An inline request may have many words" {
        set c [client]
        $c -raw "[string repeat "a " 30000]\r\n"
        assert_error "ERR unknown command 'a'*" {$c -read}
        $c -raw "ECHO [string repeat {"\x00"} 1]\r\n"
        assert_equal "\0" [$c -read]
    }

    test "A command may have a hundred thousand arguments" {
        set c [client]
        $c -raw "*100001\r\n\$3\r\nDEL\r\n[string repeat "\$1\r\nx\r\n" 100000]"
        assert_equal 0 [$c -read]
        $c -raw "*100001\r\n\$4\r\nMGET\r\n[string repeat "\$6\r\ncanary\r\n" 100000]"
        assert_equal 100000 [llength [$c -read]]
    }

    test "An error cannot be split by the text that it quotes" {
        set c [client]
        $c -raw [resp_encode "x\r\n+INJECTED\r\n" "y\r\n:1\r\n"]
        assert_match "-ERR unknown command*" [$c -line]
        $c -raw [resp_encode ECHO next]
        assert_equal "next" [$c -read]
        $c -raw [resp_encode CONFIG "a\r\nb"]
        assert_match "-ERR*" [$c -line]
        assert_equal PONG [$c PING]
    }

    test "Patterns on which a naive matcher never ends are matched at once" {
        r SET [string repeat a 60] 1
        set pattern "[string repeat a* 60]b"
        set started [clock milliseconds]
        assert_equal {} [r KEYS [string repeat a* 12]b]
        if {![string match *redis-server* [server_binary]]} {
            assert_equal {} [r KEYS $pattern]
            r SET [string repeat a 50000] 1
            assert_equal {} [r KEYS "[string repeat *a 200]b"]
        }
        assert {[clock milliseconds] - $started < 3000 * [slowness]}
        r DEL [string repeat a 60] [string repeat a 50000]
    }

    test "Random bytes do no harm" {
        set before [info_field used_memory]
        for {set i 0} {$i < 500} {incr i} { attack [random_bytes [random_below 200]] }
        for {set i 0} {$i < 500} {incr i} {
            set bytes [resp_encode SET k v][resp_encode GET k][resp_encode INCR k]
            set at [random_below [string length $bytes]]
            attack [string replace $bytes $at $at [random_bytes 1]]
        }
        assert_memory_back $before
    }

    test "The data are there after all attacks" {
        assert_equal alive [r GET canary]
        assert_equal PONG [r PING]
    }
}
