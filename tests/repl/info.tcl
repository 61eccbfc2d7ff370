# What operators and their tools see: fields of INFO, directives, lists of clients, and redis-cli as a replica.

# The names of the fields of a section, in their order.
proc field_names {h section} {
    return [lmap line [split [$h INFO $section] \n] {
        if {![regexp {^([a-z_0-9]+):} $line -> name]} { continue }
        set name
    }]
}

# Fields that redis-server has must be there; kura may have more.
foreach section {replication persistence stats memory clients} {
    test "INFO $section has the fields of redis-server, in both roles" {
        with_nodes {rp redis {} rq redis {} kp kura {} kq kura {}} {
            follow $rq $rp
            follow $kq $kp
            foreach {theirs ours} [list $rp $kp $rq $kq] {
                set missing {}
                set have [field_names $ours $section]
                foreach name [field_names $theirs $section] { if {$name ni $have} { lappend missing $name } }
                assert_equal {} $missing
            }
        }
    }
}

test "INFO replication: the same lines in the same order as redis-server, in both roles" {
    foreach program {redis kura} {
        with_nodes [list p $program {} q $program {}] {
            set lines [list [$p INFO replication]]
            follow $q $p
            $p SET a 1
            level $p $q
            wait_for {[string match {*state=online*lag=[01]*} [$p INFO replication]]}
            lappend lines [$p INFO replication] [$q INFO replication]
            node_end $p KILL
            wait_for {![link_is_up $q]}
            lappend lines [$q INFO replication]
            set text [join $lines \n]
            regsub -all {[0-9a-f]{40}} $text <id> text
            # kura's own, which stand at the end of lines and sections.
            regsub -all {,behind=\d+} $text {} text
            regsub -all -line {^repl_(held_bytes|last_full_sync_ms):-?\d+\r?\n} $text {} text
            regsub -all {lag=[01]} $text lag=<n> text
            regsub -all {(seconds[a-z_]*:|offset[=:]|master_port:|port=|histlen:|seconds_ago:)-?\d+} $text {\1<n>} text
            set seen($program) $text
        }
    }
    foreach theirs [split $seen(redis) \n] ours [split $seen(kura) \n] { assert_equal $theirs $ours }
}

test "ROLE, in both roles and while connecting" {
    foreach program {redis kura} {
        with_nodes [list p $program {} q $program {}] {
            set seen($program) [list [lindex [$p ROLE] 0]]
            follow $q $p
            $p SET a 1
            level $p $q
            wait_for {[lindex [$p ROLE] 2 0 2] == [node_field $p master_repl_offset]}
            lassign [$p ROLE] role offset replicas
            lappend seen($program) $role [llength $replicas] [lindex $replicas 0 0]
            assert_equal [server_port $q] [lindex $replicas 0 1]
            lassign [$q ROLE] role host port state offset
            lappend seen($program) $role $host $state
            assert_equal [node_field $p master_repl_offset] $offset
            $q REPLICAOF 127.0.0.1 1
            wait_for {[lindex [$q ROLE] 3] eq "connect"}
            lappend seen($program) [lindex [$q ROLE] 4]
        }
    }
    assert_equal $seen(redis) $seen(kura)
}

set directives {
    repl-backlog-size {1mb 0 100 16384 10gb -1 abc}
    repl-backlog-ttl {3600 0 -1 abc}
    repl-timeout {60 1 0 -1 abc}
    repl-ping-replica-period {10 1 0 abc}
    repl-diskless-sync {yes no maybe}
    repl-diskless-sync-delay {5 0 -1}
    repl-diskless-sync-max-replicas {0 5 -1}
    repl-diskless-load {disabled on-empty-db swapdb never}
    rdb-del-sync-files {yes no 1}
    replica-serve-stale-data {yes no 1}
    replica-read-only {yes no 1}
    replica-ignore-maxmemory {yes no 1}
    replica-ignore-disk-write-errors {yes no 1}
    replica-lazy-flush {yes no 1}
    replica-priority {100 0 -1 abc}
    replica-announced {yes no 1}
    replica-announce-ip {10.0.0.1 a.name ""}
    replica-announce-port {0 7777 65536 abc}
    min-replicas-to-write {0 2 -1 abc}
    min-replicas-max-lag {10 0 -1 abc}
    masterauth {secret ""}
    masteruser {ada ""}
    shutdown-timeout {10 0 -1 abc}
    propagation-error-behavior {ignore panic panic-on-replicas never}
    repl-disable-tcp-nodelay {yes no 1}
    slave-read-only {no yes}
    slave-priority {7}
    min-slaves-to-write {3 0}
    slave-serve-stale-data {yes}
    repl-ping-slave-period {11}
    slave-announce-port {1}
    client-output-buffer-limit {{replica 1mb 2mb 60} {slave 256mb 64mb 60} {replica 1 2 x}}
}

test "directives take and refuse the same values as redis-server's" {
    foreach program {redis kura} {
        with_nodes [list h $program {}] {
            set seen($program) {}
            foreach {name values} $directives {
                lappend seen($program) "$name: initially [$h CONFIG GET $name]"
                foreach value $values {
                    set code [catch {$h CONFIG SET $name $value} reply]
                    lappend seen($program) "$name $value: $reply, then [$h CONFIG GET $name]"
                }
            }
        }
    }
    foreach theirs $seen(redis) ours $seen(kura) { assert_equal $theirs $ours }
}

test "CONFIG REWRITE writes replicaof, and a server with this file follows; NO ONE takes it out" {
    with_nodes {p redis {}} {
        $p SET a 1
        set folder [string trim [exec mktemp -d]]
        close [open $folder/node.conf w]
        set q [node_start kura {} -folder $folder -file node.conf]
        follow $q $p
        $q CONFIG REWRITE
        set file [open $folder/node.conf]
        set text [read $file]
        close $file
        assert_match "*replicaof 127.0.0.1 [server_port $p]\n*" $text
        node_end $q KILL
        set again [node_start kura {} -folder $folder -file node.conf]
        wait_link $again
        assert_equal 1 [$again GET a]
        $again REPLICAOF NO ONE
        $again CONFIG REWRITE
        set file [open $folder/node.conf]
        set text [read $file]
        close $file
        assert {![string match *replicaof* $text]}
    }
}

test "CLIENT LIST and CLIENT KILL by type" {
    foreach {first second} {kura redis redis kura kura kura} {
        with_nodes [list p $first {} q $second {}] {
            follow $q $p
            foreach {h type flag} [list $p replica S $p slave S $q master M] {
                set lines [split [string trim [$h CLIENT LIST TYPE $type]] \n]
                assert_equal 1 [llength $lines]
                assert_match "* flags=$flag *" [lindex $lines 0]
            }
            assert_equal {} [string trim [$p CLIENT LIST TYPE master]]
            assert_match "*flags=N*" [$p CLIENT LIST TYPE normal]
            set full [full_syncs $p]
            foreach {h type} [list $p replica $q master] {
                set partial [partial_syncs $p]
                assert_equal 1 [$h CLIENT KILL TYPE $type]
                wait_for {[partial_syncs $p] > $partial}
                wait_link $q
            }
            assert_equal $full [full_syncs $p]
        }
    }
}

# redis-cli as a replica: what it prints or writes.
proc run_cli {h args} {
    return [exec timeout 20 [oracle redis-cli] -p [server_port $h] {*}$args 2>@1]
}

foreach diskless {yes no} {
    test "redis-cli --rdb and --functions-rdb, diskless $diskless" {
        with_nodes [list p kura "repl-diskless-sync $diskless"] {
            dataset_fill $p
            set digest [$p DEBUG DIGEST]
            set path [server_folder $p]/copy.rdb
            run_cli $p --rdb $path
            assert {![catch {exec [oracle redis-check-rdb] $path} text]}
            assert_match "*RDB looks OK*" $text
            with_nodes [list other redis [list dbfilename copy.rdb dir [server_folder $p]]] {
                assert_equal $digest [$other DEBUG DIGEST]
            }
            set path [server_folder $p]/functions.rdb
            run_cli $p --functions-rdb $path
            assert {[file size $path] > 0 && [file size $path] < 1000}
            wait_for {[node_field $p connected_slaves] == 0}
        }
    }
}

test "redis-cli --replica shows the stream" {
    with_nodes {p kura {}} {
        $p SET a 1
        set cli [open |[list timeout 20 [oracle redis-cli] -p [server_port $p] --replica 2>@1] r]
        fconfigure $cli -blocking 0
        wait_for {[string match *state=online* [$p INFO replication]]}
        set text ""
        set n 0
        wait_for {[$p SET b [incr n]] eq "OK" && [string match *SET*b*\"* [append text [read $cli]]]}
        catch {exec sh -c "kill [lindex [pid $cli] 0]"}
        catch {close $cli}
    }
}

test "the memory and the traffic of replication are counted" {
    with_nodes {p kura {} q kura {}} {
        need_kura
        follow $q $p
        load_wait [load_start $p 3000 0]
        level $p $q
        assert {[node_field $p mem_total_replication_buffers] > 0}
        assert {[node_field $p total_net_repl_output_bytes] >= [node_field $p master_repl_offset]}
        assert {[node_field $q total_net_repl_input_bytes] >= [node_field $p master_repl_offset]}
        assert_match "*behind=0*" [$p INFO replication]
        assert {[node_field $p repl_last_full_sync_ms] >= 0}
        assert {[node_field $p repl_held_bytes] >= 0}
    }
}
