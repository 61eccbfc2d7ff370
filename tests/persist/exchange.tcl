# kura and redis-server exchange snapshots and payloads in both directions; RESTORE is compared with that of Redis.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

proc start_oracle {directives args} {
    global oracle env
    set saved [array get env KURA_SERVER]
    set env(KURA_SERVER) $oracle
    set handle [server_start $directives {*}$args]
    unset env(KURA_SERVER)
    array set env $saved
    return $handle
}

# The whole dataset of a server without its encodings: {db key type value deadline} in order.
proc contents {c} {
    set all {}
    for {set db 0} {$db < 16} {incr db} {
        $c SELECT $db
        foreach key [$c KEYS *] {
            set type [$c TYPE $key]
            switch $type {
                string { set value [$c GET $key] }
                list { set value [$c LRANGE $key 0 -1] }
                set { set value [lsort [$c SMEMBERS $key]] }
                hash { set value [lsort -stride 2 [$c HGETALL $key]] }
                zset { set value [$c ZRANGE $key 0 -1 WITHSCORES] }
            }
            lappend all [list $db $key $type $value [$c PEXPIRETIME $key]]
        }
    }
    $c SELECT 0
    return [lsort $all]
}

proc assert_same_contents {expected c} {
    set found [contents $c]
    if {$found eq $expected} { return }
    foreach one $expected other $found {
        if {$one ne $other} { error "[string range $one 0 300]\n  is\n[string range $other 0 300]" }
    }
}

proc random_text {max} {
    switch [expr {int(rand() * 5)}] {
        0 { return [expr {int(rand() * 100000) - 50000}] }
        1 { return [expr {int((rand() - 0.5) * pow(2, 62))}] }
        2 { return [string repeat [format %c [expr {97 + int(rand() * 26)}]] [expr {int(rand() * $max)}]] }
        3 {
            set byte [expr {int(rand() * 256)}]
            return [binary format wwcu [expr {int(rand() * pow(2, 62))}] [clock microseconds] $byte]
        }
        default { return "element:[expr {int(rand() * 1000)}]" }
    }
}

# Fills every type, small and large, in several databases, with deadlines and without.
proc fill {c keys} {
    for {set i 0} {$i < $keys} {incr i} {
        set key "key:$i"
        $c SELECT [expr {int(rand() * 3)}]
        set n [lindex {1 3 20 200 900} [expr {int(rand() * 5)}]]
        set max [lindex {5 60 300} [expr {int(rand() * 3)}]]
        set words {}
        for {set k 0} {$k < $n} {incr k} {
            if {$i % 5 == 4} { lappend words [expr {int(rand() * 500) / (rand() < 0.5 ? 1 : 8.0)}] }
            lappend words [random_text $max]
            if {$i % 5 == 3} { lappend words [random_text $max] }
        }
        switch [expr {$i % 5}] {
            0 { $c SET $key [random_text [expr {$max * $n}]] }
            1 { $c RPUSH $key {*}$words }
            2 { $c SADD $key {*}[expr {rand() < 0.4 ? [lmap w $words { expr {int(rand() * 70000)} }] : $words}] }
            3 { $c HSET $key {*}$words }
            4 { $c ZADD $key {*}$words }
        }
        if {rand() < 0.3} { $c PEXPIRE $key [expr {1000000 + int(rand() * 1000000)}] }
    }
    $c SELECT 0
}

# Loads the snapshot of `from` into `to`.
proc move_snapshot {from to} {
    [client $from] SAVE
    file copy -force [file join [server_folder $from] dump.rdb] [file join [server_folder $to] dump.rdb]
    set c [client $to]
    $c DEBUG RELOAD NOSAVE
    return $c
}

set small {hash-max-listpack-entries 2 set-max-intset-entries 2 zset-max-listpack-entries 2 list-max-listpack-size 4
           list-compress-depth 1 hash-max-listpack-value 8 zset-max-listpack-value 8}

with_server {} {
    if {[attached]} { return }
    set kura [lindex $server::stack end]
    foreach {what directives} [list "redis-server" {} "redis-server with small limits" $small \
            "redis-server without compression and checksum" {rdbcompression no rdbchecksum no}] {
        set redis [start_oracle $directives]
        test "The snapshot of kura is loaded by $what" {
            r FLUSHALL
            fill [client] 150
            assert_same_contents [contents [client]] [move_snapshot $kura $redis]
        }
        test "The snapshot of $what is loaded by kura" {
            set c [client $redis]
            $c FLUSHALL
            fill $c 150
            assert_same_contents [contents $c] [move_snapshot $redis $kura]
        }
        test "Payloads of kura are restored by $what, and come back" {
            r FLUSHALL
            fill [client] 100
            set c [client $redis]
            $c FLUSHALL
            foreach db {0 1 2} {
                r SELECT $db
                $c SELECT $db
                foreach key [r KEYS *] {
                    set deadline [expr {max(0, [r PEXPIRETIME $key])}]
                    assert_equal OK [$c RESTORE $key $deadline [r DUMP $key] ABSTTL]
                    set encoding [r OBJECT ENCODING $key]
                    assert_equal OK [r RESTORE $key $deadline [$c DUMP $key] ABSTTL REPLACE]
                    # A quicklist of one node within the limits becomes a listpack when it is loaded.
                    if {$directives eq "" && $encoding ne "quicklist"} {
                        assert_equal $encoding [r OBJECT ENCODING $key]
                    }
                }
            }
            r SELECT 0
            assert_same_contents [contents [client]] $c
        }
        server_stop $redis
        server_forget $redis
    }

    set redis [start_oracle {}]

    test "RESTORE answers as redis-server does" {
        set theirs [client $redis]
        foreach c [list [client] $theirs] {
            $c FLUSHALL
            $c SET there x
            $c SET other y
        }
        set good [$theirs DUMP there]
        set bad [string replace $good 2 2 z]
        set list [list RESTORE k 0 $good]
        foreach words [list {RESTORE k} {RESTORE k 0} [list RESTORE k x $good] [list RESTORE k -1 $good] \
                [list RESTORE there 0 $good] [list RESTORE there x $good] [list RESTORE there -1 $bad REPLACE] \
                [list RESTORE k 0 $bad] [list RESTORE k -1 $bad] {RESTORE k 0 x} {RESTORE k 0 ""} \
                [list RESTORE k 0 $good FOO] [list RESTORE k 0 $good IDLETIME] [list RESTORE k 0 $good FREQ] \
                [list RESTORE k 0 $good IDLETIME x] [list RESTORE k 0 $good IDLETIME -1] \
                [list RESTORE k 0 $good FREQ -1] [list RESTORE k 0 $good FREQ 256] [list RESTORE k 0 $good FREQ x] \
                [list RESTORE k 0 $good IDLETIME 5 FREQ 5] [list RESTORE k 0 $good FREQ 5 IDLETIME 5] \
                [list RESTORE there 0 $bad FREQ x] [list RESTORE k 0 $good IDLETIME 1000 REPLACE ABSTTL] \
                {GET k} {OBJECT IDLETIME k} [list RESTORE k 100000 $good] [list RESTORE k 1000 $good REPLACE ABSTTL] \
                {GET k} [list RESTORE k 5 $good ABSTTL] {EXISTS k} [list RESTORE there 0 $good replace] {TTL there} \
                [list RESTORE there 9223372036854775807 $good ABSTTL REPLACE] {GET there} {DUMP none} {DUMP}] {
            foreach {c reply} [list [client] mine $theirs his] {
                if {[catch {$c {*}$words} $reply]} { set $reply "error: [set $reply]" }
            }
            if {$mine ne $his} { error "$words\n  ours:   $mine\n  theirs: $his" }
        }
    }

    test "RESTORE ignores bytes behind the value of a payload, as redis-server does" {
        set theirs [client $redis]
        foreach c [list [client] $theirs] {
            $c FLUSHALL
            $c DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
            $c SET k v
            set payload [$c DUMP k]
            assert_equal OK [$c RESTORE t 0 [string range $payload 0 end-10]junk[string range $payload end-9 end]]
            assert_equal v [$c GET t]
            $c DEBUG SET-SKIP-CHECKSUM-VALIDATION 0
        }
    }

    test "RESTORE is logged and published as redis-server does it" {
        set told {}
        foreach h [list $redis $kura] {
            set c [client $h]
            set s [client $h]
            $c FLUSHALL
            $c SET k v
            set payload [$c DUMP k]
            $c CONFIG SET notify-keyspace-events KEA
            $c CONFIG SET appendfsync no ;# under everysec a write may come after its reply
            $c CONFIG SET appendonly yes
            wait_for {[string match "*aof_rewrite_in_progress:0*aof_rewrite_scheduled:0*" [$c INFO persistence]]}
            $s PSUBSCRIBE __key*
            foreach words {{a 0 P} {a 100000 P REPLACE} {none 1000 P ABSTTL} {a 1000 P ABSTTL REPLACE}
                           {c 5000000000000 P ABSTTL} {d 0 P IDLETIME 5} {d 5000 P REPLACE FREQ 5} {e 0 P replace}
                           {e 0 P} {e 0 X}} {
                catch {$c RESTORE {*}[lreplace $words 2 2 $payload]}
            }
            set events {}
            $c DEL e
            while {[lrange [lindex $events end] 2 end] ne "__keyevent@0__:del e"} {
                lappend events [$s -read]
            }
            set words [log_words [string map [list $payload PAYLOAD] [log_bytes $h]]]
            set logged [lmap word $words { regsub {^1\d{12}$} $word SOON }]
            $c CONFIG SET appendonly no appendfsync everysec
            $c CONFIG SET notify-keyspace-events ""
            lappend told [list $events $logged]
        }
        assert_match {*RESTORE a SOON PAYLOAD REPLACE ABSTTL DEL a *} [lindex $told 0 1]
        assert_equal [lindex $told 0 0] [lindex $told 1 0]
        assert_equal [lindex $told 0 1] [lindex $told 1 1]
    }

    test "RESTORE sets the idle time and the frequency" {
        r FLUSHALL
        r SET a x
        set payload [r DUMP a]
        r RESTORE b 0 $payload IDLETIME 500
        assert {[r OBJECT IDLETIME b] in {500 501}}
        r CONFIG SET maxmemory-policy allkeys-lfu
        r CONFIG SET lfu-decay-time 0 ;# a full minute that ends just now would take one off
        r RESTORE c 0 $payload FREQ 77
        assert_equal 77 [r OBJECT FREQ c]
        r SAVE
        r DEBUG RELOAD
        assert_equal 77 [r OBJECT FREQ c]
        r CONFIG SET maxmemory-policy noeviction
    }
    server_stop $redis
    server_forget $redis
}
