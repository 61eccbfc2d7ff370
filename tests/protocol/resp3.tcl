# HELLO and the types of RESP3.

with_server {} {
    test "HELLO describes the server in both protocols" {
        set c [client]
        $c -tagged 1
        assert_equal array [lindex [$c HELLO 2] 0]
        assert_equal map [lindex [$c HELLO 3] 0]
        assert_equal map [lindex [$c HELLO] 0]
        $c -tagged 0
        set told [$c HELLO]
        assert_equal {server version proto id mode role modules} [dict keys $told]
        assert_equal {redis 3 standalone master} [list [dict get $told server] [dict get $told proto] \
            [dict get $told mode] [dict get $told role]]
        assert_equal [$c CLIENT ID] [dict get $told id]
        assert_match "7.*" [dict get $told version]
    }

    test "A failing HELLO leaves the protocol alone" {
        set c [client]
        $c HELLO 3
        assert_error "NOPROTO unsupported protocol version" {$c HELLO 4}
        assert_error "NOPROTO unsupported protocol version" {$c HELLO 1}
        assert_error "ERR Protocol version is not an integer or out of range" {$c HELLO x}
        assert_error "ERR Syntax error in HELLO option 'nope'" {$c HELLO 2 nope}
        assert_error "ERR Syntax error in HELLO option 'setname'" {$c HELLO 2 setname}
        $c -raw [resp_encode GET absent]
        assert_equal "_" [$c -line]
    }

    test "Null has its own type" {
        set c [client]
        $c -raw [resp_encode GET absent]
        assert_equal "\$-1" [$c -line]
        $c HELLO 3
        $c -raw [resp_encode GET absent]
        assert_equal "_" [$c -line]
        $c -raw [resp_encode MGET absent]
        assert_equal "*1 _" "[$c -line] [$c -line]"
    }

    test "Maps have their own type, and verbatim texts name their format" {
        set c [client]
        $c HELLO 3
        $c -tagged 1
        assert_equal {map {{bulk maxclients} {bulk 10000}}} [$c CONFIG GET maxclients]
        assert_equal {verbatim txt} [list [lindex [$c CLIENT INFO] 0] [lindex [lindex [$c CLIENT LIST] 1] 0]]
        assert_equal verbatim [lindex [$c INFO server] 0]
        assert_match {map {{bulk matches} {array *} {bulk len} {int 0}}} [$c LCS a b IDX]
    }

    test "DEBUG PROTOCOL shows every type in both protocols" {
        set c [client]
        foreach {kind two three} {
            string "\$11\r\nHello World\r\n" "\$11\r\nHello World\r\n"
            integer ":12345\r\n" ":12345\r\n"
            double "\$5\r\n3.141\r\n" ",3.141\r\n"
            null "\$-1\r\n" "_\r\n"
            array "*3\r\n:0\r\n:1\r\n:2\r\n" "*3\r\n:0\r\n:1\r\n:2\r\n"
            set "*3\r\n:0\r\n:1\r\n:2\r\n" "~3\r\n:0\r\n:1\r\n:2\r\n"
            map "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n" "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"
            bignum "\$37\r\n1234567999999999999999999999999999999\r\n" "(1234567999999999999999999999999999999\r\n"
            verbatim "\$25\r\nThis is a verbatim\nstring\r\n" "=29\r\ntxt:This is a verbatim\nstring\r\n"
            true ":1\r\n" "#t\r\n"
            false ":0\r\n" "#f\r\n"
        } {
            foreach {protocol expected} [list 2 $two 3 $three] {
                $c HELLO $protocol
                $c -raw [resp_encode DEBUG PROTOCOL $kind]
                if {$kind eq "map"} {
                    # tests/compat checks whether RESP2 has 0 and 1 or f and t there, and the order.
                    $c -read
                    continue
                }
                assert_equal $expected [$c -bytes [string length $expected]]
            }
        }
    }

    test "Each connection has its own protocol" {
        set three [client]
        set two [client]
        $three HELLO 3
        $two -raw [resp_encode GET absent]
        assert_equal "\$-1" [$two -line]
        $three -raw [resp_encode GET absent]
        assert_equal "_" [$three -line]
        assert_match "* resp=3*" [$three CLIENT INFO]
        assert_match "* resp=2*" [$two CLIENT INFO]
    }
}
