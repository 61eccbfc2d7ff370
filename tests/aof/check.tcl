# kura-check-aof: its output, its exit status, and its repairs.

proc check {args} {
    set tool [file join [file dirname $::env(KURA_SERVER)] kura-check-aof]
    if {![file exists $tool]} { file link -symbolic $tool $::env(KURA_SERVER) }
    set code [catch {exec $tool {*}$args 2>@1} output options]
    set status [expr {$code ? [lindex [dict get $options -errorcode] 2] : 0}]
    return [list $status $output]
}

proc spoil {path edit} {
    set file [open $path rb]
    set bytes [read $file]
    close $file
    set file [open $path wb]
    puts -nonewline $file [apply [list bytes $edit] $bytes]
    close $file
}

proc files {pattern} { return [lsort [glob [file join [server_folder] appendonlydir $pattern]]] }

with_server {appendonly yes aof-timestamp-enabled yes} {
    dataset_fill
    r BGREWRITEAOF
    wait_for {[info_field aof_rewrite_in_progress] == 0}
    for {set i 0} {$i < 10} {incr i} { r RPUSH list element:$i }
    after 1100
    set now [clock seconds]
    after 1100
    r RPUSH list too:late
    server_kill
    set manifest [lindex [files *.manifest] 0]
    set incr [lindex [files *.incr.aof] end]

    test "A sound log is valid" {
        lassign [check $manifest] status output
        assert_equal 0 $status
        assert_match "*RDB looks OK*BASE AOF *is valid*INCR AOF *is valid*All AOF files and manifest are valid*" $output
    }

    test "A torn log is not valid, and --fix repairs it" {
        spoil $incr {string range $bytes 0 end-4}
        lassign [check $manifest] status output
        assert_equal 1 $status
        assert_match "*lacks 4 bytes*is not valid. Use the --fix option to try fixing it.*" $output
        lassign [check --fix $manifest << n] status output
        assert_match "*Aborting...*" $output
        lassign [check --fix $manifest << y] status output
        assert_equal 0 $status
        assert_match "*This will shrink the AOF*Successfully truncated AOF*" $output
        assert_equal 0 [lindex [check $manifest] 0]
    }

    test "--truncate-to-timestamp cuts a log at that time" {
        lassign [check --truncate-to-timestamp 1000 $manifest] status output
        assert_equal 1 $status
        lassign [check --truncate-to-timestamp $now $manifest] status output
        assert_equal 0 $status
        assert_match "*Successfully truncated AOF*to timestamp $now*" $output
        server_restart {appendonly yes}
        assert_equal 10 [r LLEN list]
        assert_equal element:9 [r LINDEX list -1]
    }

    test "Messages about failures name the whole path and the true error" {
        lassign [check $incr.absent] status output
        assert_equal 1 $status
        assert_match "Cannot open file $incr.absent: No such file or directory*" $output
        lassign [check [file dirname $incr]] status output
        assert_equal 1 $status
        assert_match "Cannot read file [file dirname $incr]: Is a directory*" $output
        spoil $manifest {string map {appendonly.aof.2.incr.aof gone.aof} $bytes}
        lassign [check $manifest] status output
        assert_equal 1 $status
        set gone [file dirname $manifest]/gone.aof
        assert_match "*Cannot open file $gone: No such file or directory, aborting...*" $output
        spoil $manifest {string map {gone.aof appendonly.aof.2.incr.aof} $bytes}
    }

    test "Wrong arguments print the usage" {
        lassign [check] status output
        assert_equal 1 $status
        assert_match "Usage:*" $output
        assert_equal 1 [lindex [check /nonexistent/file] 0]
    }
}

with_server {appendonly yes} {
    for {set i 0} {$i < 20} {incr i} {
        r SELECT [expr {$i < 10 ? 0 : 3}]
        r SET key:$i value:$i
    }
    server_kill
    set manifest [lindex [files *.manifest] 0]
    set incr [lindex [files *.incr.aof] end]
    spoil $incr {string map {value:5 value:X value:10 value:XX} $bytes}

    test "Where sound writes follow the damage, --fix says so, asks, and can keep them" {
        lassign [check $manifest] status output
        assert_equal 1 $status
        assert_match "*are bad. 13 writes with a sound checksum follow them.*--keep-following keeps*" $output
        lassign [check --fix $manifest << n\n] status output
        assert_match "*13 writes with a sound checksum follow*This will shrink the AOF*Aborting...*" $output
        lassign [check --fix --keep-following $manifest << y\nn\n] status output
        assert_equal 1 $status
        assert_match "*out of the AOF*kept in *.removed*9 writes with a sound checksum follow*Aborting...*" $output
        lassign [check --fix --keep-following $manifest << y\n] status output
        assert_equal 0 $status
        assert_match "*They selected database 3:*Successfully removed the bad bytes of AOF*" $output
        assert_equal 0 [lindex [check $manifest] 0]
        assert_equal 2 [llength [files *.removed]]
        assert_equal {} [glob -nocomplain [file join [server_folder] appendonlydir temp-*]]
        server_restart {appendonly yes}
        assert_equal 9 [r DBSIZE]
        r SELECT 3
        assert_equal 9 [r DBSIZE]
        assert_equal value:19 [r GET key:19]
        r SELECT 0
    }

    test "--fix cuts off the sound writes, too, if it is told to" {
        r SET last 1
        server_kill
        spoil $incr {string map {value:6 value:X} $bytes}
        lassign [check --fix $manifest << y\n] status output
        assert_equal 0 $status
        assert_match "*Successfully truncated AOF*" $output
        server_restart {appendonly yes}
        assert_equal 5 [r DBSIZE]
    }
}

# This address space holds the tool and a window over the file, but no dataset.
with_server {appendonly yes save ""} {
    test "The tool reads a big base block by block and does not keep it" {
        if {[slowness] > 1} { skip "sanitizers need address space" }
        r DEBUG POPULATE 400000 key 100
        r BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        assert {[info_field used_memory] > 50000000}
        set tool [file join [file dirname $::env(KURA_SERVER)] kura-check-aof]
        assert_match "*400000 keys read*are valid*" [exec sh -c "ulimit -v 50000; $tool [files *.manifest]"]
    }
}
