# WAIT, WAITAOF and min-replicas-to-write. A stopped process (SIGSTOP) is a replica that acknowledges nothing.

proc stop {h} { send_signal STOP [server_pid $h] }
proc go {h} { send_signal CONT [server_pid $h] }

foreach program {kura redis} {
    test "WAIT: a level $program, a stopped one, and a time limit" {
        with_nodes [list p kura {} q $program {} s $program {}] {
            follow $q $p
            follow $s $p
            wait_for {[llength [lindex [$p ROLE] 2]] == 2}
            assert_equal 2 [$p WAIT 2 0] ;# it has written nothing
            $p SET a 1
            assert_equal 2 [$p WAIT 2 20000]
            stop $s
            $p SET a 2
            assert_equal 1 [$p WAIT 1 20000]
            set began [clock milliseconds]
            assert_equal 1 [$p WAIT 2 100]
            assert {[clock milliseconds] - $began >= 100}
            set c [client $p]
            $c SET a 3
            $c -send WAIT 2 0
            wait_for {[node_field $p blocked_clients] == 1}
            go $s
            assert_equal 2 [$c -read]
            level $p $q $s
        }
    }
}

test "WAIT looks at what its own connection has written" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        $p SET a 1
        assert_equal 1 [$p WAIT 1 20000]
        set c [client $p]
        stop $q
        $p SET a 2
        assert_equal 1 [$c WAIT 1 0] ;# this one has written nothing
        $c MULTI
        $c SET b 1
        $c EXEC
        $c MULTI
        $c WAIT 1 0
        assert_equal 0 [$c EXEC]
        assert_equal 0 [$c WAIT 1 10]
        set id [$c CLIENT ID]
        foreach {how reply} {TIMEOUT 0 ERROR "UNBLOCKED client unblocked via CLIENT UNBLOCK"} {
            $c -send WAIT 1 0
            wait_for {[node_field $p blocked_clients] == 1}
            assert_equal 1 [$p CLIENT UNBLOCK $id $how]
            catch { $c -read } got
            assert_equal $reply $got
        }
        go $q
    }
}

test "Errors of WAIT and WAITAOF" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        foreach request {{WAIT x 0} {WAIT 1 x} {WAITAOF x 0 0} {WAITAOF 0 0 x}} {
            assert_error "ERR *not an integer or out of range*" { $p {*}$request }
        }
        assert_error "ERR value is out of range, must be positive" { $p WAITAOF 0 x 0 }
        assert_error "ERR timeout is negative" { $p WAIT 1 -1 }
        assert_error "ERR value is out of range, must be between 0 and 1" { $p WAITAOF 2 0 0 }
        assert_error "ERR value is out of range, must be positive" { $p WAITAOF 0 -1 0 }
        assert_error "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled." { $p WAITAOF 1 0 0 }
        assert_error "ERR WAIT cannot be used with replica instances.*" { $q WAIT 0 0 }
        assert_error "ERR WAITAOF cannot be used with replica instances.*" { $q WAITAOF 0 0 0 }
    }
}

test "WAITAOF: the own disk, and those of replicas" {
    with_nodes {p kura {appendonly yes} q kura {appendonly yes} s kura {}} {
        follow $q $p
        follow $s $p
        wait_for {![node_field $q aof_rewrite_in_progress] && ![node_field $q aof_rewrite_scheduled]}
        $p SET a 1
        assert_equal {1 1} [$p WAITAOF 1 1 20000]
        assert_equal {1 1} [$p WAITAOF 1 2 100] ;# the other one has no file
        stop $q
        $p SET a 2
        assert_equal {1 0} [$p WAITAOF 1 0 20000]
        set c [client $p]
        $c SET a 3
        $c -send WAITAOF 1 1 0
        wait_for {[node_field $p blocked_clients] == 1}
        go $q
        assert_equal {1 1} [$c -read]
        foreach policy {always everysec} {
            $p CONFIG SET appendfsync $policy
            for {set i 0} {$i < 3} {incr i} {
                $p SET a $policy:$i
                assert_equal 1 [lindex [$p WAITAOF 1 0 20000] 0]
            }
        }
        stop $q
        $c SET a 4
        $p CONFIG SET appendfsync no
        $c -send WAITAOF 1 1 0
        wait_for {[node_field $p blocked_clients] == 1}
        $p CONFIG SET appendonly no
        wait_for {[node_field $p blocked_clients] == 0 || [node_field $p aof_enabled] == 0}
        go $q
        catch { $c -read } reply
        assert {$reply in {{1 1} {ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.}}}
    }
}

# A replica by hand shows what is asked: many waits of a turn share a GETACK.
test "A turn asks for acknowledgements once, however many clients wait" {
    with_nodes {p kura {repl-diskless-sync no}} {
        set replica [client $p]
        $replica REPLCONF listening-port 1
        $replica -send PSYNC ? -1
        $replica -line
        set length [string range [string trimleft [$replica -line] \n] 1 end]
        $replica -bytes $length
        wait_for {[string match "*state=online*" [node_field $p slave0]]}
        set clients {}
        for {set i 0} {$i < 50} {incr i} { lappend clients [client $p] }
        set blocker [client $p]
        $blocker -send DEBUG SLEEP 0.5
        foreach c $clients {
            $c -raw "[resp_encode SET key:$c 1][resp_encode WAIT 1 0]"
        }
        $blocker -read
        wait_for {[node_field $p blocked_clients] == 50}
        set asked 0
        for {set sets 0} {$sets < 50} {} {
            switch [lindex [$replica -read] 0] SET { incr sets } REPLCONF { incr asked }
        }
        $replica -send REPLCONF ACK [node_field $p master_repl_offset]
        foreach c $clients {
            assert_equal OK [$c -read]
            assert_equal 1 [$c -read]
        }
        assert {$asked <= 10}
        assert_equal 0 [node_field $p blocked_clients]
        # An ACK beyond what was sent, and one backwards, count as nothing.
        $p SET a 1
        $replica -send REPLCONF ACK 999999999999
        $replica -send REPLCONF ACK 1
        assert_equal 0 [$p WAIT 1 50]
        $replica -close ;# else the end would wait for it
    }
}

test "Thousands of waiting clients, woken one after the other" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        $p SET a 1
        $p WAIT 1 10000
        stop $q
        set clients {}
        for {set i 0} {$i < 400} {incr i} {
            set c [client $p]
            $c -raw "[resp_encode SET key:$i 1][resp_encode WAIT 1 0]"
            lappend clients $c
        }
        wait_for {[node_field $p blocked_clients] == 400}
        foreach c [lrange $clients 0 49] { $c -close }
        wait_for {[node_field $p blocked_clients] == 350}
        go $q
        foreach c [lrange $clients 50 end] {
            assert_equal OK [$c -read]
            assert_equal 1 [$c -read]
        }
        assert_equal 0 [node_field $p blocked_clients]
    }
}

test "min-replicas-to-write refuses writes without good replicas" {
    with_nodes {p kura {min-replicas-to-write 1 min-replicas-max-lag 2} q kura {}} {
        set error "NOREPLICAS Not enough good replicas to write."
        assert_error $error { $p SET a 1 }
        assert_equal (nil) [$p GET a]
        assert_equal 0 [node_field $p min_slaves_good_slaves]
        follow $q $p
        wait_for {[node_field $p min_slaves_good_slaves] == 1}
        assert_equal OK [$p SET a 1]
        stop $q
        wait_for {[node_field $p min_slaves_good_slaves] == 0}
        assert_error $error { $p SET a 2 }
        $p MULTI
        assert_error $error { $p SET a 2 }
        assert_error EXECABORT* { $p EXEC }
        $p CONFIG SET min-slaves-to-write 0
        assert_equal OK [$p SET a 3]
        $p CONFIG SET min-replicas-to-write 2
        assert_error $error { $p SET a 4 }
        go $q
        $p CONFIG SET min-replicas-to-write 1
        wait_for {[node_field $p min_slaves_good_slaves] == 1}
        # A promoted replica counts from the first acknowledgement on.
        $q CONFIG SET min-replicas-to-write 1
        $q REPLICAOF NO ONE
        $p REPLICAOF 127.0.0.1 [server_port $q]
        wait_for {![catch { $q SET a 5 }]}
    }
}
