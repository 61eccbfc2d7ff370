# proxy_main.tcl PORT TARGET-PORT: passes connections on to a server, and misbehaves as it is told. proxy.tcl starts it
# and explains the words, which come line by line on standard input; each is answered by a line. It ends with its input.
lassign $argv port target
array set mode {stopped 0 refused 0 delay_ms 0 piece 0 every_ms 0}
set limits {}     ;# after so many bytes towards the replica the next connections are cut
set accepted 0
set cut 0
set passed 0      ;# bytes towards the replicas
array set other {} ;# channel -> the other one of its connection
array set left {}  ;# channel to a replica -> bytes until the cut; "": no limit

proc accepted {replica host port} {
    global mode target limits accepted other left
    if {$mode(refused) || [catch {socket 127.0.0.1 $target} server]} {
        close $replica
        return
    }
    incr accepted
    foreach channel [list $replica $server] { fconfigure $channel -blocking 0 -translation binary -buffering none }
    set other($replica) $server
    set other($server) $replica
    set limits [lassign $limits left($replica)]
    listen $replica
    listen $server
}

proc listen {channel} {
    global mode other
    if {![info exists other($channel)]} { return }
    if {$mode(stopped)} {
        fileevent $channel readable {}
    } elseif {[chan pending output $other($channel)] > 100000} {
        # A slow receiver must slow down the sender.
        fileevent $channel readable {}
        after 5 [list listen $channel]
    } else {
        fileevent $channel readable [list move $channel]
    }
}

proc move {channel} {
    global mode other left
    set bytes [read $channel [expr {$mode(piece) ? $mode(piece) : 65536}]]
    if {$bytes eq "" && [eof $channel]} {
        # The end comes behind what is still on its way.
        fileevent $channel readable {}
        after $mode(delay_ms) [list drop $channel]
        return
    }
    if {$mode(delay_ms)} {
        after $mode(delay_ms) [list pass $channel $bytes]
    } else {
        pass $channel $bytes
    }
    if {![info exists other($channel)]} { return }
    if {$mode(every_ms)} {
        fileevent $channel readable {}
        after $mode(every_ms) [list listen $channel]
    } else {
        listen $channel
    }
}

proc pass {channel bytes} {
    global other left passed cut
    if {![info exists other($channel)]} { return }
    set to $other($channel)
    set ends 0
    if {[info exists left($to)]} {
        if {$left($to) ne ""} {
            set bytes [string range $bytes 0 [expr {$left($to) - 1}]]
            incr left($to) -[string length $bytes]
            set ends [expr {$left($to) <= 0}]
        }
        incr passed [string length $bytes]
    }
    if {[catch {puts -nonewline $to $bytes}]} { set ends 1 }
    if {$ends} {
        incr cut
        drop $channel
    }
}

proc drop {channel} {
    global other left
    if {![info exists other($channel)]} { return }
    foreach end [list $channel $other($channel)] {
        fconfigure $end -blocking 0
        catch {close $end}
        unset -nocomplain other($end) left($end)
    }
}

proc obey {line} {
    global mode limits other accepted cut passed target left
    set rest [lassign $line word]
    switch -- $word {
        cut { foreach channel [array names other] { drop $channel } }
        limits { set limits $rest }
        unlimited {
            set limits {}
            foreach channel [array names left] { set left($channel) "" }
        }
        stop - go {
            set mode(stopped) [expr {$word eq "stop"}]
            foreach channel [array names other] { listen $channel }
        }
        refuse - accept { set mode(refused) [expr {$word eq "refuse"}] }
        delay { set mode(delay_ms) $rest }
        trickle { lassign $rest mode(piece) mode(every_ms) }
        target { set target $rest }
        ask { return [list $accepted $cut $passed [expr {[array size other] / 2}]] }
    }
    return ok
}

proc command {} {
    if {[gets stdin line] >= 0} {
        puts [obey $line]
        flush stdout
    } elseif {[eof stdin]} {
        exit
    }
}

socket -server accepted -myaddr 127.0.0.1 $port
fconfigure stdin -blocking 0
fileevent stdin readable command
puts ready
flush stdout
vwait forever
