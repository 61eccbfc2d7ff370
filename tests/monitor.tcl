# MONITOR: what its clients see.

# The next line as {db args}, without the time and the address.
proc seen {c} {
    set line [$c -line]
    if {![regexp {^\+\d+\.\d{6} \[(\d+) (unix:|127\.0\.0\.1:\d)\S*\] (.*)$} $line -> db - args]} {
        error "no line of MONITOR: $line"
    }
    return "$db $args"
}

proc monitor {} {
    set m [client]
    assert_equal OK [$m MONITOR]
    return $m
}

with_server {} {
    test "Every request is a line, quoted, with its database" {
        set m [monitor]
        r SET k "a\"b\\\n\x00\xff"
        r SELECT 3
        r GET k
        assert_equal {0 "SET" "k" "a\"b\\\n\x00\xff"} [seen $m]
        assert_equal {3 "SELECT" "3"} [seen $m]
        assert_equal {3 "GET" "k"} [seen $m]
        r SELECT 0
    }

    test "Passwords are hidden, and administration and refused requests are left out" {
        set m [monitor]
        catch {r AUTH user secret}
        catch {r HELLO 2 AUTH default secret SETNAME x}
        catch {r GET}
        catch {r NOSUCH}
        r CONFIG GET port
        r CLIENT LIST
        r PING
        assert_equal {0 "AUTH" "(redacted)" "(redacted)"} [seen $m]
        assert_equal {0 "HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "x"} [seen $m]
        assert_equal {0 "PING"} [seen $m]
    }

    test "The requests of a monitor come behind their replies, and none may touch the keyspace" {
        set m [monitor]
        $m -send PING
        assert_equal +PONG [$m -line]
        assert_equal {0 "PING"} [seen $m]
        foreach command {{GET k} {SET k v} {DBSIZE} {PUBLISH a b}} {
            assert_error "*Replica can't interact with the keyspace*" {$m {*}$command}
        }
        assert_match "*flags=O *" [r CLIENT LIST]
    }

    test "RESET ends MONITOR" {
        set m [monitor]
        assert_equal RESET [$m RESET]
        r PING
        assert_equal "(nil)" [$m GET absent]
    }

    test "The commands of a transaction come before its EXEC" {
        set m [monitor]
        r MULTI
        r SET a 1
        r INCR a
        r EXEC
        assert_equal {0 "MULTI"} [seen $m]
        assert_equal {0 "SET" "a" "1"} [seen $m]
        assert_equal {0 "INCR" "a"} [seen $m]
        assert_equal {0 "EXEC"} [seen $m]
        r MULTI
        r MONITOR
        assert_match "*MONITOR isn't allowed*" [lindex [r EXEC] 0]
    }

    test "Several monitors see the same, and one that goes leaves the others alone" {
        set all {}
        for {set i 0} {$i < 5} {incr i} { lappend all [monitor] }
        [lindex $all 2] -close
        r ECHO hello
        foreach i {0 1 3 4} { assert_equal {0 "ECHO" "hello"} [seen [lindex $all $i]] }
    }
}

# A monitor is of the class pubsub: without the option it has the limits of a subscriber, 32 MB.
with_server {client-output-buffer-limit {pubsub 100000 0 0}} {
    test "A monitor that does not read is closed at its limit, and others do not notice" {
        set deaf [monitor]
        set m [monitor]
        set big [string repeat x 10000]
        for {set i 0} {$i < 2000 && [llength [regexp -all -inline flags=O [r CLIENT LIST]]] == 2} {incr i} {
            r ECHO $big
            seen $m
        }
        assert_equal 1 [llength [regexp -all -inline flags=O [r CLIENT LIST]]]
        assert_equal 1 [info_field client_output_buffer_limit_disconnections]
    }

    test "The soft limit closes a monitor that does not read, although nothing happens any more" {
        r CONFIG SET client-output-buffer-limit "pubsub 0 100000 1"
        set deaf [monitor]
        set big [string repeat x 100000]
        for {set i 0} {$i < 200} {incr i} { r ECHO $big }
        assert_match "*flags=O*" [r CLIENT LIST]
        # The server is not asked meanwhile: each request would be one more line.
        after 3000
        assert {![string match "*flags=O*" [r CLIENT LIST]]}
    }
}
