# What a server is, and what follows: REPLICAOF and its directive, ROLE, the errors of replicas, changes of role.

proc blocked {h args} {
    set before [node_field $h blocked_clients]
    set c [client $h]
    $c -send {*}$args
    wait_for {[node_field $h blocked_clients] == $before + 1}
    return $c
}

proc contents {path} {
    set file [open $path]
    set text [read $file]
    close $file
    return $text
}

test "REPLICAOF, ROLE and the way back" {
    with_nodes {p kura {} q kura {}} {
        assert_equal {master 0 {}} [$q ROLE]
        $p SET a 1
        assert_equal OK [$q REPLICAOF 127.0.0.1 [server_port $p]]
        wait_link $q
        assert_equal {OK Already connected to specified master} [$q SLAVEOF 127.0.0.1 [server_port $p]]
        wait_for {[nodes::has_all_of $p $q]}
        wait_for {[$q ROLE] eq [list slave 127.0.0.1 [server_port $p] connected [node_field $p master_repl_offset]]}
        wait_for {[lindex [$p ROLE] 2] ne {}}
        assert_match "master * {{127.0.0.1 [server_port $q] *}}" [$p ROLE]
        assert_match "*role replica*" [$q HELLO]
        assert_match "*:S *REPLICAOF 127.0.0.1:[server_port $p] enabled (user request from 'id=*" [server_log $q]
        set id [node_field $p master_replid]
        assert_equal OK [$q REPLICAOF no ONE]
        set end [lindex [$q ROLE] 1]
        assert_equal "master $end {}" [$q ROLE]
        assert_match "*role master*" [$q HELLO]
        assert_equal $id [node_field $q master_replid2]
        assert_equal [expr {$end + 1}] [node_field $q second_repl_offset]
        assert {[node_field $q master_replid] ne $id}
        set line "Setting secondary replication ID to $id, valid up to offset: [expr {$end + 1}]."
        assert_match "*$line*:M *MASTER MODE enabled (user request from 'id=*" [server_log $q]
        assert_equal 1 [$q GET a]
        assert_equal OK [$q SET a 2]
        assert_equal OK [$q REPLICAOF NO ONE] ;# it is one
    }
}

test "What REPLICAOF refuses" {
    with_nodes {q kura {}} {
        foreach port {x -1 65536 "" 1.5} {
            assert_error "ERR Invalid master port" { $q REPLICAOF 127.0.0.1 $port }
        }
        assert_error "ERR Invalid master host" { $q REPLICAOF [string repeat x 256] 1 }
        assert_error "ERR Invalid master host" { $q REPLICAOF "a\0b" 1 }
        assert_error "ERR wrong number of arguments*" { $q REPLICAOF 127.0.0.1 }
        assert_equal master [lindex [$q ROLE] 0]
        set c [client $q]
        $c REPLCONF listening-port 1
        $c -send PSYNC ? -1
        $c -line
        wait_for {[node_field $q connected_slaves] == 1}
        $c -send REPLICAOF 127.0.0.1 1
        wait_for {[string match "*Replica generated a reply to command 'replicaof'*" [server_log $q]]}
        assert_equal master [lindex [$q ROLE] 0]
    }
}

test "A replica of itself keeps its data, and tries again" {
    with_nodes {q kura {}} {
        $q SET a 1
        $q REPLICAOF 127.0.0.1 [server_port $q]
        wait_for {[regexp -all {Connecting to MASTER} [server_log $q]] >= 2}
        assert_equal 1 [$q GET a]
        assert_equal down [node_field $q master_link_status]
        $q REPLICAOF NO ONE
        assert_equal OK [$q SET a 2]
    }
}

test "A replica refuses writes, unless it is told not to" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        assert_error "READONLY You can't write against a read only replica." { $q SET a 1 }
        $q MULTI
        assert_error "READONLY*" { $q SET a 1 }
        assert_error "EXECABORT*" { $q EXEC }
        assert_equal (nil) [$q GET a]
        $q CONFIG SET replica-read-only no
        set end [node_field $q slave_repl_offset]
        assert_equal OK [$q SET a local]
        assert_equal $end [node_field $q slave_repl_offset] ;# that is nothing for the stream
        $q CONFIG SET replica-read-only yes
        $p SET a 2
        wait_for {[$q GET a] == 2}
    }
}

test "Without its primary a replica serves what it has, or says MASTERDOWN" {
    with_nodes {p kura {} q kura {}} {
        $p SET a 1
        follow $q $p
        node_end $p KILL
        wait_for {[node_field $q master_link_status] eq "down"}
        assert_equal 1 [$q GET a]
        $q CONFIG SET replica-serve-stale-data no
        set error "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
        assert_error $error { $q GET a }
        assert_error $error { $q PING }
        assert_error READONLY* { $q SET a 2 }
        foreach request {{INFO replication} ROLE {CONFIG GET port} {CLIENT ID}} { $q {*}$request }
        wait_for {[node_field $q master_link_down_since_seconds] >= 1}
        $q MULTI
        assert_error $error { $q GET a }
        $q DISCARD
        $q REPLICAOF NO ONE
        assert_equal 1 [$q GET a]
    }
}

test "Who waits when its server becomes a replica is told so, and closed" {
    with_nodes {p kura {} q kura {}} {
        set c [blocked $q BLPOP l 0]
        set d [blocked $q WAIT 1 0]
        $q SET a 1 ;# so that this WAIT waits
        set f [blocked $q BLMOVE x y LEFT RIGHT 0]
        $q CLIENT PAUSE 100000 WRITE
        set g [blocked $q SET a 2]
        $q REPLICAOF 127.0.0.1 [server_port $p]
        set unblocked "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
        foreach waiting [list $c $f] {
            catch { $waiting -read } error
            assert_equal $unblocked $error
            wait_for {[resp_has_ended $waiting]}
        }
        wait_link $q
        $q CLIENT UNPAUSE ;# what a pause holds is judged anew
        assert_error READONLY* { $g -read }
    }
}

test "REPLICAOF and writes in one transaction" {
    with_nodes {p kura {} q kura {}} {
        $p SET theirs 1
        $q MULTI
        $q SET mine 1
        $q REPLICAOF 127.0.0.1 [server_port $p]
        $q SET mine 2
        assert_equal {OK OK OK} [$q EXEC]
        wait_link $q
        level $p $q
        assert_equal {{} 1} [list [$q KEYS mine] [$q GET theirs]]
        # As Sentinel promotes.
        $q MULTI
        $q SLAVEOF NO ONE
        $q CLIENT KILL TYPE normal
        $q CLIENT KILL TYPE pubsub
        assert_match "OK *" [$q EXEC]
        assert_equal OK [$q SET mine 3]
    }
}

test "The directive replicaof, and what CONFIG REWRITE makes of it" {
    with_nodes {p kura {}} {
        $p SET a 1
        set folder [string trim [exec mktemp -d]]
        set path [file join $folder kura.conf]
        set file [open $path w]
        puts $file "# a comment\nslaveof 127.0.0.1 [server_port $p]\nslave-priority 7\nmin-slaves-max-lag 3"
        close $file
        set q [node_start kura {} -folder $folder -file kura.conf]
        wait_link $q
        assert_equal "replicaof {127.0.0.1 [server_port $p]}" [$q CONFIG GET replicaof]
        assert_equal 1 [$q GET a]
        assert_equal {7 1} [list [node_field $q slave_priority] [node_field $q replica_announced]]
        assert_error "*immutable*" { $q CONFIG SET replicaof "127.0.0.1 1" }
        $q CONFIG SET replica-announced no replica-serve-stale-data no
        $q CONFIG REWRITE
        set text [contents $path]
        foreach line [list "replicaof 127.0.0.1 [server_port $p]" "replica-priority 7" "replica-announced no" \
                "replica-serve-stale-data no" "min-replicas-max-lag 3"] {
            assert {[regexp "(^|\n)$line\n" $text]}
        }
        $q REPLICAOF NO ONE
        $q CONFIG REWRITE
        assert {![regexp {\n(replicaof|slaveof) } [contents $path]]}
        assert_equal {replicaof {}} [$q CONFIG GET replicaof]
        $q SLAVEOF 127.0.0.1 1
        $q CONFIG REWRITE
        assert {[regexp "\nreplicaof 127.0.0.1 1\n" [contents $path]]}
    }
}

test "A replica keeps what its primary keeps, whatever its limit on memory" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        for {set i 0} {$i < 200} {incr i} { $p SET key:$i [string repeat x 20000] }
        level $p $q
        $q CONFIG SET maxmemory-policy allkeys-lru
        $q CONFIG SET maxmemory 3mb
        assert_equal 0 [node_field $q evicted_keys]
        $p SET more 1
        wait_for {[$q GET more] == 1}
        assert_equal 201 [$q DBSIZE]
        $q CONFIG SET replica-ignore-maxmemory no
        wait_for {[$q DBSIZE] < 201}
        $q CONFIG SET replica-ignore-maxmemory yes
        for {set i 0} {$i < 200} {incr i} { $p SET other:$i [string repeat x 20000] }
        wait_for {[nodes::has_all_of $p $q]}
        set left [$q DBSIZE]
        assert {$left >= 200}
        $q REPLICAOF NO ONE
        wait_for {[$q DBSIZE] < $left}
    }
}

test "The append-only file is written anew around a full sync" {
    with_nodes {p kura {} q kura {appendonly yes}} {
        $q SET mine 1
        for {set i 0} {$i < 100} {incr i} { $p SET key:$i $i }
        follow $q $p
        $p SET behind 1
        level $p $q
        wait_for {[node_field $q aof_enabled] && ![node_field $q aof_rewrite_in_progress]}
        wait_for {[node_field $q aof_base_size] > 0 && ![node_field $q aof_rewrite_scheduled]}
        $q REPLICAOF NO ONE
        $q SET own 1
        set digest [$q DEBUG DIGEST]
        node_end $q
        node_restart $q {appendonly yes}
        assert_equal $digest [$q DEBUG DIGEST]
        assert_equal 102 [$q DBSIZE]
    }
}

test "oom-score-adj follows the role" {
    with_nodes {q kura {oom-score-adj absolute oom-score-adj-values {100 200 300}}} {
        proc score {h} { return [string trim [contents /proc/[server_pid $h]/oom_score_adj]] }
        assert_equal 100 [score $q]
        $q REPLICAOF 127.0.0.1 1
        assert_equal 200 [score $q]
        if {[catch { $q REPLICAOF NO ONE }] || [score $q] == 200} { skip "the score cannot be lowered again here" }
        assert_equal 100 [score $q]
    }
}

test "DEBUG REPLICATE and CHANGE-REPL-ID" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        $p DEBUG REPLICATE SET only there
        wait_for {[$q GET only] eq "there"}
        assert_equal (nil) [$p GET only]
        set id [node_field $p master_replid]
        $p DEBUG CHANGE-REPL-ID
        assert {[node_field $p master_replid] ne $id}
        assert_match "*Changing replication IDs after receiving change-repl-id*" [server_log $p]
    }
}

test "DEBUG SLEEP-AFTER-FORK" {
    with_nodes {p kura {}} {
        $p DEBUG SLEEP-AFTER-FORK 0.3
        set began [clock milliseconds]
        $p BGSAVE
        $p PING
        assert {[clock milliseconds] - $began >= 300}
        wait_for {![node_field $p rdb_bgsave_in_progress]}
        $p DEBUG SLEEP-AFTER-FORK 0
        assert_match "*SLEEP-AFTER-FORK <seconds>*REPLICATE*" [lsort -decreasing [$p DEBUG HELP]]
    }
}

test "The gates in their order, compared with redis-server" {
    with_nodes {k kura {} s redis {}} {
        foreach h {k s} {
            set h [set $h]
            set replies {}
            proc heard {h c args} {
                catch { $c {*}$args } reply
                return $reply
            }
            $h REPLICAOF 127.0.0.1 1
            $h CONFIG SET replica-serve-stale-data no min-replicas-to-write 1
            set c [client $h]
            lappend replies [heard $h $c SET a 1] [heard $h $c GET a] [heard $h $c PING]
            $c SUBSCRIBE x
            lappend replies [heard $h $c SET a 1] [heard $h $c GET a] [heard $h $c PING]
            $c RESET
            $h CONFIG SET replica-read-only no
            $c SUBSCRIBE x
            lappend replies [heard $h $c SET a 1]
            $c RESET
            lappend replies [heard $h $c SET a 1]
            $h REPLICAOF NO ONE
            $c -close
            set c [client $h]
            lappend replies [heard $h $c SET a 1] [heard $h $c GET a]
            $c SUBSCRIBE x
            lappend replies [heard $h $c SET a 1] [heard $h $c GET a]
            $c RESET
            $c MULTI
            lappend replies [heard $h $c SET a 1] [heard $h $c EXEC]
            lappend all $replies
        }
        assert_equal [lindex $all 1] [lindex $all 0]
    }
}

test "The memory of the log is overhead, and no data" {
    with_nodes {p kura {repl-backlog-size 4mb} q kura {}} {
        follow $q $p
        for {set i 0} {$i < 200} {incr i} { $p SET same [string repeat x 10000] }
        foreach field {mem_replication_backlog mem_total_replication_buffers} {
            assert {[node_field $p $field] > 2000000 && [node_field $p $field] < 2500000}
        }
        assert {[node_field $p used_memory_dataset] < 200000}
        set stats [$p MEMORY STATS]
        assert_equal [node_field $p mem_replication_backlog] [dict get $stats replication.backlog]
        send_signal STOP [server_pid $q]
        for {set i 0} {$i < 2000} {incr i} { $p SET same [string repeat x 10000] }
        assert {[node_field $p mem_replication_backlog] < 4500000}
        assert {[node_field $p mem_clients_slaves] > 500000 && [node_field $p mem_clients_slaves] < 18000000}
        assert {[node_field $p repl_held_bytes] > 500000}
        assert {[node_field $p used_memory_dataset] < 200000}
        send_signal CONT [server_pid $q]
        level $p $q
        wait_for {[node_field $p repl_held_bytes] < 100000}
    }
}
