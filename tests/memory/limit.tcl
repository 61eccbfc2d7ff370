# maxmemory: how far it is kept, what goes and what stays, what is refused, and what follows from a victim. Which key is
# the best victim is not judged here.

set policies {allkeys-lru allkeys-lfu allkeys-random volatile-lru volatile-lfu volatile-random volatile-ttl noeviction}
set oom "OOM command not allowed when used memory > 'maxmemory'."

# A limit of so many bytes above what is in use now.
proc set_limit {bytes} {
    set limit [expr {[info_field used_memory] + $bytes}]
    r CONFIG SET maxmemory $limit
    return $limit
}

# SET of so many keys, 200 in a pipeline. Returns how many were not refused.
proc fill {prefix count size args} {
    set stored 0
    set value [string repeat x $size]
    for {set i 0} {$i < $count} {incr i $n} {
        set bytes ""
        for {set n 0} {$n < 200 && $i + $n < $count} {incr n} {
            append bytes [resp_encode SET $prefix:[expr {$i + $n}] $value {*}$args]
        }
        r -raw $bytes
        for {set k 0} {$k < $n} {incr k} { incr stored [expr {![catch {r -read}]}] }
    }
    return $stored
}

proc count_left {prefix count} {
    set left 0
    for {set i 0} {$i < $count} {incr i} { incr left [r EXISTS $prefix:$i] }
    return $left
}

# Without keys, without a limit.
proc start_over {{policy noeviction}} {
    r CONFIG SET maxmemory 0 maxmemory-policy $policy maxmemory-eviction-tenacity 10
    r FLUSHALL
    wait_for {[info_field lazyfree_pending_objects] == 0}
    r CONFIG RESETSTAT
}

# Keys that are there and keys that were evicted, at the same moment.
proc keys_and_evicted {} {
    set info [r INFO everything]
    regexp {evicted_keys:(\d+)} $info -> evicted
    if {![regexp {db0:keys=(\d+)} $info -> keys]} { set keys 0 }
    return [expr {$keys + $evicted}]
}

proc evicted {} { return [info_field evicted_keys] }

# Sends these commands at once, and returns their replies; that of a refused one is its error.
proc pipeline {commands} {
    set bytes ""
    foreach command $commands { append bytes [resp_encode {*}$command] }
    r -raw $bytes
    set replies {}
    foreach command $commands {
        catch {r -read} reply
        lappend replies $reply
    }
    return $replies
}

# --- how far it is kept, and who goes -------------------------------------------------------------

with_server {} {
    foreach policy $policies {
        test "The limit is kept to 4 KB under $policy" {
            start_over $policy
            set limit [set_limit 1000000]
            for {set round 0} {$round < 25} {incr round} {
                fill key:$round 400 [expr {1 + 40 * $round}] PX [expr {10000000 + 1000 * $round}]
                assert {[info_field used_memory] <= $limit + 4096}
            }
            assert {([evicted] > 0) == ($policy ne "noeviction")}
            assert {[r DBSIZE] > 0}
        }

        test "Only keys that the policy names go under $policy" {
            start_over $policy ;# a key that another policy has stamped counts as new
            fill stays 100 100
            set_limit 300000
            set stored [fill goes 3000 100 EX 100000]
            set left [count_left stays 100]
            switch -glob $policy {
                volatile-* { assert_equal {3000 100} [list $stored $left] }
                allkeys-* { assert {$stored == 3000 && $left < 100} }
                noeviction { assert {$stored < 3000 && $left == 100} }
            }
        }
    }

    test "Tiny keys, whose table grows at the limit, keep it too" {
        start_over allkeys-random
        set limit [set_limit 300000]
        for {set round 0} {$round < 100} {incr round} {
            fill $round 200 1
            assert {[info_field used_memory] <= $limit + 4096}
        }
        assert {[evicted] > 0}
    }

    test "Keys without a deadline are safe under a volatile policy, and what needs memory is refused" {
        foreach policy {volatile-lru volatile-lfu volatile-random volatile-ttl} {
            start_over $policy
            set_limit 200000
            assert {[fill k 3000 100] < 3000}
            assert_error $oom {r SET more 1}
            assert_equal {0 100} [list [evicted] [r STRLEN k:0]]
            for {set i 0} {$i < 300} {incr i} { r EXPIRE k:$i 1000 }
            assert_equal OK [r SET more 1]
            assert {[evicted] > 0 && [evicted] <= 300}
        }
    }

    test "A lower limit is reached in slices: CONFIG SET returns and warns, the rest follows by itself" {
        foreach tenacity {10 0 50} {
            start_over allkeys-random
            fill k 20000 200
            r CONFIG SET maxmemory-eviction-tenacity $tenacity
            set limit [set_limit -2000000]
            assert_match "*WARNING: the new maxmemory value set via CONFIG SET ($limit) is smaller than the current\
                memory usage (*). This will result in key eviction and/or the inability to accept new write commands\
                depending on the maxmemory-policy.*" [server_log]
            wait_for {[info_field used_memory] <= $limit}
            assert {[r DBSIZE] > 5000}
            assert_equal 20000 [keys_and_evicted]
        }
    }

    test "With a tenacity of 100 a lower limit is reached before the next command" {
        start_over allkeys-random
        fill k 20000 200
        r CONFIG SET maxmemory-eviction-tenacity 100
        set limit [set_limit -2000000]
        assert {[info_field used_memory] <= $limit + 4096}
    }

    test "Random limits, up and down, are reached while clients write" {
        start_over allkeys-random
        set empty [info_field used_memory]
        for {set round 0} {$round < 30} {incr round} {
            set limit [expr {$empty + 50000 + [random_below 2000000]}]
            r CONFIG SET maxmemory $limit maxmemory-eviction-tenacity [random_below 100]
            fill k:$round [random_below 2000] [random_below 1000]
            wait_for {[info_field used_memory] <= $limit + 4096}
        }
    }
}

# --- what is refused ------------------------------------------------------------------------------

with_server {} {
    test "Without eviction, what needs memory is refused, and all else goes on" {
        start_over
        fill k 1000 100
        r RPUSH list a b
        r SADD set a b
        set_limit -10000
        foreach command {
            {SET n 1} {SETNX n 1} {GETSET k:1 x} {APPEND k:1 x} {SETRANGE k:1 0 y} {SETBIT k:1 1 1} {MSET a 1 b 2}
            {INCR n} {INCRBYFLOAT n 1} {BITOP NOT n k:1} {LPUSH list c} {LINSERT list BEFORE a c} {LSET list 0 c}
            {LMOVE list n LEFT LEFT} {SADD set c} {SUNIONSTORE n set} {HSET n a b} {HINCRBY n a 1} {ZADD n 1 a}
            {GEOADD n 1 1 a} {PFADD n a} {COPY k:1 n} {RESTORE n 0 x} {SORT list ALPHA STORE n}
            {BLMOVE list n LEFT LEFT 0}
        } {
            assert_error $oom [list r {*}$command]
        }
        assert_equal 0 [r EXISTS n]
        assert_equal 100 [r STRLEN k:1]
        assert_equal {1 1} [list [r EXPIRE k:2 100] [r PERSIST k:2]]
        assert_equal {OK 1} [list [r RENAME k:3 n] [r MOVE n 5]]
        assert_equal {1 1 a 1} [list [r DEL k:4] [r UNLINK k:5] [r LPOP list] [r SREM set a]]
        assert_equal [string repeat x 100] [r GETDEL k:6]
        assert_equal {PONG 0} [list [r PING] [r PUBLISH c m]]
        assert_equal 0 [evicted]
        r FLUSHALL
        assert_equal OK [r SET n 1]
    }

    test "A refusal is counted, under the code of its error" {
        start_over
        set_limit -10000
        assert_error $oom {r SET n 1}
        assert_match *calls=0,*rejected_calls=1,* [info_field cmdstat_set]
        assert_equal count=1 [info_field errorstat_OOM]
    }

    test "A request that is refused when it is queued spoils its transaction" {
        start_over
        r SET k v
        set_limit -10000
        r MULTI
        assert_equal QUEUED [r GET k]
        assert_error $oom {r SET n 1}
        assert_error "EXECABORT Transaction discarded because of previous errors." {r EXEC}
        r MULTI
        assert_equal {QUEUED QUEUED} [list [r GET k] [r DEL k]]
        assert_equal {v 1} [r EXEC]
    }

    test "EXEC asks for all that was queued" {
        start_over
        set c [client]
        $c MULTI
        assert_equal QUEUED [$c SET n 1]
        set_limit -10000
        assert_error "EXECABORT Transaction discarded because of: $oom" {$c EXEC}
        assert_equal 0 [r EXISTS n]
        assert_error "ERR EXEC without MULTI" {$c EXEC}
    }

    test "A limit that is set inside a transaction holds from its end on" {
        start_over allkeys-random
        fill k 100 100
        r MULTI
        r CONFIG SET maxmemory 1
        r SET n 1
        r DBSIZE
        assert_equal {OK OK 101} [r EXEC]
        wait_for {[r DBSIZE] == 0}
        assert_error $oom {r SET n 1}
    }

    test "Nothing is evicted inside a transaction, whatever it needs" {
        start_over allkeys-random
        fill k 1000 100
        set_limit 1000
        r MULTI
        foreach i {1 2 3} { r SETRANGE big:$i 50000 x }
        r DBSIZE
        r INFO stats
        set replies [r EXEC]
        assert_equal 1003 [lindex $replies 3]
        assert_match "*evicted_keys:0\r*" [lindex $replies 4]
        assert {[evicted] > 0}
    }

    test "A waiting client that is served needs memory like any other" {
        start_over
        set c [client]
        $c -send BLMOVE list other LEFT LEFT 0
        wait_for {[info_field blocked_clients] == 1}
        r RPUSH list2 a
        set_limit -10000
        r RENAME list2 list
        assert_error $oom {$c -read}
        assert_equal a [r LINDEX list 0]
    }
}

# --- bad input ------------------------------------------------------------------------------------

with_server {} {
    test "A limit below what an empty server needs evicts all, and the server can still be told what to do" {
        start_over allkeys-lru
        fill k 1000 100
        r CONFIG SET maxmemory 1
        wait_for {[r DBSIZE] == 0}
        assert_equal 1000 [evicted]
        assert_error $oom {r SET n 1}
        assert_equal {{} 0 PONG} [list [r KEYS *] [r DEL n] [r PING]]
        assert {[info_field current_eviction_exceeded_time] >= 0}
        r CONFIG SET maxmemory 100mb
        assert_equal OK [r SET n 1]
        server_restart {maxmemory 1 maxmemory-policy allkeys-lru}
        assert_match "*WARNING: You specified a maxmemory value that is less than 1MB (current value is 1 bytes). Are\
            you sure this is what you really want?*" [server_log]
        assert_error $oom {r SET n 1}
        catch {r SHUTDOWN NOSAVE}
        assert_equal 0 [server_wait_exit]
        server_restart {}
    }

    test "Values that the directives do not take are refused" {
        foreach {name value error} {
            maxmemory -1 "argument must be a memory value"
            maxmemory 10% "argument must be a memory value"
            maxmemory x "argument must be a memory value"
            maxmemory-policy lru "argument(s) must be one of the following: *"
            maxmemory-samples 0 "argument must be between 1 and 2147483647 inclusive"
            maxmemory-samples -5 "argument must be between 1 and 2147483647 inclusive"
            maxmemory-eviction-tenacity 101 "argument must be between 0 and 100 inclusive"
            maxmemory-eviction-tenacity -1 "argument must be between 0 and 100 inclusive"
            maxmemory-clients 101% "percentage argument must be less or equal to 100"
            maxmemory-clients 99999999999gb "percentage argument must be less or equal to 100"
            maxmemory-clients -1 "argument must be a memory or percent value"
            lazyfree-lazy-eviction maybe "argument must be 'yes' or 'no'"
        } {
            set before [r CONFIG GET $name]
            set failed "ERR CONFIG SET failed (possibly related to argument '$name')"
            assert_error "$failed - $error" {r CONFIG SET $name $value}
            assert_equal $before [r CONFIG GET $name]
        }
    }

    test "A limit beyond all memory is taken, by CONFIG SET and at the start, and never becomes a smaller one" {
        start_over allkeys-random
        set most 18446744073709551615
        # In Redis the last one is 1gb.
        foreach {value kept} [list 9223372036854775808 9223372036854775808 $most $most 99999999999999999999 $most \
                17179869185gb $most] {
            r CONFIG SET maxmemory $value maxmemory-clients 100%
            assert_equal "maxmemory $kept" [r CONFIG GET maxmemory]
            assert_equal {OK 0} [list [r SET k v] [r STRLEN nothing]]
            server_restart [list maxmemory $value maxmemory-policy allkeys-random]
            assert_equal "maxmemory $kept" [r CONFIG GET maxmemory]
            assert_equal {OK 0} [list [r SET k v] [evicted]]
        }
        server_restart {}
    }

    test "The largest number of samples costs no more than it should" {
        start_over allkeys-lru
        r CONFIG SET maxmemory-samples 2147483647
        set limit [set_limit 100000]
        fill k 2000 100
        assert {[evicted] > 0 && [info_field used_memory] <= $limit + 4096}
        r CONFIG SET maxmemory-samples 5
    }

    test "A value larger than the limit: all else goes, then it goes, and the client was told OK" {
        start_over allkeys-lru
        fill k 100 100
        set limit [set_limit 1000000]
        assert_equal OK [r SET big [string repeat x 3000000]]
        wait_for {[r DBSIZE] == 0}
        assert_equal 101 [evicted]
        wait_for {[info_field used_memory] <= $limit + 4096}
        assert_equal OK [r SET n 1]
    }

    test "A new key counts as used now under LRU, and has a counter of 5 under LFU" {
        foreach {policy subcommand value} {allkeys-lru IDLETIME 0 allkeys-lfu FREQ 5 volatile-lru IDLETIME 0
                                           volatile-lfu FREQ 5} {
            start_over $policy
            foreach write {{SET k text} {SET k 1} {RPUSH k a} {HSET k f v} {ZADD k 1 m} {SADD k m}} {
                r {*}$write
                assert_equal $value [r OBJECT $subcommand k]
                r DEL k
            }
        }
    }

    test "Switching policies at the limit is harmless" {
        start_over
        set limit [set_limit 300000]
        for {set round 0} {$round < 50} {incr round} {
            r CONFIG SET maxmemory-policy [lindex $policies [random_below 7]]
            fill k:$round 100 [random_below 300] EX 1000
            assert {[info_field used_memory] <= $limit + 4096}
        }
        assert {[evicted] > 0}
    }
}

with_server {databases 100000} {
    test "One key in each of 100,000 databases can be evicted" {
        for {set db 0} {$db < 100000} {incr db 1000} {
            set bytes ""
            for {set i $db} {$i < $db + 1000} {incr i} { append bytes [resp_encode SELECT $i][resp_encode SET k v] }
            r -raw $bytes
            for {set i 0} {$i < 2000} {incr i} { assert_equal OK [r -read] }
        }
        r CONFIG SET maxmemory-policy allkeys-random
        set limit [set_limit -20000]
        wait_for {[info_field used_memory] <= $limit + 4096}
        assert {[evicted] > 0}
        assert_equal [expr {100000 - [evicted]}] [regexp -all {db\d+:keys=1,} [r INFO keyspace]]
    }
}

# --- what counts ----------------------------------------------------------------------------------

with_server {} {
    test "A reply of any size evicts nothing" {
        start_over allkeys-random
        fill k 200 15000
        set keys [lmap i [lrepeat 200 k] {set i}]
        set keys {}
        for {set i 0} {$i < 200} {incr i} { lappend keys k:$i }
        r MGET {*}[lrange $keys 0 9]
        set_limit 20000
        for {set i 0} {$i < 5} {incr i} {
            r -raw [resp_encode MGET {*}$keys][resp_encode PING]
            assert_equal {200 PONG} [list [llength [r -read]] [r -read]]
        }
        assert_equal 0 [evicted]
    }

    test "A value nearly as large as what is free is stored, whether it comes by SET or by RESTORE" {
        foreach policy {noeviction allkeys-lru volatile-lru} {
            start_over $policy
            r SET k v
            set_limit 10000000
            set value [string repeat x 8000000]
            for {set i 0} {$i < 3} {incr i} {
                assert_equal OK [r SET big $value]
                assert_equal 8000000 [r STRLEN big]
                set dump [r DUMP big]
                r DEL big
                assert_equal OK [r RESTORE big 0 $dump]
                assert_equal {8000000 v 0} [list [r STRLEN big] [r GET k] [evicted]]
                r DEL big
            }
        }
    }

    test "Input of requests that do not come to their end costs keys" {
        start_over allkeys-random
        fill k 2000 1000
        set_limit 200000
        for {set i 0} {$i < 10} {incr i} {
            set rude($i) [client]
            $rude($i) -raw "*3\r\n\$3\r\nSET\r\n\$1\r\nn\r\n\$1000000\r\n[string repeat x 100000]"
        }
        wait_for {[evicted] > 700}
        foreach i [array names rude] { $rude($i) -close }
        wait_for {[info_field connected_clients] == 1}
        set gone [evicted]
        fill n 200 1000
        assert_equal $gone [evicted]
    }

    test "Messages that no subscriber reads cost keys" {
        start_over allkeys-random
        r CONFIG SET client-output-buffer-limit "pubsub 0 0 0"
        fill k 2000 1000
        set_limit 200000
        set deaf [client]
        $deaf SUBSCRIBE news
        for {set i 0} {$i < 3000 && [evicted] < 700} {incr i} { r PUBLISH news [string repeat m 10000] }
        assert {[evicted] >= 700}
        $deaf -close
    }

    # While the worker is at it, a second value would be one too many if the first were still counted.
    foreach {type make copy} {
        string {SETRANGE big 20000000 x} {SETRANGE copy 20000000 x}
        list   {RPUSH big} {COPY big copy}
        hash   {HSET big} {COPY big copy}
        set    {SADD big} {COPY big copy}
        zset   {ZADD big} {COPY big copy}
    } {
        test "A large $type that was dropped neither costs a key nor makes a false OOM" {
            foreach policy {noeviction allkeys-random} {
                start_over $policy
                if {$type eq "string"} {
                    r {*}$make
                } else {
                    for {set from 0} {$from < 50000} {incr from 1000} {
                        set elements {}
                        for {set i $from} {$i < $from + 1000} {incr i} {
                            if {$type eq "zset"} { lappend elements $i }
                            lappend elements element:$i:[string repeat y 20]
                            if {$type eq "hash"} { lappend elements $i }
                        }
                        r {*}$make {*}$elements
                    }
                }
                set one [r MEMORY USAGE big SAMPLES 0]
                r {*}$copy
                r CONFIG SET maxmemory [expr {[info_field used_memory] + $one / 3}]
                set commands {}
                for {set i 0} {$i < 10} {incr i} { lappend commands {DEL copy} $copy }
                set replies [lsort -unique [pipeline $commands]]
                assert_equal [lsort -unique [list 1 [expr {$type eq "string" ? 20000001 : 1}]]] $replies
                assert_equal 0 [evicted]
            }
        }
    }

    test "FLUSHALL ASYNC makes room at once" {
        foreach policy {noeviction allkeys-random} {
            start_over $policy
            fill k 50000 200
            set_limit 200000
            for {set i 0} {$i < 5} {incr i} {
                r FLUSHALL ASYNC
                assert_equal 5000 [fill k 5000 200]
            }
            assert_equal 0 [evicted]
        }
    }

    test "Cutting large values down makes room at once" {
        start_over
        for {set from 0} {$from < 30000} {incr from 1000} {
            set elements {}
            set scored {}
            for {set i $from} {$i < $from + 1000} {incr i} {
                lappend elements element:$i
                lappend scored $i element:$i
            }
            r RPUSH list:1 {*}$elements
            r SADD set:1 {*}$elements
            r ZADD zset:1 {*}$scored
        }
        foreach type {list set zset} cut {{LTRIM %s 0 9} {SPOP %s 29000} {ZREMRANGEBYRANK %s 10 -1}} {
            r COPY $type:1 $type:2
            r CONFIG SET maxmemory [expr {[info_field used_memory] + [r MEMORY USAGE $type:1 SAMPLES 0] / 3}]
            set commands {}
            for {set i 0} {$i < 5} {incr i} {
                lappend commands [string map [list %s $type:2] $cut] [list DEL $type:2] [list COPY $type:1 $type:2]
            }
            assert {"$oom" ni [pipeline $commands]}
            r CONFIG SET maxmemory 0
        }
    }

    test "INFO tells the limit and its policy, with what is not counted" {
        start_over allkeys-lfu
        r CONFIG SET maxmemory 3gb
        foreach {field value} {maxmemory 3221225472 maxmemory_human 3.00G maxmemory_policy allkeys-lfu
                               mem_not_counted_for_evict 0 mem_aof_buffer 0 evicted_keys 0 evicted_clients 0
                               total_eviction_exceeded_time 0 current_eviction_exceeded_time 0} {
            assert_equal $value [info_field $field]
        }
    }

    test "The time above the limit is counted, also while nothing can go, and CONFIG RESETSTAT resets it" {
        start_over
        r SET k v
        set_limit -1
        wait_for {[info_field current_eviction_exceeded_time] >= 50}
        set current [info_field current_eviction_exceeded_time]
        assert {[info_field total_eviction_exceeded_time] >= $current}
        r CONFIG SET maxmemory 1gb
        assert_equal 0 [info_field current_eviction_exceeded_time]
        set total [info_field total_eviction_exceeded_time]
        assert {$total >= 50}
        set_limit -1
        wait_for {[info_field total_eviction_exceeded_time] > $total}
        r CONFIG SET maxmemory 1gb maxmemory-policy allkeys-random
        set_limit 10000
        fill k 1000 100
        assert {[evicted] > 0}
        r CONFIG SET maxmemory 0 ;# nothing more goes
        r CONFIG RESETSTAT
        assert_equal {0 0} [list [evicted] [info_field total_eviction_exceeded_time]]
    }
}

with_server {appendonly yes appendfsync everysec} {
    test "The buffer of the append-only file is not counted" {
        start_over allkeys-random
        set replies [pipeline [list [list SET k [string repeat x 10000]] [list MSET a [string repeat y 9000] b \
            [string repeat z 9000]] {INFO memory} {MEMORY STATS}]]
        regexp {mem_not_counted_for_evict:(\d+)} [lindex $replies 2] -> uncounted
        regexp {mem_aof_buffer:(\d+)} [lindex $replies 2] -> buffer
        assert {$uncounted >= 28000 && $buffer >= 28000}
        assert_equal $buffer [dict get [lindex $replies 3] aof.buffer]
    }
}

# --- what follows ---------------------------------------------------------------------------------

with_server {notify-keyspace-events KEe} {
    test "A victim is an event of class e, and no other" {
        start_over allkeys-random
        set c [client]
        $c PSUBSCRIBE *
        r SET k v
        r CONFIG SET maxmemory 1
        assert_equal {pmessage * __keyspace@0__:k evicted} [$c -read]
        assert_equal {pmessage * __keyevent@0__:evicted k} [$c -read]
        r CONFIG SET maxmemory 0
        r SET k v EX 100
        r DEL k
        r PUBLISH done 1
        assert_equal {pmessage * done 1} [$c -read]
    }

    test "A watched key that is evicted fails the transaction" {
        start_over allkeys-random
        r SET k v
        set c [client]
        $c WATCH k
        r CONFIG SET maxmemory 1
        wait_for {[r DBSIZE] == 0}
        r CONFIG SET maxmemory 0
        $c MULTI
        $c SET n 1
        assert_equal (nil) [$c EXEC]
        assert_equal 0 [r EXISTS n]
    }

    test "Clients that have copies of a victim are told, even if their own command needed the room" {
        start_over volatile-random
        set c [client]
        $c HELLO 3
        $c CLIENT TRACKING ON NOLOOP
        r SET k [string repeat x 10000] EX 1000
        $c GET k
        set_limit 3000
        set commands [list [list SET n [string repeat x 12000]] PING {SET n 1} {GET k}]
        $c -raw [join [lmap command $commands {resp_encode {*}$command}] ""]
        set replies {}
        for {set i 0} {$i < 5} {incr i} { lappend replies [$c -read] }
        assert_equal {OK PONG {invalidate k} OK (nil)} $replies ;# of n, its own change, it is not told
        assert_equal 1 [evicted]
    }

    test "Victims whose trackers do not read cost no further victims" {
        start_over allkeys-random
        # A message is as long as a key, and goes to ten clients.
        set name [string repeat k 500]
        fill $name 500 1
        set keys {}
        for {set i 0} {$i < 500} {incr i} { lappend keys $name:$i }
        for {set i 0} {$i < 10} {incr i} {
            set deaf [client]
            $deaf HELLO 3
            $deaf CLIENT TRACKING ON
            $deaf MGET {*}$keys
        }
        set_limit 10000
        fill n 100 500
        assert {[evicted] > 20 && [evicted] < 200}
    }

    test "A key that a client waits for may be evicted, and come back" {
        start_over allkeys-random
        set c [client]
        $c -send BLPOP k 0
        wait_for {[info_field blocked_clients] == 1}
        r SET k v
        r CONFIG SET maxmemory 1
        wait_for {[r DBSIZE] == 0}
        r CONFIG SET maxmemory 0
        r RPUSH k element
        assert_equal {k element} [$c -read]
    }

    test "Nothing is evicted while clients are paused, and no write is refused for it" {
        start_over allkeys-random
        set c [client]
        fill k 100 100
        r CLIENT PAUSE 100000 WRITE
        r CONFIG SET maxmemory 1
        assert_equal 100 [r DBSIZE]
        $c -send SET n 1
        wait_for {[info_field blocked_clients] == 1}
        assert_equal {100 0} [list [r DBSIZE] [evicted]]
        wait_for {[info_field current_eviction_exceeded_time] > 0}
        r CLIENT UNPAUSE
        assert_equal OK [$c -read] ;# there are keys that may go
        wait_for {[r DBSIZE] == 0}
        assert_equal 101 [evicted]
    }
}

# --- what a dataset that is too large does --------------------------------------------------------

with_server {} {
    test "A snapshot that exceeds the limit is loaded whole; then keys go, or writes are refused" {
        start_over
        fill k 5000 200
        set limit [expr {[info_field used_memory] - 300000}]
        r SAVE
        foreach policy {allkeys-random noeviction} {
            server_restart [list maxmemory $limit maxmemory-policy $policy]
            assert_match {*keys loaded: 5000*} [server_log]
            if {$policy eq "noeviction"} {
                assert_equal 5000 [r DBSIZE]
                assert_error $oom {r SET n 1}
            } else {
                wait_for {[info_field used_memory] <= $limit}
                assert_equal 5000 [keys_and_evicted]
                assert_equal OK [r SET n 1]
                r CONFIG SET save "" ;# the snapshot stays as it is
            }
        }
    }
}

# --- a child ------------------------------------------------------------------------------------

with_server {} {
    foreach policy {allkeys-lru allkeys-lfu allkeys-random volatile-ttl} {
        test "The limit is kept under $policy while a child saves, which saves what there was" {
            start_over $policy
            fill k 3000 100 EX 100000
            set limit [set_limit 20000]
            set before [evicted]
            set keys [r DBSIZE]
            r CONFIG SET rdb-key-save-delay 300
            r BGSAVE
            set saving 0
            for {set i 0} {$i < 10} {incr i} {
                fill n:$i 300 100 EX 100000
                assert {[info_field used_memory] <= $limit + 4096}
                incr saving [info_field rdb_bgsave_in_progress]
            }
            assert {[evicted] > $before + 1000 && $saving > 0}
            r CONFIG SET rdb-key-save-delay 0
            wait_for {[info_field rdb_bgsave_in_progress] == 0}
            assert_equal ok [info_field rdb_last_bgsave_status]
            r CONFIG SET maxmemory 0 save ""
            server_restart {maxmemory-policy noeviction} KILL
            assert_equal $keys [r DBSIZE]
        }
    }
}

# --- redis-cli's test -----------------------------------------------------------------------------

with_server {} {
    test "redis-cli --lru-test finds what it asks for most of the time, while keys are evicted" {
        start_over allkeys-lru
        set limit [set_limit 200000]
        set program [file join $::root build oracle redis-cli]
        set cli [open |[list stdbuf -oL $program -p [server_port] --lru-test 10000 2>@1]]
        for {set second 0} {$second < 2} {incr second} {
            while {![regexp {Gets/sec \| Hits: \d+ \((.*)%\) \| Misses: \d+ \(.*%\)} [gets $cli] -> hits]} {
                if {[eof $cli]} { error "redis-cli ended" }
            }
        }
        r CLIENT KILL TYPE normal
        catch {close $cli}
        assert {$hits > 50}
        assert {[evicted] > 0 && [info_field used_memory] <= $limit + 4096}
        assert {[info_field keyspace_hits] > [info_field keyspace_misses]}
    }
}
