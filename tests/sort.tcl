# SORT: points in which the oracle differs or cannot be asked, and data larger than in the scripts.

# The elements as Tcl orders them.
proc expected {elements args} { return [lsort {*}$args $elements] }

proc shuffled {n} {
    set numbers {}
    for {set i 0} {$i < $n} {incr i} { lappend numbers [expr {int(rand() * 2 * $n) - $n}] }
    return $numbers
}

with_server {} {
    test "SORT orders numbers of all encodings, whole and in parts" {
        foreach n {1 7 8 9 16 17 100 1000 5000} {
            set numbers [shuffled $n]
            r DEL l s z
            r RPUSH l {*}$numbers
            r SADD s {*}$numbers
            foreach number $numbers { lappend pairs [expr {int(rand() * 3)}] $number }
            r ZADD z {*}$pairs
            set unique [lsort -integer -unique $numbers]
            assert_equal [expected $numbers -integer] [r SORT l]
            assert_equal [expected $numbers -integer -decreasing] [r SORT l DESC]
            assert_equal $unique [r SORT s]
            assert_equal [lreverse [r SORT z]] [r SORT z DESC]
            foreach {start count} "0 1  0 5  3 4  [expr {$n / 2}] 10  [expr {$n - 2}] 5  0 [expr {$n / 20 + 1}]" {
                if {$start < 0} { continue }
                set part [lrange [expected $numbers -integer] $start [expr {$start + $count - 1}]]
                assert_equal $part [r SORT l LIMIT $start $count]
            }
        }
    }

    test "SORT ALPHA tells texts apart that share their first bytes" {
        r DEL l
        set texts {}
        for {set i 0} {$i < 500} {incr i} { lappend texts "prefix:shared:[expr {int(rand() * 1000)}]" }
        r RPUSH l {*}$texts
        assert_equal [expected $texts] [r SORT l ALPHA]
        assert_equal [expected $texts -decreasing] [r SORT l ALPHA DESC]
        assert_equal [lrange [expected $texts] 0 9] [r SORT l ALPHA LIMIT 0 10]
    }

    test "Elements that are equal by ALPHA BY keep their order, also with LIMIT" {
        r FLUSHALL
        for {set i 0} {$i < 300} {incr i} {
            r RPUSH l $i
            r SET w_$i [expr {$i % 3}]
        }
        set order {}
        foreach rest {0 1 2} {
            for {set i $rest} {$i < 300} {incr i 3} { lappend order $i }
        }
        assert_equal $order [r SORT l BY w_* ALPHA]
        assert_equal [lrange $order 0 9] [r SORT l BY w_* ALPHA LIMIT 0 10]
        assert_equal [lrange $order 95 104] [r SORT l BY w_* ALPHA LIMIT 95 10]
    }

    test "Numbers beyond the range of a double are refused, and leave nothing behind" {
        foreach number {1e400 1e-400 -1e999} {
            r DEL l
            r RPUSH l $number
            assert_error "ERR One or more scores can't be converted into double" { r SORT l }
        }
        r DEL l
        r RPUSH l 2.5 1
        assert_equal {1 2.5} [r SORT l]
    }

    test "SORT reads compressed nodes and large ones" {
        r CONFIG SET list-compress-depth 1 list-max-listpack-size 10
        r DEL l
        set texts {}
        for {set i 0} {$i < 300} {incr i} { lappend texts "[expr {($i * 7919) % 300}][string repeat x 40]" }
        lappend texts [string repeat y 20000]
        r RPUSH l {*}$texts
        assert_equal [expected $texts] [r SORT l ALPHA]
        assert_equal [lreverse $texts] [r SORT l BY nosort DESC]
        assert_equal [lrange $texts 100 149] [r SORT l BY nosort LIMIT 100 50]
        r SORT l ALPHA STORE l
        assert_equal [expected $texts] [r LRANGE l 0 -1]
        r CONFIG SET list-compress-depth 0 list-max-listpack-size -2
    }

    test "SORT STORE makes a listpack of a short list, as Redis 7.2 does" {
        r FLUSHALL
        r RPUSH l 3 1 2
        assert_equal 3 [r SORT l STORE d]
        assert_equal listpack [r OBJECT ENCODING d]
        r RPUSH l {*}[shuffled 5000]
        assert_equal 5003 [r SORT l STORE d]
        assert_equal quicklist [r OBJECT ENCODING d]
        r SET d text EX 100
        r SORT l LIMIT 0 5 STORE d
        assert_equal {list 5 -1} [list [r TYPE d] [r LLEN d] [r TTL d]]
    }

    test "SORT leaves the encoding of a sorted set alone" {
        r DEL z
        r ZADD z 1 3 2 2 3 1
        assert_equal {1 2 3} [r SORT z]
        assert_equal listpack [r OBJECT ENCODING z]
    }

    test "SORT ALPHA goes by the locale, except with STORE" {
        r DEL l
        r RPUSH l b A a B
        assert_equal {A B a b} [r SORT l ALPHA]
        if {[catch {r CONFIG SET locale-collate en_US.UTF-8}]} { skip "this machine has no other locale" }
        assert_equal {a A b B} [r SORT l ALPHA]
        assert_equal {B b A a} [r SORT l ALPHA DESC]
        r SORT l ALPHA STORE d
        assert_equal {A B a b} [r LRANGE d 0 -1]
        r CONFIG SET locale-collate C
    }

    test "Weights may expire while they are looked up, and may be large" {
        r FLUSHALL
        r RPUSH l 1 2 3
        r DEBUG SET-ACTIVE-EXPIRE 0
        r MSET w_2 20 w_3 10 v_1 [string repeat a 100000] v_2 [string repeat b 100000]
        r SET w_1 30 PX 1
        r SET behind x PX 2
        wait_for {[r GET behind] eq "(nil)"}
        assert_equal {1 3 2} [r SORT l BY w_*]
        assert_equal [list [string repeat a 100000] [string repeat b 100000] (nil)] [r SORT l GET v_*]
        assert_equal {2 1 3} [r SORT l BY v_* ALPHA DESC LIMIT 0 3 GET #] 
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "SORT STORE counts each element as a change" {
        r FLUSHALL
        r RPUSH l 3 1 2
        set before [info_field rdb_changes_since_last_save]
        r SORT l STORE d
        assert_equal 3 [expr {[info_field rdb_changes_since_last_save] - $before}]
        r SORT l LIMIT 9 9 STORE d
        assert_equal 4 [expr {[info_field rdb_changes_since_last_save] - $before}]
        r SORT l LIMIT 9 9 STORE d
        assert_equal 4 [expr {[info_field rdb_changes_since_last_save] - $before}]
    }
}
