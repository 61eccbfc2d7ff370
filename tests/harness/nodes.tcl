# Several servers at once, each of a program of its own, for tests of replication.
#
#   with_nodes {a kura {directive value ...} b redis {...}} { ... }
#                               starts them, sets the variables a and b to their names, and stops them after the body
#   $a SET k v                  sends to a node: its name is a command, and a handle for the procs of server.tcl
#   node_start kura {...} ?-wrap line?   one more node; with_nodes stops it with its own. The line of a shell stands
#                               before its start: limits, preloaded libraries
#   node_restart $a {...} ?signal?   in its folder, on its port;  node_end $a ?signal?
#   node_field $a name          a field of INFO, also while it loads
#   follow $b $a                REPLICAOF, and waits for the link;  follow_port $b $port goes through a proxy
#   level $a $b ...             waits until b ... have all that a has, and compares them; the load has ended before
#   full_syncs $a  partial_syncs $a   how many the primary has given
#   load_start $a count per_second ?seed?    random commands of all types (tests/tools/load.c) in the background
#   load_marks $a count per_second prefix    the same of SET <prefix><n> <n>
#   load_stop $load             ends it and returns the number of commands that were answered
#   load_wait $load             the same without ending it: a count was given
#
# The program "kura" is the server under test, which KURA_SERVER names, and "redis" is redis-server 7.0.15. With
# KURA_SERVER=build/oracle/redis-server all nodes are redis-server: this shows that a test is right.

namespace eval nodes {
    variable started {}  ;# the nodes that run
    variable wrappers {} ;# folders with scripts that start nodes
    variable password "" ;# of all nodes, for the connections of the tests
    variable ended {}    ;# dict: those that a test has killed, which with_nodes does not take for crashed
}

proc oracle {{name redis-server}} {
    return [file join $::root build oracle $name]
}

# Is the program "kura" really kura?
proc kura_is_tested {} {
    return [expr {![string match *redis-server* [server_binary]]}]
}

proc need_kura {} {
    if {![kura_is_tested]} { skip "only kura can do this" }
}

proc node_start {program directives args} {
    set directives [dict merge {repl-diskless-sync-delay 0} $directives]
    set binary [expr {$program eq "redis" ? [oracle] : [server_binary]}]
    if {[dict exists $args -wrap]} {
        set binary [nodes::wrapper $binary [dict get $args -wrap]]
        dict unset args -wrap
    }
    set h [server_start $directives -binary $binary {*}$args]
    lappend nodes::started $h
    interp alias {} $h {} nodes::ask $h
    return $h
}

# A script that starts the program after this line of a shell. Its name still tells which program it is.
proc nodes::wrapper {binary line} {
    set path [string trim [exec mktemp -d]]/[file tail $binary]
    set file [open $path w]
    puts $file "#!/bin/sh\n$line\nexec $binary \"\$@\""
    close $file
    file attributes $path -permissions 0755
    lappend nodes::wrappers [file dirname $path]
    return $path
}

proc node_restart {h directives {signal TERM}} {
    node_end $h $signal
    dict unset nodes::ended $h
    server_restart [dict merge {repl-diskless-sync-delay 0} $directives [list port [server_port $h]]] $signal $h
}

# A server refuses to end while its first append-only file is written, and forgets the signal. redis-server may begin
# one at any time: it gets the signal again.
proc node_end {h {signal TERM}} {
    if {$signal eq "TERM" && [server_alive $h]} { wait_for {[node_field $h aof_rewrite_in_progress] == 0} }
    nodes::close_client $h
    if {$signal ne "TERM"} { dict set nodes::ended $h 1 }
    if {[nodes::is_kura $h]} {
        if {[server_kill $h $signal] eq ""} { error "no exit on SIG$signal" }
        return
    }
    wait_for {[catch {send_signal $signal [server_pid $h]}] || [server_wait_exit 500 $h] ne ""}
}

proc nodes::is_kura {h} {
    return [expr {![string match *redis-server $::server::data($h.binary)]}]
}

# As a command of the node; connects again where the server has closed the connection.
proc nodes::ask {h args} {
    upvar ::server::data data
    if {$data($h.client) ne "" && [resp_has_ended $data($h.client)]} { close_client $h }
    if {$data($h.client) eq ""} {
        set data($h.client) [resp_connect 127.0.0.1 $data($h.port)]
        $data($h.client) -timeout [expr {20000 * [slowness]}]
        if {$nodes::password ne ""} { catch {$data($h.client) AUTH $nodes::password} }
    }
    set code [catch {$data($h.client) {*}$args} result options]
    if {$code && [dict get $options -errorcode] ne "RESP"} { close_client $h }
    return -options $options $result
}

proc nodes::close_client {h} {
    upvar ::server::data data
    if {$data($h.client) ne ""} { catch {$data($h.client) -close} }
    set data($h.client) ""
}

proc with_nodes {spec body} {
    set before $nodes::started
    set others $server::opened
    set code [catch {
        foreach {name program directives} $spec {
            uplevel 1 [list set $name [node_start $program $directives]]
        }
        uplevel 1 $body
    } result options]
    set logs ""
    # A node that ends waits for its replicas, which may be such clients.
    foreach c $server::opened { if {$c ni $others} { $c -close } }
    foreach h [lrange $nodes::started [llength $before] end] {
        if {$code && $code != 2} {
            append logs "\n---- $h, which is [file tail $::server::data($h.binary)]\n[nodes::tail $h]"
        }
        catch {send_signal CONT [server_pid $h]}
        nodes::close_client $h
        if {[nodes::is_kura $h] && ![dict exists $nodes::ended $h] && [catch {server_stop $h} problem]} {
            append result "\nend of $h: $problem"
            if {!$code} { set code 1; set options {-code 1 -level 0 -errorcode NONE} }
        }
        server_kill $h
        server_forget $h
        catch {interp alias {} $h {}}
    }
    set nodes::started $before
    if {![llength $before]} {
        foreach folder $nodes::wrappers { file delete -force $folder }
        set nodes::wrappers {}
    }
    if {$code} { return -options $options $result$logs }
}

proc nodes::tail {h} {
    return [join [lrange [split [string trimright [server_log $h]] \n] end-25 end] \n]
}

proc node_field {h name} {
    # Sentinel and changes of role close the connections of clients.
    if {[catch {$h INFO everything} info]} { set info [$h INFO everything] }
    foreach line [split $info \n] {
        if {[regexp "^$name:(.*?)\r?$" $line -> value]} { return $value }
    }
    error "INFO of $h has no field $name"
}

proc full_syncs {h} { return [node_field $h sync_full] }
proc partial_syncs {h} { return [node_field $h sync_partial_ok] }

proc follow {h primary} { follow_port $h [server_port $primary] }

proc follow_port {h port} {
    $h REPLICAOF 127.0.0.1 $port
    wait_link $h
}

proc link_is_up {h} {
    return [expr {![catch {node_field $h master_link_status} status] && $status eq "up"}]
}

proc wait_link {h {ms 30000}} {
    wait_for {[link_is_up $h]} $ms
}

proc nodes::has_all_of {primary replica} {
    if {![link_is_up $replica]} { return 0 }
    return [expr {[node_field $replica slave_repl_offset] == [node_field $primary master_repl_offset]}]
}

proc level {primary args} {
    foreach replica $args {
        wait_for {[nodes::has_all_of $primary $replica]} 30000
        assert_same $primary $replica
    }
}

# Keys that come due between two looks make the digests differ for a moment.
proc assert_same {a b} {
    if {![catch {wait_for {[$a DEBUG DIGEST] eq [$b DEBUG DIGEST]} 3000}]} { return }
    set here [split [dataset $a] \n]
    set there [split [dataset $b] \n]
    set first ""
    foreach line $here { if {$line ni $there} { append first "\n$a only: [shorten $line]"; break } }
    foreach line $there { if {$line ni $here} { append first "\n$b only: [shorten $line]"; break } }
    return -code error "the datasets of $a and $b differ:$first"
}

# --- Load ----------------------------------------------------------------------------------------

proc nodes::load {h arguments} {
    set program [file join $::root build tools load]
    set channel [open |[concat [list $program [server_port $h]] $arguments] r+]
    fconfigure $channel -blocking 1
    return $channel
}

proc load_start {h count per_second {seed ""}} {
    if {$seed eq ""} { set seed [expr {1 + [random_below 1000000000]}] }
    set grammars [lsort [glob [file join $::root tests compat *.grammar]]]
    return [nodes::load $h [concat $count $per_second $seed $grammars]]
}

proc load_marks {h count per_second prefix} {
    return [nodes::load $h [list $count $per_second marks $prefix]]
}

proc load_stop {load} {
    catch {close $load write}
    return [load_wait $load]
}

proc load_wait {load} {
    set text [read $load]
    catch {close $load}
    return [lindex [split [string trim $text] \n] end]
}
