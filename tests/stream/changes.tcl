# What each command is to WATCH, to client-side caches and to subscribers. As in Redis, entries that come or go change
# the value; groups, consumers, pending entries and the last id hang on it: they have events, but end no transaction.

proc make_stream {} {
    r FLUSHALL
    foreach id {1-1 2-1 3-1} { r XADD s $id f v }
    r XGROUP CREATE s g 0
    r XREADGROUP GROUP g c COUNT 2 STREAMS s >
}

proc drain {subscriber} {
    set events {}
    r PUBLISH __keyspace@mark end
    while {[lindex [set message [$subscriber -read]] 2] ne "__keyspace@mark"} { lappend events [lindex $message 3] }
    return $events
}

# The keys that the client was told to forget.
proc forgotten {cache} {
    set keys {}
    $cache -send ECHO end
    while {[set message [$cache -read]] ne "end"} { lappend keys {*}[lindex $message 1] }
    return $keys
}

with_server {notify-keyspace-events KA} {
    set subscriber [client]
    $subscriber PSUBSCRIBE __keyspace@*
    set cache [client]
    $cache HELLO 3
    foreach {command changes events} {
        {XADD s 9-1 f v} s xadd
        {XADD s MAXLEN 2 9-1 f v} s {xadd xtrim}
        {XADD new 1-1 f v} new xadd
        {XDEL s 1-1} s xdel
        {XDEL s 77} {} {}
        {XTRIM s MAXLEN 1} s xtrim
        {XTRIM s MAXLEN 100} {} {}
        {XSETID s 50-1} {} xsetid
        {XGROUP CREATE s h 0} {} xgroup-create
        {XGROUP CREATE new h 0 MKSTREAM} new xgroup-create
        {XGROUP SETID s g 0} {} xgroup-setid
        {XGROUP CREATECONSUMER s g n} {} xgroup-createconsumer
        {XGROUP CREATECONSUMER s g c} {} {}
        {XGROUP DELCONSUMER s g c} {} xgroup-delconsumer
        {XGROUP DESTROY s g} {} xgroup-destroy
        {XREADGROUP GROUP g c STREAMS s >} {} {}
        {XREADGROUP GROUP g n STREAMS s >} {} xgroup-createconsumer
        {XREADGROUP GROUP g n STREAMS s 0} {} xgroup-createconsumer
        {XREADGROUP GROUP g c NOACK STREAMS s >} {} {}
        {XACK s g 1-1} {} {}
        {XCLAIM s g c 0 1-1} {} {}
        {XCLAIM s g n 0 1-1} {} xgroup-createconsumer
        {XAUTOCLAIM s g n 0 0} {} xgroup-createconsumer
    } {
        test "[lrange $command 0 1] changes '$changes': $command" {
            make_stream
            drain $subscriber
            set a [client]
            $a WATCH s new
            $cache CLIENT TRACKING ON
            $cache EXISTS s new
            r {*}$command
            $a MULTI
            $a PING
            assert_equal [expr {$changes eq "" ? "PONG" : "(nil)"}] [$a EXEC]
            $a -close
            assert_equal $changes [forgotten $cache]
            $cache CLIENT TRACKING OFF
            assert_equal $events [drain $subscriber]
        }
    }

    test "Each entry that is removed or acknowledged counts as a change" {
        foreach {command count} {
            {XDEL s 1-1 2-1 99} 2 {XTRIM s MAXLEN 1} 2 {XACK s g 1-1 2-1 99} 2 {XACK s g 99} 0
            {XADD s MAXLEN 0 9-1 f v} 1 {XGROUP DELCONSUMER s g c} 1
        } {
            make_stream
            set before [info_field rdb_changes_since_last_save]
            r {*}$command
            assert_equal $count [expr {[info_field rdb_changes_since_last_save] - $before}]
        }
    }

    test "Without a LIMIT, ~ removes at most a hundred full nodes" {
        r FLUSHALL
        r CONFIG SET stream-node-max-entries 1
        for {set i 1} {$i <= 150} {incr i} { r XADD s $i-1 f v }
        assert_equal 100 [r XTRIM s MAXLEN ~ 0]
        assert_equal 30 [r XTRIM s MAXLEN ~ 0 LIMIT 30]
        assert_equal 20 [r XTRIM s MAXLEN ~ 0 LIMIT 0]
    }
}
