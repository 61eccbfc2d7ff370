# A replica as its primary sees it: what it says, byte for byte, what it does with a snapshot and with a stream, and
# what its own clients notice meanwhile. The primary is a fake (harness/fake_primary.tcl).

set id [string repeat 0123456789 4]
set other_id [string repeat abcdefghij 4]
set quick {save "" repl-rdb-channel no repl-ping-replica-period 1}

# The server becomes a replica of a new fake primary.
proc follow_fake {} {
    r REPLICAOF 127.0.0.1 [fake_start]
}

# The link is up: the snapshot has these keys.
proc up {{keys {}} {offset 0}} {
    follow_fake
    fake_handshake
    fake_full $::id $offset [rdb $keys]
    fake_expect [list REPLCONF ACK $offset]
    wait_for {[info_field master_link_status] eq "up"}
}

proc leave {} {
    r REPLICAOF NO ONE
    fake_end
}

proc offset {} { return [info_field slave_repl_offset] }

# --- The handshake --------------------------------------------------------------------------------

with_server [concat $quick {replica-announce-ip 10.1.2.3 replica-announce-port 7777 masteruser joe masterauth secret}] {
    test "The replica introduces itself in Redis's words" {
        r REPLICAOF 127.0.0.1 [fake_start]
        fake_accept
        fake_expect PING
        fake_say "-NOAUTH Authentication required.\r\n"
        fake_expect {AUTH joe secret}
        fake_expect {REPLCONF listening-port 7777}
        fake_expect {REPLCONF ip-address 10.1.2.3}
        fake_expect {REPLCONF capa eof capa psync2}
        fake_say "+OK\r\n+OK\r\n-ERR Unrecognized REPLCONF option\r\n-ERR what?\r\n"
        assert_match "PSYNC ???????????????????????????????????????? *" [fake_hear]
        assert_equal handshake [lindex [r ROLE] 3]
        leave
    }

    test "A password that is refused ends the attempt, and the next one comes a second later" {
        r REPLICAOF 127.0.0.1 [fake_start]
        fake_accept
        fake_expect PING
        fake_say +PONG\r\n
        fake_expect {AUTH joe secret}
        set before [clock milliseconds]
        fake_say "-WRONGPASS invalid\r\n"
        wait_for {[fake_is_closed]}
        wait_for {[string match "*Unable to AUTH to MASTER: -WRONGPASS invalid*" [server_log]]}
        fake_accept
        assert {[clock milliseconds] - $before > 700}
        leave
    }
}

with_server $quick {
    test "A replica of the configuration has no place to ask for" {
        server_restart [concat $quick [list replicaof "127.0.0.1 [fake_start]"]]
        assert_equal {PSYNC ? -1} [fake_handshake]
        leave
    }

    test "A primary that cannot sync now is asked again, and the place is kept" {
        foreach reply {{-NOMASTERLINK Can't SYNC while not connected with my master} {-LOADING wait}} {
            up {} 500
            fake_close
            fake_handshake "$reply\r\n"
            assert_equal [list PSYNC $id 501] [fake_handshake "+CONTINUE\r\n"]
            wait_for {[info_field master_link_status] eq "up"}
            leave
        }
    }

    # The socket is closed with an acknowledgement that was not read, so it is reset, and the next one cannot be sent.
    test "What a primary sent before it died is applied, although nothing can be sent to it any more" {
        up {}
        set offset [info_field slave_repl_offset]
        fake_say [stream {REPLCONF GETACK *}]
        wait_for {[info_field slave_repl_offset] > $offset}
        set commands {{REPLCONF GETACK *} {SELECT 0}}
        for {set i 1} {$i <= 1000} {incr i} { lappend commands [list SET dying $i] }
        exec kill -STOP [server_pid]
        fconfigure $fake::socket -buffering full -buffersize 100000 ;# one segment, for which nothing waits
        fake_say [stream {*}$commands]
        fake_flush
        fake_close
        exec kill -CONT [server_pid]
        wait_for {[info_field master_link_status] eq "down"}
        assert_equal 1000 [r GET dying]
        leave
    }

    test "A primary that does not know PSYNC is asked by SYNC" {
        follow_fake
        fake_handshake "-ERR unknown command\r\n"
        fake_expect SYNC
        set bytes [rdb {k v}]
        fake_say "\n\$[string length $bytes]\r\n$bytes"
        wait_for {[info_field master_link_status] eq "up"}
        fake_say [stream {SELECT 0} {SET a b}]
        wait_for {[r GET a] eq "b"}
        assert_equal v [r GET k]
        # It does not know ACK either, and cannot continue.
        fake_close
        assert_equal {PSYNC ? -1} [fake_handshake]
        leave
    }

    test "A primary that says nothing is given up after repl-timeout, and one that refuses is asked each second" {
        r CONFIG SET repl-timeout 1
        r CONFIG SET bind-source-addr 127.0.0.2
        set port [fake_start]
        r REPLICAOF 127.0.0.1 $port
        fake_accept
        assert_equal 127.0.0.2 $fake::peer
        fake_expect PING
        wait_for {[string match "*Timeout connecting to the MASTER...*" [server_log]]}
        wait_for {[fake_is_closed]}
        r CONFIG SET repl-timeout 60
        r CONFIG SET bind-source-addr ""
        fake_end
        set before [regexp -all {Error condition on socket for SYNC} [server_log]]
        set began [clock milliseconds]
        wait_for {[regexp -all {Error condition on socket for SYNC} [server_log]] >= $before + 3}
        assert {[clock milliseconds] - $began > 1500}
        leave
    }

    test "Newlines of the primary are no replies" {
        follow_fake
        fake_handshake "\n\n"
        fake_say "+FULLRESYNC $id 7\r\n\n\n"
        fake_say "\n\$[string length [rdb {k v}]]\r\n[rdb {k v}]"
        fake_expect {REPLCONF ACK 7}
        wait_for {[r GET k] eq "v"}
        leave
    }

    test "A name that nobody knows is looked up again and again, while clients are served" {
        r REPLICAOF no.such.host.invalid 6379
        wait_for {[string match "*Error condition on socket for SYNC: *" [server_log]]}
        assert_equal connect [regsub ing$ [lindex [r ROLE] 3] ""]
        r REPLICAOF NO ONE
    }
}

# --- The stream -----------------------------------------------------------------------------------

with_server $quick {
    test "The offset counts what the primary sent, and no newlines" {
        up {} 1000
        set bytes [stream {SELECT 0} {SET k v} PING {REPLCONF GETACK *}]
        fake_say $bytes
        wait_for {[offset] == 1000 + [string length $bytes]}
        fake_say \n\n
        fake_say [stream PING]
        wait_for {[offset] == 1000 + [string length $bytes[stream PING]]}
        assert_equal [offset] [info_field slave_read_repl_offset]
        leave
    }

    test "GETACK is answered at once, and each second there is an ACK" {
        up {} 100
        fake_say [stream {REPLCONF GETACK *}]
        set now [expr {100 + [string length [stream {REPLCONF GETACK *}]]}]
        set began [clock milliseconds]
        fake_expect [list REPLCONF ACK $now]
        assert {[clock milliseconds] - $began < 500 * [slowness]}
        fake_expect [list REPLCONF ACK $now]
        fake_expect [list REPLCONF ACK $now]
        leave
    }

    test "A replica that is idle behind a batch says how far it is" {
        up
        set began [clock milliseconds]
        fake_say [stream {SET k v}]
        while {[lindex [fake_hear] 2] != [string length [stream {SET k v}]]} {}
        assert {[clock milliseconds] - $began < 900 * [slowness]}
        leave
    }

    test "Only complete units count: what was cut is asked for again" {
        up {} 10
        set whole [stream {SET a 1}]
        set cut [stream MULTI {SET b 2} {SET c 3}]
        fake_say $whole$cut
        wait_for {[info_field slave_read_repl_offset] == 10 + [string length $whole$cut]}
        assert_equal [expr {10 + [string length $whole]}] [offset]
        assert_equal (nil) [r GET b]
        fake_close
        assert_equal [list PSYNC $id [expr {11 + [string length $whole]}]] [fake_handshake "+CONTINUE\r\n"]
        fake_say $cut[stream {INCR n} EXEC]
        wait_for {[r GET n] eq "1"}
        assert_equal {1 2 3} [r MGET a b c]
        leave
    }

    test "A stream may come byte by byte" {
        up
        set bytes [stream {SELECT 3} {SET k v} MULTI {LPUSH l a b} {SADD s x} EXEC {SELECT 0} {SET k w}]
        foreach byte [split $bytes ""] { fake_say $byte }
        wait_for {[r GET k] eq "w"}
        r SELECT 3
        assert_equal {v 2 1} [list [r GET k] [r LLEN l] [r SCARD s]]
        r SELECT 0
        assert_equal [string length $bytes] [offset]
        leave
    }

    test "Large values, and more commands than a batch has" {
        up
        set big [string repeat x 3000000]
        set commands {}
        for {set i 0} {$i < 1000} {incr i} { lappend commands "SET k:$i $i" }
        fake_say [stream "SET big $big" {*}$commands "RPUSH list [string repeat {v } 1000]"]
        wait_for {[r LLEN list] == 1000}
        assert_equal 3000000 [r STRLEN big]
        assert_equal 1002 [r DBSIZE]
        leave
    }

    test "The primary's new id is taken over, and the old one is remembered" {
        up {} 50
        fake_say [stream {SET k v}]
        set now [expr {50 + [string length [stream {SET k v}]]}]
        wait_for {[offset] == $now}
        fake_close
        fake_handshake "+CONTINUE $other_id\r\n"
        wait_for {[info_field master_replid] eq $other_id}
        assert_equal [list $id [expr {$now + 1}]] [list [info_field master_replid2] [info_field second_repl_offset]]
        assert_equal v [r GET k]
        leave
    }

    test "Watchers, caches, monitors, keyspace events and statistics notice what the stream does" {
        up {watched 1}
        r CONFIG SET notify-keyspace-events KEA
        r CONFIG RESETSTAT
        set watcher [client]
        $watcher WATCH watched
        $watcher MULTI
        $watcher GET watched
        set cache [client]
        $cache HELLO 3
        $cache CLIENT TRACKING ON
        $cache GET watched
        set events [client]
        $events SUBSCRIBE __keyevent@0__:set
        set monitor [client]
        $monitor MONITOR
        fake_say [stream {SELECT 0} {SET watched 2} MULTI {SET x y} EXEC]
        assert_equal {message __keyevent@0__:set watched} [$events -read]
        assert_match {*"SELECT" "0"} [$monitor -read]
        assert_match {*"SET" "watched" "2"} [$monitor -read]
        assert_equal (nil) [$watcher EXEC]
        assert_match {invalidate*watched*} [$cache -read]
        wait_for {[string match *cmdstat_set:calls=2,* [r INFO commandstats]]}
        assert_match *cmdstat_multi:calls=2,* [r INFO commandstats]
        r CONFIG SET notify-keyspace-events ""
        leave
    }

    test "Messages reach the subscribers of the replica" {
        up
        set subscriber [client]
        $subscriber SUBSCRIBE news
        fake_say [stream {SET a 1} {PUBLISH news hello} {SET a 2}]
        assert_equal {message news hello} [$subscriber -read]
        wait_for {[r GET a] eq "2"}
        leave
    }

    test "A client that waits for a key is served by the stream" {
        r CONFIG SET replica-read-only no
        up
        set waiting [client]
        $waiting -send BLPOP l 0
        wait_for {[info_field blocked_clients] == 1}
        fake_say [stream {RPUSH l a b}]
        assert_equal {l a} [$waiting -read]
        r CONFIG SET replica-read-only yes
        leave
    }

    test "A command that fails is logged and counted, and the stream goes on" {
        up {k v}
        fake_say [stream {LPUSH k a} {SET after 1}]
        wait_for {[r GET after] eq "1"}
        assert_match "*== CRITICAL == This replica is sending an error to its master: 'WRONGTYPE*lpush*" [server_log]
        assert_equal up [info_field master_link_status]
        assert_equal 1 [info_field unexpected_error_replies]
        leave
    }

    test "The primary is a client of its own kind, and its end is the link's" {
        up {} 20
        assert_match "*flags=M*" [r CLIENT LIST TYPE master]
        assert_equal 1 [r CLIENT KILL TYPE master]
        wait_for {[fake_is_closed]}
        assert_equal [list PSYNC $id 21] [fake_handshake "+CONTINUE\r\n"]
        leave
    }

    test "A silent primary is given up after repl-timeout" {
        r CONFIG SET repl-timeout 1
        up
        wait_for {[string match "*MASTER timeout: no data nor PING received...*" [server_log]]}
        fake_handshake "+CONTINUE\r\n"
        leave
        r CONFIG SET repl-timeout 60
    }
}

with_server [concat $quick {appendonly yes}] {
    test "With an append-only file, an ACK tells what of it is on the disk" {
        up
        wait_for {[info_field aof_enabled] == 1 && [info_field aof_rewrite_in_progress] == 0}
        fake_say [stream {SET k v}]
        set all [string length [stream {SET k v}]]
        set words [fake_hear]
        while {$words ne [list REPLCONF ACK $all FACK $all]} { set words [fake_hear] }
        leave
    }

    test "The stream waits while the append-only file goes on in another one" {
        up
        for {set i 0} {$i < 5} {incr i} {
            catch {r BGREWRITEAOF}
            fake_say [string repeat [stream {INCR n} MULTI {INCR n} {PUBLISH c m} EXEC PING] 200]
        }
        wait_for {[r GET n] eq "2000"}
        wait_for {[info_field aof_rewrite_in_progress] == 0 && [info_field aof_rewrite_scheduled] == 0}
        leave
        r INCR n
        server_restart [concat $quick {appendonly yes}] KILL
        assert_equal 2001 [r GET n]
    }
}

with_server {save "900 1" repl-rdb-channel no replica-ignore-disk-write-errors yes} {
    test "A replica that is told so goes on although its disk fails" {
        up
        wait_for {[file exists [server_folder]/dump.rdb]}
        # A folder in place of the snapshot cannot be replaced.
        file delete [server_folder]/dump.rdb
        file mkdir [server_folder]/dump.rdb/x
        r BGSAVE
        wait_for {[info_field rdb_last_bgsave_status] eq "err"}
        assert_error "MISCONF *" {r SET k v}
        fake_say [stream {SET k v}]
        wait_for {[r GET k] eq "v"}
        assert_match "*Replica is applying a command even though it is unable to write to disk.*" [server_log]
        file delete -force [server_folder]/dump.rdb
        leave
    }
}

# --- Full syncs -----------------------------------------------------------------------------------

foreach {load old_stays} {disabled 1 on-empty-db 1 swapdb 1} {
    with_server [concat $quick [list repl-diskless-load $load]] {
        foreach framing {length mark} {
            test "repl-diskless-load $load, $framing: the old data stay until the snapshot is complete" {
                r FLUSHALL
                r SET old 1
                follow_fake
                fake_handshake "+FULLRESYNC $id 5\r\n"
                set bytes [rdb {new 1 filler 1234567890123456789012345678901234567890}]
                set mark [string repeat m 40]
                if {$framing eq "length"} {
                    fake_say "\$[string length $bytes]\r\n"
                } else {
                    fake_say "\$EOF:$mark\r\n"
                    append bytes $mark
                }
                fake_say [string range $bytes 0 end-30]
                wait_for {[info_field master_sync_in_progress] == 1 && [info_field master_sync_read_bytes] > 0}
                if {$load ne "swapdb"} { assert_equal 1 [r GET old] }
                fake_say [string range $bytes end-29 end]
                fake_expect {REPLCONF ACK 5}
                wait_for {[info_field master_link_status] eq "up"}
                assert_equal {(nil) 1} [list [r GET old] [r GET new]]
                fake_say [stream {SET stream 1}]
                wait_for {[r GET stream] eq "1"}
                leave
            }

            test "repl-diskless-load $load, $framing: an empty replica loads what comes, while it comes" {
                r FLUSHALL
                follow_fake
                fake_handshake "+FULLRESYNC $id 5\r\n"
                set bytes [rdb {new 1 filler 1234567890123456789012345678901234567890}]
                set mark [string repeat m 40]
                fake_say [expr {$framing eq "length" ? "\$[string length $bytes]\r\n" : "\$EOF:$mark\r\n"}]
                if {$framing ne "length"} { append bytes $mark }
                fake_say [string range $bytes 0 end-30]
                wait_for {[info_field loading] == 1}
                assert_error "LOADING *" {r GET new}
                fake_say [string range $bytes end-29 end]
                wait_for {[info_field master_link_status] eq "up"}
                assert_equal 1 [r GET new]
                leave
            }
        }
    }
}

with_server [concat $quick {repl-diskless-load swapdb}] {
    test "swapdb serves the old data while the new ones of the same history are loaded beside them" {
        up {old 1}
        fake_close
        fake_handshake "+FULLRESYNC $id 99\r\n"
        set bytes [rdb {new 1 filler 1234567890123456789012345678901234567890}]
        fake_say "\$[string length $bytes]\r\n[string range $bytes 0 20]"
        wait_for {[info_field async_loading] == 1}
        assert_equal 0 [info_field loading]
        assert_equal {1 (nil)} [list [r GET old] [r GET new]]
        assert_error "LOADING *" {r REPLICAOF NO ONE}
        fake_say [string range $bytes 21 end]
        wait_for {[info_field master_link_status] eq "up"}
        assert_equal {(nil) 1} [list [r GET old] [r GET new]]
        leave
    }

    test "swapdb keeps the old data, and its place, if the snapshot is bad" {
        up {old 1} 33
        fake_close
        fake_handshake "+FULLRESYNC $id 99\r\n"
        fake_say "\$100\r\n[string repeat x 100]"
        assert_equal [list PSYNC $id 34] [fake_handshake "+CONTINUE\r\n"]
        assert_equal 1 [r GET old]
        leave
    }
}

with_server [concat $quick {key-load-delay 20000}] {
    test "While it loads, it answers -LOADING and keeps the primary in touch with newlines" {
        follow_fake
        fake_handshake
        set keys {}
        for {set i 0} {$i < 120} {incr i} { lappend keys k:$i v }
        fake_full $id 5 [rdb $keys]
        wait_for {[info_field loading] == 1}
        assert_error "LOADING *" {r GET k:1}
        assert_error "LOADING *" {r PING}
        fake_expect {{}}
        assert_equal {down 1} [list [info_field master_link_status] [info_field master_sync_in_progress]]
        assert_equal sync [lindex [r ROLE] 3]
        r CONFIG SET key-load-delay 0
        wait_for {[info_field master_link_status] eq "up"} 20000
        assert_equal 120 [r DBSIZE]
        leave
    }

    test "SHUTDOWN while it loads ends the server at once, and the snapshot stays what it was" {
        r CONFIG SET key-load-delay 20000
        follow_fake
        fake_handshake
        set keys {}
        for {set i 0} {$i < 200} {incr i} { lappend keys k:$i v }
        fake_full $id 5 [rdb $keys]
        wait_for {[info_field loading] == 1}
        r_close
        server_kill "" TERM
        server_restart [concat $quick {save ""}]
        assert_equal 120 [r DBSIZE]
        fake_end
    }
}

foreach fill {0 1} {
    with_wrapped_server "ulimit -f 8" [concat $quick {logfile ""}] {
        test "A disk that is full: [expr {$fill ? "the old data stay" : "an empty replica loads what comes anyway"}]" {
            if {$fill} { r SET old 1 }
            follow_fake
            fake_handshake
            set keys {}
            for {set i 0} {$i < 30000} {incr i} { lappend keys key:$i [string repeat v 60] }
            catch {fake_full $id 5 [rdb $keys]; fake_flush}
            if {$fill} {
                wait_for {[fake_is_closed]}
                assert_equal {1 1} [list [r GET old] [r DBSIZE]]
                assert_match "*Write error or short write writing to the DB dump file needed for MASTER*" [server_log]
            } else {
                wait_for {[info_field master_link_status] eq "up"}
                assert_equal 30000 [r DBSIZE]
                assert_match "*The primary's snapshot could not be stored*" [server_log]
            }
            wait_for {[glob -nocomplain -directory [server_folder] *.rdb] eq ""}
            leave
        }
    }
}

with_server $quick {
    test "SHUTDOWN while a snapshot is being received leaves no file" {
        r SET old 1
        follow_fake
        fake_handshake
        fake_say "+FULLRESYNC $id 5\r\n\$1000000\r\n[rdb {k v}]"
        wait_for {[info_field master_sync_in_progress] == 1}
        wait_for {[glob -nocomplain -directory [server_folder] temp-*.rdb] ne ""}
        r_close
        server_kill "" TERM
        assert_equal "" [glob -nocomplain -directory [server_folder] *.rdb]
        server_restart $quick
        fake_end
    }
}

# --- The second connection ------------------------------------------------------------------------

with_server {save "" replica-announce-port 7777} {
    test "The snapshot comes on a second connection, while the stream waits" {
        follow_fake
        fake_accept
        set first $fake::socket
        fake_expect PING
        fake_say +PONG\r\n
        fake_expect {REPLCONF listening-port 7777}
        fake_expect {REPLCONF capa eof capa psync2 capa rdb-channel-repl}
        fake_say +OK\r\n+OK\r\n
        fake_hear
        fake_say "+RDBCHANNELSYNC 42\r\n"
        fake_accept
        fake_expect {REPLCONF capa eof rdb-only 1 rdb-channel 1 main-ch-client-id 42 listening-port 7777}
        fake_say +OK\r\n
        fake_expect {PSYNC \? -1}
        set second $fake::socket
        set bytes [rdb {k v}]
        fake_say "+FULLRESYNC $id 1000\r\n\$[string length $bytes]\r\n[string range $bytes 0 10]"
        set waits [stream {SELECT 0} {SET k w} MULTI {SET a 1}]
        fake_switch $first
        fake_say $waits
        wait_for {[info_field total_net_repl_input_bytes] >= [string length $waits]}
        fake_switch $second
        fake_say [string range $bytes 11 end]
        fake_switch $first
        wait_for {[info_field master_link_status] eq "up"}
        fake_say [stream EXEC]
        wait_for {[r GET a] eq "1"}
        assert_equal w [r GET k]
        assert_equal [expr {1000 + [string length $waits[stream EXEC]]}] [offset]
        assert {![catch {fake_switch $second; fake_say " "}]}
        leave
    }

    test "No more of the stream is put aside than replica-full-sync-buffer-limit" {
        r CONFIG SET replica-full-sync-buffer-limit 100000
        follow_fake
        fake_handshake "+RDBCHANNELSYNC 42\r\n"
        set first $fake::socket
        fake_accept
        fake_hear
        fake_say +OK\r\n
        fake_hear
        set second $fake::socket
        set bytes [rdb {k v}]
        fake_say "+FULLRESYNC $id 1000\r\n\$[string length $bytes]\r\n[string range $bytes 0 10]"
        fake_switch $first
        set much [string repeat [stream "SET k [string repeat x 10000]"] 10000]
        fake_say $much
        wait_for {[string match "*Replication buffer limit has been reached (100000 bytes)*" [server_log]]}
        assert {[info_field used_memory] < 20000000}
        fake_switch $second
        fake_say [string range $bytes 11 end]
        fake_switch $first
        fake_flush
        wait_for {[offset] == 1000 + [string length $much]}
        leave
    }
}

test "A replica that led for a moment goes on in the database that its primary's stream has selected" {
    with_nodes {p kura {} q kura {appendonly yes appendfsync always} s kura {}} {
        follow $q $p
        $p SELECT 5
        $p SET a 1
        level $p $q
        $q MULTI
        $q REPLICAOF NO ONE
        $q REPLICAOF 127.0.0.1 [server_port $p]
        $q EXEC
        wait_link $q
        # Nothing was selected since: neither for one that begins behind it, nor in its file.
        follow $s $q
        $p SET b 2
        level $p $q $s
        assert_equal {1 1} [list [full_syncs $p] [full_syncs $q]]
        $q MULTI
        $q REPLICAOF NO ONE
        $q REPLICAOF 127.0.0.1 [server_port $p]
        $q EXEC
        wait_link $q
        node_restart $q [list appendonly yes appendfsync always replicaof "127.0.0.1 [server_port $p]"]
        wait_link $q
        $p SET c 3
        level $p $q
        $q SELECT 5
        assert_equal {1 2 3} [$q MGET a b c]
    }
}
