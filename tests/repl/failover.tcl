# FAILOVER, and the end of a process that waits for its replicas.

proc stop {h} { send_signal STOP [server_pid $h] }
proc go {h} { send_signal CONT [server_pid $h] }
proc state {h} { return [node_field $h master_failover_state] }

# Follows, and its primary has heard of it.
proc attach {h primary} {
    follow $h $primary
    wait_for {[regexp "port=[server_port $h],state=online" [$primary INFO replication]]}
}

foreach {first second} {kura kura kura redis redis kura} {
    test "FAILOVER from $first to $second loses nothing and needs no full sync" {
        with_nodes [list p $first {} q $second {}] {
            attach $q $p
            set load [load_start $p 3000 0]
            assert {[load_wait $load] == 3000}
            set writer [client $p]
            assert_equal OK [$p FAILOVER TO 127.0.0.1 [server_port $q] TIMEOUT 20000]
            wait_for {[lindex [$q ROLE] 0] eq "master"}
            wait_link $p
            assert_equal no-failover [state $p]
            assert_error READONLY* { $writer SET a 1 }
            $q SET a 2
            level $q $p
            assert_equal {1 0} [list [full_syncs $p] [full_syncs $q]]
            $q FAILOVER
            wait_for {[lindex [$p ROLE] 0] eq "master"}
            wait_link $q
            $p SET a 3
            level $p $q
            assert_equal {1 0} [list [full_syncs $p] [full_syncs $q]]
        }
    }
}

test "What FAILOVER refuses" {
    with_nodes {p kura {} q kura {}} {
        assert_error "ERR FAILOVER requires connected replicas." { $p FAILOVER }
        assert_error "ERR No failover in progress." { $p FAILOVER ABORT }
        attach $q $p
        wait_for {[string match "*state=online*" [node_field $p slave0]]}
        foreach {words error} {
            {FORCE}                       "FAILOVER with force option requires both a timeout and target HOST and IP."
            {TO 127.0.0.1 1 FORCE}        "FAILOVER with force option requires both a timeout and target HOST and IP."
            {TIMEOUT 0}                   "FAILOVER timeout must be greater than 0"
            {TIMEOUT -5}                  "FAILOVER timeout must be greater than 0"
            {TIMEOUT x}                   "value is not an integer or out of range"
            {TIMEOUT}                     "syntax error"
            {TO 127.0.0.1}                "syntax error"
            {TO 127.0.0.1 x}              "value is not an integer or out of range"
            {TO 127.0.0.1 99999999}       "FAILOVER target HOST and PORT is not a replica."
            {TO 127.0.0.1 1}              "FAILOVER target HOST and PORT is not a replica."
            {ABORT TIMEOUT 1}             "syntax error"
            {TIMEOUT 1 TIMEOUT 1}         "syntax error"
            {now}                         "syntax error"
        } {
            assert_error "ERR $error" { $p FAILOVER {*}$words }
        }
        assert_error "ERR FAILOVER is not valid when server is a replica." { $q FAILOVER }
        assert_equal no-failover [state $p]
        assert_equal OK [$p SET a 1]
    }
}

test "FAILOVER waits for a replica that is behind, and can be taken back" {
    with_nodes {p kura {} q kura {}} {
        attach $q $p
        stop $q
        $p SET a 1
        assert_equal OK [$p FAILOVER]
        assert_equal waiting-for-sync [state $p]
        assert_error "ERR FAILOVER already in progress." { $p FAILOVER }
        assert_error "ERR REPLICAOF not allowed while failing over." { $p REPLICAOF NO ONE }
        set c [client $p]
        $c -send SET a 2
        wait_for {[node_field $p blocked_clients] == 1}
        assert_equal 1 [$p GET a]
        $p CLIENT UNPAUSE ;# that is another pause
        assert_equal 1 [node_field $p blocked_clients]
        set end [node_field $p master_repl_offset]
        assert_equal OK [$p FAILOVER ABORT]
        assert_equal OK [$c -read]
        assert_equal no-failover [state $p]
        assert_match "*FAILOVER requested to any replica.*FAILOVER to any replica aborted: Failover manually aborted*" \
            [server_log $p]
        # And once more, with a time limit.
        set began [clock milliseconds]
        $p FAILOVER TIMEOUT 100
        $c -send SET a 3
        assert_equal OK [$c -read]
        assert {[clock milliseconds] - $began >= 100}
        assert_match "*aborted: Replica never caught up before timeout*" [server_log $p]
        $p CLIENT PAUSE 100000 WRITE
        $c -send SET a 4
        wait_for {[node_field $p blocked_clients] == 1}
        $p FAILOVER TIMEOUT 20000
        go $q
        wait_for {[lindex [$q ROLE] 0] eq "master"}
        wait_link $p
        assert_error READONLY* { $c -read } ;# what the client's own pause held is judged anew
        $p CLIENT UNPAUSE
        level $q $p
    }
}

test "FAILOVER FORCE hands over to a replica that never was level" {
    with_nodes {p kura {} q kura {}} {
        $p SET a 1
        attach $q $p
        set proxy [proxy_start $p]
        follow_port $q [proxy_port $proxy]
        wait_for {[nodes::has_all_of $p $q]}
        proxy $proxy stop
        $p SET a 2
        assert_equal OK [$p FAILOVER TO 127.0.0.1 [server_port $q] FORCE TIMEOUT 100]
        wait_for {[lindex [$q ROLE] 0] eq "master"}
        assert_match "*Failover to 127.0.0.1:[server_port $q] time out exceeded, failing over.*" [server_log $p]
        wait_link $p
        level $q $p
        assert_equal 1 [$p GET a] ;# what had not reached the target is lost, as asked for
        proxy_stop $proxy
    }
}

test "A target that cannot take the lead: the primary goes on" {
    with_nodes {p kura {} q kura {}} {
        attach $q $p
        stop $q
        $p SET a 1
        set c [client $p]
        $p FAILOVER TO 127.0.0.1 [server_port $q] FORCE TIMEOUT 50
        $c -send SET a 2
        wait_for {[state $p] eq "failover-in-progress"}
        node_end $q KILL
        wait_for {[state $p] eq "no-failover"}
        assert_equal OK [$c -read]
        assert_equal master [lindex [$p ROLE] 0]
        assert_match "*FAILOVER to 127.0.0.1:[server_port $q] aborted: *" [server_log $p]
    }
}

test "FAILOVER ABORT after the lead was offered" {
    with_nodes {p kura {} q kura {}} {
        attach $q $p
        stop $q
        $p SET a 1
        $p FAILOVER TO 127.0.0.1 [server_port $q] FORCE TIMEOUT 50
        wait_for {[state $p] eq "failover-in-progress"}
        assert_equal OK [$p FAILOVER ABORT]
        assert_equal OK [$p SET a 2]
        assert_equal master [lindex [$p ROLE] 0]
        go $q
    }
}

test "The other replicas stay with the one that has handed over, and miss nothing" {
    with_nodes {p kura {} q kura {} s kura {}} {
        attach $q $p
        attach $s $p
        $p FAILOVER TO 127.0.0.1 [server_port $q]
        wait_for {[lindex [$q ROLE] 0] eq "master"}
        wait_link $p
        $q SET a 1
        level $q $p $s
        assert_equal [server_port $p] [node_field $s master_port]
        assert_equal {2 0} [list [full_syncs $p] [full_syncs $q]]
    }
}

test "A pipeline of writes meets the pause of a failover, and nothing acknowledged is lost" {
    with_nodes {p kura {} q kura {}} {
        attach $q $p
        for {set round 0} {$round < 4} {incr round} {
            set load [load_marks $p 0 5000 mark:$round:]
            after 100
            $p FAILOVER TIMEOUT 20000
            wait_for {[lindex [$q ROLE] 0] eq "master"}
            wait_link $p
            set answered [load_stop $load]
            level $q $p
            assert {$answered > 0 && [$q EXISTS mark:$round:[expr {$answered - 1}]]}
            lassign [list $q $p] p q
        }
        assert_equal 1 [expr {[full_syncs $p] + [full_syncs $q]}]
    }
}

# --- The end -------------------------------------------------------------------------------------

test "SHUTDOWN waits for a replica that is behind, with writes paused" {
    with_nodes {p kura {shutdown-timeout 60} q kura {}} {
        attach $q $p
        stop $q
        $p SET a 1
        set c [client $p]
        $c -send SHUTDOWN
        wait_for {[string match "*Waiting for replicas before shutting down.*" [server_log $p]]}
        set writer [client $p]
        $writer -send SET a 2
        assert_equal 1 [$p GET a]
        assert_equal OK [$p SHUTDOWN ABORT]
        assert_equal OK [$writer -read]
        assert_error "ERR Errors trying to SHUTDOWN. Check logs." { $c -read }
        assert_match "*Shutdown manually aborted.*" [server_log $p]
        $c -send SHUTDOWN
        wait_for {[regexp -all {Waiting for replicas before shutting down.} [server_log $p]] == 2}
        $writer -send SET a 3
        wait_for {[node_field $p blocked_clients] >= 1}
        go $q
        assert_equal 0 [server_wait_exit 20000 $p]
        dict set nodes::ended $p 1
        assert_match "*1 of 1 replicas are in sync when shutting down.*" [server_log $p]
        assert_equal 2 [$q GET a]
    }
}

test "A shutdown does not wait for ever, and NOW not at all" {
    foreach {timeout how} {1 TERM 60 now} {
        with_nodes [list p kura "shutdown-timeout $timeout" q kura {}] {
            attach $q $p
            stop $q
            $p SET a 1
            set began [clock milliseconds]
            if {$how eq "TERM"} { send_signal TERM [server_pid $p] } else { [client $p] -send SHUTDOWN NOW }
            assert_equal 0 [server_wait_exit 20000 $p]
            dict set nodes::ended $p 1
            set took [expr {[clock milliseconds] - $began}]
            assert {$how eq "now" ? $took < 900 * [slowness] : $took >= 900}
            assert_match "*Lagging replica 127.0.0.1:[server_port $q] reported offset * behind master, lag=*,\
                    state=online.*0 of 1 replicas are in sync when shutting down.*" [server_log $p]
            go $q
        }
    }
}
