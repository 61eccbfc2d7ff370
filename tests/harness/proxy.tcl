# Proxies between a replica and its primary, each a process of its own (proxy_main.tcl).
#
#   set p [proxy_start $primary]      in front of a node, or of a port;  proxy_port $p: where the replica connects to
#   proxy $p cut                      cut all connections now
#   proxy $p limits 100 2000 ...      cut the next connections, one after another, after so many bytes to the replica
#   proxy $p unlimited                no more of that
#   proxy $p stop      proxy $p go    nothing passes, while the connections stay open, nor are ends noticed
#   proxy $p refuse    proxy $p accept    new connections are closed at once
#   proxy $p delay ms                 each piece waits for so long
#   proxy $p trickle bytes ms         so many bytes at a time; 0 0: as they come
#   proxy $p target port              new connections go elsewhere
#   proxy $p ask                      {connections accepted, cut by a limit, bytes passed to replicas, open now}
#   proxy_stop $p

namespace eval proxy {
    variable port ;# array: channel -> port
    array set port {}
}

proc proxy_start {primary} {
    set port [free_port]
    set target [expr {[string is integer $primary] ? $primary : [server_port $primary]}]
    set program [file join $::root tests harness proxy_main.tcl]
    set p [open |[list [info nameofexecutable] $program $port $target] r+]
    fconfigure $p -buffering line
    if {[gets $p] ne "ready"} { error "the proxy did not start" }
    set proxy::port($p) $port
    return $p
}

proc proxy_port {p} { return $proxy::port($p) }

proc proxy {p args} {
    puts $p $args
    return [gets $p]
}

proc proxy_stop {p} {
    catch {close $p}
    unset -nocomplain proxy::port($p)
}
