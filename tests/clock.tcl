# The wall clock is set back an hour while the server runs: what lasts, waits or is repeated goes on as before.

proc clock_server {directives body} {
    set switch [string trim [exec mktemp -u]]
    set line "export CLOCK_BACK=$switch LD_PRELOAD=$::root/build/tools/clock_back.so"
    with_wrapped_server $line $directives {
        r SET old x
        r SET lives x EX 100
        close [open $switch w]
        wait_for {[lindex [r TIME] 0] < [clock seconds] - 3000}
        uplevel 1 $body
    }
    file delete $switch
}

proc is_short {seconds} {
    return [expr {$seconds >= 0 && $seconds <= 30 * [slowness]}]
}

test "Ages are not negative after the clock was set back, and not huge" {
    need_preload
    clock_server {} {
        assert {[is_short [info_field uptime_in_seconds]]}
        regexp {age=(-?\d+) idle=(-?\d+)} [r CLIENT INFO] -> age idle
        assert {[is_short $age] && [is_short $idle]}
        assert {[is_short [r OBJECT IDLETIME old]]}
        assert {[r PTTL lives] > 3600000 && [r PTTL lives] < 3800000} ;# a deadline is a point in time
    }
}

test "CLIENT KILL MAXAGE and timeout find old clients after the clock was set back" {
    need_preload
    clock_server {} {
        set c [client]
        $c PING
        wait_for {[regexp {age=[1-9]} [$c CLIENT INFO]]}
        assert_equal 1 [r CLIENT KILL ID [$c CLIENT ID] MAXAGE 1]
        set idle [client]
        set id [$idle CLIENT ID]
        r CONFIG SET timeout 1
        wait_for {[r CLIENT LIST ID $id] eq ""}
    }
}

test "A pause and the soft output limit end in time after the clock was set back" {
    need_preload
    clock_server {client-output-buffer-limit "normal 0 100kb 1"} {
        set before [clock milliseconds]
        r CLIENT PAUSE 50 ALL
        r CLIENT PAUSE 1 ALL
        r PING
        assert {[clock milliseconds] - $before < 20000 * [slowness]}
        r SET big [string repeat x 1000000]
        set deaf [client]
        set id [$deaf CLIENT ID]
        for {set i 0} {$i < 20} {incr i} { $deaf -send GET big }
        wait_for {[r CLIENT LIST ID $id] eq ""}
        assert_equal 1 [info_field client_output_buffer_limit_disconnections]
    }
}

test "Saves begin, are repeated and are timed after the clock was set back" {
    need_preload
    clock_server {save "1 1"} {
        wait_for {[info_field rdb_saves] >= 1 && [info_field rdb_bgsave_in_progress] == 0}
        assert {[is_short [info_field rdb_last_bgsave_time_sec]]}
        assert {[info_field rdb_last_save_time] < [clock seconds] - 3000}
        set file [file join [server_folder] dump.rdb]
        file delete $file
        file mkdir $file ;# nothing can be renamed to it
        r SET another x
        wait_for {[info_field rdb_last_bgsave_status] eq "err"}
        file delete $file
        wait_for {[info_field rdb_last_bgsave_status] eq "ok"}
    }
}

test "The append-only file is synced, and a rewrite is timed, after the clock was set back" {
    need_preload
    clock_server {appendonly yes appendfsync everysec} {
        r BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress] == 0 && [info_field aof_rewrites] == 1}
        assert {[is_short [info_field aof_last_rewrite_time_sec]]}
        assert_equal -1 [info_field aof_current_rewrite_time_sec]
    }
}
