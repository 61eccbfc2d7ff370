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

    test "Wrong arguments print the usage" {
        lassign [check] status output
        assert_equal 1 $status
        assert_match "Usage:*" $output
        assert_equal 1 [lindex [check /nonexistent/file] 0]
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
