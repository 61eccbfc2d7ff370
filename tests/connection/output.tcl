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

    test "A client that is closed in the middle of what it sent leaves nothing to be parsed" {
        r CONFIG SET client-output-buffer-limit "normal 100000 0 0"
        set requests [many 100 MGET {*}[lrepeat 9 value]]
        for {set cut 1} {$cut < 110} {incr cut 7} {
            set c [client]
            $c -raw [string range $requests 0 [expr {$cut - 1}]]
            assert_equal PONG [r PING]
            $c -raw [string range $requests $cut end]
            assert_equal "" [$c -rest]
            $c -close
        }
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

# Kilobytes of memory that the server's process has at most had since peak_reset, or has.
proc memory_of {field} {
    set f [open /proc/[server_pid]/status]
    regexp "$field:\\s+(\\d+) kB" [read $f] -> kb
    close $f
    return $kb
}

proc peak_reset {} {
    set f [open /proc/[server_pid]/clear_refs w]
    puts $f 5
    close $f
}

# The bytes of the requests are sent by a client of its own, which gets no reply but is closed, while the server's
# memory grows by less than `mb` MB.
proc assert_limited {requests {mb 16}} {
    set before [closed_for_output]
    set c [client]
    peak_reset
    set rss [memory_of VmRSS]
    catch {$c -raw $requests}
    catch {$c -rest}
    $c -close
    set growth [expr {([memory_of VmHWM] - $rss) / 1024}]
    assert_equal [expr {$before + 1}] [closed_for_output]
    assert_equal PONG [r PING]
    if {[slowness] == 1 && $growth > $mb} { error "memory grew by $growth MB" }
}

# Bytes that DUMP cannot compress.
proc noise {n} {
    set f [open /dev/urandom rb]
    set bytes [read $f $n]
    close $f
    return $bytes
}

proc members {n} {
    for {set i 0} {$i < $n} {incr i} { lappend all m$i[string repeat x 116] }
    return $all
}

# Many requests of a collection would fill pages of this file: some thousand arguments at a time.
proc fill {command key arguments} {
    for {set i 0} {$i < [llength $arguments]} {incr i 6000} {
        r $command $key {*}[lrange $arguments $i [expr {$i + 5999}]]
    }
}

with_server {enable-debug-command yes} {
    set few [members 200]
    set many [members 60000]
    set pairs [list]
    set scored [list]
    set places [list]
    set i 0
    foreach m $many {
        lappend pairs $m value
        lappend scored $i $m
        lappend places [expr {$i % 100 / 100.0}] [expr {$i / 1000.0}] $m
        incr i
    }
    r SADD s {*}$few
    r HSET h {*}[lrange $pairs 0 399]
    r ZADD z {*}[lrange $scored 0 399]
    r HSET h long [string repeat v 1000]
    fill SADD S $many
    fill RPUSH L $many
    fill HSET H $pairs
    fill ZADD Z $scored
    fill GEOADD G $places
    r SET v10k [string repeat v 10000]
    r SET v1m [string repeat v 1000000]
    r SET noise [noise 20000000]
    r CONFIG SET client-output-buffer-limit "normal 4mb 0 0"
    set most -9223372036854775807

    test "Random picks with repetition end at the hard limit" {
        foreach request [list "SRANDMEMBER s $most" "HRANDFIELD h $most" "ZRANDMEMBER z $most" \
            "HRANDFIELD H -100000000 WITHVALUES" "ZRANDMEMBER Z -100000000 WITHSCORES"] {
            assert_limited [resp_encode {*}$request]
        }
    }

    foreach request {
        {LRANGE L 0 -1} {SMEMBERS S} {HGETALL H} {HKEYS H} {SRANDMEMBER S 59000} {HRANDFIELD H 59000}
        {ZRANDMEMBER Z 59000} {ZRANGE Z 0 -1 WITHSCORES} {ZREVRANGE Z 0 -1} {ZRANGEBYSCORE Z -inf +inf}
        {SORT S ALPHA} {SORT L BY nosort} {SINTER S S} {SUNION S s} {SDIFF S h2} {ZUNION 2 Z z} {ZINTER 2 Z Z}
        {ZDIFF 2 Z z2} {SSCAN S 0 COUNT 1000000} {HSCAN H 0 COUNT 1000000} {ZSCAN Z 0 COUNT 1000000}
        {GEOSEARCH G FROMLONLAT 0 0 BYRADIUS 20000 km WITHCOORD} {GEORADIUS G 0 0 20000 km ASC}
        {DUMP noise} {LPOS ones 1 COUNT 0}
    } {
        test "A reply over the hard limit takes no more memory than the limit: $request" {
            if {[lindex $request 0] eq "LPOS" && ![r EXISTS ones]} { fill RPUSH ones [lrepeat 500000 1] }
            assert_limited [resp_encode {*}$request]
        }
    }

    test "So do replies to many keys, and to many requests" {
        assert_limited [resp_encode MGET {*}[lrepeat 3000 v10k]]
        assert_limited [resp_encode MGET {*}[lrepeat 3000 v1m]]
        assert_limited [resp_encode HMGET h {*}[lrepeat 6000 long]]
        assert_limited [resp_encode SORT s BY nosort {*}[lrepeat 1000 GET #]]
        assert_limited [many 3000 GET v10k]
        assert_limited [many 3000 GET v1m]
        assert_limited [many 3000 SRANDMEMBER s -200]
        assert_limited [resp_encode COMMAND INFO {*}[lrepeat 20000 get]]
    }

    test "KEYS and SCAN too" {
        r DEBUG POPULATE 100000 key:[string repeat k 90] 1
        assert_limited [resp_encode KEYS *]
        assert_limited [resp_encode SCAN 0 COUNT 1000000]
    }

    test "An EXEC goes on without replies: all of its writes are done" {
        r DEL done
        assert_limited [resp_encode MULTI][many 30000 GET v10k][many 30 INCR done][many 30 GET v1m][resp_encode RPUSH \
            list a b c][resp_encode SORT list ALPHA DESC STORE sorted][resp_encode SUNIONSTORE union S s][resp_encode \
            EXEC] 32
        assert_equal 30 [r GET done]
        assert_equal {c b a} [r LRANGE sorted 0 -1]
        assert_equal [r SCARD S] [r SCARD union]
    }

    test "Writes are done although their replies are dropped" {
        assert_limited [resp_encode SPOP S 50000]
        assert_equal 10000 [r SCARD S]
        assert_limited [resp_encode LPOP L 59000]
        assert_equal 1000 [r LLEN L]
        assert_limited [resp_encode ZPOPMIN Z 59000]
        assert_equal 1000 [r ZCARD Z]
        assert_limited [resp_encode GETDEL noise]
        assert_equal 0 [r EXISTS noise]
    }

    test "Replies that CLIENT REPLY hides count for nothing" {
        set c [client]
        $c -send CLIENT REPLY OFF
        $c -raw [many 3000 GET v10k][resp_encode SRANDMEMBER s -300000][resp_encode INCR hidden]
        $c -raw [resp_encode CLIENT REPLY ON][resp_encode PING]
        assert_equal OK [$c -read]
        assert_equal PONG [$c -read]
        assert_equal 1 [r GET hidden]
        $c -close
    }

    test "Messages to others are complete, although the reply around them is dropped" {
        set s [client]
        $s SUBSCRIBE channel
        set message [string repeat m 5000]
        assert_limited [resp_encode MULTI][many 1000 GET v10k][many 5 PUBLISH channel $message][resp_encode EXEC]
        for {set i 0} {$i < 5} {incr i} { assert_equal [list message channel $message] [$s -read] }
        $s -close
    }

    test "Messages to itself, which wait for the end of its command, have a limit" {
        r CONFIG SET client-output-buffer-limit "pubsub 4mb 0 0"
        set c [client]
        $c HELLO 3
        $c SUBSCRIBE channel
        set before [closed_for_output]
        catch {$c -raw [resp_encode MULTI][many 2000 PUBLISH channel [string repeat m 5000]][resp_encode EXEC]}
        catch {$c -rest}
        $c -close
        assert_equal [expr {$before + 1}] [closed_for_output]
    }

    test "A waiting client that gets more than its limit is closed, and the list is popped" {
        r CONFIG SET client-output-buffer-limit "normal 100kb 0 0"
        set c [client]
        $c -send BLMPOP 0 1 waited LEFT COUNT 1000
        wait_for {[info_field blocked_clients] == 1}
        set before [closed_for_output]
        r RPUSH waited {*}[lrepeat 100 [string repeat v 2000]] last
        assert_equal "" [$c -rest]
        $c -close
        assert_equal [expr {$before + 1}] [closed_for_output]
        assert_equal 0 [r EXISTS waited]
    }
}

with_server {appendonly yes enable-debug-command yes} {
    test "What an EXEC writes behind its limit is in the log" {
        r SET v10k [string repeat v 10000]
        r CONFIG SET client-output-buffer-limit "normal 100kb 0 0"
        assert_limited [resp_encode MULTI][many 100 GET v10k][many 30 INCR done][resp_encode EXEC]
        r DEBUG LOADAOF
        assert_equal 30 [r GET done]
    }
}

with_server {} {
    test "A monitor that reads nothing has the limit of subscribers" {
        r CONFIG SET client-output-buffer-limit "pubsub 2mb 0 0"
        set c [client]
        assert_equal OK [$c MONITOR]
        set before [closed_for_output]
        set value [string repeat v 100000]
        for {set i 0} {$i < 1000 && [closed_for_output] == $before} {incr i} { r SET k $value }
        assert_equal [expr {$before + 1}] [closed_for_output]
        assert_match "*scheduled to be closed ASAP for overcoming of output buffer limits*" [server_log]
        $c -close
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

# A sanitized server takes terabytes of addresses.
if {[slowness] == 1 && ![attached]} {
    with_wrapped_server "ulimit -v 600000" {enable-debug-command yes} {
        r SADD s {*}[members 200]
        r HSET h {*}[concat {*}[lmap m [members 200] {list $m value}]]
        r ZADD z {*}[concat {*}[lmap m [members 200] {list 1 $m}]]
        r RPUSH l {*}[members 200]
        r SET noise [noise 100000000]

        test "Where memory ends, so does the reply that is too large for it, and nothing else" {
            foreach requests [list [resp_encode SRANDMEMBER s -100000000] [resp_encode HRANDFIELD h -100000000] \
                [resp_encode ZRANDMEMBER z -100000000] [many 20 DUMP noise] \
                [string cat [resp_encode MULTI] [many 30000 LRANGE l 0 -1] \
                    [resp_encode INCR done] [resp_encode EXEC]]] {
                set c [client]
                catch {$c -raw $requests}
                catch {$c -rest}
                assert_equal PONG [r PING]
                $c -close
            }
            assert_equal 1 [r GET done]
            assert_match "*there is no memory for its reply*" [server_log]
        }

        test "So does a value that is too large for it" {
            set c [client]
            set part [string repeat v 10000000]
            catch {
                $c -raw "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$500000000\r\n"
                for {set i 0} {$i < 50} {incr i} { $c -raw $part }
            }
            catch {$c -rest} rest
            $c -close
            assert_equal PONG [r PING]
            assert_match "*there is no memory for * bytes of its input*" [server_log]
            assert_equal 0 [r EXISTS k]
            assert_error "ERR Not enough memory*" {r SETRANGE noise 500000000 x}
            assert_equal 100000000 [r STRLEN noise]
        }
    }
}
