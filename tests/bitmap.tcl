# Bitmaps: properties that a comparison of replies does not show. tests/compat compares the rest.
proc changes {} {
    regexp {rdb_changes_since_last_save:(\d+)} [r INFO persistence] - n
    return $n
}

with_server {} {
    test "A write that changes neither a bit nor the length is no change" {
        r DEL b
        set before [changes]
        r SETBIT b 100 0
        assert_equal [expr {$before + 1}] [changes]
        r SETBIT b 100 0
        r SETBIT b 3 0
        r BITFIELD b SET u8 0 0 INCRBY u8 8 0 GET u8 0
        r BITFIELD b OVERFLOW FAIL INCRBY u8 0 256
        assert_equal [expr {$before + 1}] [changes]
        r SETBIT b 3 1
        r BITFIELD b SET u8 8 1
        r BITFIELD b SET u8 200 0
        assert_equal [expr {$before + 4}] [changes]
        r BITOP AND b absent
        assert_equal [expr {$before + 5}] [changes]
        r BITOP AND b absent
        assert_equal [expr {$before + 5}] [changes]
    }

    test "A copy that shares its bytes does not see later bits" {
        foreach length {1 100 16383 16384 100000} {
            r DEL b c
            r SETBIT b [expr {$length * 8 - 1}] 1
            r COPY b c
            r SETBIT b 0 1
            r BITFIELD b SET u16 #1 65535
            assert_equal 1 [r BITCOUNT c]
            r SETBIT c [expr {$length * 8 - 1}] 0
            assert_equal 0 [r BITCOUNT c]
            assert_equal 1 [r GETBIT b 0]
        }
    }

    test "Random bits agree with a model, through every representation" {
        r DEL b
        array unset model
        set top -1
        for {set i 0} {$i < 3000} {incr i} {
            set at [random_below [expr {$i % 100 ? 2000 : 300000}]]
            set bit [random_below 2]
            assert_equal [info exists model($at)] [r SETBIT b $at $bit]
            if {$bit} { set model($at) 1 } else { unset -nocomplain model($at) }
            set top [expr {max($top, $at)}]
        }
        assert_equal [array size model] [r BITCOUNT b]
        set first [lindex [lsort -integer [array names model]] 0]
        assert_equal $first [r BITPOS b 1]
        assert_equal [expr {$top / 8 + 1}] [r STRLEN b]
        r BITOP NOT c b
        assert_equal [expr {([r STRLEN b]) * 8 - [array size model]}] [r BITCOUNT c]
        r BITOP XOR d b c
        assert_equal -1 [r BITPOS d 0 0 -1]
        assert_equal [expr {[r STRLEN b] * 8}] [r BITPOS d 0]
        assert_equal $first [r BITPOS c 0 0 -1 BIT]
    }

    test "BITOP drops the lifetime, makes raw strings and takes many sources" {
        r SET d 1 EX 1000
        r SET n 12
        assert_equal 2 [r BITOP OR d n]
        assert_equal -1 [r TTL d]
        assert_equal raw [r OBJECT ENCODING d]
        set sources {}
        for {set i 0} {$i < 100} {incr i} {
            r DEL s:$i
            r SETBIT s:$i [expr {$i * 3}] 1
            lappend sources s:$i
        }
        assert_equal 38 [r BITOP XOR s:0 {*}$sources]
        assert_equal 100 [r BITCOUNT s:0]
    }

    test "BITOP writes into the old destination only if no other key shares it" {
        r DEL a d copy
        r SETBIT a 200000 1
        r SETBIT d 200000 0
        r COPY d copy
        assert_equal 25001 [r BITOP NOT d a]
        assert_equal 0 [r BITCOUNT copy]
        assert_equal 200007 [r BITCOUNT d]
        r EXPIRE d 1000
        assert_equal 25001 [r BITOP OR d a copy]
        assert_equal 1 [r BITCOUNT d]
        assert_equal -1 [r TTL d]
        r BITOP NOT d d
        assert_equal 200007 [r BITCOUNT d]
        r BITOP XOR d a d copy
        assert_equal 200008 [r BITCOUNT d]
    }

    test "proto-max-bulk-len bounds offsets" {
        r CONFIG SET proto-max-bulk-len 1048576
        assert_error "ERR bit offset is not an integer or out of range" {r SETBIT b 8388608 1}
        assert_equal 0 [r SETBIT b 8388607 1]
        assert_error "ERR bit offset is not an integer or out of range" {r BITFIELD b GET u8 #1048576}
        r CONFIG SET proto-max-bulk-len 9223372036854775807
        assert_equal {0} [r BITFIELD b GET u63 9223372036854775807]
        assert_error "ERR bit offset is not an integer or out of range" {r BITFIELD b GET u63 #9223372036854775807}
        r CONFIG SET proto-max-bulk-len 512mb
    }

    test "BITFIELD takes hundreds of steps" {
        set steps {}
        for {set i 0} {$i < 500} {incr i} { lappend steps SET u8 #$i [expr {$i % 256}] GET u8 #$i }
        r DEL b
        set replies [r BITFIELD b {*}$steps]
        assert_equal 1000 [llength $replies]
        assert_equal 243 [lindex $replies end]
        assert_equal 500 [r STRLEN b]
    }
}
