# Random datasets move between kura and redis-server as snapshots, as payloads and by MIGRATE. DEBUG DIGEST, which both
# compute alike, must stay the same.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

proc start_oracle {directives} {
    global oracle
    set had [info exists ::env(KURA_SERVER)]
    if {$had} { set saved $::env(KURA_SERVER) }
    set ::env(KURA_SERVER) $oracle
    set h [server_start $directives]
    if {$had} { set ::env(KURA_SERVER) $saved } else { unset ::env(KURA_SERVER) }
    return $h
}

proc below {n} { return [expr {int(rand() * $n)}] }
proc pick {list} { return [lindex $list [below [llength $list]]] }

# Texts that the formats store in different ways: small and large numbers, texts that look like numbers, short, long,
# compressible and binary ones.
proc text {} {
    switch [below 9] {
        0 { return [below 300] }
        1 { return [expr {[below 2000000000] * [pick {1 -1 4 4000}]}] }
        2 { return [pick {-0 007 9223372036854775807 -9223372036854775808 9223372036854775808 1.5 "" " 1"}] }
        3 { return [string repeat [pick {a xyz 0}] [below 200]] }
        4 { return [binary format wwa[below 60] [below 2000000000] [below 2000000000] \x00\xff] }
        5 { return [string repeat m:[below 1000] [below 20]] }
        default { return element:[below 100000] }
    }
}

proc command_for {type key} {
    set n [pick {1 2 5 30 130 600}]
    set words {}
    switch $type {
        string { return [list SET $key [string repeat [text] [pick {1 1 1 10 1000}]]] }
        list {
            for {set i 0} {$i < $n} {incr i} { lappend words [text] }
            return [list [pick {RPUSH LPUSH}] $key {*}$words]
        }
        set { for {set i 0} {$i < $n} {incr i} { lappend words [text] } ; return [list SADD $key {*}$words] }
        ints { for {set i 0} {$i < $n} {incr i} { lappend words [below 100000] } ; return [list SADD $key {*}$words] }
        hash { for {set i 0} {$i < $n} {incr i} { lappend words [text] [text] } ; return [list HSET $key {*}$words] }
        zset {
            # No -0.0: a listpack makes 0 of it and a skiplist does not, in both servers, and the digest differs.
            for {set i 0} {$i < $n} {incr i} {
                lappend words [pick [list [below 1000] [expr {rand() * 1000}] inf -inf -1.5 1e300 [below 99].25]] [text]
            }
            return [list ZADD $key {*}$words]
        }
    }
}

proc fill_random {c keys} {
    $c FLUSHALL
    set sent 0
    foreach db {0 1 7 15} {
        $c -send SELECT $db
        incr sent
        for {set i 0} {$i < $keys / 4} {incr i} {
            set key [pick {key: k "" long:long:long:long:long:}][below 1000000000]
            $c -send {*}[command_for [pick {string string list set ints hash zset}] $key]
            incr sent
            if {rand() < 0.2} {
                $c -send PEXPIREAT $key [expr {[clock milliseconds] + 1000000 + [below 1000000]}]
                incr sent
            }
        }
        for {} {$sent > 0} {incr sent -1} { catch {$c -read} }
    }
    $c SELECT 0
}

proc keys_of {c} {
    set all {}
    foreach db {0 1 7 15} {
        $c SELECT $db
        foreach key [$c KEYS *] { lappend all [list $db $key] }
    }
    return $all
}

proc assert_moved {digest deadlines to} {
    assert_equal $digest [$to DEBUG DIGEST]
    assert_equal $deadlines [deadlines $to]
}

proc deadlines {c} {
    set all {}
    foreach pair [lsort [keys_of $c]] {
        lassign $pair db key
        $c SELECT $db
        lappend all $db $key [$c PEXPIRETIME $key]
    }
    $c SELECT 0
    return $all
}

proc by_snapshot {from to} {
    [client $from] SAVE
    file copy -force [file join [server_folder $from] dump.rdb] [file join [server_folder $to] dump.rdb]
    [client $to] DEBUG RELOAD NOSAVE
}

proc by_payload {from to} {
    set source [client $from]
    set target [client $to]
    $target FLUSHALL
    foreach pair [keys_of $source] {
        lassign $pair db key
        $source SELECT $db
        $target SELECT $db
        $target RESTORE $key [expr {max(0, [$source PEXPIRETIME $key])}] [$source DUMP $key] ABSTTL
    }
}

# Deadlines travel as the time that is left, and so arrive a little later.
proc by_migration {from to} {
    set source [client $from]
    [client $to] FLUSHALL
    foreach db {0 1 7 15} {
        $source SELECT $db
        for {set keys [$source KEYS *]} {[llength $keys]} {set keys [lrange $keys 40 end]} {
            assert_equal OK [$source MIGRATE 127.0.0.1 [server_port $to] "" $db 20000 KEYS {*}[lrange $keys 0 39]]
        }
    }
    $source SELECT 0
    assert_equal [string repeat 0 40] [$source DEBUG DIGEST]
}

set small {hash-max-listpack-entries 8 set-max-intset-entries 8 zset-max-listpack-entries 8 list-max-listpack-size 16
           list-compress-depth 1 rdbcompression no}

with_server {} {
    if {[attached]} { return }
    set kura [lindex $server::stack end]
    foreach {what directives} [list redis-server {} "redis-server with other limits" $small] {
        set redis [start_oracle $directives]
        foreach {from to name} [list $kura $redis "kura to $what" $redis $kura "$what to kura"] {
            foreach way {snapshot payload migration} {
                test "Digests stay the same by $way: $name" {
                    set source [client $from]
                    set target [client $to]
                    fill_random $source 700
                    set digest [$source DEBUG DIGEST]
                    set deadlines [deadlines $source]
                    by_$way $from $to
                    if {$way eq "migration"} {
                        assert_equal $digest [$target DEBUG DIGEST]
                    } else {
                        assert_moved $digest $deadlines $target
                    }
                    if {$way eq "snapshot"} {
                        set tool [file join [file dirname [server_binary]] kura-check-rdb]
                        if {![file exists $tool]} { file link -symbolic $tool [server_binary] }
                        assert_match {*RDB looks OK*} [exec $tool [file join [server_folder $from] dump.rdb]]
                    }
                }
            }
        }
        server_stop $redis
        server_forget $redis
    }
}
