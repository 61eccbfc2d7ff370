# Unread output: its limits, and clients that may not leave any.

proc closed_for_output {} {
    regexp {client_output_buffer_limit_disconnections:(\d+)} [r INFO stats] -> n
    return $n
}

# The bytes of n requests, for one write.
proc many {n args} {
    return [string repeat [resp_encode {*}$args] $n]
}

with_server {enable-debug-command yes} {
    test "A reply over the hard limit is not sent at all" {
        r DEBUG POPULATE 2000 [string repeat k 100]
        r CONFIG SET client-output-buffer-limit "normal 100000 0 0"
        set c [client]
        $c -send KEYS *
        assert_equal "" [$c -rest]
        $c -close
        assert_equal 1 [closed_for_output]
        assert_match {*Client id=* cmd=keys *scheduled to be closed ASAP for overcoming of output buffer limits.*} \
            [server_log]
    }

    test "A pipeline over the hard limit costs its client the replies and the connection, and others stay" {
        r FLUSHALL
        r SET value [string repeat v 10000]
        set c [client]
        set before [closed_for_output]
        $c -raw [many 15 GET value]
        assert_equal "" [$c -rest]
        $c -close
        assert_equal [expr {$before + 1}] [closed_for_output]
        assert_equal PONG [r PING]
    }

    test "A large value counts too, although the server sends it without a copy" {
        r SET large [string repeat v 1000000]
        set before [closed_for_output]
        set c [client]
        $c -send GET large
        assert_equal "" [$c -rest]
        $c -close
        assert_equal [expr {$before + 1}] [closed_for_output]
        r CONFIG SET client-output-buffer-limit "normal 1100000 0 0"
        assert_equal 1000000 [string length [r GET large]]
    }

    test "CLIENT REPLY behind a reply over the hard limit does not hide what is missing" {
        r CONFIG SET client-output-buffer-limit "normal 100000 0 0"
        set big [many 15 GET value]
        set echo [resp_encode ECHO hello]
        set on [resp_encode CLIENT REPLY ON]
        foreach {requests} [list \
            "$big[resp_encode CLIENT REPLY SKIP][resp_encode PING]$echo" \
            "$big[resp_encode CLIENT REPLY OFF]$on$echo" \
            "[resp_encode MULTI]$big[resp_encode CLIENT REPLY OFF][resp_encode EXEC]$on$echo"] {
            set before [closed_for_output]
            set c [client]
            $c -raw $requests
            assert_equal "" [$c -rest]
            $c -close
            assert_equal [expr {$before + 1}] [closed_for_output]
        }
    }

    test "A reply over the hard limit that the client does not want costs nothing" {
        set c [client]
        $c -send CLIENT REPLY OFF
        $c -raw [many 15 GET value]
        $c -send CLIENT REPLY ON
        assert_equal OK [$c -read]
        assert_equal hello [$c ECHO hello]
        $c -close
    }

    test "A hard limit below 16 KB lets ordinary replies through" {
        r CONFIG SET client-output-buffer-limit "normal 1 0 0"
        assert_equal 10000 [string length [r GET value]]
        r CONFIG SET client-output-buffer-limit "normal 0 0 0"
    }

    test "The soft limit closes a client that neither reads nor asks any more" {
        r CONFIG SET client-output-buffer-limit "normal 0 100000 1"
        r SET value [string repeat v 1000000]
        set before [closed_for_output]
        set c [client]
        $c -raw [many 20 GET value]
        after 500
        assert_equal $before [closed_for_output]
        wait_for {[closed_for_output] == $before + 1}
        $c -close
        r CONFIG SET client-output-buffer-limit "normal 0 0 0"
    }
}

with_server {requirepass secret} {
    test "A client that has not authenticated may not leave its errors unread" {
        r AUTH secret
        set c [client]
        set request [many 1000 SET x 5]
        set before [closed_for_output]
        # The buffers of the socket take some megabytes; the server keeps no more than that for the client.
        for {set i 0} {$i < 1000 && [closed_for_output] == $before} {incr i} { catch { $c -raw $request } }
        assert_equal [expr {$before + 1}] [closed_for_output]
        $c -close
        assert_equal PONG [r PING]
    }
}
