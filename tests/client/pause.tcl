# CLIENT PAUSE and UNPAUSE: requests that wait, in order, and data that stands still.

proc paused_clients {} { info_field blocked_clients }

with_server {} {
    test "a pause of writes lets reads through and keeps writes, in their order" {
        set a [client]
        set b [client]
        r SET k 0
        assert_equal OK [r CLIENT PAUSE 100000 WRITE]
        $a -send SET k a
        $a -send GET k
        wait_for {[paused_clients] == 1}
        $b -send APPEND k b
        wait_for {[paused_clients] == 2}
        assert_equal 0 [r GET k]
        assert_error "*wrong number*" {[client] SET}
        assert_equal OK [r CLIENT UNPAUSE]
        assert_equal OK [$a -read]
        assert_equal 2 [$b -read]
        assert_match {a*} [$a -read]
        assert_equal ab [r GET k]
        assert_equal 0 [paused_clients]
    }

    test "publishing waits as writes do" {
        r CLIENT PAUSE 100000 WRITE
        set a [client]
        $a -send PUBLISH c m
        wait_for {[paused_clients] == 1}
        r CLIENT UNPAUSE
        assert_equal 0 [$a -read]
    }

    test "a pause of everything ends by itself" {
        set a [client]
        assert_equal OK [r CLIENT PAUSE 100]
        set began [clock milliseconds]
        $a -send PING
        assert_equal PONG [$a -read]
        assert {[clock milliseconds] - $began >= 90}
    }

    test "a second pause makes the first one longer and stricter, never shorter" {
        r CLIENT PAUSE 300 WRITE
        r CLIENT PAUSE 1 ALL
        set began [clock milliseconds]
        set a [client]
        $a -send PING
        assert_equal PONG [$a -read]
        assert {[clock milliseconds] - $began >= 250}
    }

    test "nothing expires meanwhile, though what is past its deadline is not seen" {
        r CONFIG RESETSTAT
        r SET gone x PX 20
        r SET stays x
        r CLIENT PAUSE 100000 WRITE
        wait_for {[r GET gone] eq "(nil)"}
        assert_equal 0 [info_field expired_keys]
        assert_equal 2 [expr {[r DBSIZE] - [r EXISTS k]}]
        r CLIENT UNPAUSE
        wait_for {[info_field expired_keys] == 1}
    }

    test "a paused client can go, be killed, and be reset by others' UNBLOCK to nothing" {
        set a [client]
        set b [client]
        set id [$b CLIENT ID]
        r CLIENT PAUSE 100000 WRITE
        $a -send SET k gone
        $b -send SET k killed
        wait_for {[paused_clients] == 2}
        assert_equal 0 [r CLIENT UNBLOCK $id]
        $a -close
        assert_equal 1 [r CLIENT KILL ID $id]
        wait_for {[paused_clients] == 0}
        r CLIENT UNPAUSE
        assert_equal PONG [r PING]
    }

    test "many requests in one pipeline wait together and are all answered" {
        set a [client]
        r DEL n
        r CLIENT PAUSE 100000 WRITE
        for {set i 0} {$i < 1000} {incr i} { $a -send INCR n }
        wait_for {[paused_clients] == 1}
        r CLIENT UNPAUSE
        for {set i 1} {$i <= 1000} {incr i} { assert_equal $i [$a -read] }
    }

    test "mistakes" {
        assert_error "*timeout is negative*" {r CLIENT PAUSE -1}
        assert_error "*timeout is not an integer or out of range*" {r CLIENT PAUSE x}
        assert_error "*timeout is out of range*" {r CLIENT PAUSE 9223372036854775807}
        assert_error "*mode must be WRITE or ALL*" {r CLIENT PAUSE x x}
        assert_equal PONG [r PING]
    }

    test "CLIENT KILL MAXAGE" {
        assert_error "*maxage is not an integer*" {r CLIENT KILL MAXAGE x}
        assert_error "*maxage should be greater than 0*" {r CLIENT KILL MAXAGE 0}
        set a [client]
        assert_equal 0 [r CLIENT KILL ID [$a CLIENT ID] MAXAGE 1000]
        assert_equal PONG [$a PING]
    }
}
