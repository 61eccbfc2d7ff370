# Servers for the tests: each in a temporary folder, on a free port, killed by its own process id.
#
#   with_server {directive value ...} { ...tests... }    starts one, runs the body, stops it, checks how it ended
#   r SET k v                 the first client of the innermost server;  [client] opens another
#   server_pid  server_port  server_log  server_folder   of the innermost server
#   server_restart {directives} ?signal?                  ends it and starts it again in its folder
#   server_start / server_stop   for tests that do it by hand (restarts, crashes)
#
# KURA_SERVER names another binary than src/kura-server (redis-server, say). With KURA_HOST and KURA_PORT set, the tests
# start no server and run against that one: it gets FLUSHALL, and the directives by CONFIG SET; if it refuses one, the
# body is skipped.

namespace eval server {
    variable stack {}  ;# handles, the innermost last
    variable data      ;# array: "<handle>.field"
    variable count 0
    variable next_port [expr {[pid] * 211}]
    variable opened {} ;# the clients that [client] made
    variable complaints {Sanitizer|runtime error:|STACK TRACE|BUG REPORT|Assertion .* failed}
    array set data {}
}

proc server_binary {} {
    if {[info exists ::env(KURA_SERVER)]} { return $::env(KURA_SERVER) }
    return [file join $::root src kura-server]
}

# Sanitized servers and busy machines are slow: time limits are multiplied by this factor.
proc slowness {} {
    return [expr {[info exists ::env(KURA_SLOW)] ? $::env(KURA_SLOW) : 1}]
}

# A free port below those that the kernel gives to outgoing connections: any client could take one of those before the
# server has it, and a client that waits for the server could even be connected to itself. Each process begins
# elsewhere.
proc free_port {} {
    while 1 {
        set port [expr {10000 + [incr server::next_port] % 20000}]
        if {![catch {socket -server {} -myaddr 127.0.0.1 $port} listener]} {
            close $listener
            return $port
        }
    }
}

# Starts a server and waits until it answers. Options: -folder PATH to start in, -file NAME of a configuration, -wait 0
# to return at once, -binary PATH of another program. Returns a handle; the folder stays until server_forget.
proc server_start {directives args} {
    variable server::count
    upvar ::server::data data
    array set how {-folder "" -wait 1 -file "" -binary ""}
    array set how $args
    set folder $how(-folder)
    if {$folder eq ""} { set folder [string trim [exec mktemp -d]] }
    set h server[incr server::count]
    for {set try 1} {1} {incr try} {
        set port [expr {[dict exists $directives port] ? [dict get $directives port] : [free_port]}]
        server::launch $h $folder $port $directives $how(-file) $how(-binary)
        if {!$how(-wait)} { return $h }
        if {[server::answers $h]} { return $h }
        set log [server_log $h]
        server_kill $h
        if {$try == 3 || ![regexp -nocase {in use} $log]} {
            error "the server did not start: [server::tail $log]"
        }
    }
}

# The pipe is the server's descriptor 3: it ends when the server is dead, and closing it yields the exit status.
proc server::launch {h folder port directives file {binary ""}} {
    variable data
    set words {}
    dict for {name value} [dict merge {bind 127.0.0.1 save {} enable-debug-command yes} $directives] {
        if {$name ne "port"} { lappend words --$name $value }
    }
    lappend words --port $port
    set log [file join $folder log]
    set run [list sh -c {cd "$1" && shift && exec "$@" 3>&1 >>log 2>&1 </dev/null} sh $folder]
    lappend run [expr {$binary eq "" ? [server_binary] : $binary}]
    if {$file ne ""} { lappend run $file }
    set pipe [open |[concat $run $words] r]
    fconfigure $pipe -blocking 0
    array set data [list $h.pipe $pipe $h.pid [pid $pipe] $h.port $port $h.folder $folder $h.status "" $h.client "" \
        $h.binary $binary]
}

proc server::answers {h} {
    variable data
    set deadline [expr {[clock milliseconds] + 20000 * [slowness]}]
    while {[clock milliseconds] < $deadline && [server_alive $h]} {
        if {![catch {resp_connect 127.0.0.1 $data($h.port)} c]} {
            set answer [catch {$c PING} reply]
            catch {$c INFO server} info
            $c -close
            set is_up [expr {(!$answer && $reply eq "PONG")
                || [regexp {^(NOAUTH|ERR|DENIED|MISCONF|MASTERDOWN)} $reply]}]
            if {$is_up} { return [server::is_ours $h $info] }
        }
        after 10
    }
    return 0
}

# False if another process took the port before our server, which is then about to end.
proc server::is_ours {h info} {
    variable data
    return [expr {![regexp {process_id:(\d+)} $info - pid] || $pid == $data($h.pid)}]
}

# The part of a log worth showing: from the first complaint on, or else the end.
proc server::tail {log} {
    variable complaints
    if {[regexp -indices $complaints $log at]} { return [string range $log [lindex $at 0] [lindex $at 0]+6000] }
    return [string range $log end-3000 end]
}

proc server_alive {{h ""}} {
    set h [server::handle $h]
    upvar ::server::data data
    if {$data($h.pipe) eq ""} { return 0 }
    read $data($h.pipe)
    if {![eof $data($h.pipe)]} { return 1 }
    server::reap $h
    return 0
}

proc server::reap {h} {
    variable data
    fconfigure $data($h.pipe) -blocking 1
    set data($h.status) 0
    if {[catch {close $data($h.pipe)} text options]} {
        switch -- [lindex [dict get $options -errorcode] 0] {
            CHILDSTATUS { set data($h.status) [lindex [dict get $options -errorcode] 2] }
            CHILDKILLED { set data($h.status) [lindex [dict get $options -errorcode] 2] }
            default { set data($h.status) $text }
        }
    }
    set data($h.pipe) ""
}

# Calls the kill of the shell: small systems lack the program.
proc send_signal {name pid} {
    exec sh -c {kill "-$1" "$2"} sh $name $pid
}

# The exit status (a number, or the name of the signal that killed it), once it is dead; "" if it lives on.
proc server_wait_exit {{ms 20000} {h ""}} {
    set h [server::handle $h]
    set deadline [expr {[clock milliseconds] + $ms * [slowness]}]
    while {[server_alive $h]} {
        if {[clock milliseconds] > $deadline} { return "" }
        after 5
    }
    return $::server::data($h.status)
}

proc server_kill {{h ""} {signal KILL}} {
    set h [server::handle $h]
    if {[server_alive $h]} {
        catch {send_signal $signal $::server::data($h.pid)}
    }
    return [server_wait_exit 20000 $h]
}

# Asks it to stop. An error if it had crashed, hangs, exits with a status other than 0, or a sanitizer complained.
proc server_stop {h} {
    upvar ::server::data data
    if {$data($h.client) ne ""} { catch {$data($h.client) -close}; set data($h.client) "" }
    set was_alive [server_alive $h]
    if {$was_alive} {
        set status [server_kill $h TERM]
        if {$status eq ""} { server_kill $h; set status "no exit on SIGTERM" }
    } else {
        set status $data($h.status)
    }
    set log [server_log $h]
    set problem ""
    if {!$was_alive && $status ne "0"} { set problem "the server died" }
    if {$status ne "0"} { append problem " (exit: $status)" }
    if {[regexp $server::complaints $log found]} { append problem " ($found in its log)" }
    if {$problem ne ""} { error "$problem\n[server::tail $log]" }
}

# Ends it with this signal and starts it again in the same folder, under the same handle.
proc server_restart {directives {signal TERM} {h ""}} {
    set h [server::handle $h]
    upvar ::server::data data
    if {$data($h.client) ne ""} { catch {$data($h.client) -close}; set data($h.client) "" }
    server_kill $h $signal
    set port [expr {[dict exists $directives port] ? [dict get $directives port] : [free_port]}]
    server::launch $h $data($h.folder) $port $directives "" $data($h.binary)
    if {![server::answers $h]} { error "the server did not start again: [server::tail [server_log $h]]" }
}

# Removes all traces of a stopped server, and its folder.
proc server_forget {h} {
    catch {file delete -force $::server::data($h.folder)}
    array unset ::server::data $h.*
}

proc server::handle {h} {
    variable stack
    return [expr {$h eq "" ? [lindex $stack end] : $h}]
}

proc server_pid {{h ""}} { return $::server::data([server::handle $h].pid) }
proc server_port {{h ""}} { return $::server::data([server::handle $h].port) }
proc server_folder {{h ""}} { return $::server::data([server::handle $h].folder) }
proc server_host {{h ""}} {
    set h [server::handle $h]
    return [expr {$h eq "attached" ? $::env(KURA_HOST) : "127.0.0.1"}]
}
proc server_log {{h ""}} {
    set h [server::handle $h]
    if {$h eq "attached"} { return "" }
    set path [file join [server_folder $h] log]
    if {![file exists $path]} { return "" }
    set file [open $path rb]
    set text [read $file]
    close $file
    return $text
}

# A new connection to the innermost server (or to h).
proc client {{h ""}} {
    set c [resp_connect [server_host $h] [server_port $h]]
    $c -timeout [expr {20000 * [slowness]}]
    lappend server::opened $c
    return $c
}

# The client of the innermost server, connected at first use and again after the server closed it.
proc r {args} {
    set h [server::handle ""]
    upvar ::server::data data
    if {$data($h.client) ne "" && [eof [$data($h.client) -channel]]} { r_close }
    if {$data($h.client) eq ""} {
        set data($h.client) [resp_connect [server_host $h] [server_port $h]]
        $data($h.client) -timeout [expr {20000 * [slowness]}]
    }
    return [uplevel 1 [list $data($h.client) {*}$args]]
}

proc r_close {} {
    set h [server::handle ""]
    if {$::server::data($h.client) ne ""} { $::server::data($h.client) -close }
    set ::server::data($h.client) ""
}

proc attached {} {
    return [info exists ::env(KURA_PORT)]
}

proc with_server {directives body} {
    if {[attached]} { return [uplevel 1 [list server::with_attached $directives $body]] }
    if {[catch {server_start $directives} h]} {
        test_failed "start of a server with {$directives}" $h
        return
    }
    lappend server::stack $h
    set code [catch {uplevel 1 $body} result options]
    set server::stack [lrange $server::stack 0 end-1]
    if {[catch {server_stop $h} problem]} { test_failed "end of the server with {$directives}" $problem }
    server_forget $h
    if {$code} { return -options $options $result }
}

proc server::with_attached {directives body} {
    upvar ::server::data data
    if {![info exists ::env(KURA_HOST)]} { set ::env(KURA_HOST) 127.0.0.1 }
    array set data [list attached.port $::env(KURA_PORT) attached.client "" attached.pid 0 attached.folder ""]
    lappend server::stack attached
    set old {}
    set code [catch {
        dict for {name value} $directives {
            dict set old $name [lindex [r CONFIG GET $name] 1]
            r CONFIG SET $name $value
        }
        r FLUSHALL
    } why]
    if {$code} { puts "skipped: {$directives}: $why" } else { set code [catch {uplevel 1 $body} result options] }
    dict for {name value} $old { catch {r CONFIG SET $name $value} }
    r_close
    set server::stack [lrange $server::stack 0 end-1]
    if {$code && [info exists options]} { return -options $options $result }
}

# Runs the body with a server that a shell starts after this line, which sets limits or preloads. The options are those
# of server_start.
proc with_wrapped_server {line directives body args} {
    set wrapper [string trim [exec mktemp]]
    set file [open $wrapper w]
    puts $file "#!/bin/sh\n$line\nexec $::env(KURA_SERVER) \"\$@\""
    close $file
    file attributes $wrapper -permissions 0755
    set mine $::env(KURA_SERVER)
    set ::env(KURA_SERVER) $wrapper
    set h [server_start $directives {*}$args]
    set ::env(KURA_SERVER) $mine
    lappend server::stack $h
    set code [catch {uplevel 1 $body} result options]
    set server::stack [lrange $server::stack 0 end-1]
    server_kill $h
    server_forget $h
    file delete $wrapper
    return -options $options $result
}
