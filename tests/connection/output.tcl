# Output that nobody reads: the limits on it, and who is not to pile it up at all.

proc closed_for_output {} {
    regexp {client_output_buffer_limit_disconnections:(\d+)} [r INFO stats] -> n
    return $n
}

# The bytes of n requests, for one write.
proc many {n args} {
    return [string repeat [resp_encode {*}$args] $n]
}

with_server {enable-debug-command yes} {
    test "one reply over the hard limit: nothing of it is sent" {
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

    test "a pipeline over the hard limit: its client goes with the replies, the others stay" {
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

    test "a large value, which is sent without being copied, counts as well" {
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

    test "a hard limit below 16 KB lets ordinary replies through" {
        r CONFIG SET client-output-buffer-limit "normal 1 0 0"
        assert_equal 10000 [string length [r GET value]]
        r CONFIG SET client-output-buffer-limit "normal 0 0 0"
    }

    test "the soft limit takes a client that neither reads nor asks any more" {
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
    test "who has not authenticated may not leave its errors unread" {
        r AUTH secret
        set c [client]
        set request [many 1000 SET x 5]
        set before [closed_for_output]
        # The socket's buffers take some megabytes, and what is behind them is not let grow.
        for {set i 0} {$i < 1000 && [closed_for_output] == $before} {incr i} { catch { $c -raw $request } }
        assert_equal [expr {$before + 1}] [closed_for_output]
        $c -close
        assert_equal PONG [r PING]
    }
}
