# Primaries and replicas that lie: the test plays them. The node lives, serves its clients, keeps its data where no
# whole snapshot has come, drops the link, and tries again.

set id [string repeat a 40]

# Answers the handshake of the node; what follows is up to the test.
proc lure {h l} {
    set c [await_replica $l 5000]
    hear_replica $c
    return $c
}

proc sound_snapshot {} { return [fake_bulk_snapshot [fake_empty_snapshot]] }

# The node drops this link, whatever it says before.
proc assert_dropped {c} {
    assert {[$c -closed]}
    $c -close
}

# A primary that sends this instead of what it should, at each place: the old key stays, and the node comes again.
set lies {
    "a line without end" reply {[string repeat x 5000]}
    "an id that is too short" reply {"+FULLRESYNC abc 1\r\nnonsense\r\n"}
    "an offset that is none" reply {"+FULLRESYNC $::id abc\r\nnonsense\r\n"}
    "no RESP" reply {"hello\r\nhello\r\n"}
    "a negative length" snapshot {"\$-5\r\n"}
    "a length that is none" snapshot {"\$abc\r\n"}
    "a length beyond all" snapshot {"\$99999999999999999999\r\n"}
    "an endless length line" snapshot {"\$[string repeat 1 5000]"}
    "a mark that is too short" snapshot {"\$EOF:abc\r\n"}
    "an error" snapshot {"-ERR no snapshot today\r\n"}
    "a snapshot that is none" snapshot {[fake_bulk_snapshot [string repeat x 1000]]}
    "a snapshot of another magic" snapshot {[fake_bulk_snapshot "VALKEY080\xff[string repeat \0 8]"]}
    "a snapshot of a version to come" snapshot {[fake_bulk_snapshot "REDIS9999\xff[string repeat \0 8]"]}
    "a wrong checksum" snapshot {[fake_bulk_snapshot "REDIS0009\xff12345678"]}
    "a truncated snapshot" snapshot {[fake_bulk_snapshot "REDIS0009\x00\x05ab"]}
    "a string of 4 GB" snapshot {[fake_bulk_snapshot "REDIS0009\x00\x01a\x80\xff\xff\xff\xff[string repeat x 100]"]}
    "an empty snapshot" snapshot {"\$0\r\n"}
}

# All nodes try again after a second: so many at once take no longer than one.
foreach load {disabled swapdb} {
    test "load $load: primaries that lie" {
        need_kura
        with_nodes {} {
            set victims {}
            foreach {name place lie} $lies {
                set h [node_start kura "repl-diskless-load $load"]
                $h SET old 1
                set l [fake_primary]
                $h REPLICAOF 127.0.0.1 [fake_port $l]
                lappend victims $name $place [subst $lie] $h $l
            }
            foreach {name place lie h l} $victims {
                set c [lure $h $l]
                if {$place eq "snapshot"} { $c -raw "+FULLRESYNC $::id 1\r\n" }
                catch { $c -raw $lie }
                if {[catch {assert_dropped $c}]} { error "$name: the link stays" }
                # A snapshot has to come whole before the old data go. Whether it is sound is known when they are gone,
                # unless it is loaded aside.
                set is_whole [regexp {^\$[1-9]\d{1,9}\r\n} $lie]
                if {$load eq "swapdb" || !$is_whole} {
                    if {[$h GET old] ne 1} { error "$name: the old data are lost" }
                }
            }
            # They come again, and take a sound one.
            foreach {name place lie h l} $victims {
                if {[catch {lure $h $l} c]} { error "$name: $c" }
                $c -raw "+FULLRESYNC $::id 7\r\n[sound_snapshot]"
                wait_link $h
                assert_equal 0 [$h DBSIZE]
                end_primary $l
            }
        }
    }
}

# What cannot stand in a log is not executed.
set streams {
    "no RESP" {"SET a 1\r\n"}
    "a negative count" {"*-7\r\n"}
    "a count that is none" {"*x\r\n"}
    "a bulk that is too long" {"*2\r\n\$3\r\nDEL\r\n\$99999999999\r\n"}
    "a number of words beyond all" {"*2000000000\r\n"}
    "a line without end" {"*[string repeat 1 100000]"}
    "CONFIG" {[resp_encode CONFIG SET maxclients 1]}
    "SHUTDOWN" {[resp_encode SHUTDOWN NOSAVE]}
    "REPLICAOF" {[resp_encode REPLICAOF NO ONE]}
    "DEBUG" {[resp_encode DEBUG SEGFAULT]}
    "SUBSCRIBE" {[resp_encode SUBSCRIBE a]}
    "MONITOR" {[resp_encode MONITOR]}
    "CLIENT KILL" {[resp_encode CLIENT KILL TYPE normal]}
    "SYNC" {[resp_encode SYNC]}
    "PSYNC" {[resp_encode PSYNC ? -1]}
    "AUTH" {[resp_encode AUTH x]}
    "QUIT" {[resp_encode QUIT]}
    "RESET" {[resp_encode RESET]}
    "HELLO" {[resp_encode HELLO 3]}
    "BLPOP" {[resp_encode BLPOP none 0]}
    "BGSAVE" {[resp_encode BGSAVE]}
    "FAILOVER" {[resp_encode FAILOVER]}
    "WAIT" {[resp_encode WAIT 1 0]}
    "an unknown command" {[resp_encode NOCOMMAND a]}
    "a wrong number of words" {[resp_encode SET a]}
    "a SELECT of no database" {[resp_encode SELECT 99]}
    "EXEC alone" {[resp_encode EXEC]}
    "MULTI in MULTI" {[resp_encode MULTI][resp_encode MULTI]}
    "a command that fails" {[resp_encode SET s x][resp_encode LPUSH s a]}
    "REPLCONF of anything" {[resp_encode REPLCONF ACK 99999][resp_encode REPLCONF listening-port 1]}
}

foreach {name bytes} $streams {
    test "a stream with $name" {
        with_nodes {h kura {}} {
            need_kura
            set l [fake_primary]
            $h REPLICAOF 127.0.0.1 [fake_port $l]
            set c [lure $h $l]
            $c -raw "+FULLRESYNC $::id 0\r\n[sound_snapshot][resp_encode SELECT 0][resp_encode SET kept 1]"
            wait_for {![catch {$h GET kept} kept] && $kept == 1}
            set d [client $h]
            catch { $c -raw [subst $bytes][resp_encode SET next 1] }
            # It goes on behind the error, or drops the link and asks again.
            wait_for {![link_is_up $h] || [$h GET next] == 1}
            assert_equal 1 [$h GET kept]
            assert_equal slave [node_field $h role]
            assert_equal PONG [$d PING]
            assert {[lindex [$h CONFIG GET maxclients] 1] > 1}
            end_primary $l
        }
    }
}

test "a MULTI without end keeps memory within the limits" {
    need_kura
    with_nodes {h kura {client-query-buffer-limit 2mb}} {
        set l [fake_primary]
        $h REPLICAOF 127.0.0.1 [fake_port $l]
        set c [lure $h $l]
        $c -raw "+FULLRESYNC $::id 0\r\n[sound_snapshot][resp_encode SELECT 0][resp_encode MULTI]"
        set value [string repeat x 10000]
        catch {
            for {set i 0} {$i < 2000} {incr i} { $c -raw [resp_encode SET key $value$i] }
        }
        assert_equal PONG [$h PING]
        assert_equal 0 [$h EXISTS key]
        $c -close
        end_primary $l
        wait_for {[node_field $h used_memory] < 30000000}
    }
}

test "a replica that says anything" {
    with_nodes {p kura {}} {
        dataset_fill $p
        foreach words [list {REPLCONF listening-port 99999999999} \
                [list REPLCONF ip-address [string repeat a 10000000]] \
                [list REPLCONF ip-address "evil\r\nrole:slave"] [list REPLCONF {*}[lrepeat 3001 x]] \
                [list REPLCONF {*}[lrepeat 5000 capa eof]] {REPLCONF listening-port -1} {REPLCONF capa ""} \
                {REPLCONF rdb-channel 1} {REPLCONF main-ch-client-id 1} {REPLCONF main-ch-client-id abc} \
                {REPLCONF rdb-channel 1 main-ch-client-id 99} {PSYNC ? -9223372036854775808} \
                {PSYNC ? 9223372036854775807} [list PSYNC [string repeat f 40] 9223372036854775807] \
                [list PSYNC [string repeat x 1000000] 1]] {
            set c [client $p]
            $c -send {*}$words
            $c -send PSYNC ? -1
            catch {$c -line}
            $c -close
        }
        assert {![string match *evil* [$p INFO replication]] || ![regexp {\nrole:slave} [$p INFO replication]]}
        wait_for {[node_field $p connected_slaves] == 0}
        # ACKs that run ahead of the log, or backwards
        lassign [fake_stream_begin $p] c
        $p SET a 1
        fake_commands $c {SET a 1}
        assert_equal 0 [$p WAIT 1 50]
        set end [node_field $p master_repl_offset]
        foreach offset [list -1 0 [expr {$end - 5}] 9223372036854775807 99999999999999999999 abc -9223372036854775808] {
            $c -send REPLCONF ACK $offset
        }
        $p SET b 1
        $p PING
        if {[kura_is_tested]} { assert_equal 0 [$p WAIT 1 50] }
        $c -send REPLCONF ACK [node_field $p master_repl_offset]
        assert_equal 1 [$p WAIT 1 5000]
        $c -send REPLCONF ACK 10
        $c -send PSYNC ? -1
        $c -send REPLCONF listening-port 1
        assert_equal PONG [$p PING]
        $c -close
        wait_for {[node_field $p connected_slaves] == 0}
    }
}

test "a node that follows itself, or its own replica, loses nothing" {
    with_nodes {p kura {} q kura {}} {
        $p SET a 1
        $p REPLICAOF 127.0.0.1 [server_port $p]
        wait_for {[string match *MASTERLINK* [server_log $p]] || [node_field $p master_link_status] eq "down"}
        assert_equal 1 [$p GET a]
        $p REPLICAOF NO ONE
        follow $q $p
        $p REPLICAOF 127.0.0.1 [server_port $q]
        wait_for {[node_field $p role] eq "slave"}
        assert_equal {1 1} [list [$p GET a] [$q GET a]]
        $p REPLICAOF NO ONE
        wait_link $q
        $p SET b 1
        level $p $q
    }
}
