# The other end of a replication link, played by the test. Connections are clients of resp.tcl.
#
#   fake_replica $h ?word ...?    connects and sends PSYNC ? -1 (or these words); returns the connection
#   fake_online $h $c             waits until the node sends the stream to this only replica, which got the snapshot
#   fake_stream_begin $h          all of that at once: {connection id offset}
#   fake_snapshot $c              reads newlines and the snapshot; returns {how bytes}, how being "mark" or "length"
#   fake_command $c               the next command of the stream as a list, PING and REPLCONF too
#   fake_commands $c last         the commands of the stream up to this one, PINGs left out;  fake_stream: their bytes
#
#   fake_primary                  listens; returns a name for the following, as many as a test likes
#   fake_port $l                  end_primary $l
#   await_replica $l ?ms?         the connection of a replica that connects
#   hear_replica $c               answers the replica up to PSYNC or SYNC; returns all that it said, as lists
#   fake_request $c               what it says next, ACKs left out;  fake_ack $c: the offset of its next ACK
#   fake_empty_snapshot           an RDB file without keys;  fake_bulk_snapshot $bytes   with its length before it

namespace eval fakes {
    variable waiting {} ;# channels that have connected: {listener channel ...}
    variable wake 0
}

proc fake_replica {h args} {
    set c [client $h]
    $c -send {*}[expr {[llength $args] ? $args : {PSYNC ? -1}}]
    return $c
}

proc fakes::line {c} {
    while 1 {
        set text ""
        while {[set byte [$c -bytes 1]] ne "\n"} { append text $byte }
        set text [string trimright $text \r]
        if {$text ne ""} { return $text }
    }
}

proc fake_snapshot {c} {
    set head [fakes::line $c]
    if {[regexp {^\$EOF:(.{40})$} $head -> mark]} {
        set bytes ""
        while {[string range $bytes end-39 end] ne $mark} { append bytes [$c -bytes 1] }
        return [list mark [string range $bytes 0 end-40]]
    }
    if {![regexp {^\$(\d+)$} $head -> length]} { error "no snapshot but <$head>" }
    return [list length [$c -bytes $length]]
}

# An ACK that comes before the child's end has been noticed is forgotten.
proc fake_online {h c} {
    wait_for {[string match *state=online* [$h INFO replication]]}
    $c -send REPLCONF ACK 0
}

proc fake_stream_begin {h} {
    set c [client $h]
    $c REPLCONF capa eof capa psync2
    $c -send PSYNC ? -1
    lassign [$c -line] - id offset
    fake_snapshot $c
    fake_online $h $c
    return [list $c $id $offset]
}

proc fake_command {c} {
    if {![regexp {^\*(\d+)$} [fakes::line $c] -> count]} { error "the stream has no command" }
    set words {}
    for {set i 0} {$i < $count} {incr i} {
        set length [string range [$c -line] 1 end]
        lappend words [$c -bytes $length]
        $c -bytes 2
    }
    return $words
}

proc fake_commands {c last} {
    set all {}
    while 1 {
        set words [fake_command $c]
        if {[string toupper $words] ne "PING"} { lappend all $words }
        if {$words eq $last} { return $all }
    }
}

proc fake_stream {c last} {
    return [join [lmap words [fake_commands $c $last] { resp_encode {*}$words }] ""]
}

proc fake_primary {} {
    set port [free_port]
    return [list [socket -server [list fakes::accepted $port] -myaddr 127.0.0.1 $port] $port]
}

proc fake_port {l} { return [lindex $l 1] }

proc end_primary {l} { catch {close [lindex $l 0]} }

proc fakes::accepted {listener channel host port} {
    variable waiting
    lappend waiting $listener $channel
    set fakes::wake 1
}

proc await_replica {l {ms 10000}} {
    set port [fake_port $l]
    set timer [after [expr {int($ms * [slowness])}] {set ::fakes::wake timeout}]
    while {![dict exists $fakes::waiting $port]} {
        vwait ::fakes::wake
        if {$fakes::wake eq "timeout"} { error "no replica has connected" }
    }
    after cancel $timer
    set at [lsearch $fakes::waiting $port]
    set channel [lindex $fakes::waiting [expr {$at + 1}]]
    set fakes::waiting [lreplace $fakes::waiting $at $at+1]
    set c [resp::adopt ::resp::client[incr resp::count] $channel]
    $c -timeout [expr {int($ms * [slowness])}]
    lappend server::opened $c
    return $c
}

proc fake_request {c} {
    while 1 {
        set words [fake_command $c]
        if {[lrange $words 0 1] ne "REPLCONF ACK"} { return $words }
    }
}

proc fake_ack {c} {
    while 1 {
        set words [fake_command $c]
        if {[lrange $words 0 1] eq "REPLCONF ACK"} { return [lindex $words 2] }
    }
}

proc hear_replica {c} {
    set all {}
    while 1 {
        set words [fake_request $c]
        lappend all $words
        switch -- [lindex $words 0] {
            PING { $c -raw "+PONG\r\n" }
            PSYNC - SYNC { return $all }
            default { $c -raw "+OK\r\n" }
        }
    }
}

# Version 9 without fields; a checksum of zero is none.
proc fake_empty_snapshot {} {
    return "REDIS0009\xff[string repeat \0 8]"
}

proc fake_bulk_snapshot {bytes} {
    return "\$[string length $bytes]\r\n$bytes"
}
