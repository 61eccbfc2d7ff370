# "#R:<id> <offset> <database>": the place in the history of the data up to which the log goes. It is told where a
# replica knows of the history, and it is right whatever is in the stream and not in the file, or the other way round.

# Each place as {id offset database}, in order.
proc places {bytes} {
    set found {}
    foreach {line id offset db} [regexp -all -inline {#R:([0-9a-f]{40}) ([0-9]+) (-?[0-9]+)\r\n} $bytes] {
        lappend found [list $id $offset $db]
    }
    return $found
}

# A replica that takes the stream and says nothing: from now on the server has a history.
proc listen_to {h} {
    set c [resp_connect 127.0.0.1 [server_port $h]]
    $c -send PSYNC ? -1
    wait_for {[node_field $h connected_slaves] == 1}
    wait_for {[node_field $h rdb_bgsave_in_progress] == 0}
    return $c
}

proc place_now {h db} {
    return [list [node_field $h master_replid] [node_field $h master_repl_offset] $db]
}

proc check_log {h args} {
    set tool [file join [file dirname $::env(KURA_SERVER)] kura-check-aof]
    if {![file exists $tool]} { file link -symbolic $tool $::env(KURA_SERVER) }
    set manifest [glob [file join [server_folder $h] appendonlydir *.manifest]]
    catch {exec $tool {*}$args $manifest << "y\ny\n" 2>@1} output
    return $output
}

set quiet {appendonly yes save "" repl-ping-replica-period 3600 shutdown-timeout 0}

test "Without a replica a log tells no place" {
    with_nodes [list p kura $quiet] {
        $p SET k v
        $p PUBLISH c m
        $p BGREWRITEAOF
        wait_for {[node_field $p aof_rewrite_in_progress] == 0}
        $p SET k w
        assert_equal {} [places [log_bytes $p]]
        assert_equal -1 [string first repl-id [log_bytes $p *.base.rdb]]
    }
}

test "Each write ends with its place, and messages count in the offset" {
    with_nodes [list p kura $quiet] {
        set c [listen_to $p]
        $p SET a 1
        assert_equal [place_now $p 0] [lindex [places [log_bytes $p]] end]
        $p SELECT 5
        $p SET b 1
        assert_equal [place_now $p 5] [lindex [places [log_bytes $p]] end]
        $p PUBLISH c m
        $p SELECT 2
        $p SPUBLISH c m
        assert_equal -1 [string first PUBLISH [log_bytes $p]]
        $p MULTI
        $p SET c 1
        $p PUBLISH c m
        $p INCR c
        $p EXEC
        assert_equal -1 [string first PUBLISH [log_bytes $p]]
        assert_equal [place_now $p 2] [lindex [places [log_bytes $p]] end]
        $p PUBLISH c m
        $p PUBLISH c m
        set now [place_now $p 2]
        wait_for {[lindex [places [log_bytes $p]] end] eq $now} ;# before long
        $p PUBLISH c m
        set now [place_now $p 2]
        node_end $p TERM ;# the last words of the log
        assert_equal $now [lindex [places [log_bytes $p]] end]
        assert_match "*replication continues at offset [lindex $now 1] of [lindex $now 0]*All AOF files*valid*" \
            [check_log $p]
        $c -close
    }
}

test "Messages hardly make a log grow" {
    with_nodes [list p kura $quiet] {
        set c [listen_to $p]
        $p SET a 1
        set before [llength [places [log_bytes $p]]]
        set began [clock milliseconds]
        for {set i 0} {$i < 1000} {incr i} { $p PUBLISH c m }
        set most [expr {2 + ([clock milliseconds] - $began) / 100}]
        assert {[llength [places [log_bytes $p]]] - $before <= $most}
        wait_for {[lindex [places [log_bytes $p]] end] eq [place_now $p 0]}
        $c -close
    }
}

# Its replicas have had all of it, so they must not be ahead of what the file tells.
test "A primary that is killed after messages goes on with its replicas" {
    set directives {appendonly yes save "" repl-ping-replica-period 1}
    with_nodes [list p kura $directives q kura {}] {
        $p SET a 1
        follow $q $p
        $p SET b 1
        level $p $q
        $p PUBLISH c m
        set offset [node_field $p master_repl_offset]
        wait_for {[node_field $q slave_repl_offset] > $offset} ;# a PING
        after 200
        node_restart $p $directives KILL
        wait_link $q
        $p SET c 1
        level $p $q
        assert_equal {0 1} [list [full_syncs $p] [partial_syncs $p]]
    }
}

foreach preamble {yes no} {
    test "A base has the place of its data (aof-use-rdb-preamble $preamble)" {
        with_nodes [list p kura [dict merge $quiet [list aof-use-rdb-preamble $preamble]]] {
            set c [listen_to $p]
            $p SET a 1
            $p PUBLISH c m
            $p BGREWRITEAOF
            wait_for {[node_field $p aof_rewrite_in_progress] == 0}
            wait_for {[llength [glob [file join [server_folder $p] appendonlydir *.incr.aof]]] == 1}
            set now [place_now $p 0]
            node_end $p KILL
            foreach place [places [log_bytes $p]] { assert_equal $now $place } ;# none, if the increment is empty
            if {!$preamble} { assert_equal $now [lindex [places [log_bytes $p *.base.aof]] end] }
            node_restart $p [dict merge $quiet [list aof-use-rdb-preamble $preamble]]
            assert_equal [lindex $now 0] [node_field $p master_replid2]
            assert_equal [lindex $now 1] [node_field $p master_repl_offset]
            $c -close
        }
    }
}

test "redis-server reads a log with places, and redis-check-aof finds it valid" {
    with_nodes [list p kura $quiet] {
        set c [listen_to $p]
        dataset_fill $p
        $p PUBLISH c m
        $p SET last one
        set written [dataset $p]
        $c -close
        node_end $p TERM
        assert {[llength [places [log_bytes $p]]] > 2}
        set manifest [glob [file join [server_folder $p] appendonlydir *.manifest]]
        set tool [file join [server_folder $p] redis-check-aof] ;# redis-server by its other name
        file link -symbolic $tool [file normalize [oracle]]
        assert_match "*All AOF files and manifest are valid*" [exec $tool $manifest]
        set h [server_start {appendonly yes} -folder [server_folder $p] -binary [oracle]]
        set r [client $h]
        assert_equal $written [dataset $r]
        $r SET by redis
        $r -close
        server_kill $h TERM
        node_restart $p $quiet ;# a command without a place follows: the history is not known any more
        assert_equal redis [$p GET by]
        assert_equal [string repeat 0 40] [node_field $p master_replid2]
    }
}

test "A log that has lost commands tells no place any more" {
    with_nodes [list p kura $quiet] {
        set c [listen_to $p]
        for {set i 0} {$i < 5} {incr i} { $p SET key:$i value:$i }
        node_end $p TERM
        $c -close
        set path [glob [file join [server_folder $p] appendonlydir *.incr.aof]]
        set bytes [string map {value:2 value:X} [log_bytes $p]]
        set file [open $path wb]
        puts -nonewline $file $bytes
        close $file
        assert_match "*Successfully removed the bad bytes*" [check_log $p --fix --keep-following]
        assert_match "*the log has lost commands*" [check_log $p]
        node_restart $p $quiet
        assert_equal {value:1 {} value:4} [list [$p GET key:1] [string map {(nil) {}} [$p GET key:2]] [$p GET key:4]]
        assert_equal [string repeat 0 40] [node_field $p master_replid2]
    }
}

test "Without checksums a log tells no place" {
    with_nodes [list p kura [dict merge $quiet {aof-checksums no}]] {
        set c [listen_to $p]
        $p SET a 1
        $p PUBLISH c m
        node_end $p TERM
        assert_equal {} [places [log_bytes $p]]
        $c -close
    }
}

test "A writable replica's own writes are in its file, and not in the offset" {
    with_nodes [list p kura {save "" repl-ping-replica-period 3600} q kura [dict merge $quiet {replica-read-only no}]] {
        $p SET a 1
        follow $q $p
        wait_for {[node_field $q aof_enabled] && ![node_field $q aof_rewrite_in_progress]}
        $p SET b 1
        level $p $q
        $q SELECT 7
        $q SET mine 1
        $p SET c 1
        $p PUBLISH c m
        $q INCR mine
        wait_for {[node_field $q slave_repl_offset] == [node_field $p master_repl_offset]}
        set before [partial_syncs $p]
        node_restart $q [dict merge $quiet [list replica-read-only no replicaof "127.0.0.1 [server_port $p]"]] KILL
        wait_link $q
        assert_equal {1 1} [list [full_syncs $p] [expr {[partial_syncs $p] - $before}]]
        $q SELECT 7
        assert_equal 2 [$q GET mine]
        $p SET d 1
        wait_for {[node_field $q slave_repl_offset] == [node_field $p master_repl_offset]}
        $q SELECT 0
        assert_equal {1 1 1 1} [$q MGET a b c d]
    }
}

# Between the two files the log takes nothing: what is executed then would be in the base and behind it, too.
test "A stream goes on while the file of its replica is rewritten, and nothing is applied twice" {
    need_preload
    set slow [string trim [exec mktemp -u]]
    set line "export SLOW_SYNCS=$slow SLOW_SYNCS_MS=200 LD_PRELOAD=$::root/build/tools/slow_syncs.so"
    with_nodes {p kura {save ""}} {
        with_wrapped_server $line [dict merge $quiet [list replicaof "127.0.0.1 [server_port $p]"]] {
            wait_for {[info_field master_link_status] eq "up" && [info_field aof_enabled]}
            wait_for {![info_field aof_rewrite_in_progress]}
            close [open $slow w] ;# syncs are slow from now on
            set asks [client]
            $asks -send BGREWRITEAOF ;# the reply comes when the next file is there
            $p INCR n
            wait_for {[info_field aof_rewrite_in_progress]}
            while {[info_field aof_rewrite_in_progress]} {
                for {set i 0} {$i < 20} {incr i} { $p INCR n }
            }
            $asks -close
            set n [$p GET n]
            wait_for {[r GET n] == $n}
            server_restart $quiet
            assert_equal $n [r GET n]
        }
    }
    file delete $slow
}

# Whatever the manifest names at that moment, a place in it is right, and there is one.
test "A replica that is killed while its file is rewritten under load goes on where the file ends" {
    set directives [dict merge $quiet {appendfsync no aof-use-rdb-preamble yes}]
    with_nodes [list p kura {save "" repl-backlog-size 100mb} q kura $directives] {
        dataset_fill $p
        follow $q $p
        wait_for {[node_field $q aof_enabled] && ![node_field $q aof_rewrite_in_progress]}
        set load [load_start $p 0 4000]
        set again [dict merge $directives [list replicaof "127.0.0.1 [server_port $p]"]]
        for {set round 0} {$round < 8} {incr round} {
            $q -send BGREWRITEAOF
            after [random_below 120]
            dict set again aof-use-rdb-preamble [expr {$round % 2 ? "yes" : "no"}]
            node_restart $q $again KILL
            wait_link $q
        }
        assert {[load_stop $load] > 0}
        level $p $q
        assert_equal 1 [full_syncs $p]
    }
}

test "A primary that is killed right after WAIT goes on with its replica" {
    set directives {appendonly yes save "" repl-ping-replica-period 3600}
    with_nodes [list p kura $directives q kura {}] {
        follow $q $p
        for {set i 1} {$i <= 20} {incr i} {
            $p SET k $i
            assert_equal 1 [$p WAIT 1 5000]
        }
        node_restart $p $directives KILL
        wait_link $q
        assert_equal {0 1} [list [full_syncs $p] [partial_syncs $p]]
        assert_equal 20 [$p GET k]
    }
}
