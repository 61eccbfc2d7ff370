# Blocking commands: what INFO and CLIENT LIST say about waiting clients, and what happens to the input behind a wait.
# tests/compat/block.clients compares with redis-server what the commands do, and in which order.

proc listed {id field} {
    regexp " $field=(\\S*)" [r CLIENT LIST ID $id] -> value
    return $value
}

# A new client that waits with this command.
proc waiting {args} {
    set c [client]
    set before [info_field blocked_clients]
    $c -send {*}$args
    wait_for {[info_field blocked_clients] == $before + 1}
    return $c
}

with_server {} {
    test "INFO and CLIENT LIST tell which clients wait and for what" {
        assert_equal {0 0 0} [list [info_field blocked_clients] [info_field total_blocking_keys] \
            [info_field clients_in_timeout_table]]
        set a [client]
        set id [$a CLIENT ID]
        assert_equal N [listed $id flags]
        $a -send BLPOP k j k 100
        wait_for {[info_field blocked_clients] == 1}
        set b [waiting BRPOP k 0]
        set c [waiting BZPOPMIN z 0]
        assert_equal {3 3 1} [list [info_field blocked_clients] [info_field total_blocking_keys] \
            [info_field clients_in_timeout_table]]
        assert_equal 0 [info_field total_blocking_keys_on_nokey]
        assert_equal {b blpop r} [list [listed $id flags] [listed $id cmd] [listed $id events]]
        assert {[listed $id tot-mem] > 200}
        r RPUSH j 1
        assert_equal {j 1} [$a -read]
        assert_equal {N r} [list [listed $id flags] [listed $id events]]
        assert_equal {2 2 0} [list [info_field blocked_clients] [info_field total_blocking_keys] \
            [info_field clients_in_timeout_table]]
        $b -close
        wait_for {[info_field blocked_clients] == 1}
        r CLIENT KILL TYPE normal
        wait_for {[info_field total_blocking_keys] == 0}
        assert_equal 0 [info_field blocked_clients]
    }

    test "A wait counts as one call, when it is over" {
        r CONFIG RESETSTAT
        set a [waiting BLPOP k 0]
        assert_equal "" [r INFO nothing]
        assert {![string match *cmdstat_blpop* [r INFO commandstats]]}
        r RPUSH k 1
        assert_equal {k 1} [$a -read]
        assert_match *cmdstat_blpop:calls=1,*failed_calls=0* [r INFO commandstats]
        assert_equal "(nil)" [$a BLPOP k 0.001]
        assert_match *cmdstat_blpop:calls=2,*failed_calls=0* [r INFO commandstats]
        set b [waiting BLPOP k 0]
        r CLIENT UNBLOCK [expr {[$a CLIENT ID] + 1}] ERROR
        assert_error "UNBLOCKED client unblocked via CLIENT UNBLOCK" { $b -read }
        assert_match *cmdstat_blpop:calls=3,*failed_calls=1* [r INFO commandstats]
        assert_match *errorstat_UNBLOCKED:count=1* [r INFO errorstats]
    }

    test "A time-out never comes early, and other time-outs do not disturb it" {
        set began [clock milliseconds]
        set a [waiting BLPOP k 0.2]
        set b [waiting BLPOP k 100]
        set c [waiting BLPOP k 0.1]
        assert_equal "(nil)" [$c -read]
        assert {[clock milliseconds] - $began >= 100}
        assert_equal "(nil)" [$a -read]
        assert {[clock milliseconds] - $began >= 200}
        r RPUSH k 1
        assert_equal {k 1} [$b -read]
    }

    test "A thousand clients are served in the order in which they came" {
        set clients {}
        for {set i 0} {$i < 1000} {incr i} {
            set c [client]
            $c -send BLPOP k 0
            lappend clients $c
            if {$i % 100 == 99} { wait_for {[info_field blocked_clients] == $i + 1} }
        }
        # The clients of one batch may come in any order; those of different batches may not.
        set numbers {}
        for {set i 0} {$i < 1000} {incr i} { lappend numbers $i }
        assert_equal 1000 [r RPUSH k {*}$numbers]
        for {set i 0} {$i < 1000} {incr i} {
            set got [lindex [[lindex $clients $i] -read] 1]
            assert {$got / 100 == $i / 100}
        }
        assert_equal 0 [r EXISTS k]
        foreach c $clients { $c -close }
    }

    test "The server executes a long pipeline behind a wait that begins with RESET" {
        set a [client]
        set bytes [resp_encode BLPOP k 0][resp_encode RESET]
        $a -raw $bytes[string repeat [resp_encode PING] 200]
        wait_for {[info_field blocked_clients] == 1}
        r RPUSH k 1
        assert_equal {k 1} [$a -read]
        assert_equal RESET [$a -read]
        for {set i 0} {$i < 200} {incr i} { assert_equal PONG [$a -read] }
    }

    test "The server executes a long pipeline behind a wait" {
        set a [client]
        set id [$a CLIENT ID]
        set pipeline [resp_encode BLPOP k 0]
        for {set i 0} {$i < 5000} {incr i} { append pipeline [resp_encode ECHO $i] }
        append pipeline "PING inline\r\n" [resp_encode BLPOP k 0] [resp_encode ECHO end]
        $a -raw $pipeline
        wait_for {[info_field blocked_clients] == 1}
        assert {[listed $id tot-mem] < 200000}
        r RPUSH k 1
        assert_equal {k 1} [$a -read]
        for {set i 0} {$i < 5000} {incr i} { assert_equal $i [$a -read] }
        assert_equal inline [$a -read]
        wait_for {[info_field blocked_clients] == 1}
        r RPUSH k 2
        assert_equal {k 2} [$a -read]
        assert_equal end [$a -read]
        assert_equal PONG [$a PING]
    }

    test "Large values behind a wait arrive, whole and in pieces" {
        set big [string repeat x 1000000]
        set a [client]
        $a -raw [resp_encode BLPOP k 0][resp_encode SET big $big][resp_encode BLPOP k 0]
        wait_for {[info_field blocked_clients] == 1}
        r RPUSH k 1
        assert_equal {k 1} [$a -read]
        assert_equal OK [$a -read]
        set set [resp_encode SET big2 $big]
        r RPUSH k 2
        assert_equal {k 2} [$a -read]
        $a -raw [resp_encode BLPOP k 0][string range $set 0 30000]
        wait_for {[info_field blocked_clients] == 1}
        $a -raw [string range $set 30001 end]
        r RPUSH k 3
        assert_equal {k 3} [$a -read]
        assert_equal OK [$a -read]
        assert_equal 1000000 [r STRLEN big2]
        assert_equal $big [r GET big]
    }

    test "The reply of a wait comes before the protocol error behind it" {
        foreach garbage {"*1\r\n:5\r\n" "*-5x\r\n" "*1\r\n$-7\r\n"} {
            set a [client]
            $a -raw [resp_encode BLPOP k 0][resp_encode ECHO a]$garbage[resp_encode ECHO b]
            wait_for {[info_field blocked_clients] == 1}
            r RPUSH k 1
            assert_equal {k 1} [$a -read]
            assert_equal a [$a -read]
            assert_error "ERR Protocol error*" { $a -read }
            assert {[$a -closed]}
        }
    }

    test "QUIT behind a wait closes the connection after the reply" {
        set a [waiting BLPOP k 0]
        $a -raw [resp_encode QUIT][resp_encode RPUSH no 1]
        r RPUSH k 1
        assert_equal {k 1} [$a -read]
        assert_equal OK [$a -read]
        assert {[$a -closed]}
        assert_equal 0 [r EXISTS no]
    }

    test "A pipeline may serve a client and then kill it" {
        set a [client]
        set id [$a CLIENT ID]
        $a -send BLPOP k 0
        wait_for {[info_field blocked_clients] == 1}
        set b [client]
        $b -raw [resp_encode RPUSH k 1][resp_encode CLIENT KILL ID $id][resp_encode LLEN k]
        assert_equal {1 1 0} [list [$b -read] [$b -read] [$b -read]]
        assert {[$a -closed]}
    }

    test "A client may wait for thousands of keys, and name each several times" {
        set keys {}
        for {set i 0} {$i < 20000} {incr i} { lappend keys k[expr {$i % 10000}] }
        set a [waiting BLPOP {*}$keys 0]
        assert_equal 10000 [info_field total_blocking_keys]
        r RPUSH k9999 x
        assert_equal {k9999 x} [$a -read]
        assert_equal 0 [info_field total_blocking_keys]
    }

    test "A reply may be larger than the buffer of the socket" {
        set a [waiting BLPOP k 0]
        $a -send PING
        set big [string repeat y 20000000]
        r RPUSH k $big
        assert_equal [list k $big] [$a -read]
        assert_equal PONG [$a -read]
        assert_equal PONG [$a PING]
    }
}

with_server {timeout 1} {
    test "timeout does not close clients that wait" {
        set a [waiting BLPOP k 0]
        set b [client]
        assert {[$b -closed]}
        [client] RPUSH k 1
        assert_equal {k 1} [$a -read]
    }
}

with_server {requirepass secret} {
    test "A client must authenticate before it may wait" {
        set a [client]
        $a -raw [resp_encode BLPOP k 0][resp_encode AUTH secret][resp_encode BLPOP k 0][resp_encode PING]
        assert_error NOAUTH* { $a -read }
        assert_equal OK [$a -read]
        r AUTH secret
        r RPUSH k 1
        assert_equal {k 1} [$a -read]
        assert_equal PONG [$a -read]
    }
}

# The server ends while clients wait, some of them with input behind the wait.
with_server {} {
    test "SHUTDOWN ends the server while clients wait" {
        set a [waiting BLPOP k j 0]
        set b [waiting BZMPOP 100 2 k j MIN]
        $b -send PING
        set c [client]
        $c -raw [string repeat [resp_encode BLPOP k 0] 100]
        wait_for {[info_field blocked_clients] == 3}
        catch {r SHUTDOWN}
        assert {[$a -closed] && [$b -closed] && [$c -closed]}
        assert_equal 0 [server_wait_exit]
    }
}
