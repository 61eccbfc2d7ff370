# MULTI and EXEC: properties that the comparison with redis-server (tests/compat/transactions.cmds) cannot show.

with_server {} {
    test "CLIENT LIST shows a transaction in flags, multi, multi-mem and cmd" {
        set c [client]
        set id [$c CLIENT ID]
        assert_match "* flags=N *multi=-1 *multi-mem=0 *" [r CLIENT LIST ID $id]
        $c WATCH k
        $c MULTI
        assert_match "* flags=x *multi=0 *cmd=multi *" [r CLIENT LIST ID $id]
        set value [string repeat x 5000]
        $c SET k $value
        $c GET k
        set line [r CLIENT LIST ID $id]
        assert_match "* flags=x *multi=2 *cmd=get *" $line
        regexp {multi-mem=(\d+).*tot-mem=(\d+)} $line -> mem total
        assert {$mem > 5000 && $total >= $mem}
        r SET k other
        assert_match "* flags=xd *" [r CLIENT LIST ID $id]
        $c GET k
        assert_match "* multi=2 *" [r CLIENT LIST ID $id]
        assert_equal (nil) [$c EXEC]
        assert_match "* flags=N *multi=-1 *multi-mem=0 *cmd=exec *" [r CLIENT LIST ID $id]
        $c -close
    }

    test "CLIENT INFO inside a transaction shows the transaction" {
        r MULTI
        r CLIENT INFO
        assert_match "* flags=x *multi=1 *cmd=exec *" [lindex [r EXEC] 0]
    }

    test "The queue counts as input, which client-query-buffer-limit bounds" {
        r CONFIG SET client-query-buffer-limit 1mb
        set c [client]
        $c MULTI
        set value [string repeat x 10000]
        set closed [catch {
            for {set i 0} {$i < 200} {incr i} { $c SET k $value }
        }]
        assert {$closed && $i > 100}
        r CONFIG SET client-query-buffer-limit 1gb
        assert_equal PONG [r PING]
    }

    test "A queued request may come in pieces, and with a large value" {
        r MULTI
        r SET k [set value [string repeat abc 100000]]
        r STRLEN k
        r GET k
        assert_equal [list OK 300000 $value] [r EXEC]
        r MULTI
        r -raw "*3\r\n\$3\r\nSET\r\n\$1\r\n"
        after 20
        r -raw "k\r\n\$2\r\nv"
        after 20
        r -raw "1\r\n"
        assert_equal QUEUED [r -read]
        r -raw "GET k\r\n" ;# inline
        assert_equal QUEUED [r -read]
        assert_equal {OK v1} [r EXEC]
    }

    test "A transaction may have thousands of commands" {
        r DEL n
        r -send MULTI
        for {set i 0} {$i < 5000} {incr i} { r -send INCR n }
        assert_equal OK [r -read]
        for {set i 0} {$i < 5000} {incr i} { assert_equal QUEUED [r -read] }
        set replies [r EXEC]
        assert_equal 5000 [llength $replies]
        assert_equal {1 2 3} [lrange $replies 0 2]
        assert_equal 5000 [lindex $replies end]
    }

    test "QUIT, RESET and CLIENT KILL end a transaction unexecuted" {
        r DEL k
        set c [client]
        $c MULTI
        $c SET k 1
        assert_equal OK [$c QUIT]
        assert_equal 1 [$c -closed]
        set c [client]
        $c MULTI
        $c SET k 1
        assert_equal RESET [$c RESET]
        assert_error "ERR EXEC without MULTI" {$c EXEC}
        set id [$c CLIENT ID]
        $c WATCH k
        $c MULTI
        $c SET k 1
        r CLIENT KILL ID $id
        assert_equal 1 [$c -closed]
        assert_equal (nil) [r GET k]
    }

    test "A client that kills itself inside EXEC gets all replies first" {
        set c [client]
        set id [$c CLIENT ID]
        $c -send MULTI
        $c -send SET k 1
        $c -send CLIENT KILL ID $id SKIPME no
        $c -send SET k 2
        $c -send EXEC
        $c -send SET k 3
        assert_equal OK [$c -read]
        foreach i {1 2 3} { assert_equal QUEUED [$c -read] }
        assert_equal {OK 1 OK} [$c -read]
        assert_equal 1 [$c -closed]
        assert_equal 2 [r GET k]
    }

    test "CLIENT REPLY inside a transaction acts when EXEC runs it" {
        set c [client]
        $c MULTI
        $c SET k 1
        $c CLIENT REPLY OFF
        $c SET k 2
        $c -send EXEC
        assert_equal *3 [string trim [$c -line]]
        assert_equal +OK [string trim [$c -line]]
        $c -send PING
        $c -send MULTI
        $c -send SET k 3
        $c -send CLIENT REPLY ON
        $c -send GET k
        $c -send EXEC
        assert_equal +OK [string trim [$c -line]]
        assert_equal 3 [$c -read]
        $c MULTI
        $c SET k 4
        $c -send CLIENT REPLY SKIP ;# it is queued as the others
        assert_equal QUEUED [$c -read]
        $c -send EXEC
        $c -send PING
        $c -send GET k
        assert_equal "*2" [string trim [$c -line]]
        assert_equal +OK [string trim [$c -line]]
        assert_equal 4 [$c -read]
        $c -close
    }

    test "Statistics count what EXEC executes, not what MULTI queues" {
        r CONFIG RESETSTAT
        r MULTI
        r SET k notanumber
        r INCR k
        catch {r GET}
        catch {r EXEC}
        r MULTI
        r SET k notanumber
        r INCR k
        catch {r EXEC}
        assert_match "*cmdstat_set:calls=1,*failed_calls=0*" [r INFO commandstats]
        assert_match "*cmdstat_incr:calls=1,*failed_calls=1*" [r INFO commandstats]
        assert_match "*cmdstat_get:calls=0,*rejected_calls=1*" [r INFO commandstats]
        assert_match "*cmdstat_exec:calls=2,*rejected_calls=0,failed_calls=1*" [r INFO commandstats]
        assert_match "*errorstat_EXECABORT:count=1*" [r INFO errorstats]
    }
}

with_server {requirepass secret} {
    test "NOAUTH spoils the queue, and EXEC says why it fails" {
        set c [client]
        assert_error "EXECABORT Transaction discarded because of: NOAUTH Authentication required." {$c EXEC}
        assert_error "NOAUTH*" {$c MULTI}
        $c -close
    }
}
