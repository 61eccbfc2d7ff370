# CLIENT and its subcommands.

# A field of client c's line in CLIENT LIST; "" if c is not in the list.
proc listed {c name} {
    set id [$c CLIENT ID]
    foreach line [split [r CLIENT LIST] \n] {
        if {[regexp "^id=$id " $line]} { return [field $line $name] }
    }
    return ""
}

proc field {line name} {
    if {![regexp " $name=(\\S*)" " $line" -> value]} { error "no field $name in: $line" }
    return $value
}

with_server {} {
    test "CLIENT ID grows with every connection" {
        set a [client]
        set b [client]
        assert {[$a CLIENT ID] < [$b CLIENT ID]}
        assert_equal [$a CLIENT ID] [$a CLIENT ID]
        $a -close
        $b -close
    }

    test "CLIENT INFO and LIST have the fields of Redis, in the order of Redis" {
        set c [client]
        $c CLIENT SETNAME me
        $c SELECT 3
        set line [string trimright [$c CLIENT INFO] \n]
        set names {}
        foreach word [split $line " "] { lappend names [lindex [split $word =] 0] }
        assert_equal {id addr laddr fd name age idle flags db sub psub ssub multi} [lrange $names 0 12]
        foreach name {qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp} {
            assert {$name in $names}
        }
        assert_equal me [field $line name]
        assert_equal 3 [field $line db]
        assert_equal N [field $line flags]
        assert_equal client|info [field $line cmd]
        assert_equal default [field $line user]
        assert_equal 2 [field $line resp]
        assert_match "*:[server_port]" [field $line laddr]
        assert_equal [$c CLIENT INFO] "$line\n"
        $c -close
    }

    test "A request for the list of clients counts in the qbuf of its own client" {
        set c [client]
        assert_equal [string length [resp_encode CLIENT INFO]] [field [$c CLIENT INFO] qbuf]
        set id [r CLIENT ID]
        assert_equal [string length [resp_encode CLIENT LIST ID $id]] [field [r CLIENT LIST ID $id] qbuf]
        assert_equal 0 [listed $c qbuf]
        assert_equal [string length CLIENTINFO] [field [$c CLIENT INFO] argv-mem]
        assert_equal 0 [listed $c argv-mem]
        $c -close
    }

    test "Arguments that wait for the rest of their request, or for a key, are in argv-mem" {
        set c [client]
        set id [$c CLIENT ID]
        $c -send BLPOP [string repeat k 1000] 0
        wait_for {[field [r CLIENT LIST ID $id] argv-mem] > 1000}
        r RPUSH [string repeat k 1000] v
        $c -read
        wait_for {[field [r CLIENT LIST ID $id] argv-mem] == 0}
        $c -raw "*3\r\n\$3\r\nSET\r\n\$200000\r\n[string repeat k 200000]\r\n\$3\r\n"
        wait_for {[field [r CLIENT LIST ID $id] argv-mem] >= 200000}
        assert {[field [r CLIENT LIST ID $id] qbuf-free] < 100000}
        $c -close
    }

    test "CLIENT LIST and INFO are verbatim in RESP3" {
        set c [client]
        $c HELLO 3
        $c -tagged 1
        assert_equal verbatim [lindex [$c CLIENT LIST] 0]
        assert_equal verbatim [lindex [$c CLIENT INFO] 0]
        $c -close
    }

    test "CLIENT LIST names each client once, by type and by ID" {
        set a [client]
        set b [client]
        set ids [list [$a CLIENT ID] [$b CLIENT ID]]
        assert_equal 3 [llength [split [string trim [r CLIENT LIST]] \n]]
        assert_equal 3 [llength [split [string trim [r CLIENT LIST TYPE normal]] \n]]
        foreach type {pubsub replica slave master} { assert_equal "" [r CLIENT LIST TYPE $type] }
        set lines [split [string trim [r CLIENT LIST ID {*}[lreverse $ids] 123456789]] \n]
        assert_equal [lreverse $ids] [lmap line $lines { field $line id }]
        assert_equal "" [r CLIENT LIST ID 0 -1]
        $a -close
        $b -close
        wait_for {[llength [split [string trim [r CLIENT LIST]] \n]] == 1}
    }

    test "CLIENT LIST refuses unknown options, types and IDs" {
        assert_error "ERR Unknown client type 'foo'" { r CLIENT LIST TYPE foo }
        assert_error "ERR Invalid client ID" { r CLIENT LIST ID 1 abc }
        foreach arguments {{TYPE} {ID} {foo} {foo bar} {TYPE normal x}} {
            assert_error "ERR syntax error" { r CLIENT LIST {*}$arguments }
        }
    }

    test "CLIENT SETNAME gives a name, and GETNAME returns it" {
        set c [client]
        assert_equal "(nil)" [$c CLIENT GETNAME]
        assert_equal OK [$c CLIENT SETNAME some~name!]
        assert_equal some~name! [$c CLIENT GETNAME]
        assert_equal some~name! [listed $c name]
        foreach bad [list "a b" "a\nb" "a\0" "\x7f" "\xc3\xa4"] {
            assert_error "ERR Client names cannot contain spaces, newlines or special characters." {
                $c CLIENT SETNAME $bad
            }
        }
        assert_equal some~name! [$c CLIENT GETNAME]
        assert_equal OK [$c CLIENT SETNAME ""]
        assert_equal "(nil)" [$c CLIENT GETNAME]
        $c -close
    }

    test "CLIENT SETINFO sets the name and the version of the library" {
        set c [client]
        assert_equal OK [$c CLIENT SETINFO lib-name kura-test]
        assert_equal OK [$c CLIENT SETINFO LIB-VER 1.2]
        assert_equal kura-test [listed $c lib-name]
        assert_equal 1.2 [listed $c lib-ver]
        assert_error "ERR lib-name cannot contain spaces, newlines or special characters." {
            $c CLIENT SETINFO lib-name "a b"
        }
        assert_error "ERR LIB-VER cannot contain *" { $c CLIENT SETINFO LIB-VER "1\n" }
        assert_error "ERR Unrecognized option 'foo'" { $c CLIENT SETINFO foo bar }
        assert_equal kura-test [listed $c lib-name]
        assert_equal OK [$c CLIENT SETINFO lib-ver ""]
        assert_equal "" [listed $c lib-ver]
        $c -close
    }

    test "The old form of CLIENT KILL closes the client with this address" {
        set c [client]
        assert_error "ERR No such client" { r CLIENT KILL 000.123.321.567:0000 }
        assert_equal OK [r CLIENT KILL [listed $c addr]]
        assert {[$c -closed]}
        $c -close
    }

    test "CLIENT KILL closes clients by ID, ADDR, LADDR and TYPE" {
        foreach filter {id addr} {
            set c [client]
            set value [expr {$filter eq "id" ? [$c CLIENT ID] : [listed $c addr]}]
            assert_equal 1 [r CLIENT KILL $filter $value]
            assert_equal 0 [r CLIENT KILL $filter $value]
            assert {[$c -closed]}
            $c -close
        }
        foreach filter [list "LADDR 127.0.0.1:[server_port]" "TYPE normal" "USER default" "SKIPME yes"] {
            set a [client]
            set b [client]
            $a PING
            $b PING
            assert_equal 2 [r CLIENT KILL {*}$filter]
            assert {[$a -closed] && [$b -closed]}
            $a -close
            $b -close
        }
        foreach type {pubsub replica slave master} { assert_equal 0 [r CLIENT KILL TYPE $type] }
    }

    test "CLIENT KILL closes only clients that fit all filters" {
        set a [client]
        set b [client]
        assert_equal 0 [r CLIENT KILL ID [$a CLIENT ID] ADDR [listed $b addr]]
        assert_equal 1 [r CLIENT KILL ID [$a CLIENT ID] ADDR [listed $a addr] SKIPME no]
        assert {[$a -closed]}
        assert_equal PONG [$b PING]
        $a -close
        $b -close
    }

    test "A client that kills itself gets the reply first" {
        set c [client]
        assert_equal 0 [$c CLIENT KILL ID [$c CLIENT ID]]
        assert_equal 1 [$c CLIENT KILL ID [$c CLIENT ID] SKIPME no]
        assert {[$c -closed]}
        $c -close
        set c [client]
        assert_equal OK [$c CLIENT KILL [listed $c addr]]
        assert {[$c -closed]}
        $c -close
    }

    test "CLIENT KILL refuses unknown filters and values" {
        foreach id {abc 0 -1} { assert_error "ERR client-id should be greater than 0" { r CLIENT KILL ID $id } }
        assert_error "ERR Unknown client type 'foo'" { r CLIENT KILL TYPE foo }
        assert_error "ERR No such user 'nobody'" { r CLIENT KILL USER nobody }
        foreach arguments {{FOO bar} {SKIPME maybe} {ID 1 ADDR}} {
            assert_error "ERR syntax error" { r CLIENT KILL {*}$arguments }
        }
        assert_equal PONG [r PING]
    }

    test "The server drops the rest of a pipeline when its client is killed" {
        set c [client]
        set id [$c CLIENT ID]
        r -send CLIENT KILL ID $id
        for {set i 0} {$i < 1000} {incr i} { catch { $c -send SET k $i } }
        assert_equal 1 [r -read]
        $c -closed
        $c -close
        assert_equal PONG [r PING]
    }

    test "CLIENT REPLY SKIP leaves out one reply" {
        set c [client]
        $c -send CLIENT REPLY SKIP
        $c -send ECHO 1
        $c -send ECHO 2
        assert_equal 2 [$c -read]
        $c -send CLIENT REPLY SKIP
        $c -send no-such-command
        assert_equal 3 [$c ECHO 3]
        $c -close
    }

    test "CLIENT REPLY SKIP leaves out the reply of RESET too" {
        set c [client]
        $c -raw "[resp_encode CLIENT REPLY SKIP][resp_encode RESET][resp_encode ECHO seen]"
        assert_equal seen [$c -read]
    }

    test "CLIENT REPLY OFF silences replies until CLIENT REPLY ON" {
        set c [client]
        $c -send CLIENT REPLY OFF
        $c -send ECHO 1
        $c -send CLIENT REPLY SKIP
        $c -send no-such-command
        $c -send SET silent 1
        assert_equal OK [$c CLIENT REPLY ON]
        assert_equal 1 [$c GET silent]
        assert_error "ERR syntax error" { $c CLIENT REPLY foo }
        $c -close
    }

    test "CLIENT NO-EVICT and NO-TOUCH set flags, and GETREDIR tells that there is no redirection" {
        foreach mode {NO-EVICT NO-TOUCH} {
            assert_equal OK [r CLIENT $mode on]
            assert_equal OK [r CLIENT $mode OFF]
            assert_error "ERR syntax error" { r CLIENT $mode foo }
        }
        r CLIENT NO-EVICT on
        r CLIENT NO-TOUCH on
        assert_equal eT [field [r CLIENT INFO] flags]
        r CLIENT NO-EVICT off
        r CLIENT NO-TOUCH off
        assert_equal N [field [r CLIENT INFO] flags]
        assert_equal -1 [r CLIENT GETREDIR]
    }

    test "CLIENT HELP explains the subcommands, and unknown ones are refused" {
        assert_match "CLIENT <subcommand> *" [lindex [r CLIENT HELP] 0]
        assert_error "ERR unknown subcommand 'foo'. Try CLIENT HELP." { r CLIENT foo }
        assert_error "ERR wrong number of arguments for 'client' command" { r CLIENT }
        assert_error "ERR wrong number of arguments for 'client|id' command" { r CLIENT ID x }
    }
}
