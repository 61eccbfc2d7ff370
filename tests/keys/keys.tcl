# Commands for keys of any type.
with_server {} {
    test "DEL, UNLINK, EXISTS and TOUCH count each name as often as it is given" {
        foreach remove {DEL UNLINK} {
            r FLUSHDB
            for {set i 0} {$i < 50} {incr i} {
                r SET key:$i $i
                lappend keys key:$i
            }
            assert_equal 50 [r EXISTS {*}$keys]
            assert_equal 3 [r EXISTS key:1 key:1 none key:2]
            assert_equal 3 [r TOUCH key:1 key:1 none key:2]
            assert_equal 2 [r $remove key:1 key:1 none key:2]
            assert_equal 48 [r $remove {*}$keys]
            assert_equal 0 [r DBSIZE]
            unset keys
        }
    }

    test "UNLINK and DEL remove large values" {
        foreach remove {DEL UNLINK} {
            r SET big [string repeat x 3000000]
            assert_equal 1 [r $remove big]
            assert_equal (nil) [r GET big]
        }
    }

    test "TYPE names the type of a value" {
        r DEL k
        assert_equal none [r TYPE k]
        r SET k v
        assert_equal string [r TYPE k]
    }

    test "KEYS matches globs" {
        r FLUSHDB
        r MSET foo 1 foobar 2 bar 3 "a\[b" 4 "star*" 5 "" 6
        foreach {pattern expected} {
            *          {{} {a[b} bar foo foobar star*}
            foo*       {foo foobar}
            f?o        {foo}
            [fb]*      {bar foo foobar}
            [^f]*      {{a[b} bar star*}
            [a-e]??    {{a[b} bar}
            a\\[b      {{a[b}}
            star\\*    {star*}
            nothing    {}
            ""         {{}}
        } {
            assert_equal $expected [lsort [r KEYS [string map {\\\\ \\} $pattern]]]
        }
    }

    test "RANDOMKEY names every key sooner or later, and null in an empty database" {
        r FLUSHDB
        assert_equal (nil) [r RANDOMKEY]
        r MSET a 1 b 2 c 3
        while {[array size seen] < 3} { set seen([r RANDOMKEY]) 1 }
        assert_equal {a b c} [lsort [array names seen]]
    }

    test "RENAME takes value and lifetime along and replaces the target" {
        foreach value [list 123 short [string repeat x 1000] [string repeat y 50000]] {
            r SET source $value EX 100
            r SET target old
            assert_equal OK [r RENAME source target]
            assert_equal $value [r GET target]
            assert {[r TTL target] > 98}
            assert_equal 0 [r EXISTS source]
            r SET source plain
            assert_equal OK [r RENAME source target]
            assert_equal -1 [r TTL target]
        }
    }

    test "RENAME gives names of any length" {
        r SET k value EX 100
        set old k
        foreach new [list [string repeat n 254] m [string repeat n 255] [string repeat n 70000] ""] {
            assert_equal OK [r RENAME $old $new]
            assert_equal value [r GET $new]
            assert {[r TTL $new] > 98}
            set old $new
        }
    }

    test "RENAME and RENAMENX refuse a missing key, and keep a key that gets its own name" {
        r FLUSHDB
        assert_error "ERR no such key" {r RENAME none other}
        assert_error "ERR no such key" {r RENAME none none}
        assert_error "ERR no such key" {r RENAMENX none other}
        r SET k v EX 100
        assert_equal OK [r RENAME k k]
        assert_equal 0 [r RENAMENX k k]
        assert_equal v [r GET k]
        r SET other w
        assert_equal 0 [r RENAMENX k other]
        assert_equal 1 [r RENAMENX k new]
        assert_equal {(nil) v w} [r MGET k new other]
    }

    test "COPY makes a second key, and later changes of one leave the other alone" {
        foreach value [list 123 short [string repeat x 1000] [string repeat y 50000]] {
            r FLUSHALL
            r SET source $value EX 100
            assert_equal 1 [r COPY source target]
            assert_equal $value [r GET target]
            assert {[r TTL target] > 98}
            r APPEND target tail
            assert_equal $value [r GET source]
            r SETRANGE source 0 XX
            assert_equal ${value}tail [r GET target]
            assert_equal 0 [r COPY source target]
            assert_equal 1 [r COPY source target REPLACE]
            assert_equal [r GET source] [r GET target]
            assert_equal 1 [r COPY source source DB 5]
            assert_equal 0 [r COPY source source DB 5]
            assert_equal 1 [r COPY source source REPLACE DB 5]
        }
    }

    test "COPY refuses missing keys, wrong databases and wrong options" {
        assert_equal 0 [r COPY none other]
        assert_error "ERR source and destination objects are the same" {r COPY none none}
        assert_error "ERR DB index is out of range" {r COPY a b DB 16}
        assert_error "ERR value is not an integer or out of range" {r COPY a b DB x}
        assert_error "ERR syntax error" {r COPY a b DB}
        assert_error "ERR syntax error" {r COPY a b FORCE}
    }
}
