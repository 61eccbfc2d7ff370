# A random tree of five nodes, kura and redis-server mixed, under load: nodes are re-pointed, promoted, restarted and
# cut off. In the end all agree, and no full sync happened where none is due.
#
# KURA_TREE_STEPS says how many changes there are (300 for a thorough run); the seed is that of the report.

set steps [expr {[info exists env(KURA_TREE_STEPS)] ? $env(KURA_TREE_STEPS) : 12}]

namespace eval tree {
    variable parent ;# array: node -> the node that it follows, "" for the root
    variable given 0    ;# full syncs that nodes had given when they were restarted
    variable load ""
    # A PING of a primary between two commands of a test would put it ahead of its replicas.
    variable with_rdb {repl-backlog-size 100mb save "3600 10000000" repl-ping-replica-period 1000}
    variable with_aof {repl-backlog-size 100mb appendonly yes repl-ping-replica-period 1000}
    variable options ;# array: node -> its directives
}

# The nodes at and below this one.
proc tree::below {top} {
    variable parent
    set all [list $top]
    foreach node [array names parent] {
        if {$parent($node) eq $top} { lappend all {*}[below $node] }
    }
    return $all
}

proc tree::root {} {
    variable parent
    foreach node [array names parent] { if {$parent($node) eq ""} { return $node } }
}

proc tree::pick {nodes} { return [lindex $nodes [random_below [llength $nodes]]] }

proc tree::others {nodes but} { return [lmap n $nodes { expr {$n in $but ? [continue] : $n} }] }

proc tree::all_linked {} {
    variable parent
    foreach node [array names parent] {
        if {$parent($node) ne "" && ![link_is_up $node]} { return 0 }
    }
    return 1
}

proc tree::attach {node to} {
    variable parent
    set parent($node) $to
    if {$to eq ""} { $node REPLICAOF NO ONE } else { $node REPLICAOF 127.0.0.1 [server_port $to] }
}

# Clients wait while the body runs, which begins when all nodes have all: a node can go on behind another one only if
# that one is not behind it.
proc tree::while_quiet {body} {
    variable parent
    set root [root]
    $root CLIENT PAUSE 60000 WRITE
    foreach node [others [array names parent] $root] { wait_for {[nodes::has_all_of $root $node]} 30000 }
    uplevel 1 $body
    catch {$root CLIENT UNPAUSE}
}

# A node follows another one, which is not below it.
proc tree::repoint {} {
    variable parent
    set node [pick [others [lsort [array names parent]] [root]]]
    set to [pick [others [lsort [array names parent]] [below $node]]]
    while_quiet { attach $node $to }
    return "$node follows $to"
}

# A child of the root takes its place, and the old root follows it. All other nodes stay where they are.
proc tree::promote {} {
    variable parent
    set old [root]
    set new [pick [lsort [lmap n [array names parent] { expr {$parent($n) eq $old ? $n : [continue]} }]]]
    stop_load
    while_quiet {
        attach $new ""
        attach $old $new
    }
    start_load
    return "$new is promoted, and $old follows it"
}

# Nodes below a restarted one can go on only if it had sent them all: its backlog begins with its file. One without such
# nodes may be killed if it has an append-only file.
proc tree::restart {} {
    variable parent
    variable options
    variable given
    set node [pick [lsort [array names parent]]]
    set up $parent($node)
    set more [expr {$up eq "" ? {} : [list replicaof "127.0.0.1 [server_port $up]"]}]
    incr given [full_syncs $node]
    if {[llength [below $node]] > 1} {
        stop_load
        while_quiet { node_restart $node [dict merge $options($node) $more] }
        start_load
        return "$node is restarted"
    }
    set signal [expr {[dict exists $options($node) appendonly] ? [pick {TERM KILL}] : "TERM"}]
    node_restart $node [dict merge $options($node) $more] $signal
    return "$node is restarted by $signal"
}

# The links of a node are cut: that to its primary, or those of its replicas.
proc tree::cut {} {
    variable parent
    set node [pick [lsort [array names parent]]]
    $node CLIENT KILL TYPE [pick {master replica}]
    return "$node lost links"
}

proc tree::stop_load {} {
    variable load
    load_stop $load
}

proc tree::start_load {} {
    variable load
    set load [load_start [root] 0 500]
}

proc tree::all_full_syncs {} {
    variable parent
    variable given
    set sum $given
    foreach node [array names parent] { incr sum [full_syncs $node] }
    return $sum
}

proc tree::step {} {
    variable parent
    set what [[lindex {repoint repoint promote restart cut} [random_below 5]]]
    puts "        $what"
    wait_for {[all_linked]} 60000
    if {[all_full_syncs] != 4} {
        set tree [lmap node [lsort [array names parent]] { list $node under $parent($node) }]
        error "a full sync where none is due: $what; now [join $tree {, }]"
    }
}

test "a tree of five nodes that changes under load" {
    puts "        $steps changes, seed $check::seed"
    set rdb $tree::with_rdb
    set aof [expr {[kura_is_tested] ? $tree::with_aof : $rdb}]
    with_nodes [list a kura $rdb b redis $rdb c kura $aof d redis $rdb e kura $aof] {
        array unset tree::parent
        array set tree::options [list $a $rdb $b $rdb $c $aof $d $rdb $e $aof]
        set tree::given 0
        array set tree::parent [list $a "" $b $a $c $a $d $c $e $b]
        foreach node [list $b $c $d $e] { tree::attach $node $tree::parent($node) }
        wait_for {[tree::all_linked]} 60000
        tree::start_load
        for {set i 0} {$i < $steps} {incr i} { tree::step }
        tree::stop_load
        set root [tree::root]
        level $root {*}[tree::others [list $a $b $c $d $e] $root]
    }
}
