# DEBUG, and the option that allows it.

with_server {} {
    test "DEBUG PROTOCOL replies each type in RESP2" {
        set c [client]
        $c -tagged 1
        foreach {type reply} {
            string {bulk {Hello World}}
            integer {int 12345}
            double {bulk 3.141}
            bignum {bulk 1234567999999999999999999999999999999}
            null nil
            array {array {{int 0} {int 1} {int 2}}}
            set {array {{int 0} {int 1} {int 2}}}
            map {array {{int 0} {int 0} {int 1} {int 1} {int 2} {int 0}}}
            attrib {bulk {Some real reply following the attribute}}
            push {error {ERR RESP2 is not supported by this command}}
            verbatim {bulk {This is a verbatim
string}}
            true {int 1}
            false {int 0}
        } {
            assert_equal $reply [$c DEBUG PROTOCOL $type]
        }
        assert_match {error {ERR Wrong protocol type name. Please use one of the following: string|integer*}} \
            [$c DEBUG PROTOCOL foo]
        $c -close
    }

    test "DEBUG PROTOCOL replies each type in RESP3" {
        set c [client]
        $c HELLO 3
        $c -tagged 1
        foreach {type reply} {
            string {bulk {Hello World}}
            integer {int 12345}
            double {double 3.141}
            bignum {big 1234567999999999999999999999999999999}
            null nil
            array {array {{int 0} {int 1} {int 2}}}
            set {set {{int 0} {int 1} {int 2}}}
            map {map {{int 0} {bool f} {int 1} {bool t} {int 2} {bool f}}}
            attrib {bulk {Some real reply following the attribute}}
            verbatim {verbatim {txt {This is a verbatim
string}}}
            true {bool t}
            false {bool f}
        } {
            assert_equal $reply [$c DEBUG PROTOCOL $type]
        }
        assert_equal {push {{bulk server-cpu-usage} {int 42}}} [$c DEBUG PROTOCOL push]
        assert_equal {bulk {Some real reply following the push reply}} [$c -read]
        $c -send DEBUG PROTOCOL attrib
        assert_equal "|1\r\n\$14\r\nkey-popularity\r\n*2\r\n\$7\r\nkey:123\r\n:90\r\n" [$c -bytes 47]
        assert_equal {bulk {Some real reply following the attribute}} [$c -read]
        $c -close
    }

    test "DEBUG OBJECT shows encoding, serialized length and idle time" {
        r SET a 123
        r SET b [string repeat x 44]
        r SET c [string repeat x 45]
        foreach {key encoding} {a int b embstr c raw} {
            assert_match "Value at:0x* refcount:* encoding:$encoding serializedlength:* lru:* lru_seconds_idle:*" \
                [r DEBUG OBJECT $key]
        }
        foreach {value bytes} {1 2 300 3 70000 5 70000000000 12 abc 4} {
            r SET d $value
            assert_match "* serializedlength:$bytes lru:*" [r DEBUG OBJECT d]
        }
        assert_error "ERR no such key" { r DEBUG OBJECT nothing }
    }

    test "DEBUG POPULATE makes keys with values of a given size" {
        r FLUSHALL
        assert_equal OK [r DEBUG POPULATE 1000]
        assert_equal 1000 [r DBSIZE]
        assert_equal value:999 [r GET key:999]
        assert_equal OK [r DEBUG POPULATE 3 prefix]
        assert_equal value:2 [r GET prefix:2]
        assert_equal OK [r DEBUG POPULATE 12 long 100]
        assert_equal "value:11[string repeat \0 92]" [r GET long:11]
        assert_equal OK [r DEBUG POPULATE 1 short 3]
        assert_equal val [r GET short:0]
        foreach arguments {x -1 {1 p x} {1 p -1} 99999999999999999999} {
            assert_error "ERR value is out of range, must be positive" { r DEBUG POPULATE {*}$arguments }
        }
    }

    test "DEBUG POPULATE leaves existing keys alone" {
        r SET key:1 mine
        r DEBUG POPULATE 3
        assert_equal mine [r GET key:1]
        r FLUSHALL
    }

    test "DEBUG SLEEP stops the server, and commands behind it wait" {
        set started [clock milliseconds]
        assert_equal OK [r DEBUG SLEEP 0.2]
        assert {[clock milliseconds] - $started >= 200}
        assert_equal OK [r DEBUG SLEEP 0]
        assert_equal OK [r DEBUG SLEEP -1]
    }

    test "DEBUG SET-ACTIVE-EXPIRE 0 leaves expired keys to the next look-up" {
        r FLUSHALL
        r DEBUG SET-ACTIVE-EXPIRE 0
        r SET a 1 PX 10
        after 300
        assert_equal 1 [r DBSIZE]
        assert_equal 0 [r EXISTS a]
        assert_equal 0 [r DBSIZE]
        r SET a 1 PX 10
        r DEBUG SET-ACTIVE-EXPIRE 1
        wait_for {[r DBSIZE] == 0}
    }

    test "DEBUG STRINGMATCH-LEN matches a pattern in linear time" {
        foreach {pattern string match} {
            * anything 1  a*c abc 1  a*c abd 0  h?llo hello 1  h[^e]llo hello 0  h[a-e]llo hello 1
            \\* * 1  \\* a 0  "" "" 1  ? "" 0  a*b*c aXbXc 1
        } {
            assert_equal $match [r DEBUG STRINGMATCH-LEN $pattern $string]
        }
        # A naive matcher takes exponential time here.
        assert_equal 0 [r DEBUG STRINGMATCH-LEN [string repeat a* 50]b [string repeat a 1000]]
    }

    test "DEBUG ERROR replies its argument, and DEBUG LOG logs it" {
        assert_error "ERR as you like it" { r DEBUG ERROR "ERR as you like it" }
        assert_equal OK [r DEBUG LOG "a line of the tests"]
        if {![attached]} { wait_for {[string match "*a line of the tests*" [server_log]]} }
    }

    test "DEBUG HELP explains the subcommands, and unknown ones are refused" {
        assert_match "DEBUG <subcommand> *" [lindex [r DEBUG HELP] 0]
        assert_error "ERR wrong number of arguments for 'debug' command" { r DEBUG }
        foreach {words name} {foo foo SLEEP SLEEP {OBJECT a b c} OBJECT {help me} help} {
            assert_error "ERR unknown subcommand or wrong number of arguments for '$name'. Try DEBUG HELP." {
                r DEBUG {*}$words
            }
        }
    }
}

foreach {value allowed} {no 0 local 1} {
    with_server [list enable-debug-command $value] {
        test "enable-debug-command $value decides whether DEBUG is allowed" {
            if {$allowed} {
                assert_equal OK [r DEBUG SLEEP 0]
            } else {
                assert_error "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\",\
                    *" {r DEBUG SLEEP 0}
            }
            assert_error "ERR *" { r CONFIG SET enable-debug-command yes }
        }
    }
}
