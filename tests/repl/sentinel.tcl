# Three stock redis-sentinel 7.0.15 watch a primary and two replicas, kura and redis-server mixed: they find the nodes,
# notice what fails, fail over, and nothing is lost that WAIT acknowledged. Their periods are shortened by SENTINEL
# DEBUG; that of PING stays long, as a replica that was silent for five of them is not promoted.
#
# KURA_SENTINEL_MIX lists the programs, three for each run.

namespace eval watch {
    variable sentinels {}
    variable nodes {}
    variable written {} ;# values that a replica has acknowledged
    variable next 0
    variable door         ;# array: node -> the port that the others know
    variable proxies      ;# array: node -> the proxy there, if all talk through proxies
    variable has_proxies 0
}

proc watch::start_sentinel {primary lines} {
    set folder [string trim [exec mktemp -d]]
    set file [open $folder/sentinel.conf w]
    puts $file "sentinel resolve-hostnames yes"
    puts $file "sentinel monitor m 127.0.0.1 $watch::door($primary) 2"
    puts $file "sentinel down-after-milliseconds m [expr {1000 * [slowness]}]"
    puts $file "sentinel failover-timeout m 6000\nsentinel parallel-syncs m 2"
    foreach line $lines { puts $file $line }
    close $file
    set h [server_start {} -folder $folder -file sentinel.conf -binary [oracle redis-sentinel]]
    interp alias {} $h {} nodes::ask $h
    $h SENTINEL DEBUG info-period 200 ping-period 400 ask-period 100 publish-period 200
    return $h
}

# The nodes have files, which CONFIG REWRITE of Sentinel changes.
proc watch::start_node {program directives} {
    set folder [string trim [exec mktemp -d]]
    close [open $folder/node.conf w]
    variable door
    variable proxies
    variable has_proxies
    if {$has_proxies} {
        set port [free_port]
        set proxy [proxy_start $port]
        lappend directives port $port replica-announce-ip 127.0.0.1 replica-announce-port [proxy_port $proxy]
    }
    set h [node_start $program $directives -folder $folder -file node.conf]
    set door($h) [server_port $h]
    if {$has_proxies} {
        set proxies($h) $proxy
        set door($h) [proxy_port $proxy]
    }
    return $h
}

# {name program directives ...}: the first is the primary at the start.
proc with_sentinels {spec lines body} {
    set watch::sentinels {}
    set watch::nodes {}
    set watch::written {}
    with_nodes {} {
        foreach {name program directives} $spec {
            set h [watch::start_node $program $directives]
            upvar 1 $name variable
            set variable $h
            lappend watch::nodes $h
            if {[llength $watch::nodes] > 1} { $h REPLICAOF 127.0.0.1 $watch::door([lindex $watch::nodes 0]) }
        }
        set code [catch {
            for {set i 0} {$i < 3} {incr i} {
                lappend watch::sentinels [watch::start_sentinel [lindex $watch::nodes 0] $lines]
            }
            uplevel 1 $body
        } result options]
        foreach h [array names watch::proxies] { proxy_stop $watch::proxies($h) }
        array unset watch::proxies
        foreach h $watch::sentinels {
            if {$code == 1} { append result "\n---- sentinel $h\n[nodes::tail $h]" }
            server_kill $h
            server_forget $h
        }
        return -options $options $result
    }
}

# What the sentinels take for the primary; "" while they disagree.
proc watch::primary {} {
    variable sentinels
    variable nodes
    set ports {}
    foreach s $sentinels { lappend ports [lindex [$s SENTINEL GET-MASTER-ADDR-BY-NAME m] 1] }
    if {[llength [lsort -unique $ports]] != 1} { return "" }
    foreach node $nodes { if {$watch::door($node) == [lindex $ports 0]} { return $node } }
    return ""
}

# A field of each replica that the sentinel knows.
proc watch::replicas {s field} {
    return [lsort [lmap replica [$s SENTINEL REPLICAS m] { dict get $replica $field }]]
}

proc watch::all_known {replicas} {
    variable sentinels
    foreach s $sentinels {
        if {[watch::replicas $s master-link-status] ne [lrepeat $replicas ok]} { return 0 }
        if {[llength [$s SENTINEL SENTINELS m]] != 2} { return 0 }
        foreach flags [watch::replicas $s flags] { if {$flags ne "slave"} { return 0 } }
    }
    return 1
}

proc watch::wait_known {{replicas 2}} {
    wait_for {[watch::all_known $replicas]} 30000
}

# One write that counts if a replica has it; a node that does not answer costs 200 ms.
proc watch::write {} {
    variable next
    variable written
    set primary [primary]
    if {$primary eq ""} { return }
    if {[catch {resp_connect 127.0.0.1 [server_port $primary]} c]} { return }
    $c -timeout [expr {200 * [slowness]}]
    incr next
    catch {
        if {$nodes::password ne ""} { $c AUTH $nodes::password }
        $c SET w:$next $next
        if {[$c WAIT 1 100] > 0} { lappend written $next }
    }
    $c -close
}

proc write_until {condition {ms 30000}} {
    set deadline [expr {[clock milliseconds] + $ms * [slowness]}]
    while {![uplevel 1 [list expr $condition]]} {
        watch::write
        after 5
        if {[clock milliseconds] > $deadline} { error "waited in vain for: $condition" }
    }
}

proc assert_nothing_lost {} {
    set primary [watch::primary]
    assert {[llength $watch::written] > 0}
    foreach n $watch::written {
        if {[$primary GET w:$n] ne $n} { error "w:$n, which WAIT had acknowledged, is lost on $primary" }
    }
}

# Clients write until the sentinels have made another node the primary, and the others follow it.
proc fail_over {old {replicas 1}} {
    write_until {[watch::primary] ni [list "" $old]}
    set new [watch::primary]
    assert_equal master [lindex [$new ROLE] 0]
    write_until {[node_field $new connected_slaves] >= $replicas}
    assert_nothing_lost
    return $new
}

proc watch::others {primary args} {
    variable nodes
    return [lmap n $nodes { expr {$n eq $primary || $n in $args ? [continue] : $n} }]
}

proc watch::know_run_id {node} {
    variable sentinels
    foreach s $sentinels {
        if {[dict get [$s SENTINEL MASTER m] runid] ne [node_field $node run_id]} { return 0 }
    }
    return 1
}

proc node_file {h} {
    set file [open [server_folder $h]/node.conf]
    set text [read $file]
    close $file
    return $text
}

set mixes {kura redis kura}
if {[info exists env(KURA_SENTINEL_MIX)]} { set mixes $env(KURA_SENTINEL_MIX) }

foreach {first second third} $mixes {
    set mix "$first, $second and $third"
    test "$mix: killed, stopped, told to fail over, and rebooted" {
        set options {save "" appendonly yes}
        with_sentinels [list a $first $options b $second $options c $third $options] {} {
            watch::wait_known
            assert_match "OK*" [[lindex $watch::sentinels 0] SENTINEL CKQUORUM m]
            write_until {[llength $watch::written] >= 20}

            # kill -9, and the old primary comes back as a replica without being told at its start
            node_end $a KILL
            set new [fail_over $a]
            assert_match "*replicaof 127.0.0.1 [server_port $new]*" [node_file [lindex [watch::others $new $a] 0]]
            node_restart $a $options
            wait_for {[node_field $a role] eq "slave" && [link_is_up $a]} 30000
            watch::wait_known
            level $new {*}[watch::others $new]

            # SIGSTOP: it still takes itself for the primary when it goes on
            send_signal STOP [server_pid $new]
            set third_one [fail_over $new]
            send_signal CONT [server_pid $new]
            wait_for {[node_field $new role] eq "slave" && [link_is_up $new]} 30000
            watch::wait_known
            level $third_one {*}[watch::others $third_one]

            # By hand: a write to the old primary meanwhile would be lost, since it lives on and has a replica.
            [lindex $watch::sentinels 1] SENTINEL FAILOVER m
            wait_for {[watch::primary] ni [list "" $third_one]} 30000
            set new [fail_over $third_one 2]
            watch::wait_known
            level $new {*}[watch::others $new]

            # A primary that is back within down-after stays the primary, with its data.
            set before [llength $watch::written]
            foreach s $watch::sentinels { $s SENTINEL SET m down-after-milliseconds [expr {15000 * [slowness]}] }
            set id [node_field $new run_id]
            node_restart $new $options KILL
            assert {[node_field $new run_id] ne $id}
            write_until {[llength $watch::written] >= $before + 10}
            assert_equal $new [watch::primary]
            assert_nothing_lost
            wait_for {[watch::know_run_id $new]}
        }
    }
}

test "a primary that only its clients reach: what they write there without replicas was not acknowledged" {
    set watch::has_proxies 1
    set code [catch {
        with_sentinels {a kura {} b redis {} c kura {}} {} {
            watch::wait_known
            write_until {[llength $watch::written] >= 10}
            proxy $watch::proxies($a) stop
            $a SET lonely 1
            assert_equal 0 [$a WAIT 1 50]
            set new [fail_over $a]
            proxy $watch::proxies($a) go
            wait_for {[node_field $a role] eq "slave" && [link_is_up $a]} 30000
            watch::wait_known
            level $new {*}[watch::others $new]
            assert_equal 0 [$a EXISTS lonely]
            assert_nothing_lost
        }
    } result options]
    set watch::has_proxies 0
    return -options $options $result
}

test "priorities: the lowest number is promoted, 0 never" {
    with_sentinels {a kura {} b kura {replica-priority 0} c kura {replica-priority 90}
            d kura {replica-priority 50}} {} {
        watch::wait_known 3
        assert_equal {0 50 90} [lsort -integer [watch::replicas [lindex $watch::sentinels 0] slave-priority]]
        [lindex $watch::sentinels 0] SENTINEL FAILOVER m
        wait_for {[watch::primary] ni [list "" $a]} 30000
        assert_equal $d [fail_over $a 3]
        watch::wait_known 3
        $a CONFIG SET replica-priority 0
        $c CONFIG SET replica-priority 0
        wait_for {[watch::replicas [lindex $watch::sentinels 0] slave-priority] eq {0 0 0}}
        assert_error "NOGOODSLAVE*" { [lindex $watch::sentinels 0] SENTINEL FAILOVER m }
    }
}

test "passwords, announced addresses and names, and a replica that is not announced" {
    set nodes::password secret
    set options {requirepass secret masterauth secret}
    set code [catch {
        with_sentinels [list a kura $options b kura [concat $options replica-announce-ip localhost] \
                c redis [concat $options replica-announce-ip localhost] \
                d kura [concat $options replica-announced no replica-priority 0]] {
            "sentinel auth-pass m secret" "sentinel announce-hostnames yes"
        } {
            watch::wait_known 2
            assert_equal {localhost localhost} [watch::replicas [lindex $watch::sentinels 0] ip]
            assert_match "*ip=localhost,port=[server_port $b],*" [$a INFO replication]
            assert_equal 3 [node_field $a connected_slaves]
            write_until {[llength $watch::written] >= 5}
            node_end $a KILL
            set new [fail_over $a 1]
            assert {$new in [list $b $c]}
        }
    } result options]
    set nodes::password ""
    return -options $options $result
}
