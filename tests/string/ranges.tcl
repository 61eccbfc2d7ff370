# Parts of strings: APPEND, STRLEN, GETRANGE, SETRANGE, and the OBJECT ENCODING of their results.
with_server {} {
    test "APPEND creates, grows through every representation and replies the length" {
        r DEL k
        assert_equal 3 [r APPEND k abc]
        assert_equal 3 [r APPEND k ""]
        set model abc
        while {[string length $model] < 100000} {
            set tail [string repeat [format %c [expr {97 + [random_below 26]}]] [expr {1 + [random_below 3000]}]]
            append model $tail
            assert_equal [string length $model] [r APPEND k $tail]
        }
        assert_equal $model [r GET k]
    }

    test "APPEND to an integer appends to its digits, and keeps the lifetime" {
        r SET k 12 EX 100
        assert_equal 4 [r APPEND k 34]
        assert_equal 1234 [r GET k]
        assert_equal 1235 [r INCR k]
        assert {[r TTL k] > 98}
    }

    test "STRLEN tells the length of every representation" {
        r DEL k
        assert_equal 0 [r STRLEN k]
        foreach {value length} [list "" 0 -123 4 abc 3 [string repeat x 20000] 20000] {
            r SET k $value
            assert_equal $length [r STRLEN k]
        }
    }

    test "GETRANGE and SUBSTR cut as Redis does, whatever the indexes" {
        foreach value [list "Hello World" 1234567890 "" [string repeat 0123456789 2000]] {
            r SET k $value
            set len [string length $value]
            set indexes [list 0 1 3 -1 -3 [expr {-$len}] [expr {-$len - 1}] [expr {$len - 1}] $len 999999 -999999]
            foreach first $indexes {
                foreach last $indexes {
                    set a [expr {$first < 0 ? max(0, $first + $len) : $first}]
                    set b [expr {$last < 0 ? max(0, $last + $len) : $last}]
                    set expected [string range $value $a $b]
                    if {$first < 0 && $last < 0 && $first > $last} { set expected "" }
                    assert_equal $expected [r GETRANGE k $first $last]
                    assert_equal $expected [r SUBSTR k $first $last]
                }
            }
        }
        r DEL k
        assert_equal "" [r GETRANGE k 0 -1]
        assert_error "ERR value is not an integer or out of range" {r GETRANGE k a 1}
        assert_error "ERR value is not an integer or out of range" {r GETRANGE k 0 1.5}
    }

    test "SETRANGE overwrites, extends and fills gaps with zeros" {
        r DEL k
        assert_equal 0 [r SETRANGE k 5 ""]
        assert_equal 0 [r EXISTS k]
        assert_equal 8 [r SETRANGE k 5 abc]
        assert_equal "\0\0\0\0\0abc" [r GET k]
        assert_equal 8 [r SETRANGE k 0 12345]
        assert_equal 12345abc [r GET k]
        assert_equal 8 [r SETRANGE k 100 ""]
        r SET k 1234
        assert_equal 5 [r SETRANGE k 4 5]
        assert_equal 12345 [r GET k]
        assert_equal 40001 [r SETRANGE k 40000 x]
        assert_equal "12345[string repeat \0 39995]x" [r GET k]
        assert_equal 40001 [r SETRANGE k 20000 yy]
        assert_equal "\0yy\0" [r GETRANGE k 19999 20002]
    }

    test "SETRANGE and APPEND refuse results beyond proto-max-bulk-len" {
        r SET k v
        assert_error "ERR offset is out of range" {r SETRANGE k -1 x}
        assert_error "ERR value is not an integer or out of range" {r SETRANGE k x x}
        foreach offset {536870912 9223372036854775807 536870911} {
            assert_error "ERR string exceeds maximum allowed size (proto-max-bulk-len)" {r SETRANGE k $offset xy}
        }
        assert_equal v [r GET k]
        r CONFIG SET proto-max-bulk-len 1mb
        r SET big [string repeat x 1048570]
        assert_equal 1048576 [r APPEND big 123456]
        assert_error "ERR string exceeds maximum allowed size (proto-max-bulk-len)" {r APPEND big 7}
        assert_equal 1048576 [r STRLEN big]
        r CONFIG SET proto-max-bulk-len 512mb
        r DEL big
    }

    test "OBJECT ENCODING shows the encodings of Redis" {
        foreach {value encoding} [list 0 int -1 int 9223372036854775807 int -9223372036854775808 int \
            9223372036854775808 embstr 01 embstr +1 embstr "1 " embstr 1.0 embstr -0 embstr "" embstr \
            [string repeat x 44] embstr [string repeat x 45] raw [string repeat x 20000] raw] {
            r SET k $value
            assert_equal $encoding [r OBJECT ENCODING k]
        }
        r SET k 1
        r APPEND k 2
        assert_equal raw [r OBJECT ENCODING k]
        r INCR k
        assert_equal int [r OBJECT ENCODING k]
        r INCRBYFLOAT k 1
        assert_equal embstr [r OBJECT ENCODING k]
        r DEL k
        r APPEND k 15
        assert_equal int [r OBJECT ENCODING k]
        r SET k abc
        r SETRANGE k 0 x
        assert_equal raw [r OBJECT ENCODING k]
    }
}
