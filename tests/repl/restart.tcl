# A node that was ended in whatever way goes on where its file ends, if its file can tell: only a partial sync follows,
# and never is a byte wrong.

set roomy {repl-backlog-size 100mb}
set kinds {
    rdb {save "3600 1000000"}
    everysec {appendonly yes appendfsync everysec}
    always {appendonly yes appendfsync always}
}

# redis-server never goes on behind an append-only file.
proc goes_on {program kind} {
    return [expr {$kind eq "rdb" || ($program eq "kura" && [kura_is_tested])}]
}

# The snapshot of the full sync is a file of the replica too: with save points it goes on from there after a kill.
foreach {first second} {kura kura redis kura kura redis} {
    foreach {kind directives} $kinds {
        foreach signal {TERM KILL} {
            if {$second eq "redis" && $kind ne "rdb"} { continue }
            test "$first -> $second with $kind: the replica is restarted by $signal under load" {
                with_nodes [list p $first $roomy q $second $directives] {
                    dataset_fill $p
                    follow $q $p
                    set load [load_start $p 0 3000]
                    wait_for {[node_field $q slave_repl_offset] > 100000}
                    node_restart $q [dict merge $directives [list replicaof "127.0.0.1 [server_port $p]"]] $signal
                    wait_link $q
                    assert {[load_stop $load] > 0}
                    level $p $q
                    assert_equal [expr {2 - [goes_on $second $kind]}] [full_syncs $p]
                }
            }
        }
    }
}

# The replica waits for its primary meanwhile, and asks it for what follows its own end.
foreach {first second} {kura kura kura redis redis kura} {
    foreach {kind directives} $kinds {
        if {$first eq "redis" && $kind ne "rdb"} { continue }
        test "$first -> $second with $kind: the primary is restarted by SHUTDOWN and the replica goes on" {
            if {$kind ne "rdb"} { need_kura }
            with_nodes [list p $first [dict merge $roomy $directives] q $second {}] {
                follow $q $p
                set load [load_start $p 3000 0]
                load_wait $load
                level $p $q
                set before [$p DEBUG DIGEST]
                node_restart $p [dict merge $roomy $directives] TERM
                wait_link $q
                load_wait [load_start $p 1000 0]
                level $p $q
                assert_equal {0 1} [list [full_syncs $p] [partial_syncs $p]]
            }
        }
    }
}

# What counts in the offset but is in no file must not move the place at which the node goes on: PING and GETACK of the
# primary, messages, and writes to a writable replica, which are in its file but in no stream. (The random commands know
# nothing of database 9.)
foreach policy {everysec always} {
    test "the offset of the append-only file ($policy) is right whatever else the stream has" {
        need_kura
        set directives "appendonly yes appendfsync $policy replica-read-only no"
        with_nodes [list p redis [concat $roomy repl-ping-replica-period 1] q kura $directives] {
            follow $q $p
            for {set round 0} {$round < 6} {incr round} {
                load_wait [load_start $p 300 0]
                $p PUBLISH news hello
                $p WAIT 1 100
                $q SELECT 9
                $q SET mine $round
                $q SELECT 0
                set until [expr {[node_field $p master_repl_offset] + 14}]
                if {$round == 2} { wait_for {[node_field $p master_repl_offset] >= $until} }
                if {$round == 3} {
                    $q BGREWRITEAOF
                    wait_for {[node_field $q aof_rewrite_in_progress] + [node_field $q aof_rewrite_scheduled] == 0}
                }
                set more [dict merge $directives [list replicaof "127.0.0.1 [server_port $p]"]]
                node_restart $q $more [lindex {TERM KILL} [expr {$round % 2}]]
                wait_link $q
                $q SELECT 9
                assert_equal $round [$q GET mine]
                $q DEL mine
                $q SELECT 0
            }
            level $p $q
            assert_equal 1 [full_syncs $p]
        }
    }
}

# Ends the node, takes bytes from the end of its append-only file, and starts it as a replica again.
proc node_cut_file {q bytes directives} {
    set primary "[node_field $q master_host] [node_field $q master_port]"
    server_kill $q
    set path [lindex [lsort -dictionary [glob [server_folder $q]/appendonlydir/*.incr.aof]] end]
    set file [open $path r+]
    chan truncate $file [expr {[file size $path] - $bytes}]
    close $file
    node_restart $q [dict merge $directives [list replicaof $primary]]
}

test "a replica whose file ends in the middle of a frame goes on behind the last whole one" {
    need_kura
    set directives {appendonly yes}
    with_nodes [list p redis $roomy q kura $directives] {
        follow $q $p
        load_wait [load_start $p 2000 0]
        level $p $q
        node_cut_file $q 20 $directives
        wait_link $q
        level $p $q
        assert_equal 1 [full_syncs $p]
    }
}
