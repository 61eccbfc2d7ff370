# A primary that says what a test tells it to, for tests of a replica's side.
#
#   fake_start               listens; returns the port.  fake_end closes everything
#   fake_accept              waits for the replica's next connection, which is the current one from then on
#   fake_hear                the next request of the replica as a list of words; a line that is no RESP is one word
#   fake_expect {word ...}   hears one, which must be that (each word is a glob pattern)
#   fake_say bytes           sends them
#   fake_flush               waits until the replica has taken all of it
#   fake_is_closed           has the replica hung up?
#   fake_handshake ?reply?   accept, PING .. PSYNC, whose words are returned; then the reply is sent, if there is one
#   fake_full id offset bytes   FULLRESYNC with these bytes as the snapshot: "$<length>" framing
#   rdb {key value ...}      a snapshot with these strings
#   stream {SET k v} ...     commands in RESP

namespace eval fake {
    variable listener ""
    variable waiting {} ;# connections that were not accepted by the test
    variable socket ""  ;# the current one
    variable buffer ""
    variable all {}
    variable peer ""   ;# the address of the last connection
    variable id [string repeat f 40]
}

proc fake_start {} {
    fake_end
    set fake::listener [socket -server fake::arrived -myaddr 127.0.0.1 0]
    return [lindex [fconfigure $fake::listener -sockname] 2]
}

proc fake_end {} {
    if {$fake::listener ne ""} { close $fake::listener }
    foreach s $fake::all { catch { close $s } }
    foreach name {listener waiting socket buffer all} { set fake::$name "" }
}

proc fake::arrived {s host port} {
    fconfigure $s -translation binary -blocking 0 -buffering none
    lappend fake::waiting $s
    lappend fake::all $s
    set fake::peer $host
}

# Waits until the script returns something else than an empty string, which it returns.
proc fake::until {what script {ms 15000}} {
    set deadline [expr {[clock milliseconds] + $ms * [slowness]}]
    while {[set result [uplevel 1 $script]] eq ""} {
        if {[clock milliseconds] > $deadline} { error "the fake primary waited in vain for $what" }
        update
        after 5
    }
    return $result
}

proc fake_accept {} {
    set fake::socket [fake::until "a connection" { update; lindex $fake::waiting 0 }]
    set fake::waiting [lrange $fake::waiting 1 end]
    set fake::buffer ""
    return $fake::socket
}

# Go on with another connection, as fake_accept returned it.
proc fake_switch {s} {
    set fake::socket $s
    set fake::buffer ""
}

proc fake::fill {} {
    set bytes [read $fake::socket 65536]
    append fake::buffer $bytes
    if {$bytes eq "" && [eof $fake::socket]} { error "the replica has hung up; it had sent <$fake::buffer>" }
}

proc fake::line {} {
    return [fake::until "a line" {
        fake::fill
        set end [string first \n $fake::buffer]
        expr {$end < 0 ? "" : [string range $fake::buffer 0 $end]}
    }]
}

proc fake::take {n} {
    fake::until "$n bytes" { fake::fill; expr {[string length $fake::buffer] >= $n ? "yes" : ""} }
    set bytes [string range $fake::buffer 0 $n-1]
    set fake::buffer [string range $fake::buffer $n end]
    return $bytes
}

proc fake_hear {} {
    set line [fake::take [string length [fake::line]]]
    if {[string index $line 0] ne "*"} { return [list [string trimright $line \r\n]] }
    set words {}
    for {set i [string range $line 1 end-2]} {$i > 0} {incr i -1} {
        set head [fake::take [string length [fake::line]]]
        lappend words [string range [fake::take [expr {[string range $head 1 end-2] + 2}]] 0 end-2]
    }
    return $words
}

proc fake_expect {patterns} {
    set words [fake_hear]
    assert_equal [llength $patterns] [llength $words]
    foreach pattern $patterns word $words { assert_match $pattern $word }
    return $words
}

proc fake_say {bytes} {
    puts -nonewline $fake::socket $bytes
    flush $fake::socket
}

proc fake_flush {} {
    fake::until "the replica to read" {
        expr {[chan pending output $fake::socket] == 0 ? "all" : ""}
    } 60000
}

proc fake_is_closed {} {
    if {[catch { read $fake::socket 65536 }]} { return 1 }
    return [eof $fake::socket]
}

proc fake_close {} {
    close $fake::socket
}

# Acknowledgements come at any time: the next request that is none.
proc fake_hear_but_ack {} {
    while {[lindex [set words [fake_hear]] 1] eq "ACK"} {}
    return $words
}

proc fake_handshake {{reply ""}} {
    fake_accept
    fake_expect PING
    fake_say +PONG\r\n
    while {[lindex [set words [fake_hear]] 0] ne "PSYNC"} { fake_say +OK\r\n }
    if {$reply ne ""} { fake_say $reply }
    return $words
}

proc fake_full {id offset bytes} {
    fake_say "+FULLRESYNC $id $offset\r\n\$[string length $bytes]\r\n$bytes"
}

proc rdb {keys} {
    set bytes "REDIS0009\xfe\x00"
    foreach {key value} $keys {
        append bytes [binary format cca*ca* 0 [string length $key] $key [string length $value] $value]
    }
    return $bytes\xff[string repeat \x00 8]
}

proc stream {args} {
    set bytes ""
    foreach command $args { append bytes [resp_encode {*}$command] }
    return $bytes
}
