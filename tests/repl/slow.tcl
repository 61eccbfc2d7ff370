# Replicas and links that are slow, stopped, half open or cut in the middle of a snapshot, disks that are full, forks
# that fail, and clocks that differ: the primary serves its clients, the replica keeps what it has, and in the end they
# agree.

# Writes of 10 KB each, until so many bytes are written; the primary must answer each at once.
proc write_megabytes {p n} {
    set value [string repeat x 10000]
    for {set i 0} {$i < $n * 100} {incr i} { $p -send SET big:[expr {$i % 50}] $value$i }
    for {set i 0} {$i < $n * 100} {incr i} { $p -read }
}

proc children_of {h} {
    return [llength [exec cat /proc/[server_pid $h]/task/[server_pid $h]/children]]
}

# How many snapshots were written at the same time, by its log.
proc most_children {h} {
    set now 0
    set most 0
    foreach line [split [server_log $h] \n] {
        if {[string match {*Background*started by pid*} $line]} { set most [expr {max($most, [incr now])}] }
        if {[string match {*Background*terminated*} $line]} { incr now -1 }
    }
    return $most
}

proc wait_no_child {h} {
    wait_for {[node_field $h rdb_bgsave_in_progress] == 0}
}

foreach {first second} {kura kura kura redis} {
    test "$first -> $second: a replica that stops and goes on within the limits needs no full sync" {
        with_nodes [list p $first {repl-backlog-size 50mb client-output-buffer-limit "replica 1mb 1mb 1"} \
                q $second {}] {
            follow $q $p
            send_signal STOP [server_pid $q]
            write_megabytes $p 12
            send_signal CONT [server_pid $q]
            level $p $q
            assert_equal 1 [full_syncs $p]
            assert_equal 0 [partial_syncs $p] ;# its limit is never below the backlog's size
        }
    }

    test "$first -> $second: a replica that stops is dropped at the limit of its class, and gets all later" {
        with_nodes [list p $first {repl-backlog-size 100kb client-output-buffer-limit "replica 1mb 0 0"} q $second {}] {
            follow $q $p
            set before [node_field $p used_memory]
            send_signal STOP [server_pid $q]
            write_megabytes $p 16
            wait_for {[node_field $p connected_slaves] == 0}
            wait_for {[node_field $p used_memory] - $before < 8000000}
            assert_match "*scheduled to be closed ASAP for overcoming of output buffer limits*" [server_log $p]
            send_signal CONT [server_pid $q]
            level $p $q
            assert_equal 2 [full_syncs $p]
        }
    }

    test "$first -> $second: a link that trickles, and meanwhile clients are served" {
        with_nodes [list p $first {} q $second {}] {
            dataset_fill $p
            set proxy [proxy_start $p]
            proxy $proxy trickle 2000 5
            $q REPLICAOF 127.0.0.1 [proxy_port $proxy]
            set slowest 0
            wait_for {[lindex [proxy $proxy ask] 2] > 10000}
            for {set i 0} {$i < 100} {incr i} {
                set before [clock milliseconds]
                $p SET served $i
                set slowest [expr {max($slowest, [clock milliseconds] - $before)}]
            }
            assert {$slowest < 500 * [slowness]}
            wait_link $q
            level $p $q
            assert_equal 1 [full_syncs $p]
            proxy_stop $proxy
        }
    }

    test "$first -> $second: the child of a snapshot that nobody takes any more ends" {
        with_nodes [list p $first {repl-diskless-sync yes rdb-key-save-delay 20000} q $second {}] {
            for {set i 0} {$i < 500} {incr i} { $p SET k:$i [random_bytes 20][string repeat $i 2000] }
            $q REPLICAOF 127.0.0.1 [server_port $p]
            wait_for {[node_field $p rdb_bgsave_in_progress] == 1 && [children_of $p] == 1}
            node_end $q KILL
            wait_no_child $p
            wait_for {[children_of $p] == 0}
            assert_match "*last replica dropped, killing fork child.*" [server_log $p]
        }
    }

    test "$first -> $second: a stopped replica of a diskless sync does not keep the other one from its data" {
        with_nodes [list p $first {repl-timeout 2 repl-diskless-sync-delay 1 repl-ping-replica-period 1} \
                q $second {repl-timeout 60} s $second {repl-timeout 60}] {
            for {set i 0} {$i < 300} {incr i} { $p SET k:$i [random_bytes 20][string repeat $i 9000] }
            $p CONFIG SET rdbcompression no
            $q REPLICAOF 127.0.0.1 [server_port $p]
            $s REPLICAOF 127.0.0.1 [server_port $p]
            wait_for {[node_field $p connected_slaves] == 2}
            send_signal STOP [server_pid $s]
            wait_link $q
            level $p $q
            send_signal CONT [server_pid $s]
            wait_link $s
            level $p $s
        }
    }
}

foreach {first second} {kura kura redis kura} {
    # All at once: a kura replica tries again after a second.
    test "$first -> $second: links cut within snapshots, which leave the old data as they are" {
        with_nodes {} {
            set cases {}
            foreach {diskless load} {yes disabled no disabled yes swapdb} {
                set p [node_start $first "repl-diskless-sync $diskless"]
                set q [node_start $second "repl-diskless-load $load"]
                load_wait [load_start $p 2000 0]
                dataset_fill $p
                $p SET noise [random_bytes 20000]
                $q SET old 1
                set proxy [proxy_start $p]
                # The handshake is about 100 bytes, the snapshot more than 20 KB.
                proxy $proxy limits 300 3000 [expr {400 + [random_below 10000]}] {*}[lrepeat 50 250]
                $q REPLICAOF 127.0.0.1 [proxy_port $proxy]
                lappend cases $p $q $proxy
            }
            foreach {p q proxy} $cases {
                wait_for {[lindex [proxy $proxy ask] 1] >= 3} 20000
                # It may be receiving the next snapshot right now, straight from the socket.
                wait_for {[catch {$q GET old} old] == 0}
                assert_equal 1 $old
                proxy $proxy unlimited
            }
            foreach {p q proxy} $cases {
                wait_link $q
                level $p $q
                assert_equal 0 [$q EXISTS old]
                wait_no_child $p
                proxy_stop $proxy
            }
        }
    }
}

test "a half-open link is noticed by both, and the stream goes on where it ended" {
    with_nodes [list p kura {repl-timeout 2 repl-ping-replica-period 1 repl-backlog-size 50mb} \
            q kura {repl-timeout 2}] {
        set proxy [proxy_start $p]
        follow_port $q [proxy_port $proxy]
        proxy $proxy stop
        $p SET a 1
        wait_for {![link_is_up $q] && [node_field $p connected_slaves] == 0}
        assert_match "*Disconnecting timedout replica (streaming sync)*" [server_log $p]
        assert_match "*MASTER timeout: no data nor PING received...*" [server_log $q]
        $p SET b 1
        proxy $proxy go
        proxy $proxy cut
        wait_link $q
        level $p $q
        assert_equal 1 [full_syncs $p]
        proxy_stop $proxy
    }
}

test "a cut longer than the backlog needs no full sync, unless its size was set" {
    need_kura
    foreach {directives full} {{} 1 {repl-backlog-size 1mb} 2} {
        with_nodes [list p kura $directives q kura {}] {
            set proxy [proxy_start $p]
            follow_port $q [proxy_port $proxy]
            proxy $proxy refuse
            proxy $proxy cut
            wait_for {![link_is_up $q]}
            write_megabytes $p 5
            proxy $proxy accept
            wait_link $q
            level $p $q
            assert_equal $full [full_syncs $p]
            proxy_stop $proxy
        }
    }
}

test "a thousand replicas that ask for a full sync and hang up" {
    with_nodes {p kura {} q kura {}} {
        dataset_fill $p
        follow $q $p
        set before [node_field $p used_memory]
        for {set i 0} {$i < 1000} {incr i} {
            set c [resp_connect 127.0.0.1 [server_port $p]]
            $c -send PSYNC ? -1
            if {$i % 3} { $c -send REPLCONF ACK [expr {$i - 500}] }
            if {$i % 10 == 0} { $c -line }
            $c -close
        }
        wait_for {[node_field $p connected_slaves] == 1} 20000
        wait_no_child $p
        $p SET end 1
        level $p $q
        assert_equal 1 [most_children $p]
        assert_equal {} [string trim [lsearch -inline -all [split [$p CLIENT LIST] \n] *flags=S*addr=none*]]
        wait_for {[node_field $p used_memory] - $before < 2000000}
    }
}

test "the disk of a replica is full: it keeps its data, tries again, and follows when there is room" {
    need_kura
    with_nodes {p redis {}} {
        $p CONFIG SET rdbcompression no
        for {set i 0} {$i < 100} {incr i} { $p SET k:$i [string repeat x 5000] }
        set q [node_start kura {logfile ""} -wrap "ulimit -f 200"]
        $q SET old 1
        $q REPLICAOF 127.0.0.1 [server_port $p]
        wait_for {[full_syncs $p] >= 2} 20000
        assert_equal 1 [$q GET old]
        assert {![link_is_up $q]}
        wait_for {[glob -nocomplain [server_folder $q]/temp-*.rdb] eq ""}
        for {set i 0} {$i < 90} {incr i} { $p DEL k:$i }
        wait_link $q
        level $p $q
    }
}

test "the fork of a full sync fails: the replica tries again" {
    need_preload
    set switch [string trim [exec mktemp]]
    with_nodes {q kura {}} {
        set p [node_start kura {} -wrap "export FORK_FAILS=$switch LD_PRELOAD=$::root/build/tools/fork_fails.so"]
        $p SET a 1
        $q SET old 1
        $q REPLICAOF 127.0.0.1 [server_port $p]
        wait_for {[string match {*ork*Cannot allocate memory*} [server_log $p]]}
        assert_equal 1 [$q GET old]
        $p SET b 1
        file delete $switch
        wait_link $q
        level $p $q
    }
}

# The clock of one side is an hour behind that of the other.
foreach behind {replica primary} {
    test "the clock of the $behind is an hour back: nothing is lost, and keys go when the primary says so" {
        need_preload
        set switch [string trim [exec mktemp]]
        exec sh -c {echo 3600 >"$1"} sh $switch
        set back "export CLOCK_BACK=$switch LD_PRELOAD=$::root/build/tools/clock_back.so"
        with_nodes {} {
            foreach {name side} {p primary q replica} {
                set $name [node_start kura {} {*}[expr {$side eq $behind ? [list -wrap $back] : {}}]]
            }
            $p SET before v EX 1000
            $p SET short v PX 500
            follow $q $p
            $p SET minutes v EX 600
            $p SADD set a b
            $p EXPIRE set 600
            level $p $q
            assert_equal 1 [$p EXISTS minutes]
            # Whose clock is ahead hides what seems to be due, but has it.
            assert_equal [expr {$behind eq "primary" ? 0 : 1}] [$q EXISTS minutes]
            $p PERSIST minutes
            wait_for {[$q EXISTS minutes] == 1}
            wait_for {[$p EXISTS short] == 0 && [$p DBSIZE] == 3}
            level $p $q
            # What the primary had is there for a replica that starts again, too.
            $q CLIENT KILL TYPE master
            wait_link $q
            level $p $q
        }
        file delete $switch
    }
}

test "a replica that was dropped for its buffer gets the next snapshot later and later" {
    need_kura
    with_nodes {p kura {client-output-buffer-limit "replica 200kb 0 0" repl-backlog-size 100kb repl-rdb-channel no
            rdb-key-save-delay 3000}} {
        for {set i 0} {$i < 100} {incr i} { $p SET k:$i v }
        set forks {}
        set c ""
        for {set round 0} {$round < 3} {incr round} {
            set c [client $p]
            $c REPLCONF listening-port 7777 capa eof capa psync2
            $c -send PSYNC ? -1
            wait_for {[regexp -all {transfer started by pid} [server_log $p]] == $round + 1}
            lappend forks [clock milliseconds]
            write_megabytes $p 1
            wait_for {[node_field $p connected_slaves] == 0}
            $c -close
        }
        lassign $forks a b d
        assert {$b - $a >= 900 && $d - $b >= 1900}
        assert_match "*client-output-buffer-limit*" [server_log $p]
    }
}
