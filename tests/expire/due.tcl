# When a deadline comes, the key is invisible at once, and the server removes it by itself.
with_server {enable-debug-command yes} {
    test "A key is gone for every command once its time has come" {
        r DEBUG SET-ACTIVE-EXPIRE 0
        r MSET a v b v c v d v e v f v g v
        foreach key {a b c d e f g} { r PEXPIRE $key 10 }
        after 30
        assert_equal (nil) [r GET a]
        assert_equal 0 [r EXISTS b]
        assert_equal none [r TYPE c]
        assert_equal -2 [r TTL d]
        assert_equal 0 [r DEL e]
        assert_equal {} [r KEYS *]
        assert_equal 2 [r APPEND f xy]
        assert_equal xy [r GET f]
        assert_equal {0 f} [list {*}[lreplace [r SCAN 0 COUNT 100] 1 1] {*}[lindex [r SCAN 0 COUNT 100] 1]]
        assert_equal f [r RANDOMKEY]
        assert_error "ERR no such key" {r RENAME g h}
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "The server removes keys by itself, none before its deadline" {
        r FLUSHALL
        set before [info_field expired_keys]
        set now [clock milliseconds]
        for {set i 0} {$i < 200} {incr i} { r SET key:$i v PXAT [expr {$now + 100 + $i}] }
        for {set i 0} {$i < 1000} {incr i} { r SET far:$i v EX 1000 }
        # No command touches them. None goes before its time (benchmarks measure how soon after it they go).
        wait_for {[clock milliseconds] >= $now + 200}
        set size [r DBSIZE]
        set early [expr {$now + 100 + 199 - [clock milliseconds]}]
        assert {$size >= 1000 + $early}
        wait_for {[r DBSIZE] == 1000}
        assert_equal [expr {$before + 200}] [info_field expired_keys]
    }

    test "A deadline that was moved, removed or overwritten does not fire" {
        r FLUSHALL
        foreach key {later taken overwritten kept sooner renamed} { r SET $key v PX 50 }
        r PEXPIRE later 100000
        r PERSIST taken
        r SET overwritten w
        r SET kept w KEEPTTL
        r PEXPIRE sooner 100000
        r PEXPIRE sooner 20
        r RENAME renamed new
        wait_for {[r DBSIZE] == 3}
        after 60
        assert_equal {later overwritten taken} [lsort [r KEYS *]]
    }

    test "A deadline goes along into another database" {
        r FLUSHALL
        r SET a v PX 60
        r SET b v PX 60
        r MOVE a 3
        r COPY b b DB 4
        r SWAPDB 3 5
        foreach db {0 4 5} {
            r SELECT $db
            wait_for {[r DBSIZE] == 0}
        }
        r SELECT 0
    }

    test "After random lifetimes the right keys are left" {
        r FLUSHALL
        set now [clock milliseconds]
        set left 0
        for {set i 0} {$i < 5000} {incr i} {
            switch [random_below 4] {
                0 { r SET key:$i v; incr left }
                1 { r SET key:$i v PX [expr {1 + [random_below 300]}] }
                2 { r SET key:$i v EX [expr {100 + [random_below 100000000]}]; incr left }
                3 { r SET key:$i v EX 1000; r PEXPIRE key:$i [expr {1 + [random_below 300]}] }
            }
        }
        wait_for {[r DBSIZE] == $left}
        after 20
        assert_equal $left [r DBSIZE]
    }
}
