# Expiry on replicas: a key past its deadline is absent for clients, but only the primary removes it, and its commands
# see it. What clients of a writable replica give a deadline, the replica removes itself.

set pairs {kura kura kura redis redis kura}
set allowed {enable-debug-command yes}

# The primary removes nothing by itself from here on.
proc stop_expiring {p} { $p DEBUG SET-ACTIVE-EXPIRE 0 }

# Applied on both, but not compared: some keys are past their deadlines.
proc wait_applied {p q} {
    wait_for {[node_field $p master_repl_offset] == [node_field $q slave_repl_offset]}
}

proc wait_due {h key} {
    wait_for {[$h EXISTS $key] == 0}
}

# What the clients of a node see of its only key, which is due.
proc assert_hidden {h key} {
    assert_equal (nil) [$h GET $key]
    assert_equal -2 [$h PTTL $key]
    assert_equal none [$h TYPE $key]
    assert_equal {} [$h KEYS *]
    assert_equal {0 {}} [$h SCAN 0 COUNT 1000]
    if {[nodes::is_kura $h]} { assert_equal (nil) [$h RANDOMKEY] } ;# redis-server gives up and replies what is due
}

foreach {first second} $pairs {
    test "$first -> $second: what is due is hidden, and removed when the primary says so" {
        with_nodes [list p $first $allowed q $second $allowed] {
            follow $q $p
            stop_expiring $p
            $p SET k v PX 100
            wait_applied $p $q
            wait_due $q k
            assert_hidden $q k
            assert_equal 1 [$q DBSIZE]
            assert_equal 0 [node_field $q expired_keys]
            assert_equal 0 [$p EXISTS k]
            wait_for {[$q DBSIZE] == 0}
            assert_equal 0 [node_field $q expired_keys]
        }
    }

    # The replica stands still while the primary works, and applies its commands when the keys are long due.
    test "$first -> $second: the primary's commands see what is due" {
        with_nodes [list p $first $allowed q $second $allowed] {
            follow $q $p
            stop_expiring $p
            $p SET dumped v
            set dump [$p DUMP dumped]
            $p DEL dumped
            foreach key {counted kept renamed text} { $p SET $key 1 PX 2000 }
            $p RPUSH list a b
            $p PEXPIRE list 2000
            wait_applied $p $q
            set deadline [$p PEXPIRETIME counted]
            send_signal STOP [server_pid $q]
            $p INCR counted
            $p PERSIST counted
            $p PEXPIREAT kept 32503680000000
            $p RENAME renamed new
            $p APPEND text 2
            $p LPOP list
            $p RESTORE restored $deadline $dump ABSTTL
            $p SET at v PXAT $deadline
            $p SET later v
            $p PEXPIREAT later $deadline
            wait_due $p text
            send_signal CONT [server_pid $q]
            wait_applied $p $q
            assert_equal 2 [$q GET counted]
            assert_equal -1 [$q PTTL counted]
            assert_equal 1 [$q GET kept]
            assert_equal 32503680000000 [$q PEXPIRETIME kept]
            foreach key {renamed new text list restored at later} { assert_equal 0 [$q EXISTS $key] }
            assert_equal 7 [$q DBSIZE] ;# all but the text, which the primary has removed
            foreach key {new list restored at later} { $p EXISTS $key }
            wait_for {[$q DBSIZE] == 2}
            assert_same $p $q
        }
    }

    test "$first -> $second: a writable replica removes what its clients gave a deadline, and only that" {
        set many [dict merge $allowed {replica-read-only no databases 100}]
        with_nodes [list p $first [dict merge $allowed {databases 100}] q $second $many] {
            follow $q $p
            stop_expiring $p
            $p SET theirs v PX 1000
            $p SET taken v PX 100000
            $p SET back v
            wait_applied $p $q
            $q SET ours v PX 100000
            $q SET lasting v PX 100000
            $q PEXPIRE taken 100000
            $q PEXPIRE back 100000
            $q SELECT 63
            $q SET ours63 v PX 100000
            $q SELECT 64
            $q SET ours64 v PX 100000
            assert_equal 5 [node_field $q slave_expires_tracked_keys]
            $q PEXPIRE ours64 200
            $q SELECT 63
            $q PEXPIRE ours63 200
            $q SELECT 0
            $q PEXPIRE ours 200
            $q PEXPIRE taken 200
            wait_due $q theirs
            wait_for {[$q DBSIZE] == 3} ;# theirs, lasting, back
            wait_for {[node_field $q slave_expires_tracked_keys] == 2}
            $q SELECT 63
            assert_equal 0 [$q DBSIZE]
            $q SELECT 64
            wait_due $q ours64
            assert_equal 1 [$q DBSIZE]
            $q SELECT 0
            $q SET theirs new ;# a key that is due makes room
            assert_equal new [$q GET theirs]
            assert_equal -1 [$q TTL theirs]
        }
    }

    test "$first -> $second: a replica that is promoted removes all that is due" {
        with_nodes [list p $first $allowed q $second [dict merge $allowed {replica-read-only no}]] {
            follow $q $p
            stop_expiring $p
            for {set i 0} {$i < 100} {incr i} { $p SET key:$i v PX 200 }
            $p SET lasting v
            wait_applied $p $q
            $q SET ours v PX 100000
            wait_due $q key:99
            assert_equal 102 [$q DBSIZE]
            $q REPLICAOF NO ONE
            wait_for {[$q DBSIZE] == 2}
            assert_equal 100 [node_field $q expired_keys]
            $q PEXPIRE ours 100
            wait_for {[$q DBSIZE] == 1}
        }
    }
}

# Redis counts them by name, for good; kura forgets one that the primary has given another deadline.
test "a deadline that the primary sets is its own" {
    need_kura
    with_nodes [list p kura $allowed q kura [dict merge $allowed {replica-read-only no}]] {
        follow $q $p
        stop_expiring $p
        $p SET k v
        wait_applied $p $q
        $q PEXPIRE k 100000
        assert_equal 1 [node_field $q slave_expires_tracked_keys]
        $p PEXPIRE k 100
        wait_applied $p $q
        assert_equal 0 [node_field $q slave_expires_tracked_keys]
        wait_due $q k
        assert_equal 1 [$q DBSIZE]
        $q SET other v PX 100
        $q DEL other
        $q FLUSHALL
        assert_equal 0 [node_field $q slave_expires_tracked_keys]
    }
}

# --- Clocks that differ --------------------------------------------------------------------------

# A node whose wall clock is as many seconds back as the file says, while that is there: tools/preload/clock_back.c.
proc clock_node {file directives} {
    set wrapper $file.sh
    set out [open $wrapper w]
    puts $out "#!/bin/sh\nexport CLOCK_BACK=$file LD_PRELOAD=$::root/build/tools/clock_back.so"
    puts $out "exec $::env(KURA_SERVER) \"\$@\""
    close $out
    file attributes $wrapper -permissions 0755
    set mine $::env(KURA_SERVER)
    set ::env(KURA_SERVER) $wrapper
    set code [catch {node_start kura $directives} result options]
    set ::env(KURA_SERVER) $mine
    file delete $wrapper
    return -options $options $result
}

proc set_back {file seconds} {
    set out [open $file w]
    puts -nonewline $out $seconds
    close $out
}

test "a replica whose clock is ahead hides keys, but keeps what the primary has" {
    need_preload
    need_kura
    set file [string trim [exec mktemp]]
    set_back $file -3600
    with_nodes [list p kura $allowed] {
        set q [clock_node $file $allowed]
        $p SET early v EX 100
        follow $q $p ;# loaded from the snapshot
        assert_equal 1 [full_syncs $p]
        $p SET later v EX 100
        $p INCR later2
        $p EXPIRE later2 100
        $p INCR later2
        $p SET lasting v EX 7200
        wait_applied $p $q
        assert_equal {0 0 0 1} [lmap key {early later later2 lasting} {$q EXISTS $key}]
        $p SET last v
        wait_applied $p $q
        assert_equal 5 [$q DBSIZE]
        file delete $file
        wait_for {[$q EXISTS early] == 1}
        assert_equal {v v 2 v} [lmap key {early later later2 lasting} {$q GET $key}]
        assert_equal 0 [node_field $q expired_keys]
        level $p $q
    }
}

test "a replica whose clock is behind removes keys when the primary does" {
    need_preload
    need_kura
    set file [string trim [exec mktemp]]
    set_back $file 3600
    with_nodes [list p kura $allowed] {
        set q [clock_node $file $allowed]
        follow $q $p
        $p SET k v PX 100
        $p SET other v EX 100
        wait_applied $p $q
        assert {[$q PTTL other] > 3600000}
        wait_for {[$q EXISTS k] == 0}
        assert_equal 1 [$q DBSIZE]
        assert_equal 1 [node_field $p expired_keys]
        level $p $q
    }
    file delete $file
}
