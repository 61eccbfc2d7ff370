# MIGRATE between all pairs of kura and redis-server, compared step by step.

set oracle [file join $root build oracle redis-server]
if {![file executable $oracle]} { set oracle /usr/bin/redis-server }

proc start_binary {binary directives} {
    set had [info exists ::env(KURA_SERVER)]
    if {$had} { set saved $::env(KURA_SERVER) }
    if {$binary ne ""} { set ::env(KURA_SERVER) $binary }
    set handle [server_start $directives]
    if {$had} { set ::env(KURA_SERVER) $saved } else { unset -nocomplain ::env(KURA_SERVER) }
    return $handle
}

proc say {c args} {
    if {[catch {$c {*}$args} reply]} { return "error: $reply" }
    return $reply
}

# The commands that reached the append-only file, without checksums and time stamps. Under everysec redis-server may
# write them later than it replies; under no it does not.
proc logged {h} {
    return [log_words [log_bytes $h]]
}

# The replies of a migration from one server to the other, what it leaves, and what it logs.
proc story {source target} {
    set from [client $source]
    set to [client $target]
    set port [server_port $target]
    set told {}
    foreach step {
        {from SET a 1} {from SET b 2} {from RPUSH l 1 2 3} {from ZADD z 1.5 x} {from HSET h f v} {from SADD s m}
        {from XADD x 1-1 f v} {from XGROUP CREATE x g 0} {from XGROUP CREATECONSUMER x g c}
        {from MIGRATE 127.0.0.1 PORT nokey 0 1000}
        {from MIGRATE 127.0.0.1 PORT a 0 1000} {from EXISTS a} {to GET a}
        {from MIGRATE 127.0.0.1 PORT "" 3 1000 COPY KEYS b l z h s x nokey} {from DBSIZE} {to DBSIZE}
        {to SELECT 3} {to DBSIZE} {to LRANGE l 0 -1} {to ZSCORE z x} {to XRANGE x - +} {to XINFO GROUPS x}
        {from MIGRATE 127.0.0.1 PORT b 3 1000} {from MIGRATE 127.0.0.1 PORT b 3 1000 replace} {from EXISTS b}
        {from MIGRATE 127.0.0.1 PORT l 0 x} {from MIGRATE 127.0.0.1 PORT l x 0} {from MIGRATE 127.0.0.1 PORT nokey -1 0}
        {from MIGRATE 127.0.0.1 PORT l 99 1000} {from EXISTS l} {from MIGRATE 127.0.0.1 PORT l 0 1000 keys l}
        {from MIGRATE 127.0.0.1 PORT l 0 1000 foo} {from MIGRATE 127.0.0.1 PORT l 0 1000 auth}
        {from MIGRATE 127.0.0.1 PORT l 0 1000 auth2 x} {from MIGRATE 127.0.0.1 PORT l 0 1000 auth x}
        {from MIGRATE 127.0.0.1 PORT l 0 1000 auth2 x y} {from EXISTS l}
        {from MIGRATE 127.0.0.1 PORT "" 0 1000 keys} {from MIGRATE 127.0.0.1 PORT "" 0 1000}
        {from MIGRATE 127.0.0.1 9 l 0 1000} {from MIGRATE nohost.invalid 9 l 0 1000} {from MIGRATE}
        {from SET a 1} {from SET b 2} {from SET k 3} {to SELECT 0} {to FLUSHALL} {to SET b other}
        {from MIGRATE 127.0.0.1 PORT "" 0 1000 KEYS a b k} {from EXISTS a b k} {to MGET a b k}
        {from MIGRATE 127.0.0.1 PORT "" 0 0 REPLACE KEYS b none} {to GET b}
        {from SET t 1 PX 100000} {from MIGRATE 127.0.0.1 PORT t 0 1000} {to PERSIST t}
        {to CONFIG SET requirepass secret}
        {from COMMAND GETKEYS MIGRATE 127.0.0.1 PORT "" 0 5 AUTH2 keys keys REPLACE KEYS a b}
        {from SET m 1} {from MIGRATE 127.0.0.1 9 m 0 1000}
        {from MIGRATE 127.0.0.1 PORT m 0 1000 AUTH bad} {from EXISTS m}
        {from MULTI} {from MIGRATE 127.0.0.1 PORT m 0 1000 AUTH secret} {from EXEC} {to GET m}
        {from SET m 1} {from MIGRATE 127.0.0.1 PORT m 1 1000 REPLACE AUTH2 default secret} {from EXISTS m}
    } {
        lassign $step who
        lappend told [concat $step -> [say [set $who] {*}[string map [list PORT $port] [lrange $step 1 end]]]]
    }
    $from -close
    $to -close
    return [list $told [logged $source]]
}

proc assert_same_story {expected found} {
    foreach one [lindex $expected 0] other [lindex $found 0] {
        if {$one ne $other} { error "$other\n  where redis-server says\n$one" }
    }
    set hide {{words} {lmap w $words { regsub {^\d{13}$} $w TIME }}}
    assert_equal [string tolower [apply $hide [lindex $expected 1]]] [string tolower [apply $hide [lindex $found 1]]]
}

if {![attached]} {
    set kura [server_binary]
    foreach {source target} [list $oracle $oracle $kura $oracle $oracle $kura $kura $kura] {
        test "MIGRATE from [file tail $source] to [file tail $target] acts as between two redis-servers" {
            set from [start_binary $source {appendonly yes appendfsync no}]
            set to [start_binary $target {}]
            set found [story $from $to]
            if {![info exists expected]} { set expected $found }
            assert_same_story $expected $found
            foreach h [list $from $to] {
                server_stop $h
                server_forget $h
            }
        }
    }
}

with_server {} {
    if {[attached]} { return }
    set other [start_binary "" {}]
    set port [server_port $other]

    test "MIGRATE takes the rest of the lifetime along" {
        r SET t 1 PX 100000
        r MIGRATE 127.0.0.1 $port t 0 1000
        set left [[client $other] PTTL t]
        assert {$left > 90000 && $left <= 100000}
    }

    test "MIGRATE keeps its connection, and closes it after a while" {
        assert_equal 1 [info_field migrate_cached_sockets]
        r SET a 1
        r MIGRATE 127.0.0.1 $port a 0 1000
        assert_equal 1 [info_field migrate_cached_sockets]
        wait_for {[info_field migrate_cached_sockets] == 0} 20000
    }

    test "MIGRATE opens a kept connection anew if the other side has closed it" {
        r SET a 1
        r MIGRATE 127.0.0.1 $port a 0 1000 REPLACE
        set c [client $other]
        $c CLIENT KILL TYPE normal SKIPME yes
        r SET a 2
        assert_equal OK [r MIGRATE 127.0.0.1 $port a 0 1000 REPLACE]
        assert_equal 2 [$c GET a]
    }

    test "A target that does not answer costs the time-out and nothing else" {
        r SET a 1
        send_signal STOP [server_pid $other]
        set from [clock milliseconds]
        assert_error {IOERR error or timeout reading to target instance} { r MIGRATE 127.0.0.1 $port a 5 300 }
        set took [expr {[clock milliseconds] - $from}]
        send_signal CONT [server_pid $other]
        assert {$took >= 290 && $took < 290 + 2000 * [slowness]}
        assert_equal 1 [r GET a]
        assert_equal 0 [info_field migrate_cached_sockets]
    }

    test "A target that goes away halfway leaves each key in one place at least" {
        set listener [socket -server accept_one -myaddr 127.0.0.1 0]
        set half [lindex [fconfigure $listener -sockname] 2]
        proc accept_one {channel args} {
            fconfigure $channel -translation binary -blocking 0
            fileevent $channel readable [list answer_half $channel]
        }
        proc answer_half {channel} {
            read $channel
            puts -nonewline $channel "+OK\r\n+OK\r\n"
            close $channel
        }
        foreach key {x y z} { r SET $key 1 }
        set c [client]
        $c -send MIGRATE 127.0.0.1 $half "" 0 2000 KEYS x y z
        catch {$c -read} reply
        close $listener
        assert_match {*IOERR error or timeout reading to target instance*} $reply
        assert_equal 2 [r EXISTS x y z]
    }

    test "A big value goes in many pieces" {
        set big [string repeat 0123456789abcdef 300000]
        r SET big $big
        for {set i 0} {$i < 2000} {incr i} { r RPUSH list $i-[string repeat x 500] }
        set digest [lindex [r DEBUG DIGEST-VALUE list] 0]
        r MIGRATE 127.0.0.1 $port "" 7 5000 KEYS big list
        set c [client $other]
        $c SELECT 7
        assert_equal $big [$c GET big]
        assert_equal $digest [lindex [$c DEBUG DIGEST-VALUE list] 0]
    }

    test "MONITOR does not show the passwords of MIGRATE" {
        set m [client]
        $m MONITOR
        catch {r MIGRATE 127.0.0.1 $port none 0 100 AUTH2 someone verysecret}
        r PING
        set seen [$m -read]
        assert {[string first verysecret $seen] < 0}
    }
    server_stop $other
    server_forget $other
}
