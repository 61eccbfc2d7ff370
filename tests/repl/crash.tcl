# The primary is killed under load: every write that it answered by OK is on the replica that was level.
#
# KURA_CRASHES says how often (100 for a thorough run).

set crashes [expr {[info exists env(KURA_CRASHES)] ? $env(KURA_CRASHES) : 4}]

# The marks 0 .. n-1 of a load are there.
proc assert_marks {h prefix n} {
    for {set i 0} {$i < $n} {incr i 1000} {
        set keys {}
        for {set k $i} {$k < min($n, $i + 1000)} {incr k} { lappend keys $prefix$k }
        set lost [lsearch [$h MGET {*}$keys] (nil)]
        if {$lost >= 0} { error "of $n acknowledged writes, $prefix[expr {$i + $lost}] is lost" }
    }
}

# Kills the primary after a random time in which clients write; returns how many writes of each were acknowledged. A
# replica is level as long as its socket takes all: so the clients write no faster than a busy machine can apply.
# `first` is STOP to let the kernel deliver what the primary had sent: all acknowledged must be among that.
proc kill_under_load {p q prefixes per_second first} {
    set loads {}
    foreach prefix $prefixes { lappend loads [load_marks $p 0 $per_second $prefix] }
    wait_for {[$p DBSIZE] > 500}
    after [random_below 100]
    if {$first eq "STOP"} {
        send_signal STOP [server_pid $p]
        set at -1
        wait_for {$at == [set at [node_field $q slave_read_repl_offset]]}
    }
    node_end $p KILL
    set counts {}
    foreach load $loads { lappend counts [load_wait $load] }
    return $counts
}

for {set i 0} {$i < $crashes} {incr i} {
    foreach {first second} {kura kura kura redis} {
        test "$first -> $second: what a dying primary has acknowledged is on its replica ($i)" {
            need_kura ;# redis-server answers some clients before its replicas get what they wrote
            with_nodes [list p $first {} q $second {}] {
                follow $q $p
                wait_for {[string match {*state=online*lag=[01]*} [$p INFO replication]]}
                set counts [kill_under_load $p $q {a: b: c:} {*}[lindex {{1000 KILL} {5000 STOP}} [expr {$i % 2}]]]
                # What was in the socket has been applied when the replica has seen the end.
                wait_for {![link_is_up $q]}
                foreach prefix {a: b: c:} count $counts {
                    assert {$count > 0}
                    assert_marks $q $prefix $count
                }
            }
        }
    }
}
