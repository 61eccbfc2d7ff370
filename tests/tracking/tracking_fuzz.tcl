# Many clients track in all modes, redirect to each other, read, change, flush, kill and are killed, in pipelines. The
# server survives, and the copies of the clients that remain are valid.

set keys {a ab abc b bc c}
proc some_key {} { return [lindex $::keys [random_below [llength $::keys]]] }

proc some_options {ids} {
    set options {}
    if {[random_below 3] == 0} { lappend options REDIRECT [lindex $ids [random_below [llength $ids]]] }
    if {[random_below 4] == 0} { lappend options NOLOOP }
    switch [random_below 5] {
        0 { lappend options BCAST }
        1 { lappend options BCAST PREFIX [some_key] PREFIX [some_key] }
        2 { lappend options OPTIN }
        3 { lappend options OPTOUT }
    }
    return $options
}

proc some_command {ids} {
    switch [random_below 20] {
        0 - 1 { return [list CLIENT TRACKING ON {*}[some_options $ids]] }
        2 { return {CLIENT TRACKING OFF} }
        3 { return [list CLIENT CACHING [lindex {YES NO} [random_below 2]]] }
        4 { return {CLIENT TRACKINGINFO} }
        5 { return [list CLIENT KILL ID [lindex $ids [random_below [llength $ids]]]] }
        6 { return [list HELLO [expr {2 + [random_below 2]}]] }
        7 { return [expr {[random_below 4] ? {RESET} : {QUIT}}] }
        8 { return [expr {[random_below 3] ? {FLUSHALL} : {SWAPDB 0 1}}] }
        9 { return {SUBSCRIBE __redis__:invalidate} }
        10 { return {UNSUBSCRIBE} }
        11 { return [list SET [some_key] v PX [expr {1 + [random_below 3]}]] }
        12 { return {MULTI} }
        13 { return {EXEC} }
        14 { return [list CLIENT REPLY [lindex {ON OFF SKIP} [random_below 3]]] }
        15 - 16 { return [list SET [some_key] v] }
        default { return [list MGET [some_key] [some_key] [some_key]] }
    }
}

proc run {rounds} {
    set all {}
    set ids {}
    for {set i 0} {$i < $rounds} {incr i} {
        if {[llength $all] < 12} {
            set c [client]
            lappend all $c
            lappend ids [$c CLIENT ID]
        }
        set at [random_below [llength $all]]
        set c [lindex $all $at]
        set pipeline ""
        for {set n [random_below 6]} {$n >= 0} {incr n -1} { append pipeline [resp_encode {*}[some_command $ids]] }
        catch {$c -raw $pipeline}
        if {[random_below 8] == 0} {
            $c -close
            set all [lreplace $all $at $at]
            set ids [lreplace $ids $at $at]
        }
        if {$i % 200 == 0} { assert_equal PONG [r PING] }
    }
    foreach c $all { $c -close }
    wait_for {[info_field connected_clients] == 1}
    foreach field {clients total_keys total_items total_prefixes} { assert_equal 0 [info_field tracking_$field] }
}

# A client keeps copies of its replies and drops them when the server says so; the rest must equal the server's values.
proc trust {rounds} {
    foreach name {x y} {
        set c($name) [client]
        $c($name) HELLO 3
        $c($name) CLIENT TRACKING ON
        set copy($name) [dict create]
    }
    for {set i 0} {$i < $rounds} {incr i} {
        set name [lindex {x y} [random_below 2]]
        set key [some_key]
        switch [random_below 4] {
            0 { set command [list SET $key $i] }
            1 { set command [list DEL $key] }
            default { set command [list GET $key] }
        }
        set reply [$c($name) {*}$command]
        while {[lindex $reply 0] eq "invalidate"} {
            dict unset copy($name) [lindex $reply 1]
            set reply [$c($name) -read]
        }
        if {[lindex $command 0] eq "GET"} {
            if {[dict exists $copy($name) $key]} { assert_equal [dict get $copy($name) $key] $reply }
            dict set copy($name) $key $reply
        }
    }
    foreach name {x y} {
        $c($name) -send ECHO end
        while {[set reply [$c($name) -read]] ne "end"} { dict unset copy($name) [lindex $reply 1] }
        dict for {key value} $copy($name) { assert_equal [r GET $key] $value }
        $c($name) -close
    }
}

with_server {} {
    for {set i 0} {$i < 4} {incr i} {
        test "The server survives clients that track, redirect, kill and go ($i)" { run 3000 }
        test "Copies that were not invalidated are still valid ($i)" { trust 3000 }
    }
}
