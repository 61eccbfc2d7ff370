# A primary that is broken or means harm. Whatever it says: the server lives, its data stay as long as no snapshot is
# complete, its memory is bounded, and a second later it asks again.

set id [string repeat 0123456789 4]
set options {save "" repl-rdb-channel no repl-timeout 5 proto-max-bulk-len 1mb client-query-buffer-limit 2mb}

proc follow_fake {} {
    r REPLICAOF NO ONE
    r FLUSHALL
    r SET mine 1
    r REPLICAOF 127.0.0.1 [fake_start]
}

proc up {{keys {mine 1}}} {
    r REPLICAOF NO ONE
    r REPLICAOF 127.0.0.1 [fake_start]
    fake_handshake
    fake_full $::id 0 [rdb $keys]
    fake_expect {REPLCONF ACK 0}
    wait_for {[info_field master_link_status] eq "up"}
}

# The replica hangs up, says why, has its data, and comes again.
proc assert_dropped {why} {
    wait_for {[fake_is_closed]}
    wait_for {[string match "*$why*" [server_log]]}
    assert_equal 1 [r GET mine]
    fake_accept
}

with_server $options {
    set endless [string repeat x 1500]
    foreach {what script} {
        "to PING" {fake_accept; fake_say $endless}
        "to REPLCONF" {fake_accept; fake_expect PING; fake_say +PONG\r\n$endless}
        "to PSYNC" {fake_handshake; fake_say $endless}
        "before the snapshot" {fake_handshake "+FULLRESYNC $id 5\r\n"; fake_say $endless}
    } {
        test "A reply without an end $what" {
            follow_fake
            eval $script
            assert_dropped "line without an end"
        }
    }

    foreach {reply why} {
        "hello" "Error reply to PING from master: 'hello'"
        "-ERR go away" "Error reply to PING from master: '-ERR go away'"
    } {
        test "To PING it replies $reply" {
            follow_fake
            fake_accept
            fake_say $reply\r\n
            assert_dropped $why
        }
    }

    foreach {reply why} {
        "+FULLRESYNC" "wrong +FULLRESYNC syntax"
        "+FULLRESYNC short 1" "wrong +FULLRESYNC syntax"
        "+FULLRESYNC 0123456789012345678901234567890123456789 -7" "wrong +FULLRESYNC syntax"
        "+FULLRESYNC 0123456789012345678901234567890123456789 99999999999999999999" "wrong +FULLRESYNC syntax"
        "+CONTINUE way too long an id that is none" "wrong +CONTINUE syntax"
        "+RDBCHANNELSYNC 5" "nobody asked for it"
    } {
        test "To PSYNC it replies $reply" {
            follow_fake
            fake_handshake $reply\r\n
            assert_dropped $why
        }
    }

    test "To PSYNC of a replica without a place it replies +CONTINUE" {
        server_restart [concat $options [list replicaof "127.0.0.1 [fake_start]"]]
        assert_equal {PSYNC ? -1} [fake_handshake "+CONTINUE\r\n"]
        wait_for {[fake_is_closed]}
        wait_for {[string match "*wrong +CONTINUE syntax*" [server_log]]}
    }

    foreach head {$ $-1 $0 $abc $99999999999999999999 $18446744073709551615 $EOF:short *3 :5 hello} {
        test "The snapshot begins with $head" {
            follow_fake
            fake_handshake "+FULLRESYNC $id 5\r\n$head\r\n"
            assert_dropped "Bad protocol from MASTER"
        }
    }

    test "Instead of a snapshot there is an error" {
        follow_fake
        fake_handshake "+FULLRESYNC $id 5\r\n-ERR no disk\r\n"
        assert_dropped "MASTER aborted replication with an error: -ERR no disk"
    }

    test "A snapshot of nine exabytes, of which some megabytes come" {
        follow_fake
        fake_handshake "+FULLRESYNC $id 5\r\n\$9223372036854775807\r\n"
        fake_say [string repeat [rdb {k v}] 200000]
        wait_for {[info_field master_sync_read_bytes] > 1000000}
        assert {[info_field used_memory] < 20000000}
        assert_equal 1 [r GET mine]
        fake_close
        fake_accept
        assert_equal 1 [r GET mine]
        wait_for {[glob -nocomplain -directory [server_folder] temp-*] eq ""}
    }

    test "A mark that never comes" {
        follow_fake
        fake_handshake "+FULLRESYNC $id 5\r\n\$EOF:[string repeat m 40]\r\n"
        fake_say [rdb {k v}][string repeat M 4000000]
        wait_for {[info_field master_sync_read_bytes] > 1000000}
        assert {[info_field used_memory] < 20000000}
        assert_dropped "Timeout receiving bulk data from MASTER"
        wait_for {[glob -nocomplain -directory [server_folder] temp-*] eq ""}
    }

    test "A snapshot that comes one byte a second is patience's end only when it stops" {
        r CONFIG SET repl-timeout 1
        follow_fake
        fake_handshake "+FULLRESYNC $id 5\r\n\$50\r\nREDIS"
        assert_dropped "Timeout receiving bulk data from MASTER"
        r CONFIG SET repl-timeout 5
    }

    foreach load {disabled swapdb} {
        foreach {what bytes} [list \
            "no snapshot at all" [string repeat x 60] \
            "a string longer than the snapshot" \
            "REDIS0009\xfe\x00\x00\x01k\x80\x7f\xff\xff\xffabc[string repeat x 40]" \
            "more keys than there can be" "REDIS0009\xfe\x00\xfb\x80\x7f\xff\xff\xff\x00[string repeat \x00 40]" \
            "bytes behind its end" "[rdb {k v}]and more" \
            "a wrong checksum" "[string range [rdb {k v}] 0 end-8]12345678"] {
            test "repl-diskless-load $load: the snapshot has $what" {
                r CONFIG SET repl-diskless-load $load
                follow_fake
                fake_handshake
                fake_full $id 5 $bytes
                wait_for {[fake_is_closed]}
                wait_for {[string match "*Failed trying to load the MASTER synchronization DB: *" [server_log]]}
                assert {[info_field used_memory] < 20000000}
                # The old data are gone if the snapshot was complete; beside it they stay.
                assert_equal [expr {$load eq "swapdb"}] [r EXISTS mine]
                assert_equal 0 [r EXISTS k]
                fake_accept
                r CONFIG SET repl-diskless-load disabled
            }
        }
    }

    foreach {what bytes} {
        "a string of two gigabytes" "\x00\x01k\x80\x7f\xff\xff\xff"
        "a compressed string of two gigabytes" "\x00\x01k\xc3\x80\x7f\xff\xff\xf0\x80\x7f\xff\xff\xf0"
        "a list of two billion elements" "\x01\x01k\x80\x7f\xff\xff\xff"
        "a hash of two billion fields" "\x04\x01k\x80\x7f\xff\xff\xff"
        "room for two billion keys" "\xfb\x80\x7f\xff\xff\xff\x00"
    } {
        test "A snapshot of unknown length claims $what, of which nothing comes" {
            r CONFIG SET repl-diskless-load swapdb
            follow_fake
            fake_handshake "+FULLRESYNC $id 5\r\n\$EOF:[string repeat m 40]\r\nREDIS0009\xfe\x00$bytes"
            fake_say [string repeat \x01a 50]
            wait_for {[info_field master_sync_read_bytes] > 100}
            after 20
            assert {[info_field used_memory] < 60000000}
            fake_close
            fake_accept
            assert_equal {1 1} [list [r GET mine] [r DBSIZE]]
            r CONFIG SET repl-diskless-load disabled
        }
    }

    test "An empty replica that loads what comes is empty again when the snapshot breaks off" {
        r REPLICAOF NO ONE
        r FLUSHALL
        r REPLICAOF 127.0.0.1 [fake_start]
        fake_handshake "+FULLRESYNC $id 5\r\n\$1000\r\n"
        fake_say [string range [rdb {a 1 b 2}] 0 end-20]
        wait_for {[info_field loading] == 1}
        fake_close
        fake_accept
        assert_equal 0 [r DBSIZE]
    }

    # --- The stream ---------------------------------------------------------------------------------

    foreach {what bytes why} [list \
        "text" "hello world\r\n" {this is no command in RESP: "hello"} \
        "a bulk that is none" "*1\r\n%5\r\nhello\r\n" {Protocol error: expected '$', got '%'} \
        "a negative length" "*1\r\n\$-5\r\n" {Protocol error: invalid bulk length} \
        "a count of billions" "*99999999999\r\n" {Protocol error: invalid multibulk length} \
        "a bulk beyond proto-max-bulk-len" "*2\r\n\$3\r\nDEL\r\n\$2000000\r\n" {Protocol error: invalid bulk length} \
        "a line end that is missing" "*1\r\n\$4\r\nPINGxx" {Protocol error} \
        "text without an end" [string repeat y 70000] {Protocol error: too big inline request} \
        "an unknown command" [stream {NOSUCH 1 2}] {unknown command "NOSUCH"} \
        "a command with too few arguments" [stream {SET k}] {no log has the command "SET"} \
        "a database that is not there" [stream {SELECT 16} {SET a 1}] {there is no database "16"} \
        "EXEC without MULTI" [stream EXEC] {EXEC without MULTI} \
        "MULTI inside MULTI" [stream MULTI {SET a 1} MULTI] {MULTI inside MULTI} \
        "a read" [stream {GET k}] {no log has the command "GET"} \
        "a command that waits" [stream {BLPOP l 0}] {no log has the command "BLPOP"} \
        "CONFIG" [stream {CONFIG SET maxmemory 1}] {no log has the command "CONFIG"} \
        "SHUTDOWN" [stream SHUTDOWN] {no log has the command "SHUTDOWN"} \
        "REPLICAOF" [stream {REPLICAOF NO ONE}] {no log has the command "REPLICAOF"} \
        "SLAVEOF inside MULTI" [stream MULTI {SET a 1} {SLAVEOF NO ONE} EXEC] {no log has the command "SLAVEOF"} \
        "DEBUG" [stream {DEBUG SEGFAULT}] {no log has the command "DEBUG"} \
        "MIGRATE" [stream {MIGRATE 127.0.0.1 1 k 0 100}] {no log has the command "MIGRATE"} \
        "SUBSCRIBE" [stream {SUBSCRIBE c}] {no log has the command "SUBSCRIBE"} \
        "MONITOR" [stream MONITOR] {no log has the command "MONITOR"} \
        "FAILOVER" [stream FAILOVER] {no log has the command "FAILOVER"} \
        "PSYNC" [stream {PSYNC ? -1}] {no log has the command "PSYNC"} \
        "CLIENT" [stream {CLIENT KILL TYPE normal}] {no log has the command "CLIENT"} \
        "an empty line inside MULTI" "[stream MULTI {SET a 1}]\r\n" {an empty line inside MULTI}] {
        test "The stream has $what" {
            up
            set sound [stream {SELECT 0} {SET sound 1}]
            fake_say $sound$bytes
            set at [string length $sound]
            wait_for {[fake_is_closed]}
            wait_for {[string first $why [server_log]] >= 0}
            assert_match "*The primary's stream is broken at offset *" [server_log]
            assert_equal {1 1 0} [list [r GET mine] [r GET sound] [r EXISTS a]]
            assert_equal $at [info_field slave_repl_offset]
            # It is asked again from there; if the same comes, only a snapshot can help.
            if {$what in {text CONFIG "SLAVEOF inside MULTI"}} {
                assert_equal [list PSYNC $id [expr {$at + 1}]] [fake_handshake "+CONTINUE\r\n"]
                fake_say $bytes
                wait_for {[fake_is_closed]}
                assert_equal {PSYNC ? -1} [fake_handshake]
                assert_equal {1 1} [list [r GET mine] [r GET sound]]
            }
        }
    }

    test "A transaction without an end" {
        up
        fake_say [stream {SET sound 1} MULTI]
        set command [stream "SET k [string repeat x 10000]"]
        catch {
            for {set i 0} {$i < 2000 && ![fake_is_closed]} {incr i} { fake_say $command }
        }
        wait_for {[fake_is_closed]}
        wait_for {[string match "*has more than * bytes: that is the limit, client-query-buffer-limit*" [server_log]]}
        assert {[info_field used_memory] < 30000000}
        assert_equal {1 0} [list [r GET sound] [r EXISTS k]]
    }

    test "Newlines without an end" {
        up
        catch {
            for {set i 0} {$i < 200} {incr i} { fake_say [string repeat \n 50000] }
        }
        fake_say [stream {SET after 1}]
        wait_for {[r GET after] eq "1"}
        assert_equal [string length [stream {SET after 1}]] [info_field slave_repl_offset]
        assert {[info_field used_memory] < 20000000}
    }

    test "A primary that reads nothing gets no heap of acknowledgements" {
        up
        for {set i 0} {$i < 50} {incr i} { fake_say [string repeat [stream {REPLCONF GETACK *}] 2000] }
        wait_for {[info_field slave_repl_offset] == 100000 * [string length [stream {REPLCONF GETACK *}]]}
        assert {[info_field used_memory] < 20000000}
    }

    test "Damaged snapshots and streams of any kind" {
        r CONFIG SET repl-timeout 1
        set good "[rdb {a 1 b 2 c 3 d 4}]"
        set sound [stream {SELECT 0} {SET a 1} MULTI {LPUSH l 1 2} EXEC {PUBLISH c m} PING {SET b 2}]
        for {set i 0} {$i < 60} {incr i} {
            r REPLICAOF 127.0.0.1 [fake_start]
            catch {
                fake_handshake
                set snapshot $good
                if {$i % 2} {
                    set at [random_below [string length $good]]
                    set snapshot [string replace $good $at $at [random_bytes 1]]
                }
                fake_full $id 5 $snapshot
                set bytes $sound
                for {set n [random_below 4]} {$n > 0} {incr n -1} {
                    set at [random_below [string length $bytes]]
                    set bytes [string replace $bytes $at $at [random_bytes [random_below 3]]]
                }
                fake_say $bytes
            }
            wait_for {![catch {r REPLICAOF NO ONE}]}
        }
        assert {[info_field used_memory] < 30000000}
    }
    r REPLICAOF NO ONE
    fake_end
}

with_server [concat $options {repl-rdb-channel yes}] {
    test "The second connection: refused, silent, of another mind" {
        foreach {answer reply} {-ERR\ no "" +OK "+CONTINUE" +OK "-ERR what" +OK "+RDBCHANNELSYNC 5" +OK hello} {
            follow_fake
            fake_handshake "+RDBCHANNELSYNC 42\r\n"
            set first $fake::socket
            fake_accept
            fake_hear
            fake_say $answer\r\n
            if {$reply ne ""} {
                fake_hear
                fake_say $reply\r\n
            }
            wait_for {[fake_is_closed]}
            fake_switch $first
            wait_for {[fake_is_closed]}
            assert_equal 1 [r GET mine]
        }
    }

    test "The first connection breaks while the snapshot comes on the second" {
        follow_fake
        fake_handshake "+RDBCHANNELSYNC 42\r\n"
        set first $fake::socket
        fake_accept
        fake_hear
        fake_say +OK\r\n
        fake_hear
        fake_say "+FULLRESYNC $id 5\r\n\$1000\r\nREDIS0009"
        wait_for {[info_field master_sync_in_progress] == 1}
        close $first
        wait_for {[fake_is_closed]}
        assert_equal 1 [r GET mine]
        fake_accept
    }
    r REPLICAOF NO ONE
    fake_end
}
