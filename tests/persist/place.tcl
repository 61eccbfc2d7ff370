# Snapshots tell the place of their data in the history of replication, in the fields that Redis has for it; a server
# that starts with one goes on there.

set quiet {save "3600 1000000" repl-ping-replica-period 3600}

proc fields {h} {
    set tool [file join [file dirname $::env(KURA_SERVER)] kura-check-rdb]
    if {![file exists $tool]} { file link -symbolic $tool $::env(KURA_SERVER) }
    set text [exec $tool [file join [server_folder $h] dump.rdb]]
    set found {}
    foreach {all name value} [regexp -all -inline {AUX FIELD (repl-[a-z-]+) = '([^']*)'} $text] {
        dict set found $name $value
    }
    return $found
}

test "Without a replica a snapshot tells no place" {
    with_nodes [list p kura $quiet] {
        $p SET k v
        $p SAVE
        assert_equal {} [fields $p]
    }
}

test "SAVE and BGSAVE tell the place of the data" {
    with_nodes [list p kura $quiet q kura {}] {
        follow $q $p
        wait_for {[node_field $p rdb_bgsave_in_progress] == 0} ;# the snapshot for the replica
        $p SELECT 3
        foreach save {SAVE BGSAVE} {
            $p SET k $save
            $p PUBLISH c m
            $p $save
            wait_for {[node_field $p rdb_bgsave_in_progress] == 0}
            set fields [fields $p]
            assert_equal [node_field $p master_replid] [dict get $fields repl-id]
            assert_equal [node_field $p master_repl_offset] [dict get $fields repl-offset]
            assert_equal 3 [dict get $fields repl-stream-db]
        }
        level $p $q
        $q SAVE
        assert_equal [node_field $p master_replid] [dict get [fields $q] repl-id]
        assert_equal [node_field $p master_repl_offset] [dict get [fields $q] repl-offset]
        assert_equal 3 [dict get [fields $q] repl-stream-db]
    }
}

# Two directions: what kura has saved tells Redis, and what Redis has saved tells kura.
foreach {first second} {kura redis redis kura} {
    test "A snapshot of $first tells $second where to go on" {
        with_nodes [list p kura {repl-ping-replica-period 3600} q $first $quiet] {
            $p SELECT 2
            $p SET k 1
            follow $q $p
            $p SET l 2
            level $p $q
            node_end $q TERM
            $p SET m 3
            set r [server_start [dict merge $quiet [list replicaof "127.0.0.1 [server_port $p]"]] \
                -folder [server_folder $q] -binary [expr {$second eq "redis" ? [oracle] : [server_binary]}]]
            set c [client $r]
            wait_for {[info_field master_link_status $c] eq "up"}
            assert_equal {1 1} [list [full_syncs $p] [partial_syncs $p]]
            $c SELECT 2
            wait_for {[$c GET m] == 3}
            assert_equal {1 2} [$c MGET k l]
            $c -close
            server_kill $r TERM
        }
    }
}

# Keys that are due when the primary reads its snapshot are not loaded, but its replicas have them.
test "A primary that leaves out keys when it loads tells its replicas" {
    with_nodes [list p kura $quiet q kura {}] {
        follow $q $p
        $p SET stays 1
        $p SELECT 4
        $p SET goes 1 PX 300
        $p SET "goes too" 1 PX 300
        level $p $q
        node_end $p TERM
        after 350
        node_restart $p $quiet
        assert_equal 2 [node_field $p rdb_last_load_keys_expired]
        wait_link $q
        level $p $q
        assert_equal {0 1} [list [full_syncs $p] [partial_syncs $p]]
        assert_equal 0 [string match *db4:* [$q INFO keyspace]]
        assert_equal 1 [$q EXISTS stays]
    }
}

# A replica loads them: only its primary may say that they are gone.
test "A replica loads keys that are due" {
    with_nodes [list p kura {repl-ping-replica-period 3600} q kura $quiet] {
        follow $q $p
        $p DEBUG SET-ACTIVE-EXPIRE 0
        $p SET k v PX 200
        level $p $q
        node_end $q TERM
        after 250
        node_restart $q [dict merge $quiet [list replicaof "127.0.0.1 [server_port $p]"]]
        wait_link $q
        assert_equal 0 [node_field $q rdb_last_load_keys_expired]
        assert_match "keys=1,*" [node_field $q db0]
        $p DEBUG SET-ACTIVE-EXPIRE 1
        wait_for {![string match *db0:* [$q INFO keyspace]]}
        assert_equal {1 1} [list [full_syncs $p] [partial_syncs $p]]
    }
}
