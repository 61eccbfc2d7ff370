# Clients in all states, at random: they subscribe, wait, watch, track, monitor, queue and pause; they are paused, they
# kill each other and themselves, read slowly or not at all, and vanish. Only the end is compared: the server answers
# each client that is left, and keeps nothing of the others. Sanitizers see the rest.
set topics {a b ab * a* "" __key* __keyevent@0__:* __redis__:invalidate}
set small [string repeat x 40]
set large [string repeat y 40000]

proc one_of {list} {
    return [lindex $list [random_below [llength $list]]]
}

proc key {} {
    return [one_of {k l m n o}]
}

proc an_id {} {
    global newest
    return [expr {1 + $newest - [random_below 16]}]
}

proc random_wait {} {
    set timeout [one_of {0 0.001 0.001 0.002 0.01}]
    switch [random_below 7] {
        0 { return [list BLPOP [key] [key] $timeout] }
        1 { return [list BRPOP [key] $timeout] }
        2 { return [list BLMOVE [key] [key] LEFT RIGHT $timeout] }
        3 { return [list BRPOPLPUSH [key] [key] $timeout] }
        4 { return [list BLMPOP $timeout 2 [key] [key] LEFT COUNT 2] }
        5 { return [list BZPOPMIN [key] z $timeout] }
        6 { return [list BZMPOP $timeout 2 z [key] MAX] }
    }
}

proc random_kill {} {
    switch [random_below 9] {
        0 - 1 - 2 { return [list CLIENT KILL ID [an_id] SKIPME [one_of {yes no}]] }
        3 { return [list CLIENT KILL TYPE pubsub SKIPME [one_of {yes no}]] }
        4 { return [list CLIENT KILL TYPE normal ID [an_id]] }
        5 { return [list CLIENT KILL USER default ID [an_id] MAXAGE 1] }
        6 { return [list CLIENT KILL ADDR 127.0.0.1:1 LADDR 127.0.0.1:1] }
        7 - 8 { return [list CLIENT UNBLOCK [an_id] [one_of {TIMEOUT ERROR}]] }
    }
}

proc random_tracking {} {
    switch [random_below 8] {
        0 { return {CLIENT TRACKING ON} }
        1 { return {CLIENT TRACKING OFF} }
        2 { return [list CLIENT TRACKING ON BCAST PREFIX [key]] }
        3 { return {CLIENT TRACKING ON BCAST NOLOOP} }
        4 { return [list CLIENT TRACKING ON REDIRECT [an_id]] }
        5 { return {CLIENT TRACKING ON OPTIN} }
        6 { return [list CLIENT CACHING [one_of {YES NO}]] }
        7 { return {CLIENT TRACKINGINFO} }
    }
}

proc random_session {} {
    switch [random_below 12] {
        0 { return [list HELLO [one_of {2 3 3}]] }
        1 { return [list CLIENT REPLY [one_of {ON OFF SKIP SKIP}]] }
        2 { return [one_of {RESET RESET QUIT}] }
        3 { return [list SELECT [random_below 2]] }
        4 { return [list CLIENT PAUSE [random_below 5] [one_of {WRITE ALL}]] }
        5 { return {CLIENT UNPAUSE} }
        6 { return {MONITOR} }
        7 { return [list CLIENT NO-TOUCH [one_of {ON OFF}]] }
        8 { return [list CLIENT NO-EVICT [one_of {ON OFF}]] }
        9 { return [list CLIENT SETNAME [one_of [list a b ""]]] }
        10 { return [one_of {{CLIENT LIST} {CLIENT INFO} {PUBSUB CHANNELS} {INFO clients} {CLIENT LIST TYPE pubsub}}] }
        11 { return [list CONFIG SET notify-keyspace-events [one_of [list KEA "" Eg]]] }
    }
}

proc random_message {} {
    global topics small large
    switch [random_below 8] {
        0 - 1 { return [list SUBSCRIBE [one_of $topics] [one_of $topics]] }
        2 { return [list PSUBSCRIBE [one_of $topics]] }
        3 { return [list SSUBSCRIBE [one_of $topics]] }
        4 { return [list [one_of {UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE}]] }
        5 { return [list UNSUBSCRIBE [one_of $topics]] }
        6 { return [list PUBLISH [one_of $topics] [one_of [list $small $small $large]]] }
        7 { return [list SPUBLISH [one_of $topics] $small] }
    }
}

proc random_change {} {
    global small large
    switch [random_below 14] {
        0 - 1 { return [list RPUSH [key] $small x y] }
        2 { return [list SET [key] [one_of [list $small $large]] PX [expr {1 + [random_below 20]}]] }
        3 { return [list DEL [key]] }
        4 { return [list ZADD z 1 a 2 b] }
        5 { return [list RENAME [key] [key]] }
        6 { return [one_of {FLUSHALL FLUSHDB {SWAPDB 0 1} {SWAPDB 0 0}}] }
        7 { return [list MOVE [key] [random_below 2]] }
        8 - 9 { return [list GET [key]] }
        10 { return [list MGET [key] [key]] }
        11 { return [list LPOP [key]] }
        12 { return [list COPY [key] [key] DB [random_below 2] REPLACE] }
        13 { return [list SORT [key] ALPHA STORE [key]] }
    }
}

proc random_request {} {
    switch [random_below 12] {
        0 - 1 { return [random_wait] }
        2 { return [random_kill] }
        3 { return [random_tracking] }
        4 - 5 { return [random_session] }
        6 - 7 { return [random_message] }
        8 { return [one_of [list MULTI MULTI [list WATCH [key] [key]] DISCARD UNWATCH]] }
        9 { return {EXEC} }
        10 - 11 { return [random_change] }
    }
}

proc drop {i} {
    global clients
    $clients($i) -close
    unset clients($i)
}

proc drop_all {} {
    foreach i [array names ::clients] { drop $i }
}

proc some_requests {i} {
    global clients newest
    if {[info exists clients($i)] && [random_below 20] == 0} { drop $i }
    if {![info exists clients($i)]} {
        set clients($i) [client]
        incr newest
        if {[random_below 2]} { $clients($i) -raw [resp_encode HELLO 3] }
    }
    set bytes ""
    for {set n [random_below 10]} {$n >= 0} {incr n -1} { append bytes [resp_encode {*}[random_request]] }
    # The server may have killed it, or it reads slowly because the test does not read its replies.
    if {[catch {$clients($i) -raw $bytes}]} {
        drop $i
    } elseif {[random_below 3] == 0} {
        catch {read [$clients($i) -channel]}
    }
}

# Tells all paused and blocked clients to go on. True once client i has sent its last reply or is gone.
proc has_ended {control i} {
    global clients seen
    $control CLIENT UNPAUSE
    foreach {_ id} [regexp -all -inline {id=(\d+) } [$control CLIENT LIST]] { $control CLIENT UNBLOCK $id }
    set channel [$clients($i) -channel]
    if {[catch {read $channel} bytes]} { return 1 }
    append seen($i) $bytes
    return [expr {[string first the-end-of-$i. $seen($i)] >= 0 || [eof $channel]}]
}

proc storm {memory} {
    set limits "pubsub 300000 0 0 normal 500000 0 0"
    set how [list client-output-buffer-limit $limits notify-keyspace-events KEA enable-debug-command yes {*}$memory]
    with_server $how [list test "The server survives clients in a storm, and keeps nothing of those that go {$memory}" {
        global clients seen newest
        array set clients {}
        array set seen {}
        set newest 1
        r CLIENT NO-EVICT on
        set memory [info_field used_memory]
        for {set round 0} {$round < 6000} {incr round} { some_requests [random_below 14] }

        foreach i [array names clients] {
            if {[catch {$clients($i) -raw [resp_encode RESET][resp_encode RESET][resp_encode ECHO the-end-of-$i.]}]} {
                drop $i
            }
        }
        set control [client]
        $control CLIENT NO-EVICT on
        foreach i [array names clients] {
            wait_for {[has_ended $control $i]}
        }
        drop_all
        wait_for {[regexp -all {id=} [$control CLIENT LIST]] <= 2}
        assert_equal {} [$control PUBSUB CHANNELS]
        assert_equal {} [$control PUBSUB SHARDCHANNELS]
        assert_equal 0 [$control PUBSUB NUMPAT]
        foreach field {blocked_clients tracking_clients tracking_total_keys tracking_total_prefixes} {
            assert_equal 0 [info_field $field $control]
        }
        $control FLUSHALL
        wait_for {[info_field used_memory $control] < $memory + 400000}
    }]
}

storm {}
storm {maxmemory 1400kb maxmemory-policy allkeys-random maxmemory-clients 200kb}
