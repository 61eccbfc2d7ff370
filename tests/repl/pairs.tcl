# A primary and its replica, each kura or redis-server: whatever is written, they agree, and only the first sync is a
# full one.

set pairs {kura kura kura redis redis kura}
set roomy {repl-backlog-size 100mb}

# Random writes of every command by three clients at once, each with MULTI, several databases and blocking commands.
proc load_three {primary count} {
    set loads {}
    for {set i 0} {$i < 3} {incr i} { lappend loads [load_start $primary $count 0] }
    foreach load $loads { assert {[load_wait $load] == $count} }
}

proc level_after_load {primary load args} {
    assert {[load_stop $load] > 0}
    level $primary {*}$args
}

foreach {first second} $pairs {
    foreach diskless {yes no} {
        foreach load {disabled swapdb} {
            test "$first -> $second: a full sync, diskless $diskless, load $load, while clients write" {
                with_nodes [list p $first "repl-diskless-sync $diskless" q $second "repl-diskless-load $load"] {
                    dataset_fill $p
                    dataset_fill $q
                    load_three $p 3000
                    $q SET stale 1
                    set writer [load_start $p 0 3000]
                    follow $q $p
                    level_after_load $p $writer $q
                    assert_equal 1 [full_syncs $p]
                    assert_equal 0 [$q EXISTS stale]
                }
            }
        }
    }
}

foreach {first second} $pairs {
    test "$first -> $second: the stream of random writes of every command" {
        with_nodes [list p $first {} q $second {}] {
            follow $q $p
            load_three $p 10000
            level $p $q
            assert_equal 1 [full_syncs $p]
        }
    }

    test "$first -> $second: the stream goes on where the link was cut, at any byte" {
        with_nodes [list p $first $roomy q $second {}] {
            dataset_fill $p
            set proxy [proxy_start $p]
            follow_port $q [proxy_port $proxy]
            set limits {}
            for {set i 0} {$i < 4} {incr i} { lappend limits [expr {1 + [random_below 30000]}] }
            proxy $proxy limits {*}$limits
            set writer [load_start $p 0 2000]
            proxy $proxy cut
            wait_for {[lindex [proxy $proxy ask] 1] == 4} 60000
            wait_link $q
            level_after_load $p $writer $q
            assert_equal 1 [full_syncs $p]
            assert {[partial_syncs $p] >= 4}
            proxy_stop $proxy
        }
    }

    test "$first -> $second: what clients waited for" {
        with_nodes [list p $first {} q $second {}] {
            follow $q $p
            set waiting {}
            foreach request {{BLPOP l 0} {BRPOPLPUSH m n 0} {BLMOVE l m LEFT RIGHT 0} {BZPOPMIN z 0} {BZPOPMAX z 0}
                    {BLMPOP 0 2 l m LEFT COUNT 2} {BZMPOP 0 1 z MIN COUNT 3}} {
                set c [client $p]
                $c -send {*}$request
                lappend waiting $c
            }
            wait_for {[node_field $p blocked_clients] == 7}
            $p RPUSH l a b c d e
            $p MULTI
            $p RPUSH m 1 2 3
            $p ZADD z 1 a 2 b 3 c
            $p RPUSH l f g
            $p EXEC
            $p ZADD z 4 d 5 e 6 f
            foreach c $waiting { $c -read }
            level $p $q
        }
    }

    test "$first -> $second: keys that come due are hidden on the replica, and go when the primary says so" {
        with_nodes [list p $first {} q $second {}] {
            follow $q $p
            $p DEBUG SET-ACTIVE-EXPIRE 0
            $p SET soon v PX 50
            $p SELECT 5
            $p SADD set:soon a b
            $p PEXPIRE set:soon 50
            $p SET stays v PX 1000000
            $p SELECT 0
            wait_for {[nodes::has_all_of $p $q]}
            wait_for {[$q EXISTS soon] == 0}
            assert_equal (nil) [$q GET soon]
            assert_equal none [$q TYPE soon]
            assert_equal -2 [$q TTL soon]
            assert_equal 1 [$q DBSIZE]
            $q SELECT 5
            wait_for {[$q EXISTS set:soon] == 0}
            assert_equal {} [$q SMEMBERS set:soon]
            assert_equal 1 [$q EXISTS stays]
            $q SELECT 0
            # A command of the stream sees the key that clients do not see.
            assert_equal (nil) [$p GET soon]
            wait_for {[$q DBSIZE] == 0}
            $p DEBUG SET-ACTIVE-EXPIRE 1
            wait_for {[string match *db5:keys=1,* [$q INFO keyspace]]}
            level $p $q
        }
    }

    test "$first -> $second: thousands of short-lived keys" {
        with_nodes [list p $first {} q $second {}] {
            follow $q $p
            for {set i 0} {$i < 2000} {incr i} {
                $p -send SET k:$i v PX [expr {1 + [random_below 300]}]
                $p -send INCR k:[random_below 2000]
                $p -send PEXPIRE k:[random_below 2000] [expr {1 + [random_below 200]}]
            }
            for {set i 0} {$i < 6000} {incr i} { catch {$p -read} }
            wait_for {[node_field $p expired_keys] > 1000}
            level $p $q
        }
    }

    test "$first -> $second: the lead goes back and forth, with and without writes between" {
        with_nodes [list p $first {repl-ping-replica-period 1000} q $second {repl-ping-replica-period 1000}] {
            $p SET a 1
            follow $q $p
            level $p $q
            foreach writes {0 0 1 0 1 1 0 0} {
                if {$writes} { $p INCR a }
                level $p $q
                $q REPLICAOF NO ONE
                follow $p $q
                lassign [list $q $p] p q
            }
            level $p $q
            assert_equal 1 [expr {[full_syncs $p] + [full_syncs $q]}]
        }
    }

    test "$first -> $second -> $first: a chain, cut in the middle and at its top" {
        with_nodes [list a $first $::roomy b $second $::roomy c $first {}] {
            dataset_fill $a
            set above [proxy_start $a]
            set below [proxy_start $b]
            follow_port $b [proxy_port $above]
            follow_port $c [proxy_port $below]
            set writer [load_start $a 0 2000]
            foreach proxy [list $below $above $below $above] {
                set cuts [lindex [proxy $proxy ask] 1]
                proxy $proxy limits [expr {1 + [random_below 20000]}]
                proxy $proxy cut
                wait_for {[lindex [proxy $proxy ask] 1] > $cuts}
                wait_link $b
                wait_link $c
            }
            level_after_load $a $writer $b $c
            assert_equal {1 1} [list [full_syncs $a] [full_syncs $b]]
            assert_equal [node_field $a master_replid] [node_field $c master_replid]
            proxy_stop $above
            proxy_stop $below
        }
    }
}
