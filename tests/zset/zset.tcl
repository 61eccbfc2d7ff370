# Sorted sets: behaviour that redis-server 7.0 does not have or cannot be asked about.
with_server {} {
    test "ZRANK and ZREVRANK give the score as well" {
        r ZADD z 1 a 2.5 b
        assert_equal {1 2.5} [r ZRANK z b WITHSCORE]
        assert_equal {0 2.5} [r ZREVRANK z b withscore]
        assert_equal 0 [r ZRANK z a]
        assert_equal (nil) [r ZRANK z nope WITHSCORE]
        assert_equal (nil) [r ZRANK nope a WITHSCORE]
        assert_error "ERR syntax error" {r ZRANK z a nope}
        assert_error "ERR wrong number of arguments for 'zrank' command" {r ZRANK z a WITHSCORE x}
    }

    test "Scores are the shortest text that reads back as the same number" {
        foreach score {0.1 1e-7 3.3 -1.7976931348623157e+308 5e-324 123456789.125} {
            r ZADD z $score m
            assert_equal $score [r ZSCORE z m]
        }
    }

    test "A listpack becomes a skiplist by its length and by its members" {
        r DEL z
        for {set i 0} {$i < 128} {incr i} { r ZADD z $i m:$i }
        assert_equal listpack [r OBJECT ENCODING z]
        r ZADD z 7 m:128
        assert_equal skiplist [r OBJECT ENCODING z]
        assert_equal {m:6 m:128 m:7} [r ZRANGE z 6 8]
        r DEL z
        r ZADD z 1 [string repeat x 64]
        assert_equal listpack [r OBJECT ENCODING z]
        r ZADD z 1 [string repeat x 65]
        assert_equal skiplist [r OBJECT ENCODING z]
    }

    test "A listpack too long for an entry becomes a skiplist whatever the options say" {
        r CONFIG SET zset-max-listpack-entries 100000 zset-max-listpack-value 100000
        r DEL z
        for {set i 0} {$i < 100} {incr i} { r ZADD z $i [string repeat x 1000]:$i }
        assert_equal skiplist [r OBJECT ENCODING z]
        assert_equal 100 [r ZCARD z]
        r ZRANGESTORE copy z 0 -1
        assert_equal 100 [r ZCARD copy]
        r CONFIG SET zset-max-listpack-entries 128 zset-max-listpack-value 64
    }

    test "ZSCAN brings every member of a big set while it changes" {
        r DEL z
        for {set i 0} {$i < 2000} {incr i} { r ZADD z $i m:$i }
        set cursor 0
        set seen {}
        while 1 {
            lassign [r ZSCAN z $cursor COUNT 50] cursor found
            foreach {member score} $found { dict set seen $member $score }
            r ZADD z 1 new:$cursor
            if {$cursor == 0} break
        }
        for {set i 0} {$i < 2000} {incr i} { assert_equal $i [dict get $seen m:$i] }
    }

    test "ZRANDMEMBER draws different members, every one of them at times" {
        r DEL z
        for {set i 0} {$i < 200} {incr i} { r ZADD z $i $i }
        set seen {}
        for {set i 0} {$i < 60} {incr i} {
            foreach n {20 100 199} {
                set drawn [r ZRANDMEMBER z $n]
                assert_equal $n [llength [lsort -unique $drawn]]
                lappend seen {*}$drawn
            }
        }
        assert_equal 200 [llength [lsort -unique $seen]]
        assert_equal 300 [llength [r ZRANDMEMBER z -300]]
    }
}
