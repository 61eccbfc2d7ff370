# Many clients block, are served, time out, are unblocked, killed and closed, with pipelines behind their waits. Every
# element that is pushed is unique: no client may get one twice, and only clients that went away may take one along.

set keys {k0 k1 k2 k3 k4 k5}
proc some_key {} { return [lindex $::keys [random_below [llength $::keys]]] }
proc some_end {} { return [lindex {LEFT RIGHT} [random_below 2]] }

# A blocking command; some of them wait for ever.
proc some_wait {} {
    set timeout [lindex {0 0 0.001 0.01 0.1 1000} [random_below 6]]
    set several {}
    for {set i [random_below 4]} {$i >= 0} {incr i -1} { lappend several [some_key] }
    switch [random_below 7] {
        0 - 1 { return [list BLPOP {*}$several $timeout] }
        2 { return [list BRPOP {*}$several $timeout] }
        3 { return [list BLMOVE [some_key] [some_key] [some_end] [some_end] $timeout] }
        4 { return [list BRPOPLPUSH [some_key] [some_key] $timeout] }
        5 {
            set count [expr {1 + [random_below 3]}]
            return [list BLMPOP $timeout [llength $several] {*}$several [some_end] COUNT $count]
        }
        6 { return [list BZPOPMIN {*}$several $timeout] }
    }
}

# A command for which no client waits, but which may make a key ready, or keep it from becoming so.
proc some_change {} {
    switch [random_below 12] {
        0 { catch {r RENAMENX [some_key] [some_key].moved} }
        1 { foreach key $::keys { catch {r RENAMENX $key.moved $key} } }
        2 { r SWAPDB 0 1 }
        3 { catch {r MOVE [some_key] 1} }
        4 { catch {r LMOVE [some_key] [some_key] [some_end] [some_end]} }
        5 { r SETNX [some_key] text }
        6 { set key [some_key]; if {[r TYPE $key] eq "string"} { r DEL $key } }
        7 { catch {r ZADD [some_key] 1 m 2 n} }
        8 { set key [some_key]; if {[r TYPE $key] eq "zset"} { r DEL $key } }
        default {
            set elements {}
            for {set i [random_below 4]} {$i >= 0} {incr i -1} { lappend elements e[incr ::pushed] }
            if {[catch {r RPUSH [some_key] {*}$elements}]} { incr ::pushed -[llength $elements] }
        }
    }
}

# The elements that this client removed, from its replies up to the marker.
proc received {c commands} {
    set got {}
    foreach command $commands {
        set code [catch {$c -read} reply]
        if {$code && ![string match "WRONGTYPE*" $reply] && ![string match "UNBLOCKED*" $reply]} { error $reply }
        if {$code || [lindex $command 0] ni {BLPOP BRPOP BLMPOP}} { continue }
        lappend got {*}[regexp -all -inline {e\d+} $reply]
    }
    assert_equal finished [$c -read]
    return $got
}

proc in_lists {} {
    set all {}
    foreach db {0 1} {
        r SELECT $db
        foreach key [r KEYS *] {
            if {[r TYPE $key] eq "list"} { lappend all {*}[r LRANGE $key 0 -1] }
        }
    }
    r SELECT 0
    return $all
}

proc run {rounds violence} {
    array set sent {}
    array set ids {}
    set ::pushed 0
    set all {}
    for {set i 0} {$i < $rounds} {incr i} {
        if {[llength $all] < 16} {
            set c [client]
            set ids($c) [$c CLIENT ID]
            set sent($c) {}
            lappend all $c
        }
        set c [lindex $all [random_below [llength $all]]]
        switch [random_below 10] {
            0 - 1 - 2 - 3 {
                set pipeline ""
                for {set n [random_below 4]} {$n >= 0} {incr n -1} {
                    set command [some_wait]
                    append pipeline [resp_encode {*}$command]
                    lappend sent($c) $command
                }
                $c -raw $pipeline
            }
            4 { r CLIENT UNBLOCK $ids($c) }
            5 {
                if {$violence && [random_below 3] == 0} {
                    if {[random_below 2]} { r CLIENT KILL ID $ids($c) }
                    $c -close
                    set all [lsearch -all -inline -not $all $c]
                }
            }
            default { some_change }
        }
    }
    set got {}
    foreach c $all { $c -send ECHO finished }
    wait_for {[all_free $all ids]}
    foreach c $all { lappend got {*}[received $c $sent($c)] }
    assert_equal 0 [info_field blocked_clients]
    assert_equal 0 [info_field total_blocking_keys]
    assert_equal 0 [info_field clients_in_timeout_table]
    set there [concat $got [in_lists]]
    assert_equal [llength [lsort -unique $there]] [llength $there]
    if {!$violence} { assert_equal $::pushed [llength $there] }
    foreach c $all { $c -close }
    r FLUSHALL
}

# Unblocks all clients once more; true when none is blocked any more.
proc all_free {all ids_name} {
    upvar $ids_name ids
    foreach c $all { while {[r CLIENT UNBLOCK $ids($c)]} {} }
    return [expr {[info_field blocked_clients] == 0}]
}

with_server {} {
    for {set i 0} {$i < 6} {incr i} {
        test "Clients that stay lose no element and get none twice ($i)" { run 4000 0 }
        test "Clients may go while they wait, or behind their wait ($i)" { run 4000 1 }
    }
}
