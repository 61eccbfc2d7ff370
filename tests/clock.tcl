# The wall clock is set back or on while the server runs: what lasts, waits or is repeated goes on as before.

# `before` runs before the clock is set back by so many seconds, `after` afterwards.
proc clock_server {directives before after {back 3600}} {
    set switch [string trim [exec mktemp -u]]
    set line "export CLOCK_BACK=$switch LD_PRELOAD=$::root/build/tools/clock_back.so"
    with_wrapped_server $line $directives {
        uplevel 1 $before
        set file [open $switch w]
        puts -nonewline $file $back
        close $file
        wait_for {abs([lindex [r TIME] 0] - ([clock seconds] - $back)) < 600}
        uplevel 1 $after
    }
    file delete $switch
}

proc is_short {seconds} {
    return [expr {$seconds >= 0 && $seconds <= 30 * [slowness]}]
}

test "Ages are not negative after the clock was set back, and not huge" {
    need_preload
    clock_server {} {
        r SET old x
        r SET lives x EX 100
    } {
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
        set old [client]
        set idle [client]
        set id [$idle CLIENT ID]
        $old PING
    } {
        wait_for {[regexp {age=[1-9]} [$old CLIENT INFO]]}
        assert_equal 1 [r CLIENT KILL ID [$old CLIENT ID] MAXAGE 1]
        r CONFIG SET timeout 1
        wait_for {[r CLIENT LIST ID $id] eq ""}
    }
}

test "A pause ends in time after the clock was set back" {
    need_preload
    clock_server {} {
        r SET k v
        r CLIENT PAUSE 300 WRITE
    } {
        r CLIENT PAUSE 1 WRITE ;# both pauses end with the first
        assert_equal OK [r SET k w]
    }
}

test "The soft output limit closes in time after the clock was set back" {
    need_preload
    clock_server {client-output-buffer-limit "normal 0 100kb 1"} {
        r SET big [string repeat x 10000000]
        set deaf [client]
        set id [$deaf CLIENT ID]
        $deaf -send GET big
        $deaf -send GET big
        wait_for {[regexp {omem=[1-9]} [r CLIENT LIST ID $id]]}
    } {
        wait_for {[r CLIENT LIST ID $id] eq ""}
        assert_equal 1 [info_field client_output_buffer_limit_disconnections]
    }
}

test "Saves begin, are repeated and are timed after the clock was set back" {
    need_preload
    clock_server {save "1 1"} {
        r SET k v
    } {
        wait_for {[info_field rdb_saves] >= 1 && [info_field rdb_bgsave_in_progress] == 0}
        assert {[is_short [info_field rdb_last_bgsave_time_sec]]}
        set file [file join [server_folder] dump.rdb]
        file delete $file
        file mkdir $file ;# nothing can be renamed to it
        r SET another x
        wait_for {[info_field rdb_last_bgsave_status] eq "err"}
        file delete $file
        wait_for {[info_field rdb_last_bgsave_status] eq "ok"}
        assert {[info_field rdb_last_save_time] < [clock seconds] - 3000}
    }
}

test "A save and a rewrite during which the clock is set back took no negative time" {
    need_preload
    foreach {command running took} {
        BGSAVE rdb_bgsave_in_progress rdb_last_bgsave_time_sec
        BGREWRITEAOF aof_rewrite_in_progress aof_last_rewrite_time_sec
    } {
        clock_server {} {
            for {set i 0} {$i < 500} {incr i} { r SET $i x }
            r CONFIG SET rdb-key-save-delay 2000
            r $command
        } {
            assert_equal 1 [info_field $running]
            assert {[is_short [info_field [string map {last current} $took]]]}
            wait_for {[info_field $running] == 0}
            assert {[is_short [info_field $took]]}
        }
    }
}

set year [expr {365 * 24 * 3600}]

foreach {way back} [list "back by three years" [expr {3 * $year}] "on by three years" [expr {-3 * $year}]] {
    test "The limit on memory is kept, and the time above it is right, after the clock was set $way" {
        need_preload
        clock_server {} {
            r SET k v
            r CONFIG SET maxmemory 1
            wait_for {[info_field current_eviction_exceeded_time] >= 20}
        } {
            set current [info_field current_eviction_exceeded_time]
            assert {$current >= 20 && [is_short [expr {$current / 1000}]]}
            set total [info_field total_eviction_exceeded_time]
            assert {$total >= $current && [is_short [expr {$total / 1000}]]}
            assert_error "OOM *" {r SET n 1}
            foreach policy {allkeys-lru allkeys-lfu volatile-ttl} {
                r CONFIG SET maxmemory 0 maxmemory-policy $policy
                set limit [expr {[info_field used_memory] + 100000}]
                r CONFIG SET maxmemory $limit
                for {set i 0} {$i < 2000} {incr i} { r SET $policy:$i [string repeat x 100] EX 1000 }
                assert {[info_field used_memory] <= $limit + 4096}
                # A lower limit is for the turns of the loop.
                incr limit -50000
                r CONFIG SET maxmemory $limit
                wait_for {[info_field used_memory] <= $limit}
            }
            assert {[info_field evicted_keys] > 3000}
            assert_equal 0 [info_field current_eviction_exceeded_time]
            assert {[is_short [expr {[info_field total_eviction_exceeded_time] / 1000}]]}
        } $back
    }
}

test "An id that XADD gives is above all others after the clock was set back, and goes on with the clock" {
    need_preload
    clock_server {} {
        set before [split [r XADD s * f v] -]
        r XGROUP CREATE s g 0
        r XREADGROUP GROUP g c STREAMS s >
    } {
        for {set i 1} {$i <= 3} {incr i} {
            assert_equal [lindex $before 0]-[expr {[lindex $before 1] + $i}] [r XADD s * f v]
        }
        assert {[lindex [split [r XADD other * f v] -] 0] < [lindex $before 0]}
        assert_equal 0 [lindex [r XPENDING s g - + 1] 0 2] ;# it was delivered in the future
        assert_equal {} [r XCLAIM s g d 1000 [join $before -]]
        assert_equal [list [join $before -]] [r XCLAIM s g d 0 [join $before -] JUSTID]
        set consumer [lindex [r XINFO CONSUMERS s g] 0]
        assert_equal {0 0} [list [dict get $consumer idle] [dict get $consumer inactive]]
    }
}

# The pending entries of the first consumer of the first group: id, time, number of deliveries.
proc deliveries {key} {
    set group [lindex [dict get [r XINFO STREAM $key FULL] groups] 0]
    return [dict get [lindex [dict get $group consumers] 0] pending]
}

test "A delivery that is read from the log keeps its time, although the clock was set back since" {
    need_preload
    clock_server {appendonly yes} {
        r XADD s * f v
        r XGROUP CREATE s g 0
        r XREADGROUP GROUP g c STREAMS s >
        set before [deliveries s]
    } {
        r DEBUG LOADAOF
        assert_equal $before [deliveries s]
        assert_equal 1 [llength $before]
    }
}
