# Hashes: behaviour that cannot be compared with redis-server, or that is random.
proc hscan_all {key options {between {}}} {
    set cursor 0
    set found {}
    while 1 {
        lassign [r HSCAN $key $cursor {*}$options] cursor part
        lappend found {*}$part
        if {$cursor eq "0"} { return $found }
        uplevel 1 $between
    }
}

proc fill {key n} {
    for {set i 0} {$i < $n} {incr i 100} {
        set pairs {}
        for {set k $i} {$k < $i + 100} {incr k} { lappend pairs field:$k $k }
        r HSET $key {*}$pairs
    }
}

with_server {} {
    test "More pairs at once than a listpack may have make a table, as in 7.2" {
        r CONFIG SET hash-max-listpack-entries 3
        r HSET h a 1 a 2 a 3 a 4
        assert_equal 1 [r HLEN h]
        assert_equal hashtable [r OBJECT ENCODING h]
        r CONFIG SET hash-max-listpack-entries 512
    }

    test "HRANDFIELD gives different fields for a positive count, and repeats some for a negative one" {
        foreach n {100 1000} {
            r DEL h
            fill h $n
            foreach count [list 1 10 [expr {$n / 2}] $n [expr {2 * $n}]] {
                set got [r HRANDFIELD h $count WITHVALUES]
                assert_equal [expr {2 * min($count, $n)}] [llength $got]
                assert_equal [expr {min($count, $n)}] [dict size $got]
                dict for {field value} $got { assert_equal field:$value $field }
                assert_equal $count [llength [r HRANDFIELD h -$count]]
            }
        }
    }

    test "HSCAN visits a table in steps, each field once" {
        r DEL h
        fill h 10000
        set found [hscan_all h {COUNT 50}]
        assert_equal 20000 [llength $found]
        assert_equal 10000 [dict size $found]
        assert_equal 22 [llength [hscan_all h {COUNT 1000 MATCH field:777*}]]
    }

    test "HSCAN keeps its promise while the table grows and shrinks" {
        r DEL h
        fill h 1000
        set next 0
        set found [hscan_all h {COUNT 50} {
            set pairs {}
            for {set i 0} {$i < 20} {incr i} { lappend pairs more:[incr next] x }
            r HSET h {*}$pairs
        }]
        assert_equal 1000 [llength [lsort -unique [lsearch -all -inline $found field:*]]]
        set next 0
        set found [hscan_all h {COUNT 100} {
            set gone {}
            for {set i 0} {$i < 500} {incr i} { lappend gone more:[incr next] }
            r HDEL h {*}$gone
        }]
        assert_equal 1000 [llength [lsort -unique [lsearch -all -inline $found field:*]]]
    }

    test "Cursors that the server never gave do no harm" {
        foreach cursor {1 281474976710655 281474976710656 18446744073709551615 -1} {
            assert_equal 2 [llength [r HSCAN h $cursor]]
        }
    }

    test "A large value is kept, read and overwritten" {
        r DEL h
        set value [string repeat v 1000000]
        r HSET h a $value b 1
        assert_equal $value [r HGET h a]
        assert_equal 1000000 [r HSTRLEN h a]
        r HSET h a small
        assert_equal {a small b 1} [lsort -stride 2 [r HGETALL h]]
    }

    test "The deadline stays when fields come, and goes with the last field" {
        r DEL h
        r HSET h a 1
        r EXPIRE h 100
        fill h 1000
        r HINCRBY h a 5
        assert {[r TTL h] > 98}
        r HSET g a 1
        r EXPIRE g 100
        r HDEL g a
        r HSET g a 1
        assert_equal -1 [r TTL g]
    }

    test "Changes are counted by field" {
        r DEL h
        regexp {rdb_changes_since_last_save:(\d+)} [r INFO persistence] - before
        r HSET h a 1 b 2 c 3
        r HDEL h a b nofield
        regexp {rdb_changes_since_last_save:(\d+)} [r INFO persistence] - after
        assert_equal 5 [expr {$after - $before}]
    }

    test "A big hash goes away, whichever command removes it" {
        foreach how {{DEL h} {UNLINK h} {SET h x} {FLUSHALL} {PEXPIREAT h 1}} {
            r FLUSHALL
            fill h 5000
            r {*}$how
            assert_equal 0 [r EXISTS [expr {$how eq "SET h x" ? "gone" : "h"}]]
        }
    }
}
