# Reading one's own writes: CLIENT TOKEN, WAITOFFSET, CLIENT CAPA redirect.

proc token_of {h} { return [$h CLIENT TOKEN] }
proc offset_of {token} { return [lindex [split $token :] 1] }

test "A token is waited for as BLPOP waits" {
    with_nodes {p kura {} q kura {}} {
        set first [token_of $p] ;# before there is a replica
        assert {[regexp {^[0-9a-f]{40}:\d+$} $first]}
        assert_equal OK [$p WAITOFFSET $first]
        follow $q $p
        assert_equal OK [$q WAITOFFSET $first]
        send_signal STOP [server_pid $q]
        $p SET a 1
        set token [token_of $p]
        assert_equal OK [$p WAITOFFSET $token 0]
        set c [client $q]
        $c -raw "[resp_encode WAITOFFSET $token 0][resp_encode GET a]"
        send_signal CONT [server_pid $q]
        assert_equal OK [$c -read]
        assert_equal 1 [$c -read]
        regexp {^(.*):(.*)$} $token -> id offset
        set later $id:[expr {$offset + 100000}]
        assert_error "BEHIND $id:* primary 127.0.0.1:[server_port $p]" { $q WAITOFFSET $later }
        assert_error "BEHIND $id:* primary 127.0.0.1:[server_port $p]" { $q WAITOFFSET $later 20 }
        $q MULTI
        $q WAITOFFSET $later 0
        $q WAITOFFSET $token 0
        set replies [$q EXEC]
        assert_match "*BEHIND*" [lindex $replies 0]
        assert_equal OK [lindex $replies 1]
        assert_error "DIVERGED*" { $p WAITOFFSET $later 0 }
        $c -send WAITOFFSET $later 0
        wait_for {[node_field $q blocked_clients] == 1}
        $p SET big [string repeat x 100000]
        assert_equal OK [$c -read]
        assert_equal [token_of $p] [token_of $q]
    }
}

test "What is no token" {
    with_nodes {p kura {}} {
        set id [string range [token_of $p] 0 39]
        foreach token [list x "" : $id $id: $id:x $id:-1 $id:1.5 "$id:1 " [string range $id 1 end]:1 ${id}0:1 \
                $id:99999999999999999999 "\0[string range $id 1 end]:1"] {
            assert_error "ERR Invalid token" { $p WAITOFFSET $token 0 }
        }
        assert_error "ERR timeout is negative" { $p WAITOFFSET $id:0 -1 }
        assert_error "ERR timeout is not an integer or out of range" { $p WAITOFFSET $id:0 x }
        assert_error "ERR syntax error" { $p WAITOFFSET $id:0 1 1 }
        $p MULTI
        assert_error "ERR *not allowed inside a transaction*" { $p CLIENT TOKEN }
        $p DISCARD
    }
}

test "Tokens hold across a failover, and tell what it has lost" {
    with_nodes {p kura {} q kura {} s kura {}} {
        set proxy [proxy_start $p]
        follow_port $q [proxy_port $proxy]
        follow $s $q
        $p SET a 1
        set kept [token_of $p]
        assert_equal OK [$s WAITOFFSET $kept 20000]
        proxy $proxy stop
        $p SET a 2
        set lost [token_of $p]
        set waiting [client $s]
        $waiting -send WAITOFFSET $lost 0
        wait_for {[node_field $s blocked_clients] == 1}
        $q REPLICAOF NO ONE
        assert_error DIVERGED* { $waiting -read }
        wait_link $s
        foreach h [list $q $s] {
            assert_equal OK [$h WAITOFFSET $kept 0]
            assert_error DIVERGED* { $h WAITOFFSET $lost 0 }
        }
        $q SET a 3
        set new [token_of $q]
        assert_equal OK [$s WAITOFFSET $new 20000]
        assert_equal 3 [$s GET a]
        # The old primary knows nothing of it yet, and waits, once it follows.
        assert_error DIVERGED* { $p WAITOFFSET $new }
        proxy_stop $proxy
        $p REPLICAOF 127.0.0.1 [server_port $q]
        assert_equal OK [$p WAITOFFSET $new 20000]
        assert_equal 3 [$p GET a]
    }
}

test "Tokens of the former history hold behind a full sync, and behind a restart" {
    with_nodes {p kura {save {3600 1}} q kura {}} {
        set proxy [proxy_start $p]
        follow_port $q [proxy_port $proxy]
        $p SET a 1
        set kept [token_of $p]
        assert_equal OK [$q WAITOFFSET $kept 20000]
        proxy $proxy stop
        $p SET a 2
        set lost [token_of $p]
        $q REPLICAOF NO ONE
        proxy_stop $proxy
        $q SET a 3
        follow $p $q
        assert_equal {1 3} [list [full_syncs $q] [$p GET a]]
        foreach restarted {no yes} {
            if {$restarted} {
                node_restart $p [list save {3600 1} replicaof "127.0.0.1 [server_port $q]"]
                wait_link $p
                assert_equal 1 [full_syncs $q]
            }
            assert_equal OK [$p WAITOFFSET $kept 0]
            assert_error DIVERGED* { $p WAITOFFSET $lost 0 }
            assert_equal OK [$p WAITOFFSET [token_of $q] 20000]
        }
    }
}

foreach {how directives} {TERM {save {3600 1}} TERM {appendonly yes} KILL {appendonly yes}} {
    test "Tokens hold when their primary is started again: $how, $directives" {
        with_nodes [list p kura $directives] {
            for {set i 0} {$i < 50} {incr i} {
                $p SET a $i
                set token [token_of $p]
            }
            node_restart $p $directives $how
            assert_equal 49 [$p GET a]
            assert_equal OK [$p WAITOFFSET $token]
            regexp {(.*):(.*)} $token -> id offset
            assert_error DIVERGED* { $p WAITOFFSET $id:[expr {$offset + 1}] }
            $p SET a 50
            assert_equal OK [$p WAITOFFSET $token]
            assert_equal OK [$p WAITOFFSET [token_of $p]]
        }
    }
}

test "A client with the capability redirect is told where to go" {
    with_nodes {p kura {} q kura {}} {
        $p SET a 1
        follow $q $p
        wait_for {[string match *state=online* [node_field $p slave0]]}
        set c [client $q]
        assert_equal OK [$c CLIENT CAPA redirect]
        assert_equal OK [$c CLIENT CAPA something else]
        set error "REDIRECT 127.0.0.1:[server_port $p]"
        assert_error $error { $c GET a }
        assert_error $error { $c SET a 2 }
        assert_equal PONG [$c PING]
        assert_error $error { $c WAITOFFSET [string repeat 0 39]1:5 }
        $c MULTI
        assert_error $error { $c GET a }
        assert_error EXECABORT* { $c EXEC }
        assert_equal OK [$c READONLY]
        assert_equal 1 [$c GET a]
        assert_error $error { $c SET a 2 }
        assert_equal OK [$c READWRITE]
        assert_error $error { $c GET a }
        assert_equal 1 [$q GET a] ;# others are served
        assert_error "ERR This instance has cluster support disabled" { $q READONLY }
        $c RESET
        assert_equal 1 [$c GET a]
        $c CLIENT CAPA redirect
        # While nobody knows who leads, such requests wait; then they are served where they are, or redirected.
        set d [client $p]
        $d CLIENT CAPA redirect
        assert_equal 1 [$d GET a]
        send_signal STOP [server_pid $q]
        $p SET b 1
        $p FAILOVER TO 127.0.0.1 [server_port $q] FORCE TIMEOUT 10
        wait_for {[node_field $p master_failover_state] eq "failover-in-progress"}
        $d -send GET a
        wait_for {[node_field $p blocked_clients] == 1}
        send_signal CONT [server_pid $q]
        assert_error "REDIRECT 127.0.0.1:[server_port $q]" { $d -read }
        assert_equal 1 [$c GET a]
    }
}

# Two replicas with different delays, one behind the other. A session writes to the primary, and reads from any node,
# first waiting for its token: it never reads what is older than what it has seen.
test "A random schedule never reads anything older than its token" {
    with_nodes {p kura {} q kura {} s kura {}} {
        set slow [proxy_start $p]
        set slower [proxy_start $q]
        follow_port $q [proxy_port $slow]
        follow_port $s [proxy_port $slower]
        proxy $slow delay 3
        proxy $slower delay 7
        set nodes [list $p $q $s]
        set behind 0
        for {set key 0} {$key < 10} {incr key} { set seen($key) -1; set last($key) "" }
        for {set i 0} {$i < 600} {incr i} {
            set key [random_below 10]
            if {[random_below 3] == 0} {
                $p SET key:$key $i
                set seen($key) $i
                set last($key) [token_of $p]
            } elseif {$last($key) ne ""} {
                set h [lindex $nodes [random_below 3]]
                set timeout [lindex {"" 5 20000} [random_below 3]]
                if {[catch { $h WAITOFFSET $last($key) {*}$timeout } error]} {
                    assert_match BEHIND* $error
                    incr behind
                    continue
                }
                set read [$h GET key:$key]
                assert {$read >= $seen($key)}
                set seen($key) $read
                set last($key) [token_of $h]
            }
        }
        assert {$behind > 0}
        proxy_stop $slower
        proxy_stop $slow
    }
}

# The same while the lead changes again and again, without regard to who is behind. What a token does not rule out as
# lost is never read in an older state.
test "A random schedule across failovers: right, behind or diverged" {
    with_nodes {p kura {} q kura {} s kura {}} {
        set nodes [list $p $q $s]
        array set heard {OK 0 BEHIND 0 DIVERGED 0}
        for {set key 0} {$key < 10} {incr key} { set seen($key) -1; set last($key) "" }
        set i 0
        for {set round 0} {$round < 6} {incr round} {
            lassign $nodes first second third
            set slow [proxy_start $first]
            proxy $slow delay 4
            $first REPLICAOF NO ONE
            $second REPLICAOF 127.0.0.1 [proxy_port $slow]
            $third REPLICAOF 127.0.0.1 [server_port $second]
            wait_link $second
            wait_link $third
            for {set until [expr {$i + 150}]} {$i < $until} {incr i} {
                set key [random_below 10]
                set h [lindex $nodes [random_below 3]]
                if {$i + 15 > $until || [random_below 2]} {
                    $first SET key:$key $i
                    set seen($key) $i
                    set last($key) [token_of $first]
                    if {[random_below 2]} continue
                } elseif {$last($key) eq ""} {
                    continue
                }
                if {[catch { $h WAITOFFSET $last($key) [expr {1 + [random_below 10]}] } reply]} {
                    incr heard([lindex $reply 0])
                    if {[string match DIVERGED* $reply]} { set last($key) "" }
                    continue
                }
                set read [$h GET key:$key]
                incr heard(OK)
                assert {$read >= $seen($key)}
                set seen($key) $read
                set last($key) [token_of $h]
            }
            proxy_stop $slow
            set nodes [list $second $third $first]
        }
        assert {$heard(OK) > 100 && $heard(DIVERGED) > 0 && $heard(BEHIND) > 0}
    }
}
