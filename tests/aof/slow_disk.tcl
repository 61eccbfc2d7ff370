# A disk whose syncs take long, and children that do not die: clients that do not wait for the disk are served.
# SYNC_MS sets the time of a sync; the worst PING is printed.

set sync_ms [expr {[info exists env(SYNC_MS)] ? $env(SYNC_MS) : 500}]

# Runs the body with a server whose syncs take so long once [slow_from_now] was called.
proc with_slow_syncs {ms directives body} {
    need_preload
    set ::slow [string trim [exec mktemp -u]]
    set line "export SLOW_SYNCS=$::slow SLOW_SYNCS_MS=$ms LD_PRELOAD=$::root/build/tools/slow_syncs.so"
    set code [catch {uplevel 1 [list with_wrapped_server $line $directives $body]} result options]
    file delete $::slow
    return -options $options $result
}

proc slow_from_now {} { close [open $::slow w] }

# How often each thread of the server has waited: the child's syncs are those of a main thread, too.
proc syncs_of {thread} {
    set file [open $::slow]
    set lines [split [string trim [read $file]] \n]
    close $file
    return [llength [lsearch -all -exact $lines $thread]]
}

# PINGs until the condition holds. Returns the longest time that one took, in ms.
proc worst_ping {c condition} {
    set worst 0
    set deadline [expr {[clock milliseconds] + 60000}]
    while {![uplevel 1 [list expr $condition]]} {
        if {[clock milliseconds] > $deadline} { error "waited in vain for: $condition" }
        for {set i 0} {$i < 20} {incr i} {
            set began [clock milliseconds]
            $c PING
            set worst [expr {max($worst, [clock milliseconds] - $began)}]
            after 2
        }
    }
    return $worst
}

proc rewritten {c} {
    return [expr {[info_field aof_rewrite_in_progress $c] == 0 && [info_field aof_rewrite_scheduled $c] == 0}]
}

test "Slow syncs hold nobody during a rewrite but its own client, and writes for one step of it" {
    with_slow_syncs $sync_ms {appendonly yes appendfsync everysec save ""} {
        for {set i 0} {$i < 100} {incr i} { r SET key:$i value:$i }
        set other [client]
        set writer [client]
        $other PING
        slow_from_now
        r -send BGREWRITEAOF
        wait_for {[syncs_of worker] >= 1}
        # Writes go on while the next file is prepared.
        assert {![rewritten $other]}
        $writer SET during 1
        $writer -send SET behind 1
        set worst [worst_ping $other {[rewritten $other]}]
        puts "worst PING during BGREWRITEAOF: $worst ms"
        assert_equal "Background append only file rewriting started" [r -read]
        assert_equal OK [$writer -read]
        assert {$worst < $sync_ms}
        assert_equal 1 [syncs_of main] ;# the child's, of the base
        assert {[syncs_of worker] >= 6}
        assert_equal ok [info_field aof_last_bgrewrite_status]
        file delete $::slow
        set all [dataset]
        server_restart {appendonly yes save ""} KILL
        assert_equal $all [dataset]
    }
}

test "Slow syncs hold nobody while the log is switched on and off" {
    with_slow_syncs $sync_ms {appendonly no save ""} {
        for {set i 0} {$i < 100} {incr i} { r SET key:$i value:$i }
        set other [client]
        slow_from_now
        r -send CONFIG SET appendonly yes
        set worst [worst_ping $other {[rewritten $other]}]
        puts "worst PING during CONFIG SET appendonly yes: $worst ms"
        assert_equal OK [r -read]
        assert {$worst < $sync_ms}
        assert_equal 1 [syncs_of main]
        r SET k v
        r -send CONFIG SET appendonly no
        set worst [worst_ping $other {[info_field aof_enabled $other] == 0}]
        assert_equal OK [r -read]
        assert {$worst < $sync_ms}
        assert_equal 1 [syncs_of main]
        file delete $::slow
    }
}

test "A kill at any stage of a slow rewrite loses nothing that was acknowledged" {
    need_preload
    foreach policy {everysec always} {
        set kills {1 2 3 4 5 6 7}
        foreach kill $kills {
            with_slow_syncs 100 [list appendonly yes appendfsync everysec save ""] {
                set c [client]
                for {set i 0} {$i < 10} {incr i} { $c INCR counter }
                r CONFIG SET appendfsync $policy
                slow_from_now
                r -send BGREWRITEAOF
                wait_for {[syncs_of worker] >= min($kill, 4) || [info_field aof_rewrite_in_progress $c] == 0}
                if {$policy eq "everysec"} {
                    for {set i 0} {$i < 5} {incr i} { set told [$c INCR counter] }
                } else {
                    set told 10
                }
                wait_for {[syncs_of worker] >= $kill || [info_field aof_rewrite_in_progress $c] == 0} 30000
                file delete $::slow
                $c -close
                server_restart {appendonly yes save ""} KILL
                assert {[r GET counter] >= $told}
            }
        }
    }
}

# Starts a child that does not end by itself, and stops it, so that it cannot even react to a signal.
proc stopped_child {command} {
    r CONFIG SET rdb-key-save-delay 10000000
    r DEBUG POPULATE 5
    r {*}$command
    set children /proc/[server_pid]/task/[server_pid]/children
    wait_for {[string trim [exec cat $children]] ne ""}
    set pid [string trim [exec cat $children]]
    send_signal STOP $pid
    wait_for {[regexp {State:\s+T} [exec cat /proc/$pid/status]]}
    r CONFIG SET rdb-key-save-delay 0
    return $pid
}

proc is_gone {pid} { return [expr {![file exists /proc/$pid]}] }

with_server {save "3600 1"} {
    test "FLUSHALL does not wait for a child that is stopped" {
        set pid [stopped_child BGSAVE]
        r -timeout 5000
        r FLUSHALL
        assert_equal 0 [info_field rdb_bgsave_in_progress]
        wait_for {[is_gone $pid]}
        assert_equal {} [glob -nocomplain [file join [server_folder] temp-*]]
        r SET k v
        r BGSAVE
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        assert_equal ok [info_field rdb_last_bgsave_status]
    }

    test "CONFIG SET appendonly no does not wait for a child that is stopped" {
        set pid [stopped_child {CONFIG SET appendonly yes}]
        r CONFIG SET appendonly no
        assert_equal 0 [info_field aof_rewrite_in_progress]
        wait_for {[is_gone $pid]}
        assert_equal {} [glob -nocomplain [file join [server_folder] temp-*]]
    }

    test "SHUTDOWN does not wait for a child that is stopped" {
        set pid [stopped_child BGSAVE]
        catch {r SHUTDOWN NOSAVE}
        assert_equal 0 [server_wait_exit 5000]
        wait_for {[is_gone $pid]}
        assert_equal {} [glob -nocomplain [file join [server_folder] temp-*]]
        r_close
        server_restart {save ""}
    }
}
