# SCAN: every key that exists from beginning to end comes at least once, whatever else happens meanwhile.

# The keys of a whole scan as a list; `body` runs between the steps.
proc scan_all {options {body {}}} {
    set cursor 0
    set found {}
    while 1 {
        lassign [r SCAN $cursor {*}$options] cursor keys
        lappend found {*}$keys
        if {$cursor == 0} { return $found }
        uplevel 1 $body
    }
}

with_server {enable-debug-command yes} {
    test "SCAN of an empty database gives nothing, and of one key that key" {
        r FLUSHALL
        assert_equal {0 {}} [r SCAN 0]
        r SET k v
        assert_equal k [scan_all {}]
    }

    test "SCAN names every key exactly once while nothing changes, with any COUNT" {
        r FLUSHALL
        for {set i 0} {$i < 5000} {incr i} { lappend pairs key:$i $i; lappend keys key:$i }
        r MSET {*}$pairs
        foreach count {1 7 10 100 5000 1000000 9223372036854775807} {
            set found [scan_all "COUNT $count"]
            assert_equal 5000 [llength $found]
            assert_equal [lsort $keys] [lsort $found]
        }
    }

    test "A step is about as long as COUNT says" {
        foreach count {10 100 1000} {
            set n [llength [lindex [r SCAN 0 COUNT $count] 1]]
            assert {$n >= $count && $n <= $count + 64}
        }
    }

    test "MATCH and TYPE filter the keys" {
        assert_equal {key:120 key:121 key:122 key:123} [lrange [lsort [scan_all {MATCH key:12? COUNT 1000}]] 0 3]
        assert_equal key:77 [scan_all {MATCH key:77}]
        assert_equal 5000 [llength [scan_all {MATCH * TYPE string}]]
        foreach type {list hash nosuch} { assert_equal {} [scan_all "TYPE $type COUNT 1000"] }
    }

    test "SCAN with TYPE removes a key past its deadline, whatever its type" {
        r FLUSHALL
        r DEBUG SET-ACTIVE-EXPIRE 0
        r SET due v PX 1
        r SET other v PX 1
        r RPUSH list v
        wait_for {[r KEYS *] eq "list"}
        assert_equal {0 list} [r SCAN 0 MATCH ?i* TYPE list]
        assert_equal 3 [r DBSIZE]
        assert_equal {0 {}} [r SCAN 0 MATCH d* TYPE list]
        assert_equal 2 [r DBSIZE]
        assert_equal {0 list} [r SCAN 0 TYPE list]
        assert_equal 1 [r DBSIZE]
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "SCAN keeps its promise while the table grows" {
        r FLUSHALL
        for {set i 0} {$i < 500} {incr i} { r SET stay:$i v }
        set next 0
        set found [scan_all {COUNT 10} {
            set pairs {}
            for {set i 0} {$i < 1000 && $next < 50000} {incr i} { lappend pairs new:[incr next] v }
            if {[llength $pairs]} { r MSET {*}$pairs }
        }]
        assert_equal 500 [llength [lsort -unique [lsearch -all -inline $found stay:*]]]
    }

    test "SCAN keeps its promise while the table shrinks" {
        r FLUSHALL
        r DEBUG POPULATE 50000 gone
        for {set i 0} {$i < 500} {incr i} { r SET stay:$i v }
        set next 0
        set found [scan_all {COUNT 100} {
            set keys {}
            for {set i 0} {$i < 2000} {incr i} { lappend keys gone:[incr next] }
            r DEL {*}$keys
        }]
        assert_equal 500 [llength [lsort -unique [lsearch -all -inline $found stay:*]]]
    }

    test "SCAN does not name keys past their deadline" {
        r FLUSHALL
        r DEBUG SET-ACTIVE-EXPIRE 0
        for {set i 0} {$i < 100} {incr i} { r SET due:$i v PX 1; r SET stay:$i v }
        after 20
        assert_equal 100 [llength [scan_all {COUNT 1000}]]
        assert_equal 100 [r DBSIZE]
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "Cursors that the server never gave do no harm" {
        foreach cursor {1 281474976710655 281474976710656 18446744073709551615 -1 4611686018427387904} {
            assert_equal 2 [llength [r SCAN $cursor]]
        }
    }

    test "SCAN refuses wrong cursors and options" {
        foreach cursor {abc 1x 18446744073709551616 " 1"} { assert_error "ERR invalid cursor" {r SCAN $cursor} }
        foreach options {{COUNT 0} {COUNT -1} COUNT MATCH TYPE FOO {COUNT 1 FOO}} {
            assert_error "ERR syntax error" {r SCAN 0 {*}$options}
        }
        assert_error "ERR value is not an integer or out of range" {r SCAN 0 COUNT x}
    }
}
