# PING, ECHO, QUIT, RESET, HELLO and AUTH.

proc map_of {reply} {
    # Turns {map {{bulk k} v ...}}, or the array that RESP2 makes of it, into a dictionary of tagged values.
    set d [dict create]
    foreach {key value} [lindex $reply 1] { dict set d [lindex $key 1] $value }
    return $d
}

with_server {} {
    test "PING replies PONG or its argument" {
        r -tagged 1
        assert_equal {simple PONG} [r PING]
        assert_equal {bulk hello} [r PING hello]
        assert_equal {bulk {}} [r PING ""]
        r -tagged 0
        assert_error "ERR wrong number of arguments for 'ping' command" { r PING a b }
    }

    test "ECHO is binary safe" {
        set bytes "a\0b\r\n\xff"
        assert_equal $bytes [r ECHO $bytes]
        assert_error "ERR wrong number of arguments for 'echo' command" { r ECHO }
    }

    test "QUIT replies and closes, and the server drops the requests behind it" {
        set c [client]
        $c -raw "*1\r\n\$4\r\nQUIT\r\n*3\r\n\$3\r\nSET\r\n\$4\r\nquit\r\n\$1\r\n1\r\n"
        assert_equal "+OK\r\n" [$c -rest]
        $c -close
        assert_equal 0 [r EXISTS quit]
    }

    test "HELLO without arguments describes the connection" {
        set c [client]
        $c -tagged 1
        set reply [$c HELLO]
        assert_equal array [lindex $reply 0]
        assert_equal 14 [llength [lindex $reply 1]]
        set d [map_of $reply]
        assert_equal {server version proto id mode role modules} [dict keys $d]
        assert_equal {bulk redis} [dict get $d server]
        assert_match {bulk 7.*} [dict get $d version]
        assert_equal {int 2} [dict get $d proto]
        assert_equal [$c CLIENT ID] [dict get $d id]
        assert_equal {bulk standalone} [dict get $d mode]
        assert_equal {bulk master} [dict get $d role]
        assert_equal {array {}} [dict get $d modules]
        $c -close
    }

    test "HELLO switches the protocol back and forth" {
        set c [client]
        $c -tagged 1
        assert_equal map [lindex [$c HELLO 3] 0]
        assert_equal nil [$c GET nothing]
        assert_equal {int 3} [dict get [map_of [$c HELLO]] proto]
        assert_equal array [lindex [$c HELLO 2] 0]
        $c HELLO 3
        $c RESET
        assert_equal array [lindex [$c HELLO] 0]
        $c -close
    }

    test "HELLO applies SETNAME and AUTH together with the switch" {
        set c [client]
        $c HELLO 3 AUTH default anything SETNAME worker
        assert_equal worker [$c CLIENT GETNAME]
        $c -close
    }

    test "A failing HELLO changes nothing" {
        set c [client]
        foreach {arguments error} {
            {4} "NOPROTO unsupported protocol version"
            {1} "NOPROTO unsupported protocol version"
            {x} "ERR Protocol version is not an integer or out of range"
            {3 AUTH default} "ERR Syntax error in HELLO option 'AUTH'"
            {3 SETNAME} "ERR Syntax error in HELLO option 'SETNAME'"
            {3 FOO bar} "ERR Syntax error in HELLO option 'FOO'"
            {3 SETNAME {a b}} "ERR Client names cannot contain spaces, newlines or special characters."
            {3 AUTH nobody x} "WRONGPASS invalid username-password pair or user is disabled."
        } {
            assert_error $error { $c HELLO {*}$arguments }
        }
        $c -tagged 1
        assert_equal array [lindex [$c HELLO] 0]
        assert_equal nil [$c CLIENT GETNAME]
        $c -close
    }

    test "RESET brings a session back to its beginning" {
        set c [client]
        $c HELLO 3 SETNAME worker
        $c SELECT 5
        $c SET here 1
        assert_equal RESET [$c RESET]
        assert_equal "(nil)" [$c CLIENT GETNAME]
        assert_equal 0 [$c EXISTS here]
        $c -tagged 1
        assert_equal array [lindex [$c HELLO] 0]
        assert_equal {error {ERR wrong number of arguments for 'reset' command}} [$c RESET now]
        $c -close
    }

    test "AUTH fails while no password is configured, except for the default user" {
        assert_error "ERR AUTH <password> called without any password configured for the default user.*" { r AUTH x }
        assert_equal OK [r AUTH default x]
        assert_error "WRONGPASS *" { r AUTH nobody x }
        assert_error "ERR syntax error" { r AUTH a b c }
        assert_error "ERR wrong number of arguments for 'auth' command" { r AUTH }
    }
}

with_server {requirepass foobar} {
    test "Without the password a client may only authenticate, reset and quit" {
        set c [client]
        assert_error "NOAUTH Authentication required." { $c GET a }
        assert_error "NOAUTH Authentication required." { $c PING }
        assert_error "NOAUTH HELLO must be called with the client already authenticated, *" { $c HELLO 3 }
        assert_error "NOAUTH HELLO *" { $c HELLO }
        assert_equal RESET [$c RESET]
        assert_equal OK [$c QUIT]
        $c -close
    }

    test "AUTH takes the right password in both forms and refuses wrong ones" {
        set c [client]
        assert_error "WRONGPASS invalid username-password pair or user is disabled." { $c AUTH foobaz }
        assert_error "WRONGPASS *" { $c AUTH "" }
        assert_error "WRONGPASS *" { $c AUTH foobarr }
        assert_error "WRONGPASS *" { $c AUTH nobody foobar }
        assert_error "NOAUTH *" { $c PING }
        assert_equal OK [$c AUTH foobar]
        assert_equal PONG [$c PING]
        $c RESET
        assert_error "NOAUTH *" { $c PING }
        assert_equal OK [$c AUTH default foobar]
        assert_equal PONG [$c PING]
        $c -close
    }

    test "A wrong AUTH leaves an authenticated client authenticated" {
        set c [client]
        $c AUTH foobar
        assert_error "WRONGPASS *" { $c AUTH wrong }
        assert_equal PONG [$c PING]
        $c -close
    }

    test "HELLO AUTH authenticates, and with a wrong password it does not switch the protocol" {
        set c [client]
        assert_error "WRONGPASS *" { $c HELLO 3 AUTH default wrong }
        assert_error "NOAUTH *" { $c PING }
        $c -tagged 1
        assert_equal map [lindex [$c HELLO 3 AUTH default foobar] 0]
        assert_equal {simple PONG} [$c PING]
        $c -close
    }

    test "A password may hold any byte, and other options refuse a NUL" {
        set c [client]
        $c AUTH foobar
        set bytes "se\0cret\xff"
        $c CONFIG SET requirepass $bytes
        set d [client]
        assert_error "WRONGPASS *" { $d AUTH se }
        assert_error "WRONGPASS *" { $d AUTH "se\0cret" }
        assert_equal OK [$d AUTH $bytes]
        assert_equal [list requirepass $bytes] [$d CONFIG GET requirepass]
        foreach {name value} [list timeout "1\x002" save "1 2\x003"] {
            assert_error "ERR CONFIG SET failed (possibly related to argument '$name') - *" {
                $d CONFIG SET $name $value
            }
        }
        $c CONFIG SET requirepass foobar
        $c -close
        $d -close
    }

    test "A password may be changed and taken away at run time" {
        set c [client]
        $c AUTH foobar
        $c CONFIG SET requirepass other
        assert_equal PONG [$c PING]
        set d [client]
        assert_error "WRONGPASS *" { $d AUTH foobar }
        assert_equal OK [$d AUTH other]
        $d CONFIG SET requirepass ""
        set e [client]
        assert_equal PONG [$e PING]
        $e CONFIG SET requirepass foobar
        foreach x [list $c $d $e] { $x -close }
    }
}
