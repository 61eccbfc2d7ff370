# Torn, cut and rotten files: the server keeps the sound part, finds the damage, and loses nothing without a trace.

proc incr_file {folder} { return [lindex [lsort [glob [file join $folder appendonlydir *.incr.aof]]] end] }

proc read_bytes {path} {
    set file [open $path rb]
    set bytes [read $file]
    close $file
    return $bytes
}

proc write_bytes {path bytes} {
    set file [open $path wb]
    puts -nonewline $file $bytes
    close $file
}

# Makes a folder with a log of ten writes, a frame each, and returns the handle of the server that wrote it.
proc make_log {} {
    set h [server_start {appendonly yes}]
    set c [resp_connect 127.0.0.1 [server_port $h]]
    for {set i 0} {$i < 10} {incr i} { $c RPUSH list element:$i }
    $c -close
    server_kill $h
    return $h
}

# Starts a server on that folder. Returns the length of the list, or the exit status if the server does not start.
proc start_and_look {h directives} {
    set next [server_start [dict merge {appendonly yes} $directives] -folder [server_folder $h] -wait 0]
    if {![server::answers $next]} { return [list exit [server_wait_exit 20000 $next]] }
    set c [resp_connect 127.0.0.1 [server_port $next]]
    set length [$c LLEN list]
    $c -close
    server_kill $next
    return $length
}

test "A log cut at any byte keeps the writes before the cut, and the server puts the rest aside" {
    set h [make_log]
    set path [incr_file [server_folder $h]]
    set whole [read_bytes $path]
    set step [expr {[slowness] > 1 ? 41 : 7}]
    for {set cut 1} {$cut < [string length $whole]} {incr cut $step} {
        foreach old [glob -nocomplain [file join [server_folder $h] appendonlydir *.removed]] { file delete $old }
        write_bytes $path [string range $whole 0 $cut-1]
        set kept [regexp -all {element:\d\r\n(?=#|$)} [string range $whole 0 $cut-1]]
        set length [start_and_look $h {}]
        assert_equal $kept $length
        set aside [glob -nocomplain [file join [server_folder $h] appendonlydir *.removed]]
        set now [read_bytes $path]
        set rest [expr {[llength $aside] ? [read_bytes [lindex $aside 0]] : ""}]
        assert_equal [string range $whole 0 $cut-1] $now$rest
    }
    server_forget $h
}

# The frames of a log, each as {offset end}.
proc frames {bytes} {
    set found {}
    foreach at [regexp -all -inline -indices {#K:[0-9a-f]{16} [0-9a-f]{10}\r\n} $bytes] {
        lassign $at from to
        scan [string range $bytes $from+20 $from+29] %x length
        lappend found [list $from [expr {$to + 1 + $length}]]
    }
    return $found
}

test "The server finds a flipped bit wherever it is, and cuts only what nothing follows" {
    set h [make_log]
    set path [incr_file [server_folder $h]]
    set whole [read_bytes $path]
    set last [lindex [frames $whole] end 0]
    set step [expr {[slowness] > 1 ? 53 : 11}]
    for {set at 0} {$at < [string length $whole]} {incr at $step} {
        foreach old [glob -nocomplain [file join [server_folder $h] appendonlydir *.removed]] { file delete $old }
        binary scan [string index $whole $at] cu byte
        set flipped [string replace $whole $at $at [binary format c [expr {$byte ^ (1 << [random_below 8])}]]]
        write_bytes $path $flipped
        set length [start_and_look $h {}]
        # If a letter of "#K:" changes, the line is another annotation and the write stays as it was.
        if {$length == 10} continue
        if {$at >= $last} {
            assert_equal 9 $length
        } else {
            assert_equal {exit 1} $length
            assert_equal $flipped [read_bytes $path]
            assert_equal {} [glob -nocomplain [file join [server_folder $h] appendonlydir *.removed]]
        }
    }
    server_forget $h
}

# Makes a log of 100 keys under always, and returns its handle.
proc make_keys {} {
    set h [server_start {appendonly yes appendfsync always}]
    set c [resp_connect 127.0.0.1 [server_port $h]]
    for {set i 0} {$i < 100} {incr i} { $c SET key:$i value:$i }
    $c -close
    server_kill $h
    return $h
}

# The pattern finds a place in the frame of key:49. LENGTH stands for the length in its annotation.
foreach {what pattern replacement} {
    "a bulk length in the middle" {\$6(?=\r\nkey:49)} {$9}
    "a bulk length that points beyond the end" {\$6(?=\r\nkey:49)} {$6000000}
    "a frame whose length points beyond the end" {0(?=LENGTH\r\n\*3\r\n\$3\r\nSET\r\n\$6\r\nkey:49)} 7
    "a frame whose length points into another" {0(?=LENGTH\r\n\*3\r\n\$3\r\nSET\r\n\$6\r\nkey:49)} 0
    "the end of an annotation" {\r\n(?=\*3\r\n\$3\r\nSET\r\n\$6\r\nkey:49)} "xx"
} {
    test "Rot in the middle of the log is no torn end: $what" {
        set h [make_keys]
        set path [incr_file [server_folder $h]]
        set whole [read_bytes $path]
        set bad [lindex [frames $whole] 49]
        set length [format %010x [string length [resp_encode SET key:49 value:49]]]
        if {$replacement eq "0"} {
            # Longer by 80: it ends within the next frame.
            set longer [format %010x [expr "0x$length + 80"]]
            set rotten [string replace $whole [lindex $bad 0]+20 [lindex $bad 0]+29 $longer]
        } else {
            set pattern [string map [list LENGTH [string range $length 1 end]] $pattern]
            assert_equal 1 [regsub $pattern $whole $replacement rotten]
        }
        set end [expr {[lindex $bad 1] + [string length $rotten] - [string length $whole]}]
        write_bytes $path $rotten
        assert_equal {exit 1} [start_and_look $h {aof-load-truncated yes}]
        assert_match "*is corrupt*The bytes from [lindex $bad 0] to $end are bad, and 50 writes with a sound checksum\
            follow them*" [server_log $h]
        assert_equal $rotten [read_bytes $path]
        server_forget $h
    }
}

test "A torn write is a torn end, whatever its value looks like" {
    set h [make_keys]
    set path [incr_file [server_folder $h]]
    set whole [read_bytes $path]
    set next [server_start {appendonly yes appendfsync always} -folder [server_folder $h]]
    set c [resp_connect 127.0.0.1 [server_port $next]]
    $c SET log $whole
    $c -close
    server_kill $next
    write_bytes $path [string range [read_bytes $path] 0 end-5]
    set next [server_start {appendonly yes} -folder [server_folder $h]]
    set c [resp_connect 127.0.0.1 [server_port $next]]
    assert_equal 100 [$c DBSIZE]
    $c -close
    server_kill $next
    server_forget $h
}

test "Without aof-load-truncated the server says what is wrong and does not start" {
    set h [make_log]
    set path [incr_file [server_folder $h]]
    set whole [read_bytes $path]
    write_bytes $path [string range $whole 0 end-5]
    assert_equal {exit 1} [start_and_look $h {aof-load-truncated no}]
    assert_match "*Bad end of the AOF file*lacks 5 bytes*Unexpected end of file*" [server_log $h]
    assert_equal [string range $whole 0 end-5] [read_bytes $path]
    write_bytes $path [string replace $whole end-9 end-9 X]
    assert_equal {exit 1} [start_and_look $h {aof-load-truncated no}]
    assert_match "*wrong checksum of the write*" [server_log $h]
    server_forget $h
}

test "A log in the format of Redis is cut as Redis cuts it, and an unfinished transaction goes as a whole" {
    set h [make_log]
    set path [incr_file [server_folder $h]]
    set plain [resp_encode SELECT 0][resp_encode RPUSH list a]
    write_bytes $path $plain[string range [resp_encode RPUSH list b] 0 end-3]
    assert_equal 1 [start_and_look $h {}]
    assert_equal $plain [read_bytes $path]
    set multi [resp_encode MULTI][resp_encode RPUSH list b][resp_encode RPUSH list c]
    write_bytes $path $plain$multi
    assert_equal 1 [start_and_look $h {}]
    assert_equal $plain [read_bytes $path]
    write_bytes $path $plain$multi[resp_encode EXEC][resp_encode RPUSH list d]
    assert_equal 4 [start_and_look $h {}]
    server_forget $h
}

test "The server refuses a file that is no log at all" {
    foreach {text message} {
        "hello\n" "Bad file format"
        "*1\r\n$8\r\nnonsense\r\n" "Unknown command 'nonsense'"
        "*1\r\n$8\r\nshutdown\r\n" "Unknown command 'shutdown'"
        "*1\r\n$3\r\nset\r\n" "Unknown command 'set'"
        "*0\r\n" "Bad file format"
        "*-5\r\n" "Bad file format"
        "*1\r\n$-1\r\n" "Bad file format"
        "*1\r\n$99999999999999999999\r\n" "Bad file format"
        "REDIS0011\xff" "Error reading the RDB base file"
    } {
        set h [make_log]
        set text [subst -nocommands -novariables $text]
        write_bytes [incr_file [server_folder $h]] $text
        assert_equal {exit 1} [start_and_look $h {}]
        assert_match "*$message*" [server_log $h]
        server_forget $h
    }
}

test "A length of gigabytes in a log costs no memory" {
    set h [make_log]
    write_bytes [incr_file [server_folder $h]] "[resp_encode RPUSH list a]*2\r\n\$8000000000\r\nabc"
    assert_equal 1 [start_and_look $h {}]
    server_forget $h
}

test "A broken manifest is refused with the words of Redis" {
    foreach {text message} {
        "" "Found an empty AOF manifest"
        "file a seq 1 type x\n" "Unknown AOF file type"
        "file a seq 1 type b\nfile b seq 2 type b\n" "Found duplicate base file information"
        "file a seq 2 type i\nfile b seq 1 type i\n" "Found a non-monotonic sequence number"
        "file ../a seq 1 type b\n" "File can't be a path, just a filename"
        "file a seq 1\n" "Invalid AOF manifest file format"
        "file a seq 1 type b" "The AOF manifest file contains too long line"
        "\n" "Invalid AOF manifest file format"
        "file a seq 0 type b\n" "Invalid AOF manifest file format"
    } {
        set h [make_log]
        write_bytes [lindex [glob [file join [server_folder $h] appendonlydir *.manifest]] 0] $text
        assert_equal {exit 1} [start_and_look $h {}]
        assert_match "*FATAL AOF MANIFEST FILE ERROR*$message*" [server_log $h]
        server_forget $h
    }
}

test "The server does not start if a file that the manifest names is missing" {
    set h [make_log]
    file delete [incr_file [server_folder $h]]
    assert_equal {exit 1} [start_and_look $h {}]
    server_forget $h
}

test "The server does not start if a file before the last one is torn" {
    set h [make_log]
    set path [incr_file [server_folder $h]]
    set manifest [lindex [glob [file join [server_folder $h] appendonlydir *.manifest]] 0]
    write_bytes $path [string range [read_bytes $path] 0 end-3]
    write_bytes $manifest "[read_bytes $manifest]file second seq 2 type i\n"
    write_bytes [file join [server_folder $h] appendonlydir second] ""
    assert_equal {exit 1} [start_and_look $h {}]
    assert_match "*the truncated file is not the last file*" [server_log $h]
    server_forget $h
}
