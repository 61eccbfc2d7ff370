# SET, GET and the commands like them: conditions, lifetimes, replies, and what stays as it was.
with_server {} {
    test "SET and GET keep any bytes under any key" {
        foreach value [list "" x "a b\r\n\0\xff" [string repeat y 44] [string repeat z 45] [random_bytes 1000]] {
            foreach key [list k "" "\0\r\n" [string repeat K 254] [string repeat K 255] [string repeat K 70000]] {
                assert_equal OK [r SET $key $value]
                assert_equal $value [r GET $key]
            }
        }
    }

    test "Values around the size at which they are kept out of line come back whole" {
        foreach size {16383 16384 16385 65536 1000000} {
            set value [random_bytes 1000][string repeat v [expr {$size - 1000}]]
            r SET big $value
            assert_equal $value [r GET big]
            assert_equal $size [r STRLEN big]
            r MSET one $value two $value
            assert_equal [list $value $value] [r MGET one two]
            assert_equal $value [r GETSET one small]
            assert_equal $value [r GETDEL two]
        }
        r DEL big one two
    }

    test "The reply of a large value does not change when the same pipeline changes the key" {
        set value [string repeat a 100000]
        r SET big $value
        foreach change {{SETRANGE big 0 XXXX} {APPEND big tail} {DEL big} {SET big small}} {
            r SET big $value
            set c [client]
            $c -raw [resp_encode GET big][resp_encode {*}$change]
            assert_equal $value [$c -read]
            $c -read
            $c -close
        }
    }

    test "Large arguments may come in pieces, with others behind them" {
        set big [string repeat b 40000]
        set c [client]
        foreach command [list [list MSET one $big two $big three x] [list SET one $big EX 100] [list SET $big small]] {
            set bytes [resp_encode {*}$command]
            foreach cut [list 20000 [expr {[string length $bytes] - 12}] [expr {[string length $bytes] - 5}]] {
                r FLUSHDB
                $c -raw [string range $bytes 0 [expr {$cut - 1}]]
                after 10
                # The end comes together with the next request, so that the server reads both at once.
                $c -raw [string range $bytes $cut end][resp_encode ECHO next]
                assert_equal OK [$c -read]
                assert_equal next [$c -read]
                foreach {key value} [lrange $command 1 2] { assert_equal $value [r GET $key] }
            }
        }
        r MSET one $big two $big
        assert_equal [list $big $big] [r MGET one two]
        $c -close
    }

    test "SET replaces a value of any encoding and size by any other" {
        set values [list 12345 short [string repeat m 200] [string repeat b 30000]]
        foreach old $values {
            foreach new $values {
                r SET k $old
                r SET k $new
                assert_equal $new [r GET k]
            }
        }
    }

    test "SET NX only creates and SET XX only replaces" {
        r DEL k
        assert_equal (nil) [r SET k v XX]
        assert_equal 0 [r EXISTS k]
        assert_equal OK [r SET k v NX]
        assert_equal (nil) [r SET k w NX]
        assert_equal v [r GET k]
        assert_equal OK [r SET k w xx]
        assert_equal w [r GET k]
    }

    test "SET GET replies the old value, whether or not the condition holds" {
        r DEL k
        assert_equal (nil) [r SET k 1 GET]
        assert_equal 1 [r SET k 2 GET]
        assert_equal 2 [r SET k 3 NX GET]
        assert_equal 2 [r GET k]
        assert_equal 2 [r SET k 3 GET XX]
        assert_equal 3 [r GET k]
        r DEL k
        assert_equal (nil) [r SET k 1 XX GET]
        assert_equal 0 [r EXISTS k]
    }

    test "SET gives a lifetime, KEEPTTL keeps it, and SET without either removes it" {
        foreach options {{EX 100} {PX 100000}} {
            r SET k v {*}$options
            set left [r PTTL k]
            assert {$left > 99000 && $left <= 100000}
        }
        set at [expr {[clock seconds] + 1000}]
        r SET k v EXAT $at
        assert_equal $at [r EXPIRETIME k]
        r SET k v PXAT ${at}123
        assert_equal ${at}123 [r PEXPIRETIME k]
        r SET k w KEEPTTL
        assert_equal ${at}123 [r PEXPIRETIME k]
        r SET k x
        assert_equal -1 [r TTL k]
    }

    test "The last of a repeated option counts" {
        r SET k v EX 10 EX 1000 ex 500
        assert {[r TTL k] > 490 && [r TTL k] <= 500}
    }

    test "SET with a deadline in the past leaves no key" {
        assert_equal OK [r SET k v PXAT 1]
        wait_for {[r GET k] eq "(nil)"}
    }

    test "SET refuses options that contradict or do not exist, and changes nothing" {
        r SET k before
        foreach options {
            {NX XX} {XX NX} {EX 1 PX 1} {EX 1 KEEPTTL} {KEEPTTL PXAT 1} EX PX PERSIST {NX EX} foo {{}} {EXAT 1 EX 1}
        } {
            assert_error "ERR syntax error" {r SET k after {*}$options}
        }
        foreach {time} {0 -1 9223372036854775807 9223372036854776} {
            assert_error "ERR invalid expire time in 'set' command" {r SET k after EX $time}
        }
        assert_error "ERR invalid expire time in 'set' command" {r SET k after PX 9223372036854775807}
        foreach time {abc 1.5 "" 9223372036854775808 " 1" +1 01} {
            assert_error "ERR value is not an integer or out of range" {r SET k after EX $time}
        }
        assert_equal before [r GET k]
    }

    test "SETNX, SETEX, PSETEX and GETSET set as their names say" {
        r DEL k
        assert_equal 1 [r SETNX k 1]
        assert_equal 0 [r SETNX k 2]
        assert_equal 1 [r GET k]
        assert_equal OK [r SETEX k 100 3]
        assert {[r TTL k] > 98}
        assert_equal OK [r PSETEX k 200000 4]
        assert {[r TTL k] > 198}
        assert_equal 4 [r GETSET k 5]
        assert_equal -1 [r TTL k]
        assert_equal 5 [r GET k]
        assert_error "ERR invalid expire time in 'setex' command" {r SETEX k 0 v}
        assert_error "ERR invalid expire time in 'psetex' command" {r PSETEX k -5 v}
        assert_error "ERR value is not an integer or out of range" {r SETEX k x v}
        assert_equal 5 [r GET k]
    }

    test "GETDEL replies the value and deletes the key" {
        r SET k v
        assert_equal v [r GETDEL k]
        assert_equal (nil) [r GETDEL k]
        assert_equal 0 [r EXISTS k]
    }

    test "GETEX gives, moves and removes a deadline, and without options leaves it" {
        r SET k v
        assert_equal v [r GETEX k EX 100]
        assert {[r TTL k] > 98}
        assert_equal v [r GETEX k]
        assert {[r TTL k] > 98}
        assert_equal v [r GETEX k PX 5000]
        assert {[r PTTL k] <= 5000}
        assert_equal v [r GETEX k PERSIST]
        assert_equal -1 [r TTL k]
        assert_equal v [r GETEX k EXAT 1]
        assert_equal 0 [r EXISTS k]
        assert_equal (nil) [r GETEX k EX 100]
        assert_equal (nil) [r GETEX k EX nonsense]
        r SET k v
        set hits [info_field keyspace_hits]
        assert_error "ERR invalid expire time in 'getex' command" {r GETEX k EX 0}
        assert_equal [expr {$hits + 1}] [info_field keyspace_hits]
        assert_error "ERR syntax error" {r GETEX k NX}
        assert_error "ERR syntax error" {r GETEX k EX 10 PERSIST}
        assert_error "ERR syntax error" {r GETEX k KEEPTTL}
        assert_equal -1 [r TTL k]
    }

    test "MSET, MGET and MSETNX take few keys and many" {
        foreach n {1 2 15 16 17 33 500} {
            r FLUSHDB
            set pairs {}
            set keys {}
            set values {}
            for {set i 0} {$i < $n} {incr i} {
                lappend pairs key:$i value:$i
                lappend keys key:$i
                lappend values value:$i
            }
            assert_equal OK [r MSET {*}$pairs]
            assert_equal $values [r MGET {*}$keys]
            assert_equal [linsert $values end-1 (nil)] [r MGET {*}[linsert $keys end-1 missing]]
            assert_equal 0 [r MSETNX {*}$pairs new 1]
            assert_equal 0 [r EXISTS new]
            r FLUSHDB
            assert_equal 1 [r MSETNX {*}$pairs new 1]
            assert_equal [expr {$n + 1}] [r DBSIZE]
        }
    }

    test "A key that MSET names twice has the last value, and MSET removes lifetimes" {
        r SET k v EX 100
        assert_equal OK [r MSET k 1 other x k 2]
        assert_equal 2 [r GET k]
        assert_equal -1 [r TTL k]
        r DEL k other
        assert_equal 1 [r MSETNX k 1 k 2]
        assert_equal 2 [r GET k]
        assert_error "ERR wrong number of arguments for 'mset' command" {r MSET a 1 b}
        assert_error "ERR wrong number of arguments for 'msetnx' command" {r MSETNX a 1 b}
        assert_equal 0 [r EXISTS a]
    }

    test "Random strings under random keys stay as they are" {
        r FLUSHDB
        array unset model
        for {set i 0} {$i < 3000} {incr i} {
            set key key:[random_below 200]
            switch [random_below 5] {
                0 { set n [expr {int(pow(2, rand() * 16))}]
                    set value [string repeat [format %c [random_below 256]] $n]
                    r SET $key $value
                    set model($key) $value }
                1 { set value [random_below 100000]; r SET $key $value; set model($key) $value }
                2 { r APPEND $key tail; append model($key) tail }
                3 { r DEL $key; unset -nocomplain model($key) }
                4 { assert_equal [if {[info exists model($key)]} { set model($key) } else { list (nil) }] [r GET $key] }
            }
        }
        assert_equal [array size model] [r DBSIZE]
        foreach key [array names model] { assert_equal $model($key) [r GET $key] }
    }
}
