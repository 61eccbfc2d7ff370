# The order in which a server writes, syncs, renames and removes files decides what a power cut leaves.
# tests/tools/preload/disk_trace.c records it.
#
#   with_disk_trace {directive value ...} { ...tests... }   as with_server, with a record
#   disk_count                     the number of events so far
#   disk_events ?from? ?pid?       the events from this number on, of one process if a pid is given, each as
#                                  "write|sync|rename|truncate|remove <name of the file>"
#   assert_order events patterns   events that match these patterns (glob) follow one another in this order
#
# with_disk_trace takes the options of server_start behind the body: -folder PATH starts on the files in that folder.

namespace eval disk {
    variable trace
}

proc with_disk_trace {directives body args} {
    need_preload
    set disk::trace [string trim [exec mktemp]]
    set line "export DISK_TRACE=$disk::trace LD_PRELOAD=$::root/build/tools/disk_trace.so"
    set code [catch {uplevel 1 [list with_wrapped_server $line $directives $body {*}$args]} result options]
    file delete $disk::trace
    return -options $options $result
}

proc disk::lines {} {
    variable trace
    set file [open $trace]
    set text [read $file]
    close $file
    return [split [string trimright $text \n] \n]
}

proc disk_count {} {
    return [llength [disk::lines]]
}

proc disk_events {{from 0} {pid ""}} {
    set events {}
    foreach line [lrange [disk::lines] $from end] {
        if {$pid in [list "" [lindex $line 0]]} { lappend events [lrange $line 1 end] }
    }
    return $events
}

proc assert_order {events patterns} {
    set at -1
    foreach pattern $patterns {
        set next [lsearch -start [expr {$at + 1}] $events $pattern]
        if {$next < 0} { return -code error "no <$pattern> behind event $at of: $events" }
        set at $next
    }
}
