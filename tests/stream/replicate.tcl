# Streams and their groups are the same on a replica, and after the log was replayed: entries, groups, consumers, what
# is pending, with the times and the numbers of deliveries. Reading the history counts deliveries; Redis does not tell
# that to replicas, and so it is not among this traffic.

set keys {s1 s2 s3}
set names {c1 c2 c3 c4}

proc pick {list} { return [lindex $list [random_below [llength $list]]] }

# Some ids, which exist or did.
proc some_ids {c key} {
    set ids {}
    set last [lindex [split [dict get [$c XINFO STREAM $key] last-generated-id] -] 0]
    for {set i [random_below 6]} {$i >= 0} {incr i -1} { lappend ids [expr {1 + [random_below [expr {$last + 1}]]}]-1 }
    return $ids
}

# One random command on streams that have groups g and h.
proc random_command {c} {
    set key [pick $::keys]
    set group [pick {g h}]
    set name [pick $::names]
    set next [expr {[lindex [split [dict get [$c XINFO STREAM $key] last-generated-id] -] 0] + 1}]
    switch [random_below 26] {
        0 - 1 - 2 - 3 - 4 - 5 { $c XADD $key $next-1 f [random_below 1000] g x }
        6 { $c XADD $key $next-* f v }
        7 { $c XADD $key MAXLEN ~ [random_below 60] $next-1 f v }
        8 { $c XADD $key MAXLEN [expr {20 + [random_below 60]}] $next-1 f v }
        9 { $c XTRIM $key MINID [expr {max(0, $next - 60)}] }
        10 { $c XTRIM $key MAXLEN ~ 100 LIMIT 0 }
        11 { $c XDEL $key {*}[some_ids $c $key] }
        12 - 13 - 14 - 15 { $c XREADGROUP GROUP $group $name COUNT [expr {1 + [random_below 9]}] STREAMS $key > }
        16 { $c XREADGROUP GROUP $group $name COUNT 3 NOACK STREAMS $key > }
        17 { $c XREADGROUP GROUP $group $name COUNT 2 STREAMS {*}$::keys > > > }
        18 - 19 { $c XACK $key $group {*}[some_ids $c $key] }
        20 {
            set options [pick {JUSTID FORCE {RETRYCOUNT 7} {IDLE 9000} {}}]
            $c XCLAIM $key $group $name 0 {*}[some_ids $c $key] {*}$options
        }
        21 { $c XAUTOCLAIM $key $group $name 0 0 COUNT 5 {*}[pick {JUSTID {}}] }
        22 { $c XGROUP SETID $key $group [expr {1 + [random_below $next]}]-1 }
        23 { $c XGROUP DELCONSUMER $key $group $name }
        24 {
            $c MULTI
            $c XADD $key $next-1 f multi
            $c XREADGROUP GROUP $group $name STREAMS $key >
            $c XREADGROUP GROUP $group new$name STREAMS $key >
            $c EXEC
        }
        25 {
            if {[random_below 8] == 0} {
                $c DEL $key
                make_stream $c $key
            }
        }
    }
}

proc make_stream {c key} {
    $c XGROUP CREATE $key g 0 MKSTREAM
    $c XGROUP CREATE $key h $
    $c XADD $key 1-1 f v
}

proc make_streams {c} { foreach key $::keys { make_stream $c $key } }

proc random_traffic {c count} {
    for {set i 0} {$i < $count} {incr i} { random_command $c }
}

# Clients that are served while they wait.
proc waiting_traffic {h} {
    $h XGROUP CREATE s1 waiting $
    for {set i 0} {$i < 5} {incr i} {
        set c [client $h]
        $c -send XREADGROUP GROUP waiting w$i BLOCK 0 COUNT 1 STREAMS s1 >
        wait_for {[node_field $h blocked_clients] == 1}
        $h XADD s1 * f v
        $c -read
        $c -close
    }
}

proc expect_level {p q} {
    level $p $q
    foreach key $::keys {
        set here [dataset::stream $p $key]
        set there [dataset::stream $q $key]
        if {![nodes::is_kura $p]} { # Redis 7.0 tells its replicas how much was read for NOACK only
            foreach state {here there} { regsub -all {entries-read \S+} [set $state] {} $state }
        }
        assert_equal $here $there
    }
}

# A log without a preamble cannot tell that an entry is pending which is in the stream no more; neither can that of
# Redis. Claims drop those.
proc drop_gone {c} {
    foreach key $::keys {
        foreach group {g h} { $c XAUTOCLAIM $key $group c1 0 0 COUNT 100000 JUSTID }
    }
}

foreach {first second} {kura kura kura redis redis kura} {
    test "$first -> $second: random traffic on groups" {
        with_nodes [list p $first {stream-node-max-entries 10} q $second {stream-node-max-entries 10}] {
            follow $q $p
            make_streams $p
            random_traffic $p 3000
            waiting_traffic $p
            expect_level $p $q
        }
    }
}

test "kura -> kura: after a full sync the traffic goes on" {
    with_nodes {p kura {} q kura {}} {
        dataset_fill $p
        make_streams $p
        random_traffic $p 500
        follow $q $p
        random_traffic $p 500
        expect_level $p $q
        assert_equal [dataset::stream $p stream:big] [dataset::stream $q stream:big]
    }
}

test "kura -> kura: a replica that restarts in the middle goes on" {
    with_nodes {p kura {} q kura {}} {
        make_streams $p
        follow $q $p
        foreach signal {TERM KILL} {
            random_traffic $p 300
            node_restart $q {} $signal
            random_traffic $p 100
            follow $q $p
            random_traffic $p 100
            expect_level $p $q
        }
    }
}

test "kura -> kura: who waits at a replica gets what the primary adds" {
    with_nodes {p kura {} q kura {}} {
        $p XADD s 1-1 f v
        follow $q $p
        set a [client $q]
        $a -send XREAD BLOCK 0 STREAMS s $
        wait_for {[node_field $q blocked_clients] == 1}
        $p MULTI
        $p XADD s 2-1 f v
        $p XADD s 3-1 f v
        $p EXEC
        assert_equal {{s {{2-1 {f v}} {3-1 {f v}}}}} [$a -read]
    }
}

foreach preamble {yes no} {
    set how [list appendonly yes aof-use-rdb-preamble $preamble stream-node-max-entries 10]
    with_server $how {
        test "Streams come back from the log, and from its rewritten base (aof-use-rdb-preamble $preamble)" {
            make_streams r
            foreach rewrite {0 1} {
                random_traffic r 800
                if {$rewrite} {
                    drop_gone r
                    r BGREWRITEAOF
                    wait_for {[info_field aof_rewrite_scheduled] == 0 && [info_field aof_rewrite_in_progress] == 0}
                    random_traffic r 100
                }
                set before [dataset]
                server_restart $how KILL
                assert_equal $before [dataset]
            }
        }
    }
}

# --- The log -------------------------------------------------------------------------------------

# The commands that these leave in the log; T is a time.
proc log_after {script} {
    set before [llength [log_commands [log_bytes]]]
    uplevel 1 $script
    return [lmap command [lrange [log_commands [log_bytes]] $before end] { regsub -all {\d{13}} $command T }]
}

proc assert_log {expected script} { assert_equal [lrange $expected 0 end] [uplevel 1 [list log_after $script]] }

with_server {appendonly yes aof-checksums no} {
    test "XADD and XTRIM are in the log with what they did" {
        r XADD s 1-1 f v
        assert_log {{XADD s 2-0 f v}} { r XADD s 2-* f v }
        assert_log {{XADD s MAXLEN 5 3-1 f v}} { r XADD s MAXLEN 5 3-1 f v }
        assert_log {{XADD s 4-1 f v}} { r XADD s MAXLEN ~ 100 4-1 f v }
        assert_log {{XADD s MAXLEN = 2 5-0 f v}} { r XADD s MAXLEN = 2 5-* f v }
        assert_log {{XADD clock T-0 f v}} { r XADD clock NOMKSTREAM * f v; r XADD clock * f v }
        assert_log {} { r XTRIM s MAXLEN ~ 1 }
        assert_log {{XTRIM s MAXLEN 1}} { r XTRIM s MAXLEN 1 }
        r CONFIG SET stream-node-max-entries 10
        for {set i 1} {$i <= 50} {incr i} { r XADD nodes $i-1 f v }
        assert_log {{XTRIM nodes MAXLEN = 20}} { r XTRIM nodes MAXLEN ~ 15 }
        assert_log {{XTRIM nodes MAXLEN = 10}} { r XTRIM nodes MINID ~ 45 LIMIT 10 }
        assert_log {} { r XDEL s 99; r XDEL s 1-1; r XACK s g 1-1 }
    }

    test "A delivery is one XCLAIM, whatever the number of its entries" {
        r DEL s
        for {set i 1} {$i <= 5} {incr i} { r XADD s $i-1 f v }
        r XGROUP CREATE s g 0
        assert_log {MULTI {XGROUP CREATECONSUMER s g c}
            {XCLAIM s g c 0 1-1 2-1 3-1 TIME T RETRYCOUNT 1 FORCE JUSTID LASTID 3-1}
            {XGROUP SETID s g 3-1 ENTRIESREAD 3} EXEC} { r XREADGROUP GROUP g c COUNT 3 STREAMS s > }
        assert_log {{XGROUP SETID s g 4-1 ENTRIESREAD 4}} { r XREADGROUP GROUP g c COUNT 1 NOACK STREAMS s > }
        assert_log {MULTI {XCLAIM s g c 0 5-1 TIME T RETRYCOUNT 1 FORCE JUSTID LASTID 5-1}
            {XGROUP SETID s g 5-1 ENTRIESREAD 5} EXEC} { r XREADGROUP GROUP g c STREAMS s > }
        assert_log {{XGROUP CREATECONSUMER s g d}} {
            r XREADGROUP GROUP g d STREAMS s >
            r XREADGROUP GROUP g d STREAMS s 0
            r XREADGROUP GROUP g c STREAMS s 0
        }
    }

    test "Claims of one kind are one XCLAIM" {
        assert_log {MULTI {XCLAIM s g d 0 1-1 TIME T RETRYCOUNT 5 FORCE JUSTID LASTID 5-1}
            {XCLAIM s g d 0 2-1 3-1 TIME T RETRYCOUNT 3 FORCE JUSTID LASTID 5-1} EXEC} {
            r MULTI
            r XCLAIM s g d 0 1-1 RETRYCOUNT 5
            r XCLAIM s g d 0 2-1 3-1
            r EXEC
        }
        assert_log {MULTI {XCLAIM s g d 0 1-1 TIME T RETRYCOUNT 6 FORCE JUSTID LASTID 5-1}
            {XCLAIM s g d 0 2-1 3-1 TIME T RETRYCOUNT 4 FORCE JUSTID LASTID 5-1} EXEC} {
            r XCLAIM s g d 0 1-1 2-1 3-1 4-1
        }
        r XDEL s 2-1
        assert_log {MULTI {XCLAIM s g c 0 1-1 2-1 TIME T RETRYCOUNT 6 FORCE JUSTID LASTID 5-1}
            {XCLAIM s g c 0 3-1 TIME T RETRYCOUNT 4 FORCE JUSTID LASTID 5-1}
            {XCLAIM s g c 0 5-1 TIME T RETRYCOUNT 2 FORCE JUSTID LASTID 5-1} EXEC} { r XAUTOCLAIM s g c 0 0 JUSTID }
        assert_log {{XGROUP SETID s g 9-1 ENTRIESREAD 5}} { r XCLAIM s g c 0 2-1 LASTID 9-1 }
        assert_log {{XGROUP CREATECONSUMER s g e}} { r XCLAIM s g e 0 2-1 }
        assert_log {} { r XAUTOCLAIM s g e 100000 0 }
    }

    test "A log of Redis may have a LIMIT beside =, which is no limit" {
        r DEL s
        for {set i 1} {$i <= 5} {incr i} { r XADD s $i-1 f v }
        set file [open [lindex [glob [file join [server_folder] appendonlydir *.incr.aof]] 0] ab]
        puts -nonewline $file [resp_encode XTRIM s MAXLEN = 2 LIMIT 1]
        close $file
        r DEBUG LOADAOF
        assert_equal {4-1 5-1} [lmap entry [r XRANGE s - +] { lindex $entry 0 }]
    }

    test "Very many entries are some commands of a thousand" {
        r DEL s
        r XGROUP CREATE s g 0 MKSTREAM
        for {set i 1} {$i <= 2500} {incr i} { r XADD s $i-1 f v }
        set commands [log_after { r XREADGROUP GROUP g c STREAMS s > }]
        assert_equal {1 5 1013 1013 513 7 1} [lmap command $commands { llength $command }]
        assert_equal 2500 [lindex [r XPENDING s g] 0]
        set before [dataset]
        server_restart {appendonly yes aof-checksums no} KILL
        assert_equal $before [dataset]
    }
}
