# Representations of lists: OBJECT ENCODING tells them as Redis 7.2 does, and nothing else shows them.
proc encoding {} { return [r OBJECT ENCODING l] }

with_server {enable-debug-command yes} {
    test "A list is a listpack up to list-max-listpack-size, and again below half of it" {
        foreach {limit bytes} {-1 4096 -2 8192 -5 65536} {
            r CONFIG SET list-max-listpack-size $limit
            r DEL l
            set fit [expr {($bytes - 7) / 103}]
            for {set i 0} {$i < $fit} {incr i} { r RPUSH l [string repeat x 100] }
            assert_equal listpack [encoding]
            r LPUSH l [string repeat y 100]
            assert_equal quicklist [encoding]
            r LPOP l
            r RPOP l [expr {$fit - $bytes / 2 / 103}]
            assert_equal listpack [encoding]
        }
        r CONFIG SET list-max-listpack-size -2
    }

    test "A limit of elements counts all that come at once" {
        r CONFIG SET list-max-ziplist-size 4
        foreach push {RPUSH LPUSH} {
            r DEL l
            r $push l a b c d
            assert_equal listpack [encoding]
            r DEL l
            r $push l a b c d e
            assert_equal quicklist [encoding]
            r LTRIM l 0 2
            assert_equal quicklist [encoding]
            r LREM l 1 c
            assert_equal listpack [encoding]
        }
        r CONFIG SET list-max-listpack-size -2
    }

    test "LSET and LINSERT change the encoding too" {
        r DEL l
        r RPUSH l a b c
        r LSET l 1 [string repeat x 9000]
        assert_equal quicklist [encoding]
        assert_equal [list a [string repeat x 9000] c] [r LRANGE l 0 -1]
        r LSET l 1 b
        assert_equal {a b c} [r LRANGE l 0 -1]
        r DEL l
        r RPUSH l a b c
        r LINSERT l AFTER b [string repeat x 9000]
        assert_equal quicklist [encoding]
        r LREM l 0 [string repeat x 9000]
        assert_equal {a b c} [r LRANGE l 0 -1]
    }

    test "A node may hold a single large element, whose size DEBUG QUICKLIST-PACKED-THRESHOLD sets" {
        assert_error "ERR argument must be a memory value bigger than 1 and smaller than 4gb" {
            r DEBUG QUICKLIST-PACKED-THRESHOLD 5gb
        }
        r DEBUG QUICKLIST-PACKED-THRESHOLD 10b
        r CONFIG SET list-max-listpack-size 2
        r DEL l
        set model {}
        for {set i 0} {$i < 50} {incr i} {
            set element [string repeat [format %c [expr {97 + $i % 26}]] [expr {1 + $i % 20}]]
            r RPUSH l $element
            lappend model $element
        }
        assert_equal $model [r LRANGE l 0 -1]
        r DEBUG QUICKLIST-PACKED-THRESHOLD 0
        r CONFIG SET list-max-listpack-size -2
    }

    test "COPY, RENAME and a deadline keep the elements in every encoding" {
        foreach n {3 300 3000} {
            r DEL l copy moved
            for {set i 0} {$i < $n} {incr i} { r RPUSH l element:$i }
            set model [r LRANGE l 0 -1]
            assert_equal $n [llength $model]
            r EXPIRE l 1000
            assert_equal 1 [r COPY l copy]
            r RENAME l moved
            r RPUSH copy more
            assert_equal $model [r LRANGE moved 0 -1]
            assert_equal [concat $model more] [r LRANGE copy 0 -1]
            assert {[r TTL moved] > 990 && [r TTL copy] > 990}
        }
    }
}

with_server {} {
    test "LTRIM, LPOP count and DEL of a million elements do not stop the server" {
        set batch {}
        for {set i 0} {$i < 1000} {incr i} { lappend batch element:with:a:number:$i }
        for {set i 0} {$i < 1000} {incr i} { r RPUSH l {*}$batch }
        assert_equal 1000000 [r LLEN l]
        r COPY l copy
        r CONFIG RESETSTAT
        r LTRIM l 10 19
        r DEL copy
        foreach command {ltrim del} {
            regexp {usec=(\d+)} [r INFO commandstats] -
            regexp "cmdstat_$command:calls=1,usec=(\\d+)" [r INFO commandstats] - usec
            assert {$usec < 20000}
        }
        assert_equal [lrange $batch 10 19] [r LRANGE l 0 -1]
        assert_equal listpack [encoding]
        wait_for {[regexp {used_memory:(\d+)} [r INFO memory] - used] && $used < 20000000}
    }
}
