# Consumers that wait: in which order they are served, and what they get when their key or group goes.
# tests/compat/streams.clients compares the usual cases with redis-server.

# A new client that waits with this command.
proc waiting {args} {
    set c [client]
    set before [info_field blocked_clients]
    $c -send {*}$args
    wait_for {[info_field blocked_clients] == $before + 1}
    return $c
}

proc consumer {name} { return [waiting XREADGROUP GROUP g $name BLOCK 0 COUNT 1 STREAMS s >] }

proc make_group {} {
    r DEL s
    r XGROUP CREATE s g $ MKSTREAM
}

# What a client gets, be it an error.
proc answer {c} {
    if {[catch {$c -read} reply]} { set reply [lindex [split $reply] 0] }
    return $reply
}

proc evict_all {} {
    r CONFIG SET maxmemory-policy allkeys-random maxmemory 1
    wait_for {[r DBSIZE] == 0}
    r CONFIG SET maxmemory 0
}

with_server {} {
    test "A thousand consumers of a group are served in the order in which they came" {
        make_group
        set clients {}
        for {set i 0} {$i < 1000} {incr i} {
            set c [client]
            $c -send XREADGROUP GROUP g c$i BLOCK 0 COUNT 1 STREAMS s >
            lappend clients $c
            if {$i % 100 == 99} { wait_for {[info_field blocked_clients] == $i + 1} }
        }
        assert_equal {1 1} [list [info_field total_blocking_keys] [info_field total_blocking_keys_on_nokey]]
        for {set i 0} {$i < 600} {incr i} { r XADD s 1-[expr {$i + 1}] n $i }
        assert_equal 400 [info_field blocked_clients]
        r MULTI ;# several entries at once serve as many consumers
        for {} {$i < 1000} {incr i} { r XADD s 1-[expr {$i + 1}] n $i }
        r EXEC
        assert_equal 0 [info_field blocked_clients]
        for {set i 0} {$i < 1000} {incr i} {
            assert_equal [list [list s [list [list 1-[expr {$i + 1}] [list n $i]]]]] [[lindex $clients $i] -read]
        }
        assert_equal [list 1000 1-1 1-1000] [lrange [r XPENDING s g] 0 2]
        foreach c $clients { $c -close }
    }

    test "A consumer without a COUNT takes all, and the others wait on" {
        make_group
        set a [waiting XREADGROUP GROUP g a BLOCK 0 STREAMS s >]
        set b [consumer b]
        r MULTI
        r XADD s 1-1 n 1
        r XADD s 2-1 n 2
        r EXEC
        assert_equal {{s {{1-1 {n 1}} {2-1 {n 2}}}}} [$a -read]
        assert_equal 1 [info_field blocked_clients]
        r XADD s 3-1 n 3
        assert_equal {{s {{3-1 {n 3}}}}} [$b -read]
    }

    test "Who waits for several streams is in the queue of each" {
        make_group
        r DEL t
        r XGROUP CREATE t g $ MKSTREAM
        set a [waiting XREADGROUP GROUP g a BLOCK 0 COUNT 1 STREAMS s t > >]
        set b [waiting XREADGROUP GROUP g b BLOCK 0 COUNT 1 STREAMS t s > >]
        r XADD t 1-1 n 1
        assert_equal {{t {{1-1 {n 1}}}}} [$a -read]
        set a [waiting XREADGROUP GROUP g a BLOCK 0 COUNT 1 STREAMS s t > >]
        r XADD s 1-1 n 1
        assert_equal {{s {{1-1 {n 1}}}}} [$b -read]
        r XADD s 2-1 n 1
        assert_equal {{s {{2-1 {n 1}}}}} [$a -read]
    }

    # By each of these the key or the group goes, or another value takes the key.
    foreach {way error} {
        {r DEL s} NOGROUP
        {r UNLINK s} NOGROUP
        {r XGROUP DESTROY s g} NOGROUP
        {r FLUSHDB} NOGROUP
        {r FLUSHALL ASYNC} NOGROUP
        {r SWAPDB 0 5} NOGROUP
        {r RENAME s elsewhere} NOGROUP
        {r MOVE s 3} NOGROUP
        {r PEXPIRE s -1} NOGROUP
        {r EXPIREAT s 1} NOGROUP
        {evict_all} NOGROUP
        {r RESTORE s 0 $::dump REPLACE} NOGROUP
        {r RENAME stream s} NOGROUP
        {r COPY stream s REPLACE} NOGROUP
        {r SET s x} WRONGTYPE
        {r MSET s x} WRONGTYPE
        {r BITOP NOT s string} WRONGTYPE
        {r RENAME string s} WRONGTYPE
        {r COPY string s REPLACE} WRONGTYPE
        {r SUNIONSTORE s set} WRONGTYPE
        {r ZUNIONSTORE s 1 set} WRONGTYPE
        {r SORT set STORE s ALPHA} WRONGTYPE
        {r PEXPIRE s 30} NOGROUP
    } {
        test "-$error ends the wait after $way" {
            r FLUSHALL
            r SET string x
            r SADD set x
            r XADD stream 1-1 f v
            set ::dump [r DUMP stream]
            make_group
            set a [consumer a]
            set b [consumer b]
            set reader [waiting XREAD BLOCK 0 STREAMS s 5-0]
            eval $way
            assert_equal [list $error $error] [list [answer $a] [answer $b]]
            assert_equal 1 [info_field blocked_clients] ;# XREAD waits on
            $reader -close
            wait_for {[info_field blocked_clients] == 0}
            assert_equal 0 [info_field total_blocking_keys_on_nokey]
        }
    }

    test "A key that is back at the end of the transaction has not gone" {
        make_group
        set a [consumer a]
        r MULTI
        r DEL s
        r XGROUP CREATE s g $ MKSTREAM
        r EXEC
        assert_equal 1 [info_field blocked_clients]
        r XADD s 1-1 f v
        assert_equal {{s {{1-1 {f v}}}}} [$a -read]
    }

    test "Those that wait are served after DEBUG RELOAD" {
        make_group
        set a [consumer a]
        set b [waiting XREAD BLOCK 0 STREAMS s $]
        r DEBUG RELOAD
        assert_equal 2 [info_field blocked_clients]
        r XADD s 1-1 f v
        assert_equal [lrepeat 2 {{s {{1-1 {f v}}}}}] [list [$a -read] [$b -read]]
    }

    test "Moving a group back gives its consumers something to read" {
        make_group
        r XADD s 1-1 f v
        r XGROUP SETID s g $
        set a [consumer a]
        r XGROUP SETID s g 0
        assert_equal {{s {{1-1 {f v}}}}} [$a -read]
    }

    test "A consumer that is removed while it waits is made again" {
        make_group
        set a [consumer a]
        assert_equal 0 [r XGROUP DELCONSUMER s g a]
        r XADD s 1-1 f v
        $a -read
        assert_equal {{a 1}} [lindex [r XPENDING s g] 3]
    }

    test "What a wait in vain has cost of its time is not given back" {
        make_group
        set began [clock milliseconds]
        set a [waiting XREADGROUP GROUP g a BLOCK 300 STREAMS s >]
        for {set i 1} {$i <= 20} {incr i} {
            r MULTI
            r XADD s $i-1 f v
            r XDEL s $i-1
            r EXEC
            after 10
        }
        assert_equal "(nil)" [$a -read]
        assert {[clock milliseconds] - $began >= 300}
        assert {[clock milliseconds] - $began < 1500}
    }

    test "Replies and input behind a wait are in order" {
        make_group
        set a [client]
        $a -raw [resp_encode XREADGROUP GROUP g a BLOCK 0 STREAMS s >][resp_encode ECHO behind]
        wait_for {[info_field blocked_clients] == 1}
        r XADD s 1-1 f v
        assert_equal {{s {{1-1 {f v}}}}} [$a -read]
        assert_equal behind [$a -read]
    }
}
