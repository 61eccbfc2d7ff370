# Streams move between kura and redis-server as snapshots, as payloads and as commands. Without compression both write
# the same bytes, so that DUMP compares whole values: nodes, deleted entries, groups, consumers and what is pending.

proc below {n} { return [expr {int(rand() * $n)}] }

proc value_text {} {
    switch [below 5] {
        0 { return [expr {[below 1000000] - 500000}] }
        1 { return [string repeat x [below 300]] }
        2 { return [binary format wa3 [below 1000000000] \x00\xff] }
        default { return element:[below 1000] }
    }
}

# Some entries with near and far ids; deleted ones only where nothing is pending, if `whole`.
proc add_entries {c key n whole} {
    for {set i 0} {$i < $n} {incr i} {
        set words {}
        set names [expr {[below 5] ? {a b} : [lrange {b c d e f g} [below 3] [expr {2 + [below 4]}]]}]
        foreach name $names { lappend words $name [value_text] }
        $c -send XADD $key [expr {1000 + $i / 7 + ([below 3] ? 0 : [below 2])}]-* {*}$words
        if {[catch {$c -read} error] && ![string match "*equal or smaller*" $error]} { error $error }
        if {!$whole && [below 4] == 0} {
            set old [lindex [$c XRANGE $key [expr {1000 + [below [expr {$i / 7 + 1}]]}] + COUNT 1] 0 0]
            if {$old ne ""} { $c XDEL $key $old }
        }
        if {!$whole && [below 100] == 0} { $c XTRIM $key MAXLEN [expr {[below 3] ? "=" : "~"}] [below 200] }
    }
}

proc use_groups {c key whole} {
    for {set g 0} {$g < 3} {incr g} {
        if {[catch {$c XGROUP CREATE $key group:$g [expr {[below 2] ? 0 : {$}}]}]} { continue }
        for {set i 0} {$i < 20} {incr i} {
            set reply [$c XREADGROUP GROUP group:$g consumer:[below 6] COUNT [below 30] STREAMS $key >]
            foreach entry [lindex $reply 0 1] {
                if {[below 3] == 0} { $c XACK $key group:$g [lindex $entry 0] }
            }
        }
        $c XGROUP CREATECONSUMER $key group:$g idle
        if {!$whole && [below 2]} { $c XGROUP DELCONSUMER $key group:$g consumer:1 }
        if {[below 3] == 0} { $c XAUTOCLAIM $key group:$g claimer 0 - COUNT 20 }
    }
}

proc fill {c {whole 0}} {
    $c FLUSHALL
    for {set i 0} {$i < 25} {incr i} {
        set key stream:$i
        $c CONFIG SET stream-node-max-entries [lindex {100 3 20 0} [below 4]]
        $c CONFIG SET stream-node-max-bytes [lindex {4096 200 0} [below 3]]
        add_entries $c $key [lindex {1 5 50 400} [below 4]] $whole
        use_groups $c $key $whole
        if {[below 2]} { add_entries $c $key [below 60] $whole }
    }
    $c XGROUP CREATE nothing group 0 MKSTREAM
    $c XADD emptied 5-5 a b
    $c XDEL emptied 5-5
}

# Every key with its payload.
proc payloads {c} {
    return [lmap key [lsort [$c KEYS *]] { list $key [$c DUMP $key] }]
}

proc assert_same_payloads {expected c} {
    foreach one $expected other [payloads $c] {
        if {$one ne $other} {
            error "[lindex $one 0] differs: [string length [lindex $one 1]], [string length [lindex $other 1]] bytes"
        }
    }
}

# What the groups of all streams have, without times.
proc groups_of {c} {
    set all {}
    foreach key [lsort [$c KEYS *]] {
        foreach group [$c XINFO GROUPS $key] {
            set name [dict get $group name]
            set pending [lmap entry [$c XPENDING $key $name - + 100000] { lreplace $entry 2 2 }]
            set consumers [lmap consumer [$c XINFO CONSUMERS $key $name] { dict get $consumer name }]
            lappend all [list $key $group $pending $consumers]
        }
    }
    return $all
}

proc move_snapshot {from to} {
    [client $from] SAVE
    file copy -force [file join [server_folder $from] dump.rdb] [file join [server_folder $to] dump.rdb]
    set c [client $to]
    $c DEBUG RELOAD NOSAVE
    return $c
}

set plain {rdbcompression no}
with_server $plain {
    if {[attached]} { return }
    set kura [lindex $server::stack end]
    set redis [server_start $plain -binary [file join $root build oracle redis-server]]
    set theirs [client $redis]

    test "A snapshot with streams of redis-server is loaded by kura, and goes back" {
        for {set round 0} {$round < 3} {incr round} {
            fill $theirs
            set written [payloads $theirs]
            set digest [$theirs DEBUG DIGEST]
            set c [move_snapshot $redis $kura]
            assert_equal $digest [$c DEBUG DIGEST]
            assert_same_payloads $written $c
            $c DEBUG RELOAD
            assert_same_payloads $written $c
            set c [move_snapshot $kura $redis]
            assert_equal $digest [$c DEBUG DIGEST]
            assert_same_payloads $written $c
        }
    }

    # The first version had neither the first id, nor the greatest deleted one, nor any counter.
    test "The first version of the format is read as redis-server reads it" {
        foreach group {1-1 2-1 3-1} last {"\x01\x01" "\x02\x01" "\x03\x01"} {
            $theirs FLUSHALL
            r FLUSHALL
            foreach id {1-1 2-1 3-1} { $theirs XADD s $id a b c d }
            $theirs XGROUP CREATE s g $group
            $theirs XGROUP CREATECONSUMER s g who
            $theirs XCLAIM s g who 0 1-1 2-1 TIME 1000000 FORCE JUSTID
            set payload [$theirs DUMP s]
            set first "\x0f[string range $payload 1 end]"
            set ids "\x03\x03\x01"
            set first [string map [list "$ids\x01\x01\x00\x00\x03" $ids] $first]
            set first [string map [list "\x01g$last\x81[string repeat \xff 8]" "\x01g$last"] $first]
            assert_equal [string length $first] [expr {[string length $payload] - 5 - 9}]
            foreach c [list [client] $theirs] {
                $c DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
                assert_equal OK [$c RESTORE s 0 $first REPLACE]
                $c DEBUG SET-SKIP-CHECKSUM-VALIDATION 0
            }
            assert_equal [$theirs DUMP s] [r DUMP s]
        }
    }

    test "Streams that kura has trimmed and cut are loaded by redis-server, and come back" {
        $theirs CONFIG SET sanitize-dump-payload yes
        for {set round 0} {$round < 3} {incr round} {
            fill [client]
            set written [payloads [client]]
            set digest [r DEBUG DIGEST]
            $theirs FLUSHALL
            foreach pair $written {
                lassign $pair key payload
                assert_equal OK [$theirs RESTORE $key 0 $payload]
                assert_equal [r XRANGE $key - +] [$theirs XRANGE $key - +]
                assert_equal [r XREVRANGE $key + -] [$theirs XREVRANGE $key + -]
            }
            assert_equal $digest [$theirs DEBUG DIGEST]
            assert_same_payloads $written $theirs
            set c [move_snapshot $kura $redis]
            assert_equal $digest [$c DEBUG DIGEST]
            assert_same_payloads $written [move_snapshot $redis $kura]
            r CONFIG SET aof-use-rdb-preamble no appendonly yes
            wait_for {[string match "*aof_rewrite_in_progress:0*aof_rewrite_scheduled:0*" [r INFO persistence]]}
            r DEBUG LOADAOF
            assert_equal $digest [r DEBUG DIGEST]
            r CONFIG SET appendonly no
        }
    }

    test "Payloads of streams are restored by both servers" {
        fill $theirs
        r FLUSHALL
        $theirs CONFIG SET sanitize-dump-payload yes
        foreach pair [payloads $theirs] {
            lassign $pair key payload
            assert_equal OK [r RESTORE $key 0 $payload]
            assert_equal $payload [r DUMP $key]
            assert_equal OK [$theirs RESTORE $key 0 [r DUMP $key] REPLACE]
            assert_equal $payload [$theirs DUMP $key]
        }
        assert_equal [$theirs DEBUG DIGEST] [r DEBUG DIGEST]
    }

    test "A stream is copied, renamed, moved, scanned and expires like other keys" {
        r FLUSHALL
        $theirs XADD s 1-1 a b
        r RESTORE s 0 [$theirs DUMP s]
        $theirs DEL s
        set payload [r DUMP s]
        assert_equal stream [r TYPE s]
        assert_equal stream [r OBJECT ENCODING s]
        assert_equal 1 [r COPY s other]
        assert_equal $payload [r DUMP other]
        r RENAME other third
        assert_equal 1 [r MOVE third 3]
        r SELECT 3
        assert_equal $payload [r DUMP third]
        assert_equal {0 third} [r SCAN 0 TYPE stream]
        assert {[r MEMORY USAGE third] < 400}
        assert_equal 1 [r UNLINK third]
        r SELECT 0
        r PEXPIRE s 1
        wait_for {[r EXISTS s] == 0}
        assert_equal 0 [r DBSIZE]
    }

    test "A long stream is freed by the worker" {
        $theirs FLUSHALL
        $theirs CONFIG SET stream-node-max-entries 100 stream-node-max-bytes 4096
        for {set i 0} {$i < 7000} {incr i} { $theirs -send XADD s * a b }
        for {set i 0} {$i < 7000} {incr i} { $theirs -read }
        r RESTORE s 0 [$theirs DUMP s]
        wait_for {[info_field lazyfree_pending_objects] == 0}
        set before [info_field lazyfreed_objects]
        r DEL s
        wait_for {[info_field lazyfreed_objects] == $before + 1}
    }

    test "Rewritten as commands, streams are loaded by redis-server" {
        fill $theirs 1
        set c [move_snapshot $redis $kura]
        set digest [$theirs DEBUG DIGEST]
        set about [groups_of $theirs]
        $c CONFIG SET aof-use-rdb-preamble no aof-checksums no
        $c CONFIG SET appendonly yes
        wait_for {[string match "*aof_rewrite_in_progress:0*aof_rewrite_scheduled:0*" [$c INFO persistence]]}
        $c CONFIG SET appendonly no
        set base [glob [file join [server_folder $kura] appendonlydir *.base.aof]]
        $theirs FLUSHALL
        exec [file join $root build oracle redis-cli] -p [server_port $redis] --pipe < $base
        assert_equal $digest [$theirs DEBUG DIGEST]
        assert_equal $about [groups_of $theirs]
    }

    server_stop $redis
    server_forget $redis
}
