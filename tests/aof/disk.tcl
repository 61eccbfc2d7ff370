# Disks that are full or fail: the server refuses writes with a reason, answers reads, and keeps what it acknowledged.

proc until_error {command} {
    for {set i 0} {$i < 10000} {incr i} {
        if {[catch {uplevel 1 $command} error]} { return $error }
    }
    return "no error"
}

test "A full disk stops writes but not reads, and a restart has every acknowledged write" {
    with_wrapped_server "ulimit -f 64" {appendonly yes appendfsync everysec logfile ""} {
        set value [string repeat v 1000]
        set error [until_error {r RPUSH list $value}]
        assert_match "MISCONF Errors writing to the AOF file: *" $error
        assert_error "MISCONF *" {r PING}
        assert_error "MISCONF Errors writing to the AOF file: * script: *" {r EVAL "redis.call('del','none')" 0}
        assert_equal PONG [r EVAL "return redis.call('ping')" 0]
        assert_equal err [info_field aof_last_write_status]
        set length [r LLEN list]
        # The server executed the last one before it knew that the disk is full, as Redis does.
        server_restart {appendonly yes} KILL
        set found [r LLEN list]
        assert {$found >= $length - 1 && $found <= $length}
        assert_equal OK [r SET k v]
    }
}

test "A full disk under always ends the server before it acknowledges anything that is lost" {
    with_wrapped_server "ulimit -f 64" {appendonly yes appendfsync always logfile ""} {
        set told 0
        catch { while 1 { set told [r RPUSH list [string repeat v 1000]] } }
        assert_equal 1 [server_wait_exit]
        assert_match "*Can't recover from AOF write error*" [server_log]
        server_restart {appendonly yes} KILL
        set found [r LLEN list]
        assert {$found >= $told && $found <= $told + 1}
    }
}

test "A failing fsync stops writes under everysec until it works again" {
    need_preload
    set switch [string trim [exec mktemp -u]]
    set line "export FSYNC_FAILS=$switch LD_PRELOAD=$::root/build/tools/fsync_fails.so"
    with_wrapped_server $line {appendonly yes appendfsync everysec} {
        r SET a 1
        close [open $switch w]
        r SET b 2
        wait_for {[info_field aof_last_write_status] eq "err"}
        wait_for {[catch {r SET c 3}]}
        assert_error "MISCONF Errors writing to the AOF file: Input/output error" {r SET c 3}
        assert_equal 1 [r GET a]
        file delete $switch
        wait_for {[info_field aof_last_write_status] eq "ok"}
        wait_for {![catch {r SET c 3}]}
        set written [dataset]
        server_restart {appendonly yes} KILL
        assert_equal $written [dataset]
    }
}

test "A failing fsync under always ends the server" {
    need_preload
    set switch [string trim [exec mktemp -u]]
    set line "export FSYNC_FAILS=$switch LD_PRELOAD=$::root/build/tools/fsync_fails.so"
    with_wrapped_server $line {appendonly yes appendfsync always} {
        r SET a 1
        close [open $switch w]
        catch {r SET b 2} reply
        assert {$reply ne "OK"}
        assert_equal 1 [server_wait_exit]
        assert_match "*Can't persist AOF for fsync error*" [server_log]
        file delete $switch
    }
}

with_server {appendonly yes} {
    test "A rewrite whose child is killed leaves the log as it was, and the next one works" {
        dataset_fill
        r CONFIG SET rdb-key-save-delay 100000
        r BGREWRITEAOF
        regexp {rewriting started by pid (\d+)} [server_log] -> pid
        send_signal KILL $pid
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        assert_equal err [info_field aof_last_bgrewrite_status]
        assert_equal 1 [info_field aof_rewrites_consecutive_failures]
        assert_equal {} [glob -nocomplain [file join [server_folder] temp-*]]
        set before [dataset]
        server_restart {appendonly yes} KILL
        assert_equal $before [dataset]
        r BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        assert_equal ok [info_field aof_last_bgrewrite_status]
        server_restart {appendonly yes} KILL
        assert_equal $before [dataset]
    }
}

test "DEBUG AOF-FLUSH-SLEEP makes each write to the log slow" {
    with_server {appendonly yes save ""} {
        assert_equal OK [r DEBUG AOF-FLUSH-SLEEP 100000]
        set began [clock milliseconds]
        r SET k v
        assert {[clock milliseconds] - $began >= 100}
        assert_equal OK [r DEBUG AOF-FLUSH-SLEEP 0]
    }
}
