# LCS, against a slow model in Tcl for random strings.
proc lcs_length {a b} {
    set previous [lrepeat [expr {[string length $b] + 1}] 0]
    foreach x [split $a ""] {
        set row 0
        set j 0
        foreach y [split $b ""] {
            lappend row [expr {$x eq $y ? [lindex $previous $j] + 1 : max([lindex $previous $j+1], [lindex $row end])}]
            incr j
        }
        set previous $row
    }
    return [lindex $previous end]
}

proc is_subsequence {part whole} {
    set at -1
    foreach x [split $part ""] {
        set at [string first $x $whole [expr {$at + 1}]]
        if {$at < 0} { return 0 }
    }
    return 1
}

with_server {} {
    test "LCS replies what the documentation of Redis says" {
        r MSET a ohmytext b mynewtext
        assert_equal mytext [r LCS a b]
        assert_equal 6 [r LCS a b LEN]
        assert_equal {matches {{{4 7} {5 8}} {{2 3} {0 1}}} len 6} [r LCS a b IDX]
        assert_equal {matches {{{4 7} {5 8}}} len 6} [r LCS a b IDX MINMATCHLEN 4]
        assert_equal {matches {{{4 7} {5 8} 4}} len 6} [r LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN]
        assert_equal {matches {{{4 7} {5 8}} {{2 3} {0 1}}} len 6} [r LCS a b IDX MINMATCHLEN -3]
    }

    test "LCS takes missing keys for empty strings, and integers for their digits" {
        r DEL a b
        assert_equal "" [r LCS a b]
        assert_equal 0 [r LCS a b LEN]
        assert_equal {matches {} len 0} [r LCS a b IDX]
        r MSET a 12345 b 2468
        assert_equal 24 [r LCS a b]
        assert_equal 5 [r LCS a a LEN]
    }

    test "LCS replies a map in RESP3" {
        r MSET a xab b abz
        set c [client]
        $c HELLO 3
        $c -tagged 1
        set match {array {{array {{int 1} {int 2}}} {array {{int 0} {int 1}}}}}
        assert_equal [list map [list {bulk matches} [list array [list $match]] {bulk len} {int 2}]] [$c LCS a b IDX]
        $c -close
    }

    test "LCS refuses options that contradict and strings that are too large" {
        assert_error "ERR If you want both the length and indexes, please just use IDX." {r LCS a b LEN IDX}
        assert_error "ERR syntax error" {r LCS a b MINMATCHLEN}
        assert_error "ERR syntax error" {r LCS a b FOO}
        assert_error "ERR value is not an integer or out of range" {r LCS a b MINMATCHLEN x}
        r SET a [string repeat x 20000]
        assert_error "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len" {r LCS a a}
        r DEL a
    }

    test "LCS of random strings is common to both, and as long as can be" {
        for {set round 0} {$round < 60} {incr round} {
            foreach name {a b} {
                set $name ""
                set n [random_below 40]
                for {set i 0} {$i < $n} {incr i} { append $name [string index abcd [random_below 4]] }
            }
            r MSET a $a b $b
            set common [r LCS a b]
            assert_equal [lcs_length $a $b] [string length $common]
            assert_equal [string length $common] [r LCS a b LEN]
            assert {[is_subsequence $common $a] && [is_subsequence $common $b]}
            set total 0
            foreach match [dict get [r LCS a b IDX WITHMATCHLEN] matches] {
                lassign $match in_a in_b length
                assert_equal [string range $a {*}$in_a] [string range $b {*}$in_b]
                incr total $length
            }
            assert_equal [string length $common] $total
        }
    }
}
