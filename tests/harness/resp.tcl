# A small client: RESP2 and RESP3, binary safe, with time-outs, and able to misbehave.
#
#   set c [resp_connect host port]     or [resp_connect /path/of/socket]
#   $c SET k v                         sends a command and returns its reply
#   $c -send GET k                     sends a command and reads nothing (pipelining)
#   $c -raw "*1\r\n"                   sends bytes as they are
#   $c -read                           the next reply
#   $c -bytes n                        the next n bytes, unparsed; -line: up to the next CR LF
#   $c -rest                           everything until the server closes the connection
#   $c -closed                         1 if the server has closed it (waits for up to the time-out)
#   $c -tagged 1                       from now on replies come with their types
#   $c -timeout ms    $c -channel    $c -close    resp_has_ended $c
#
# Plain replies: strings and numbers are themselves, null is "(nil)", arrays, sets and maps are lists, and an error is
# a Tcl error with the same text. Tagged ones are {type value}: {bulk v} {simple v} {int 1} {nil} {array {...}} {map
# {...}} {set {...}} {push {...}} {double 1.5} {bool t} {big n} {verbatim {txt v}} {error text}. -read returns pushes
# as it returns replies. Strings are bytes: text beyond ASCII goes through encoding convertto utf-8.

namespace eval resp {
    variable count 0
    variable state ;# array: "<client>.field"
}

proc resp_connect {host {port ""}} {
    set name ::resp::client[incr resp::count]
    if {$port eq ""} {
        # Tcl has no Unix sockets: a small program joins the two.
        set channel [open |[list [file join $::root build tools bridge] $host] r+]
    } else {
        set channel [socket $host $port]
    }
    return [resp::adopt $name $channel]
}

proc resp::adopt {name channel} {
    variable state
    fconfigure $channel -translation binary -blocking 0 -buffering full -buffersize 1000000
    array set state [list $name.channel $channel $name.in "" $name.at 0 $name.tagged 0 $name.timeout 20000 $name.eof 0]
    interp alias {} $name {} resp::call $name
    return $name
}

proc resp::encode {words} {
    set out "*[llength $words]\r\n"
    foreach word $words {
        append out "$[string length $word]\r\n$word\r\n"
    }
    return $out
}

# The bytes of a command, for pipelines that a test builds itself.
proc resp_encode {args} {
    return [resp::encode $args]
}

proc resp::call {name verb args} {
    variable state
    switch -- $verb {
        -raw { return [write $name [lindex $args 0]] }
        -send { return [write $name [encode $args]] }
        -read { return [reply $name] }
        -bytes { return [take $name [lindex $args 0]] }
        -line { return [line $name] }
        -rest { return [rest $name] }
        -closed { return [closed $name] }
        -tagged { set state($name.tagged) [lindex $args 0]; return }
        -timeout { set state($name.timeout) [lindex $args 0]; return }
        -channel { return $state($name.channel) }
        -close { return [drop $name] }
    }
    write $name [encode [linsert $args 0 $verb]]
    return [reply $name]
}

# Sends all of it, and waits in the event loop while the socket is full. It reads nothing meanwhile: a server that stops
# reading until its replies are taken fails here.
proc resp::write {name bytes} {
    variable state
    set channel $state($name.channel)
    puts -nonewline $channel $bytes
    flush $channel
    set deadline [expr {[clock milliseconds] + $state($name.timeout)}]
    while {[chan pending output $channel] > 0} {
        if {[clock milliseconds] > $deadline} { error "the server does not read" }
        pump $name writable
    }
}

# One turn of the event loop for this channel: until readable (writable), 50 ms at most.
proc resp::pump {name event} {
    variable state
    variable ready 0
    set channel $state($name.channel)
    set timer [after 50 {set ::resp::ready 1}]
    fileevent $channel $event {set ::resp::ready 1}
    vwait ::resp::ready
    fileevent $channel $event {}
    after cancel $timer
}

# Adds input to the buffer; 0 at the end of the stream. Raises an error when the time is over.
proc resp::fill {name} {
    variable state
    if {$state($name.eof)} { return 0 }
    set channel $state($name.channel)
    set deadline [expr {[clock milliseconds] + $state($name.timeout)}]
    while 1 {
        if {[catch {read $channel} bytes]} { set bytes ""; set state($name.eof) 1; return 0 }
        if {$bytes ne ""} {
            # Drop the consumed bytes first, so that the buffer stays small.
            set state($name.in) [string range $state($name.in) $state($name.at) end]$bytes
            set state($name.at) 0
            return 1
        }
        if {[eof $channel]} { set state($name.eof) 1; return 0 }
        if {[clock milliseconds] > $deadline} { error "no answer within $state($name.timeout) ms" }
        pump $name readable
    }
}

proc resp::take {name n} {
    variable state
    while {[string length $state($name.in)] - $state($name.at) < $n} {
        if {![fill $name]} { error "connection closed by the server" }
    }
    set from $state($name.at)
    incr state($name.at) $n
    return [string range $state($name.in) $from [expr {$from + $n - 1}]]
}

proc resp::line {name} {
    variable state
    while {[set end [string first "\r\n" $state($name.in) $state($name.at)]] < 0} {
        if {![fill $name]} { error "connection closed by the server" }
    }
    set text [string range $state($name.in) $state($name.at) [expr {$end - 1}]]
    set state($name.at) [expr {$end + 2}]
    return $text
}

proc resp::rest {name} {
    variable state
    while {[fill $name]} {}
    set bytes [string range $state($name.in) $state($name.at) end]
    set state($name.at) [string length $state($name.in)]
    return $bytes
}

proc resp::closed {name} {
    variable state
    rest $name
    return $state($name.eof)
}

# Has the server closed the connection, as far as is known without waiting? What has come stays to be read.
proc resp_has_ended {name} {
    upvar ::resp::state state
    if {[catch {read $state($name.channel)} bytes]} { return 1 }
    append state($name.in) $bytes
    return [eof $state($name.channel)]
}

# Closes the connection; further -close do nothing.
proc resp::drop {name} {
    variable state
    catch {close $state($name.channel)}
    array unset state $name.*
    interp alias {} $name {} resp::gone $name
    return
}

proc resp::gone {name verb args} {
    if {$verb ne "-close"} { error "$name is closed" }
}

proc resp::reply {name} {
    variable state
    lassign [value $name] type value
    if {$type eq "attribute"} { return [reply $name] }
    if {$state($name.tagged)} { return [tagged $type $value] }
    if {$type eq "error"} { return -code error -errorcode RESP $value }
    return [plain $type $value]
}

# One value as {type value}; the members of an aggregate are such pairs too.
proc resp::value {name} {
    set head [line $name]
    set rest [string range $head 1 end]
    switch -- [string index $head 0] {
        + { return [list simple $rest] }
        - { return [list error $rest] }
        : { return [list int $rest] }
        _ { return [list nil ""] }
        , { return [list double $rest] }
        # { return [list bool $rest] }
        ( { return [list big $rest] }
        $ { return [expr {$rest == -1 ? [list nil ""] : [list bulk [text $name $rest]]}] }
        = { set v [text $name $rest]; return [list verbatim [list [string range $v 0 2] [string range $v 4 end]]] }
        ! { return [list error [text $name $rest]] }
        * { return [expr {$rest == -1 ? [list nil ""] : [list array [values $name $rest]]}] }
        ~ { return [list set [values $name $rest]] }
        > { return [list push [values $name $rest]] }
        % { return [list map [values $name [expr {2 * $rest}]]] }
        | { return [list attribute [values $name [expr {2 * $rest}]]] }
    }
    error "not RESP: [string range $head 0 80]"
}

proc resp::text {name n} {
    set bytes [take $name $n]
    if {[take $name 2] ne "\r\n"} { error "a bulk of $n bytes does not end in CR LF" }
    return $bytes
}

proc resp::values {name n} {
    set all {}
    for {set i 0} {$i < $n} {incr i} { lappend all [value $name] }
    return $all
}

proc resp::plain {type value} {
    switch -- $type {
        nil { return "(nil)" }
        verbatim { return [lindex $value 1] }
        array - set - push - map {
            set out {}
            foreach member $value { lappend out [plain {*}$member] }
            return $out
        }
    }
    return $value
}

proc resp::tagged {type value} {
    switch -- $type {
        nil { return nil }
        array - set - push - map {
            set out {}
            foreach member $value { lappend out [tagged {*}$member] }
            return [list $type $out]
        }
    }
    return [list $type $value]
}
