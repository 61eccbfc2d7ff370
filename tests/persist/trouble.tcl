# Saving under difficulties: children that die, forks that fail, disks that are full; what the server then says and
# refuses, and what goes on.

# Puts a folder where the file should be, so that no snapshot can be renamed to it.
proc block_saving {} {
    allow_saving
    file mkdir [file join [server_folder] dump.rdb x]
}
proc allow_saving {} { file delete -force [file join [server_folder] dump.rdb] }

proc bgsave_and_wait {} {
    r BGSAVE
    wait_for {[info_field rdb_bgsave_in_progress] == 0}
}

proc temp_files {} { return [glob -nocomplain [file join [server_folder] temp-*]] }

# Starts a child that does not end by itself. Returns its process id.
proc begin_slow_save {{command BGSAVE}} {
    r CONFIG SET rdb-key-save-delay 10000000
    r DEBUG POPULATE 5
    r {*}$command
    set field [expr {$command eq "BGSAVE" ? "rdb_bgsave_in_progress" : "aof_rewrite_in_progress"}]
    wait_for {[info_field $field] == 1}
    set children [string trim [exec cat /proc/[server_pid]/task/[server_pid]/children]]
    r CONFIG SET rdb-key-save-delay 0
    return $children
}

with_server {save "3600 1"} {
    test "A failing save stops writes with the reason, but not reads, and SAVE clears it" {
        r SET k v
        block_saving
        assert_error "ERR*" {r SAVE}
        assert_equal OK [r SET k v2]
        bgsave_and_wait
        assert_equal err [info_field rdb_last_bgsave_status]
        assert_error "MISCONF*" {r SET other v}
        assert_error "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.\
            Commands that may modify the data set are disabled, because this instance is configured to report errors\
            during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs\
            for details about the RDB error." {r SET k v3}
        assert_error "MISCONF*" {r PING}
        assert_equal v2 [r GET k]
        assert_equal {} [temp_files]
        allow_saving
        assert_equal OK [r SAVE]
        assert_equal ok [info_field rdb_last_bgsave_status]
        assert_equal OK [r SET k v3]
    }

    test "With stop-writes-on-bgsave-error no, or without save points, a failing save stops nothing" {
        block_saving
        bgsave_and_wait
        wait_for {[catch {r SET k v}]}
        r CONFIG SET stop-writes-on-bgsave-error no
        wait_for {![catch {r SET k v}]}
        r CONFIG SET stop-writes-on-bgsave-error yes
        wait_for {[catch {r SET k v}]}
        r CONFIG SET save ""
        wait_for {![catch {r SET k v}]}
        r CONFIG SET save "3600 1"
        wait_for {[catch {r SET k v}]}
        allow_saving
        bgsave_and_wait
        assert_equal ok [info_field rdb_last_bgsave_status]
        wait_for {![catch {r SET k v}]}
    }

    test "A child killed by SIGKILL has failed, one killed by SIGUSR1 has not" {
        send_signal USR1 [begin_slow_save]
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        assert_equal ok [info_field rdb_last_bgsave_status]
        assert_match "*Background saving terminated by signal 10*" [server_log]
        send_signal KILL [begin_slow_save]
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        assert_equal err [info_field rdb_last_bgsave_status]
        assert_equal {} [temp_files]
        bgsave_and_wait
        assert_equal ok [info_field rdb_last_bgsave_status]
    }

    test "FLUSHALL kills a child that saves, and leaves an empty snapshot" {
        r SET k v
        assert_equal OK [r SAVE]
        begin_slow_save
        r FLUSHALL
        assert_equal 0 [info_field rdb_bgsave_in_progress]
        assert_equal 1 [info_field rdb_changes_since_last_save]
        assert_equal {} [temp_files]
        server_restart {save "3600 1"} KILL
        assert_equal 0 [r DBSIZE]
        r CONFIG SET save ""
        r SET k v
        r SAVE
        r FLUSHALL
        server_restart {save ""} KILL
        assert_equal 1 [r DBSIZE]
        r CONFIG SET save "3600 1"
    }

    test "SHUTDOWN gets an error if its save fails, and the server goes on" {
        block_saving
        set c [client]
        $c -send SHUTDOWN
        $c -send ECHO behind
        assert_error "ERR Errors trying to SHUTDOWN. Check logs." {$c -read}
        assert_equal behind [$c -read]
        assert_error "ERR Errors trying to SHUTDOWN. Check logs." {$c SHUTDOWN SAVE}
        assert_match "*Error trying to save the DB, can't exit.*" [server_log]
        r SET still there
        # SIGTERM is refused as well, and a second one does not end the server either.
        send_signal TERM [server_pid]
        wait_for {[string match "*Received SIGTERM*can't exit*" [server_log]]}
        assert_equal PONG [r PING]
        r_close
        set c [client]
        catch {$c SHUTDOWN SAVE FORCE}
        assert_equal 0 [server_wait_exit]
        assert_match "*Error trying to save the DB. Exit anyway.*" [server_log]
        allow_saving
        server_restart {save ""}
    }
}

with_server {save "1 2"} {
    test "A save point fires after its time and its changes" {
        r SET a 1
        after 2500
        assert_equal 0 [info_field rdb_saves]
        r SET b 2
        wait_for {[info_field rdb_saves] == 1 && [info_field rdb_bgsave_in_progress] == 0}
        assert_match "*2 changes in 1 seconds. Saving...*" [server_log]
        assert_equal 0 [info_field rdb_changes_since_last_save]
        server_restart {save ""} KILL
        assert_equal 2 [r DBSIZE]
    }
}

test "A snapshot that finds the disk full leaves the old one" {
    with_wrapped_server "ulimit -f 64" {save "" logfile ""} {
        r SET small 1
        assert_equal OK [r SAVE]
        for {set i 0} {$i < 200} {incr i} { r SET big:$i [random_bytes 1000] }
        assert_error "ERR*" {r SAVE}
        bgsave_and_wait
        assert_equal err [info_field rdb_last_bgsave_status]
        assert_match "*Write error saving DB on disk: File too large*" [server_log]
        assert_equal {} [temp_files]
        server_restart {save ""} KILL
        assert_equal 1 [r DBSIZE]
    }
}

test "A file system that cannot sync a folder is no reason for a save to fail" {
    need_preload
    set line "export FSYNC_KNOWS_NO_DIRECTORY=1 LD_PRELOAD=$::root/build/tools/fsync_fails.so"
    with_wrapped_server $line {save "" appendonly yes} {
        r SET k v
        assert_equal OK [r SAVE]
        bgsave_and_wait
        assert_equal ok [info_field rdb_last_bgsave_status]
        r BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        assert_equal ok [info_field aof_last_bgrewrite_status]
        assert_equal OK [r SET k v2]
        server_restart {save "" appendonly yes} KILL
        assert_equal v2 [r GET k]
    }
}

test "A value that is refused for its structure is named in the log" {
    with_server {save "" rdbchecksum no} {
        r HSET hash field value
        set payload [r DUMP hash]
        r DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
        assert_error "ERR Bad data format" {r RESTORE copy 0 [string map {field\x06 field\x7f} $payload]}
        assert_match "*Hash listpack integrity check failed*" [server_log]
        r SADD set 1 2 3
        set payload [r DUMP set]
        assert_error "ERR Bad data format" {r RESTORE copy 0 [string map {\x01\x00\x02\x00 \x02\x00\x02\x00} $payload]}
        assert_match "*Intset integrity check failed*" [server_log]
        r DEL set
        r SAVE
        set path [file join [server_folder] dump.rdb]
        set file [open $path rb]
        set bytes [read $file]
        close $file
        set file [open $path wb]
        puts -nonewline $file [string map {field\x06 field\x7f} $bytes]
        close $file
        server_kill
        set h [server_start {save "" rdbchecksum no} -folder [server_folder] -wait 0]
        assert_equal 1 [server_wait_exit 20000 $h]
        assert_equal 2 [regexp -all {Hash listpack integrity check failed} [server_log]]
        assert_match "*Terminating server after rdb file reading failure.*" [server_log]
        file delete $path
        server_restart {save ""}
    }
}

test "A failing fork is reported, and the next one may work" {
    need_preload
    set switch [string trim [exec mktemp -u]]
    set line "export FORK_FAILS=$switch LD_PRELOAD=$::root/build/tools/fork_fails.so"
    with_wrapped_server $line {save "" appendonly yes} {
        r SET k v
        close [open $switch w]
        assert_error "ERR*" {r BGSAVE}
        assert_equal err [info_field rdb_last_bgsave_status]
        assert_match "*Can't save in background: fork: Cannot allocate memory*" [server_log]
        assert_error "ERR Can't execute an AOF background rewriting. Please check the server logs for more\
            information." {r BGREWRITEAOF}
        assert_equal 1 [info_field aof_rewrites_consecutive_failures]
        file delete $switch
        bgsave_and_wait
        assert_equal ok [info_field rdb_last_bgsave_status]
    }
}

with_server {save "" oom-score-adj yes oom-score-adj-values "0 0 123" bgsave_cpulist 0 aof_rewrite_cpulist 0-0:2} {
    test "A child has its own title, OOM score and processors" {
        foreach {command name} {BGSAVE kura-rdb-bgsave BGREWRITEAOF kura-aof-rewrite} {
            set pid [begin_slow_save $command]
            wait_for {[string match "$name *:[server_port]*" [exec tr \\0 " " < /proc/$pid/cmdline]]}
            set base [string trim [exec cat /proc/[server_pid]/oom_score_adj]]
            wait_for {[string trim [exec cat /proc/$pid/oom_score_adj]] == min(1000, $base + 123)}
            wait_for {[regexp {Cpus_allowed_list:\s0\n} [exec cat /proc/$pid/status]]}
            send_signal USR1 $pid
            wait_for {[info_field rdb_bgsave_in_progress] == 0 && [info_field aof_rewrite_in_progress] == 0}
        }
    }
}
