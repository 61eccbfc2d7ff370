# kura-check-rdb: its words about sound and damaged files, compared with redis-check-rdb.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

# Runs the tool. Returns {status output}.
proc run_check {tool args} {
    set status 0
    if {[catch {exec -ignorestderr $tool {*}$args 2>@1} output options]} {
        set status [lindex [dict get $options -errorcode] 2]
        regsub {\nchild process exited abnormally$} $output {} output
    }
    return [list $status $output]
}

proc check {args} {
    set tool [file join [file dirname [server_binary]] kura-check-rdb]
    if {![file exists $tool]} { file link -symbolic $tool [server_binary] }
    return [run_check $tool {*}$args]
}

proc oracle_check {args} {
    global oracle
    return [run_check [file join [file dirname $oracle] redis-check-rdb] {*}$args]
}

# The lines that both tools print in the same words: not those that only ours prints, and not the number of keys that
# were read, as redis-check-rdb counts the broken one as well.
proc common {result} {
    lassign $result status output
    set lines {}
    foreach line [split $output \n] {
        if {[regexp {^\[info\] \d+ (expires|already expired)$|^\[offset|^---} $line]} { lappend lines $line }
    }
    return [list $status {*}$lines]
}

proc bytes_of {path} {
    set f [open $path rb]
    set bytes [read $f]
    close $f
    return $bytes
}

proc to_file {path bytes} {
    set f [open $path wb]
    puts -nonewline $f $bytes
    close $f
    return $path
}

proc start_oracle {} {
    global oracle
    set had [info exists ::env(KURA_SERVER)]
    if {$had} { set saved $::env(KURA_SERVER) }
    set ::env(KURA_SERVER) $oracle
    set h [server_start {}]
    if {$had} { set ::env(KURA_SERVER) $saved } else { unset ::env(KURA_SERVER) }
    return $h
}

with_server {} {
    if {[attached]} { return }
    r DEBUG SET-ACTIVE-EXPIRE 0
    dataset_fill
    r SET past v PX 1
    r SAVE
    set path [file join [server_folder] dump.rdb]
    set good [bytes_of $path]

    test "A sound file gets the words of redis-check-rdb, and a summary" {
        set mine [check $path]
        assert_equal [common [oracle_check $path]] [common $mine]
        lassign $mine status output
        assert_equal 0 $status
        assert_match {*\\o/ RDB looks OK! \\o/*} $output
        assert_match {*\[info\] 24 keys read*\[info\] 3 expires*\[info\] 1 already expired*} $output
        assert_match {*\[info\] 2 expire within an hour, 0 more within a day, 0 later*} $output
        assert_match {*\[info\] zset: 2 keys, * bytes, the largest has * (zset-v2: 1, zset-listpack: 1)*} $output
    }

    test "A damaged file gets status 1, the place of the damage, and what the tool was doing there" {
        set edits [list \
            [string range $good 0 [expr {[string length $good] / 2}]] [string range $good 0 end-1] \
            [string range $good 0 end-8] [string replace $good 5 8 0099] [string replace $good 0 0 X] "" REDIS \
            [string replace $good end end [binary format c [expr {[scan [string index $good end] %c] ^ 1}]]] \
            [string replace $good end-7 end [binary format w 0]]]
        foreach bytes $edits {
            to_file $path.bad $bytes
            set expected [common [oracle_check $path.bad]]
            set found [common [check $path.bad]]
            # Where redis-check-rdb runs into the end of the file, ours may have seen before that it would.
            assert_equal [lindex $expected 0] [lindex $found 0]
            if {![regexp {Unexpected EOF|Internal error in RDB reading} $expected]} { assert_equal $expected $found }
        }
        to_file $path.bad [string replace $good 9 9 \x63]
        lassign [check $path.bad] status output
        assert_equal 1 $status
        assert_match {*ERROR DETECTED*\[offset 10\] Invalid object type: 99*While doing: read-type*0 keys read*} $output
    }

    test "A terminal shows a bar, which is gone in the end" {
        if {[catch {exec script -qec true /dev/null < /dev/null}]} { skip "no pseudo-terminals here" }
        set tool [file join [file dirname [server_binary]] kura-check-rdb]
        set output [exec script -qec "$tool $path" /dev/null < /dev/null]
        # Tcl takes a carriage return for the end of a line.
        assert {[regexp {\n\[[# ]{40}\] +\d+ %\n +\n\[offset} $output]}
        assert {![regexp {%\[|%\n\[[^# ]} $output]}
    }

    test "The tool refuses wrong arguments and missing files" {
        assert_equal 1 [lindex [check] 0]
        assert_match {*Usage: *check-rdb <rdb-file-name>*} [lindex [check] 1]
        assert_equal 1 [lindex [check $path $path] 0]
        assert_match {1 *No such file*} [check $path.none]
        assert_match {1 *not a file*} [check [server_folder]]
        assert_match {0 *kura-check-rdb 7.*} [check --version]
    }

    test "The tool finds a change of any byte and survives it" {
        set step [expr {[string length $good] / 60 + 1}]
        for {set at 0} {$at < [string length $good]} {incr at $step} {
            set flipped [expr {[scan [string index $good $at] %c] ^ (1 << int(rand() * 8))}]
            to_file $path.bad [string replace $good $at $at [binary format c $flipped]]
            lassign [check $path.bad] status output
            if {$status != 1} { error "byte $at: status $status\n$output" }
        }
    }

    set redis [start_oracle]
    set c [client $redis]
    test "The tool checks streams of redis-server, and counts its functions" {
        for {set i 0} {$i < 300} {incr i} { $c XADD stream 1-$i field $i name [string repeat x $i] }
        $c XGROUP CREATE stream group 0
        $c XREADGROUP GROUP group someone COUNT 50 STREAMS stream >
        $c XREADGROUP GROUP group other COUNT 50 STREAMS stream >
        $c XDEL stream 1-7 1-8
        $c FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
        $c SET behind 1
        $c SAVE
        set theirs [file join [server_folder $redis] dump.rdb]
        set mine [check $theirs]
        assert_equal [common [oracle_check $theirs]] [common $mine]
        assert_match {0 *stream: 1 keys*1 libraries of functions*} $mine
        to_file $path.bad [string range [bytes_of $theirs] 0 end-100]
        assert_equal 1 [lindex [check $path.bad] 0]
    }

    test "A file with data of a module is refused with a clear message, and stays as it is" {
        set folder [string trim [exec mktemp -d]]
        set foreign [file join $root tests corpus rdb foreign-module.rdb]
        file copy -force $foreign [file join $folder dump.rdb]
        set before [bytes_of $foreign]
        set h [server_start {} -folder $folder -wait 0]
        assert_equal 1 [server_wait_exit 20000 $h]
        assert_match {*a module, which kura cannot load*} [server_log $h]
        assert_equal $before [bytes_of [file join $folder dump.rdb]]
        file delete -force $folder
    }

    test "The tool tells which part of a stream is damaged" {
        $c FUNCTION FLUSH
        $c CONFIG SET rdbcompression no
        $c SAVE
        set good [bytes_of $theirs]
        to_file $path.bad $good
        assert_match {0 *stream: 1 keys*} [check $path.bad]
        set at [expr {[string first "field" $good] - 3}] ;# the number of names
        to_file $path.bad [string replace $good $at $at \x03]
        assert_match {1 *a broken node in a stream*} [check $path.bad]
    }
    server_stop $redis
    server_forget $redis
}
