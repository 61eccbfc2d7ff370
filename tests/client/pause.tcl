# CLIENT PAUSE and UNPAUSE: paused requests wait in their order, and the data stands still.

proc paused_clients {} { info_field blocked_clients }

with_server {} {
    test "A pause of writes lets reads through and runs the writes later, in their order" {
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

    test "PUBLISH waits as writes do" {
        r CLIENT PAUSE 100000 WRITE
        set a [client]
        $a -send PUBLISH c m
        wait_for {[paused_clients] == 1}
        r CLIENT UNPAUSE
        assert_equal 0 [$a -read]
    }

    test "A pause of everything ends by itself" {
        set a [client]
        assert_equal OK [r CLIENT PAUSE 100]
        set began [clock milliseconds]
        $a -send PING
        assert_equal PONG [$a -read]
        assert {[clock milliseconds] - $began >= 90}
    }

    test "A second pause makes the first one longer and stricter, never shorter" {
        r CLIENT PAUSE 300 WRITE
        r CLIENT PAUSE 1 ALL
        set began [clock milliseconds]
        set a [client]
        $a -send PING
        assert_equal PONG [$a -read]
        assert {[clock milliseconds] - $began >= 250}
    }

    test "Nothing expires during a pause, but keys past their deadline are invisible" {
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

    test "No way of reading removes or shows a key past its deadline during a pause" {
        r FLUSHALL
        r CONFIG RESETSTAT
        r CONFIG SET notify-keyspace-events KEA
        set names {a b c d}
        foreach name $names { r SET $name x PX 20 }
        r CLIENT PAUSE 100000 WRITE
        set events [client]
        $events PSUBSCRIBE __key*:*
        wait_for {[r EXISTS {*}$names] == 0}
        foreach {request reply} {
            {GET a} (nil) {MGET a b} {(nil) (nil)} {TOUCH a b} 0 {TYPE a} none {TTL a} -2 {STRLEN a} 0
            {OBJECT ENCODING a} (nil) {DUMP a} (nil) {MEMORY USAGE a} (nil) {LCS a b} {} {BITCOUNT a} 0
            {SORT_RO a} {} {KEYS *} {} {SCAN 0} {0 {}} {SCAN 0 TYPE list} {0 {}} {RANDOMKEY} (nil)
        } {
            assert_equal "$request $reply" "$request [r {*}$request]"
        }
        assert_equal 4 [r DBSIZE]
        assert_equal 0 [info_field expired_keys]
        assert_equal {pong first} [$events PING first]
        r CLIENT UNPAUSE
        for {set i 0} {$i < 8} {incr i} { assert_match *expired* [$events -read] }
        assert_equal 4 [info_field expired_keys]
        r CONFIG SET notify-keyspace-events {}
    }

    test "RANDOMKEY gives nothing, and soon, while many keys are past their deadline" {
        r FLUSHALL
        set deadline [expr {[clock milliseconds] + 500 * [slowness]}]
        set c [client]
        for {set i 0} {$i < 3000} {incr i} { $c -send SET key:$i x PXAT $deadline }
        for {set i 0} {$i < 3000} {incr i} { $c -read }
        r CLIENT PAUSE 100000 WRITE
        wait_for {[r EXISTS key:0] == 0}
        for {set i 0} {$i < 20} {incr i} { assert_equal (nil) [r RANDOMKEY] }
        assert_equal 3000 [r DBSIZE]
        r CLIENT UNPAUSE
        wait_for {[r DBSIZE] == 0}
    }

    test "A paused client may close or be killed, and CLIENT UNBLOCK does not wake it" {
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

    test "Many requests of one pipeline wait together and all get replies" {
        set a [client]
        r DEL n
        r CLIENT PAUSE 100000 WRITE
        for {set i 0} {$i < 1000} {incr i} { $a -send INCR n }
        wait_for {[paused_clients] == 1}
        r CLIENT UNPAUSE
        for {set i 1} {$i <= 1000} {incr i} { assert_equal $i [$a -read] }
    }

    test "CLIENT PAUSE refuses wrong timeouts and modes" {
        assert_error "*timeout is negative*" {r CLIENT PAUSE -1}
        assert_error "*timeout is not an integer or out of range*" {r CLIENT PAUSE x}
        assert_error "*timeout is out of range*" {r CLIENT PAUSE 9223372036854775807}
        assert_error "*mode must be WRITE or ALL*" {r CLIENT PAUSE x x}
        assert_equal PONG [r PING]
    }

    test "CLIENT KILL MAXAGE spares younger clients and refuses wrong ages" {
        assert_error "*maxage is not an integer*" {r CLIENT KILL MAXAGE x}
        assert_error "*maxage should be greater than 0*" {r CLIENT KILL MAXAGE 0}
        set a [client]
        assert_equal 0 [r CLIENT KILL ID [$a CLIENT ID] MAXAGE 1000]
        assert_equal PONG [$a PING]
    }
}
