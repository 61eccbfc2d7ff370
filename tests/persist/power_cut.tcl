# A power cut keeps what was synced. A file's bytes must be synced before the file gets its final name, and a name
# lasts only when its folder is synced too: before the server acknowledges anything that needs it, and before it
# removes the file that the name replaces.

proc folder_name {} { return [file tail [server_folder]] }

proc wait_no_rewrite {} {
    wait_for {[info_field aof_rewrite_scheduled] == 0 && [info_field aof_rewrite_in_progress] == 0}
}

test "A snapshot and its name are on disk when SAVE replies" {
    with_disk_trace {save ""} {
        r SET k v
        for {set round 0} {$round < 2} {incr round} {
            set from [disk_count]
            assert_equal OK [r SAVE]
            assert_order [disk_events $from] [list "sync temp-*.rdb" "rename dump.rdb" "sync [folder_name]"]
        }
    }
}

test "A snapshot and its name are on disk when BGSAVE has succeeded" {
    with_disk_trace {save ""} {
        r SET k v
        set from [disk_count]
        r BGSAVE
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        assert_equal ok [info_field rdb_last_bgsave_status]
        assert_order [disk_events $from] [list "sync temp-*.rdb" "rename dump.rdb" "sync [folder_name]"]
    }
}

test "A new log is on disk, file by file, before anything is acknowledged" {
    foreach {preamble suffix} {yes rdb no aof} {
        with_disk_trace [list appendonly yes aof-use-rdb-preamble $preamble] {
            # The names come first, so that no manifest names a file that is not there.
            assert_order [disk_events 0 [server_pid]] [list \
                "sync temp-rewriteaof-bg-*.aof" "rename appendonly.aof.1.base.$suffix" "sync appendonlydir" \
                "sync [folder_name]" "sync temp-appendonly.aof.manifest" "rename appendonly.aof.manifest" \
                "sync appendonlydir"]
        }
    }
}

test "A rewrite syncs each file and each name before it removes the old files" {
    foreach {preamble suffix} {yes rdb no aof} {
        with_disk_trace [list appendonly yes aof-use-rdb-preamble $preamble] {
            r SET k v
            set from [disk_count]
            r BGREWRITEAOF
            wait_no_rewrite
            wait_for {"remove appendonly.aof.1.incr.aof" in [disk_events $from]}
            # First the next increment, for which the manifest is replaced once; then the base.
            assert_order [disk_events $from] [list \
                "sync appendonlydir" "sync appendonly.aof.1.incr.aof" \
                "sync temp-appendonly.aof.manifest" "rename appendonly.aof.manifest" "sync appendonlydir" \
                "sync temp-rewriteaof-bg-*.aof" "rename appendonly.aof.2.base.$suffix" "sync appendonlydir" \
                "sync temp-appendonly.aof.manifest" "rename appendonly.aof.manifest" "sync appendonlydir" \
                "remove appendonly.aof.1.base.$suffix"]
        }
    }
}

# Under load, commands go on while the worker prepares the next increment. It gets its name only when all that is in the
# former one is on disk, and then nothing more is written to that.
test "Under load, an increment is complete on disk before the manifest names the next one" {
    foreach policy {everysec always no} {
        with_disk_trace [list appendonly yes appendfsync $policy save ""] {
            set c [client]
            for {set round 1} {$round <= 3} {incr round} {
                r SET k $round
                set from [disk_count]
                r -send BGREWRITEAOF
                for {set i 0} {$i < 500} {incr i} { $c SET key:$i $round }
                r -read
                wait_no_rewrite
                set events [disk_events $from [server_pid]]
                set incr appendonly.aof.$round.incr.aof
                set named [lsearch $events "rename appendonly.aof.manifest"]
                set written [lindex [lsearch -all $events "write $incr"] end]
                set synced [lindex [lsearch -all [lrange $events 0 $named] "sync $incr"] end]
                if {$synced eq "" || ($written ne "" && $written > $synced)} { error "$policy: $events" }
            }
            set all [dataset]
            server_restart [list appendonly yes save ""] KILL
            assert_equal $all [dataset]
        }
    }
}

test "A log that is switched on is on disk, file by file, when it begins" {
    with_disk_trace {appendonly no save ""} {
        r SET k v
        set from [disk_count]
        r CONFIG SET appendonly yes
        wait_no_rewrite
        assert_order [disk_events $from] [list \
            "sync temp-rewriteaof-bg-*.aof" "rename appendonly.aof.1.base.rdb" "rename appendonly.aof.1.incr.aof" \
            "sync appendonlydir" "sync [folder_name]" \
            "sync temp-appendonly.aof.manifest" "rename appendonly.aof.manifest" \
            "sync appendonlydir"]
    }
}

proc write_bytes {path bytes} {
    set file [open $path wb]
    puts -nonewline $file $bytes
    close $file
}

test "A log of an older version has its new name on disk before the old one is gone" {
    need_preload
    set folder [string trim [exec mktemp -d]]
    write_bytes $folder/appendonly.aof [resp_encode SET k v]
    with_disk_trace {appendonly yes} {
        assert_equal v [r GET k]
        assert_order [disk_events 0 [server_pid]] [list "sync [folder_name]" \
            "sync temp-appendonly.aof.manifest" "rename appendonly.aof.manifest" "sync appendonlydir" \
            "rename appendonly.aof" "sync appendonlydir" "sync [folder_name]"]
    } -folder $folder
}

test "A snapshot that becomes the first base stays until the log is on disk" {
    need_preload
    set h [server_start {}]
    set c [client $h]
    $c SET k v
    $c SAVE
    server_kill $h
    with_disk_trace {appendonly yes} {
        assert_equal v [r GET k]
        set events [disk_events 0 [server_pid]]
        assert_equal -1 [lsearch $events "remove dump.rdb"]
        assert_equal -1 [lsearch $events "rename dump.rdb"]
    } -folder [server_folder $h]
}

test "The torn end of a log is kept on disk before it is cut off" {
    need_preload
    set h [server_start {appendonly yes appendfsync always}]
    set c [client $h]
    $c SET k v
    server_kill $h
    set log [file join [server_folder $h] appendonlydir appendonly.aof.1.incr.aof]
    set whole [file size $log]
    set file [open $log ab]
    puts -nonewline $file "#K:"
    close $file
    with_disk_trace {appendonly yes} {
        assert_equal v [r GET k]
        assert_equal $whole [file size $log]
        assert_order [disk_events 0 [server_pid]] [list "sync appendonly.aof.1.incr.aof.$whole.removed" \
            "sync appendonlydir" "truncate appendonly.aof.1.incr.aof" "sync appendonly.aof.1.incr.aof"]
    } -folder [server_folder $h]
}

test "A rewritten configuration and its name are on disk when CONFIG REWRITE replies" {
    need_preload
    set folder [string trim [exec mktemp -d]]
    write_bytes $folder/server.conf "timeout 5\n"
    with_disk_trace {} {
        set from [disk_count]
        assert_equal OK [r CONFIG REWRITE]
        assert_order [disk_events $from] [list "sync server.conf.*" "rename server.conf" "sync [folder_name]"]
    } -folder $folder -file server.conf
}
