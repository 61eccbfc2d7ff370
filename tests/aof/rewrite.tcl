# Rewrites that wait, fail, or are switched on at bad moments; and what lies on disk at each moment.

proc slow_save {} {
    r CONFIG SET rdb-key-save-delay 10000000
    r DEBUG POPULATE 5
}

# Ends the child that saves or rewrites, and keeps the next one from being slow.
proc kill_child {} {
    r CONFIG SET rdb-key-save-delay 0
    send_signal USR1 [string trim [exec cat /proc/[server_pid]/task/[server_pid]/children]]
}

# A scheduled rewrite becomes one in progress, so the schedule is looked at before the progress.
proc wait_no_child {} {
    wait_for {[info_field rdb_bgsave_in_progress] == 0}
    wait_for {[info_field aof_rewrite_scheduled] == 0 && [info_field aof_rewrite_in_progress] == 0}
}

with_server {save "" appendonly no} {
    test "The log begins when a BGSAVE has ended that was running as it was switched on" {
        slow_save
        r BGSAVE
        r SET before 1
        assert_equal OK [r CONFIG SET appendonly yes]
        assert_equal 1 [info_field aof_enabled]
        assert_equal 1 [info_field aof_rewrite_scheduled]
        assert_match "*AOF was enabled but there is already another background operation.*" [server_log]
        kill_child
        wait_no_child
        r SET after 1
        set all [dataset]
        server_restart {save "" appendonly yes} KILL
        assert_equal $all [dataset]
    }

    test "BGREWRITEAOF inside MULTI runs after EXEC" {
        r MULTI
        r SET in-multi 1
        r BGREWRITEAOF
        assert_equal {OK {Background append only file rewriting scheduled}} [r EXEC]
        wait_no_child
        assert_equal ok [info_field aof_last_bgrewrite_status]
        assert_equal 1 [info_field aof_rewrites]
    }

    test "CONFIG SET appendonly yes inside MULTI starts the log after EXEC" {
        r CONFIG SET appendonly no
        r MULTI
        r CONFIG SET appendonly yes
        r SET in-multi 2
        assert_equal {OK OK} [r EXEC]
        wait_no_child
        set all [dataset]
        server_restart {save "" appendonly yes} KILL
        assert_equal $all [dataset]
    }

    test "SAVE and DEBUG RELOAD reset the count of changes, and the log still gets every change" {
        r SET k 1
        r SAVE
        r SET k 2
        r DEBUG RELOAD
        r SET k 3
        set all [dataset]
        server_restart {save "" appendonly yes} KILL
        assert_equal $all [dataset]
    }

    test "DEBUG LOADAOF brings back what is in the log, and the log goes on" {
        r SELECT 3
        dataset_fill
        r FLUSHDB
        dataset_fill
        r MULTI
        r SET in-unit 1
        r INCR in-unit
        r EXEC
        set all [dataset]
        set size [info_field aof_current_size]
        assert_equal OK [r DEBUG LOADAOF]
        assert_equal $all [dataset]
        assert_equal $size [info_field aof_current_size]
        assert_equal 0 [info_field rdb_changes_since_last_save]
        r SET behind 1
        set all [dataset]
        server_restart {save "" appendonly yes} KILL
        assert_equal $all [dataset]
        r CONFIG SET appendonly no
        file delete -force [file join [server_folder] appendonlydir]
        assert_error "ERR Error trying to load the AOF files, check server logs." {r DEBUG LOADAOF}
    }

    test "SHUTDOWN without FORCE is refused while the first base is being written" {
        slow_save
        r CONFIG SET appendonly yes
        assert_error "ERR Errors trying to SHUTDOWN. Check logs." {r SHUTDOWN}
        assert_match "*Writing initial AOF, can't exit*" [server_log]
        assert_equal PONG [r PING]
        catch {r SHUTDOWN FORCE}
        assert_equal 0 [server_wait_exit]
        r_close
        server_restart {save ""}
    }
}

test "After three failures automatic rewrites wait, but BGREWRITEAOF does not" {
    need_preload
    set switch [string trim [exec mktemp -u]]
    set line "export FORK_FAILS=$switch LD_PRELOAD=$::root/build/tools/fork_fails.so"
    with_wrapped_server $line {appendonly yes auto-aof-rewrite-min-size 1000 auto-aof-rewrite-percentage 10} {
        close [open $switch w]
        r SET k [string repeat v 5000]
        wait_for {[string match "*triggered the limit, will retry in 1 minutes*" [server_log]]}
        assert_equal 3 [info_field aof_rewrites_consecutive_failures]
        assert_equal err [info_field aof_last_bgrewrite_status]
        file delete $switch
        after 300
        assert_equal 3 [info_field aof_rewrites]
        r BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        assert_equal ok [info_field aof_last_bgrewrite_status]
        assert_equal 0 [info_field aof_rewrites_consecutive_failures]
        assert_equal 1 [llength [glob [file join [server_folder] appendonlydir *.incr.aof]]]
        set all [dataset]
        server_restart {appendonly yes} KILL
        assert_equal $all [dataset]
    }
}

test "A rewrite that finds the disk full leaves the log as it was" {
    with_wrapped_server "ulimit -f 64" {appendonly yes save "" logfile ""} {
        # SETRANGE makes a value that is short as commands and long as a snapshot: only the rewrite exceeds the limit.
        r SETRANGE big 200000 x
        r SETRANGE big 100000 [random_bytes 20000]
        r CONFIG SET aof-use-rdb-preamble no
        r BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        assert_equal err [info_field aof_last_bgrewrite_status]
        assert_match "*Write error writing append only file on disk: File too large*" [server_log]
        assert_equal {} [glob -nocomplain [file join [server_folder] temp-*]]
        assert_equal OK [r SET k v]
        set all [dataset]
        server_restart {appendonly yes save ""} KILL
        assert_equal $all [dataset]
    }
}

# --- what is on disk -------------------------------------------------------------------------

test "An increment is on disk before the manifest names the next one" {
    foreach policy {everysec no always} {
        with_disk_trace [list appendonly yes appendfsync $policy] {
            for {set round 1} {$round <= 3} {incr round} {
                r SET k $round
                set before [llength [disk_events 0 [server_pid]]]
                r MULTI
                r SET k2 $round
                r EXEC
                r BGREWRITEAOF
                wait_for {[info_field aof_rewrite_in_progress] == 0}
                set what [lrange [disk_events 0 [server_pid]] $before end]
                set incr appendonly.aof.$round.incr.aof
                set renamed [lsearch $what "rename appendonly.aof.manifest"]
                set written [lindex [lsearch -all $what "write $incr"] end]
                set synced [lindex [lsearch -all [lrange $what 0 $renamed] "sync $incr"] end]
                if {$synced eq "" || $synced < $written || $written > $renamed} { error "$policy: $what" }
            }
        }
    }
}

test "The directory's own name is on disk before anything is acknowledged" {
    with_disk_trace {appendonly yes appendfsync always} {
        set what [disk_events 0 [server_pid]]
        assert {"sync [file tail [server_folder]]" in $what}
        assert {"sync appendonlydir" in $what}
    }
}

test "With no-appendfsync-on-rewrite the server syncs nothing while a child writes" {
    with_disk_trace {appendonly yes appendfsync always no-appendfsync-on-rewrite yes save ""} {
        set count {llength [lsearch -all [disk_events 0 [server_pid]] "sync *.incr.aof"]}
        r SET k 1
        slow_save
        r BGSAVE
        set before [eval $count]
        for {set i 0} {$i < 5} {incr i} { r SET k $i }
        assert_equal $before [eval $count]
        r CONFIG SET no-appendfsync-on-rewrite no
        for {set i 0} {$i < 5} {incr i} { r SET k $i }
        assert {[eval $count] >= $before + 5}
        kill_child
    }
}

test "Under always, all clients that are ready share one sync" {
    with_disk_trace {appendonly yes appendfsync always save ""} {
        set clients {}
        for {set i 0} {$i < 100} {incr i} { lappend clients [client] }
        foreach c $clients { $c PING }
        set before [llength [lsearch -all [disk_events 0 [server_pid]] "sync *.incr.aof"]]
        send_signal STOP [server_pid]
        foreach c $clients { $c -send INCR counter }
        send_signal CONT [server_pid]
        foreach c $clients { $c -read }
        set syncs [expr {[llength [lsearch -all [disk_events 0 [server_pid]] "sync *.incr.aof"]] - $before}]
        assert {$syncs >= 1 && $syncs <= 2}
    }
}
