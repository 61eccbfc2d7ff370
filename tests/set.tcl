# Sets: random behaviour, and points in which redis-server 7.0 differs.
with_server {} {
    proc members {n prefix} {
        set list {}
        for {set i 0} {$i < $n} {incr i} { lappend list $prefix$i }
        return $list
    }

    test "Encodings and their limits are those of Redis 7.2" {
        r SADD a {*}[members 128 m]
        assert_equal listpack [r OBJECT ENCODING a]
        r SADD a one-more
        assert_equal hashtable [r OBJECT ENCODING a]
        r SADD b {*}[members 512 ""]
        assert_equal intset [r OBJECT ENCODING b]
        r SADD b 512
        assert_equal hashtable [r OBJECT ENCODING b]
        r SADD c {*}[members 100 ""] text
        assert_equal listpack [r OBJECT ENCODING c]
        r SADD d {*}[members 129 m]
        assert_equal hashtable [r OBJECT ENCODING d]
        r CONFIG SET set-max-listpack-entries 0
        r SADD e x
        assert_equal hashtable [r OBJECT ENCODING e]
        r CONFIG SET set-max-listpack-entries 128
        r SUNIONSTORE f b nokey
        assert_equal hashtable [r OBJECT ENCODING f]
        r SDIFFSTORE f b d
        r SINTERSTORE f c c
        assert_equal listpack [r OBJECT ENCODING f]
        r FLUSHALL
    }

    test "SDIFFSTORE chooses the encoding by all members of the first set where Redis does so" {
        r SADD a x 1 2 3 4 5 6
        r SADD b x y
        r SADD c z
        r SADD d t
        r SDIFFSTORE f a b c
        assert_equal intset [r OBJECT ENCODING f]
        r SDIFFSTORE f a b c d
        assert_equal listpack [r OBJECT ENCODING f]
        r SADD a [string repeat x 65]
        r SADD b [string repeat x 65]
        r SDIFFSTORE f a b c d c
        assert_equal hashtable [r OBJECT ENCODING f]
        assert_equal {1 2 3 4 5 6} [lsort [r SMEMBERS f]]
        r DEL a
        r SADD a {*}[members 600 ""]
        r SADD n {*}[members 300 ""]
        r SDIFFSTORE f a n c
        assert_equal intset [r OBJECT ENCODING f]
        r SDIFFSTORE f a n c d
        assert_equal hashtable [r OBJECT ENCODING f]
        r FLUSHALL
    }

    foreach {kind size prefix} {intset 300 "" listpack 100 m hashtable 3000 m} {
        test "SPOP and SRANDMEMBER with a count give different members, and SPOP removes them: $kind" {
            foreach count {1 2 50 99} {
                r DEL s
                set all [members $size $prefix]
                r SADD s {*}$all
                assert_equal $kind [r OBJECT ENCODING s]
                set some [r SRANDMEMBER s $count]
                assert_equal $count [llength [lsort -unique $some]]
                assert_equal [lrepeat $count 1] [r SMISMEMBER s {*}$some]
                assert_equal $count [llength [r SRANDMEMBER s -$count]]
                set gone [r SPOP s $count]
                assert_equal $count [llength [lsort -unique $gone]]
                assert_equal [lrepeat $count 0] [r SMISMEMBER s {*}$gone]
                assert_equal [expr {$size - $count}] [r SCARD s]
                assert_equal [lsort $all] [lsort [concat $gone [r SMEMBERS s]]]
            }
            set rest [r SPOP s [expr {[r SCARD s] - 1}]]
            assert_equal 1 [r SCARD s]
            assert_equal [r SMEMBERS s] [list [r SPOP s]]
            assert_equal 0 [r EXISTS s]
        }
    }

    test "SSCAN returns every member that stays, while others come and go" {
        set stay [members 5000 stay]
        r SADD s {*}$stay
        set cursor 0
        set turn 0
        set seen {}
        while 1 {
            lassign [r SSCAN s $cursor COUNT 50] cursor found
            lappend seen {*}$found
            if {$cursor == 0} { break }
            r SADD s {*}[members 100 come[incr turn]-]
            r SREM s {*}[members 100 come[expr {$turn - 3}]-]
        }
        assert_equal [lsort $stay] [lsort [lsearch -all -inline $seen stay*]]
        r DEL s
    }

    test "A large set is freed in the background, after DEL and after SPOP of most of it" {
        for {set i 0} {$i < 20} {incr i} { r SADD s {*}[members 5000 $i:] }
        r COPY s t
        r SPOP s 99990
        assert_equal 10 [r SCARD s]
        assert_equal 1 [r DEL t]
        assert {[info_field lazyfreed_objects] >= 2}
        assert_equal 10 [llength [r SMEMBERS s]]
    }
}
