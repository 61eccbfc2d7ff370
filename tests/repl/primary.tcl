# A primary, as its replicas see it. The replicas are connections of this test, which speak the protocol by hand: so
# each byte that they get is known, and they can misbehave.

# --- a replica by hand ---------------------------------------------------------------------------

proc replica {args} {
    set c [client]
    foreach {name value} [concat $args] { assert_equal OK [$c REPLCONF $name $value] }
    return $c
}

# A line, without the newlines before it by which a primary says that it lives.
proc answer {c} {
    return [string trimleft [$c -line] \n]
}

proc read_snapshot {c} {
    set head [answer $c]
    if {[regexp {^\$EOF:([0-9a-f]{40})$} $head -> mark]} { return [read_until $c $mark] }
    if {[regexp {^\$(\d+)$} $head -> length]} { return [$c -bytes $length] }
    error "no snapshot: $head"
}

# Up to these 40 bytes, which are taken too.
proc read_until {c mark} {
    set bytes [$c -bytes 40]
    while {[string range $bytes end-39 end] ne $mark} { append bytes [$c -bytes 1] }
    return [string range $bytes 0 end-40]
}

# Asks for everything: returns {id offset snapshot}.
proc full_sync {c} {
    $c -send PSYNC ? -1
    assert_equal 1 [regexp {^\+FULLRESYNC ([0-9a-f]{40}) (\d+)$} [answer $c] -> id offset]
    return [list $id $offset [read_snapshot $c]]
}

proc online {c} {
    set got [full_sync $c]
    $c -send REPLCONF ACK [lindex $got 1]
    return $got
}

# The next command of the stream, without the PINGs and what the primary asks.
proc streamed {c} {
    while 1 {
        set command [$c -read]
        if {$command ni {ping {REPLCONF GETACK *}}} { return $command }
    }
}

proc cut {c} {
    $c -close
    wait_for {[r CLIENT LIST TYPE replica] eq ""}
}

proc log_has {pattern} {
    return [string match "*$pattern*" [server_log]]
}

# A value that no compression makes small, again and again.
proc write_bytes {bytes} {
    set value [random_bytes 100000]
    for {set i 0} {$i < $bytes} {incr i 100000} { r SET big$i $value }
}

# The process that this server has forked.
proc child_pid {} {
    wait_for {[regexp {Background RDB transfer started by pid (\d+)(?!.*RDB transfer started)} [server_log] -> pid]}
    return $pid
}

# As read_snapshot, for many bytes.
proc read_snapshot_fast {c} {
    assert_equal 1 [regexp {^\$EOF:([0-9a-f]{40})$} [answer $c] -> mark]
    set bytes ""
    while {[string first $mark $bytes [expr {max(0, [string length $bytes] - 100040)}]] < 0} {
        set chunk [$c -bytes 1]
        set there [expr {[string length $::resp::state($c.in)] - $::resp::state($c.at)}]
        append bytes $chunk[$c -bytes [expr {min(100000, $there)}]]
    }
    return $bytes
}

proc full_sync_answer {c} {
    assert_equal 1 [regexp {^\+FULLRESYNC ([0-9a-f]{40}) (\d+)$} [answer $c] -> id offset]
    read_snapshot $c
    return [list $id $offset]
}

proc cut_one {c port} {
    $c -close
    wait_for {[log_has "Connection with replica 127.0.0.1:$port lost."]}
}

# --- full syncs ----------------------------------------------------------------------------------

with_server {repl-diskless-sync-delay 0} {
    test "Diskless: a snapshot between two marks; the stream begins with the first ACK, and with SELECT" {
        r SET before 1
        set c [replica listening-port 7777 capa eof capa psync2]
        lassign [full_sync $c] id offset snapshot
        assert_match "REDIS0010*before*" $snapshot
        assert_match "*repl-id(${id}*repl-offset*" $snapshot
        wait_for {[log_has "Waiting for REPLCONF ACK from replica to enable streaming"]}
        r SET k v
        $c -timeout 300
        assert_error "no answer*" {$c -read}
        $c -timeout 20000
        $c -send REPLCONF ACK $offset
        assert_equal {SELECT 0} [streamed $c]
        assert_equal {SET k v} [streamed $c]
        assert_match "*flags=S*cmd=replconf*" [r CLIENT LIST TYPE replica]
    }

    test "The stream repeats SELECT for a new replica only, and has MULTI around what belongs together" {
        set a [replica capa eof]
        online $a
        r SET x 1
        assert_equal {SELECT 0} [streamed $a]
        assert_equal {SET x 1} [streamed $a]
        r MULTI
        r SET x 2
        r INCR x
        r EXEC
        foreach command {MULTI {SET x 2} {INCR x} EXEC} { assert_equal $command [streamed $a] }
        set b [replica capa eof]
        online $b
        r SET x 5
        assert_equal {SELECT 0} [streamed $b]
        assert_equal {SET x 5} [streamed $b]
        assert_equal {SELECT 0} [streamed $a]
    }

    test "SYNC is answered by the snapshot alone; without capa eof it has a length" {
        set c [replica]
        $c -send SYNC
        assert_match "REDIS0010*" [read_snapshot $c]
        r SET k w
        assert_equal {SELECT 0} [streamed $c]
        assert_equal {SET k w} [streamed $c]
    }

    test "Several replicas share one child" {
        r CONFIG SET repl-diskless-sync-delay 5 repl-diskless-sync-max-replicas 3
        set before [info_field total_forks]
        set replicas {}
        for {set i 0} {$i < 3} {incr i} {
            set c [replica capa eof]
            $c -send PSYNC ? -1
            lappend replicas $c
        }
        foreach c $replicas {
            assert_match "+FULLRESYNC*" [answer $c]
            read_snapshot $c
        }
        assert_equal 1 [expr {[info_field total_forks] - $before}]
        r CONFIG SET repl-diskless-sync-delay 0 repl-diskless-sync-max-replicas 0
    }

    test "A replica that waits hears a newline each second" {
        r CONFIG SET repl-diskless-sync-delay 60
        set c [replica capa eof]
        $c -send PSYNC ? -1
        assert_equal "\n" [$c -bytes 1]
        assert_equal "\n" [$c -bytes 1]
        r CONFIG SET repl-diskless-sync-delay 0
        assert_match "+FULLRESYNC*" [answer $c]
    }

    test "rdb-only gets the snapshot, and is disconnected; a filter leaves the keys out" {
        r SET before 1
        set c [replica capa eof rdb-only 1]
        $c -send SYNC
        assert_match "*before*" [read_snapshot $c]
        assert_equal 1 [$c -closed]
        set c [replica capa eof rdb-filter-only functions]
        $c -send SYNC
        assert_match "REDIS0010*" [set snapshot [read_snapshot $c]]
        assert {![string match "*before*" $snapshot]}
    }

    test "A save for another purpose is waited for, and is not disturbed" {
        r DEBUG POPULATE 2000
        r CONFIG SET rdb-key-save-delay 500
        r BGSAVE
        set c [replica capa eof]
        $c -send PSYNC ? -1
        wait_for {[log_has "another BG operation is active. BGSAVE for replication delayed"]}
        r CONFIG SET rdb-key-save-delay 0
        assert_match "+FULLRESYNC*" [answer $c]
        assert_equal ok [info_field rdb_last_bgsave_status]
        r FLUSHALL
    }

    test "The second connection of a replica gets the snapshot, while the first one gets the stream" {
        r DEBUG POPULATE 2000
        r CONFIG SET rdb-key-save-delay 1000
        set main [replica listening-port 7000 capa eof capa psync2 capa rdb-channel-repl]
        $main -send PSYNC ? -1
        assert_equal 1 [regexp {^\+RDBCHANNELSYNC (\d+)$} [answer $main] -> id]
        set channel [replica capa eof rdb-only 1 rdb-channel 1 main-ch-client-id $id listening-port 7000]
        $channel -send PSYNC ? -1
        assert_match "+FULLRESYNC*" [answer $channel]
        r SET meanwhile 1
        assert_equal {SELECT 0} [streamed $main]
        assert_equal {SET meanwhile 1} [streamed $main]
        assert_equal 1 [info_field rdb_bgsave_in_progress]
        r CONFIG SET rdb-key-save-delay 0
        send_signal KILL [child_pid]
        assert_equal 1 [$channel -closed]
        assert_equal 1 [$main -closed]
        r FLUSHALL
    }

    test "A second connection that has its snapshot is closed, and the replica is online with its ACK" {
        set main [replica listening-port 7000 capa eof capa psync2 capa rdb-channel-repl]
        $main -send PSYNC ? -1
        regexp {(\d+)$} [answer $main] -> id
        set channel [replica capa eof rdb-only 1 rdb-channel 1 main-ch-client-id $id listening-port 7000]
        $channel -send PSYNC ? -1
        regexp {(\d+)$} [answer $channel] -> offset
        assert_match "REDIS*" [read_snapshot $channel]
        assert_equal 1 [$channel -closed]
        $main -send REPLCONF ACK $offset
        wait_for {[log_has "Synchronization with replica 127.0.0.1:7000 succeeded"]}
        r SET k after
        assert_equal {SELECT 0} [streamed $main]
        assert_equal {SET k after} [streamed $main]
    }

    test "A second connection for nobody is refused, and the first one ends with it" {
        set c [replica capa eof rdb-channel 1 main-ch-client-id 99999]
        assert_error "ERR No replica waits*" {$c PSYNC ? -1}
        set main [replica capa eof capa rdb-channel-repl]
        $main -send PSYNC ? -1
        regexp {(\d+)$} [answer $main] -> id
        r CONFIG SET repl-diskless-sync-delay 60
        set channel [replica capa eof rdb-channel 1 main-ch-client-id $id]
        $channel -send PSYNC ? -1
        $channel -close
        assert_equal 1 [$main -closed]
        r CONFIG SET repl-diskless-sync-delay 0
    }
}

with_server {repl-diskless-sync no} {
    test "By a file: a late comer gets the same one, and both get the stream at once" {
        r DEBUG POPULATE 1000
        r CONFIG SET rdb-key-save-delay 2000
        set before [info_field total_forks]
        set a [replica capa eof]
        $a -send PSYNC ? -1
        assert_match "+FULLRESYNC*" [set first [answer $a]]
        r SET meanwhile 1
        set b [replica]
        $b -send PSYNC ? -1
        assert_equal $first [answer $b]
        foreach c [list $a $b] {
            assert_match "REDIS*" [read_snapshot $c]
            assert_equal {SELECT 0} [streamed $c]
            assert_equal {SET meanwhile 1} [streamed $c]
        }
        assert_equal 1 [expr {[info_field total_forks] - $before}]
        r CONFIG SET rdb-key-save-delay 0
    }

    test "A file that nobody waits for any more is given up" {
        r CONFIG SET rdb-key-save-delay 100000
        set c [replica]
        $c -send PSYNC ? -1
        assert_match "+FULLRESYNC*" [answer $c]
        assert_equal 1 [info_field rdb_bgsave_in_progress]
        $c -close
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        r CONFIG SET rdb-key-save-delay 0
    }

    test "rdb-del-sync-files removes the file when it was sent" {
        r CONFIG SET rdb-del-sync-files yes
        set c [replica]
        online $c
        wait_for {![file exists [file join [server_folder] dump.rdb]]}
    }

    test "A large file reaches a replica that reads slowly" {
        write_bytes 8000000
        set c [replica]
        $c -send PSYNC ? -1
        answer $c
        after 200
        assert {[string length [read_snapshot $c]] > 8000000}
        r SET k v
        assert_equal {SELECT 0} [streamed $c]
    }
}

# --- partial syncs -------------------------------------------------------------------------------

with_server {repl-diskless-sync-delay 0} {
    test "A replica goes on where it was, in either case of its id" {
        set c [replica capa eof capa psync2]
        lassign [online $c] id offset
        r SET a 1
        assert_equal {SELECT 0} [streamed $c]
        assert_equal {SET a 1} [streamed $c]
        incr offset [string length [resp_encode SELECT 0][resp_encode SET a 1]]
        cut $c
        r SET a 2
        set c [replica capa eof capa psync2]
        $c -send PSYNC [string toupper $id] [expr {$offset + 1}]
        assert_equal "+CONTINUE $id" [answer $c]
        assert_equal {SET a 2} [streamed $c]
        cut $c
        set c [replica capa eof]
        $c -send PSYNC $id [expr {$offset + 1}]
        assert_equal "+CONTINUE" [answer $c]
        assert_equal {SET a 2} [streamed $c]
        cut $c
    }

    test "Places that are no places get everything" {
        set c [replica capa eof capa psync2]
        lassign [online $c] id offset
        cut $c
        set other [string map {0 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8 8 9 9 a a b b c c d d e e f f 0} $id]
        foreach {asked at} [list $id [expr {$offset + 1000000}] $id -1 $id 0 $id -9223372036854775808 \
                $id 9223372036854775807 $other [expr {$offset + 1}] [string range $id 1 end] [expr {$offset + 1}] \
                [string repeat 0 40] 1 "" 1 [string repeat x 100000] 1] {
            set c [replica capa eof capa psync2]
            $c -send PSYNC $asked $at
            assert_match "+FULLRESYNC $id *" [answer $c]
            $c -close
        }
        set c [replica]
        assert_error "*not an integer*" {$c PSYNC $id x}
    }

    test "A replica that was cut keeps its place, beyond the backlog, from its last ACK on" {
        set c [replica capa eof capa psync2 listening-port 7001]
        lassign [online $c] id offset
        cut $c
        write_bytes 5000000
        set c [replica capa eof capa psync2 listening-port 7001]
        $c -send PSYNC $id [expr {$offset + 1}]
        assert_equal "+CONTINUE $id" [answer $c]
        streamed $c
        assert_equal big0 [lindex [streamed $c] 1]
        cut $c
    }

    test "Setting repl-backlog-size leaves the decision to that size, even if it is the one that it had" {
        r CONFIG SET repl-backlog-size [lindex [r CONFIG GET repl-backlog-size] 1]
        set c [replica capa eof capa psync2 listening-port 7001]
        lassign [online $c] id offset
        cut $c
        write_bytes 5000000
        set c [replica capa eof capa psync2 listening-port 7001]
        $c -send PSYNC $id [expr {$offset + 1}]
        assert_match "+FULLRESYNC*" [answer $c]
        assert [log_has "for lack of backlog"]
        $c -close
    }

    test "repl-backlog-size takes effect at once" {
        r CONFIG SET repl-backlog-size 8mb
        set c [replica capa eof capa psync2]
        lassign [online $c] id offset
        cut $c
        write_bytes 5000000
        set c [replica capa eof capa psync2]
        $c -send PSYNC $id [expr {$offset + 1}]
        assert_equal "+CONTINUE $id" [answer $c]
        cut $c
    }

    test "The backlog ends after repl-backlog-ttl without replicas, and so does its id" {
        set c [replica capa eof capa psync2]
        lassign [online $c] id offset
        cut $c
        r CONFIG SET repl-backlog-ttl 1
        wait_for {[log_has "Replication backlog freed after 1 seconds without connected replicas."]}
        set c [replica capa eof capa psync2]
        assert {[lindex [online $c] 0] ne $id}
        cut $c
    }
}

# --- time-outs and limits ------------------------------------------------------------------------

with_server {repl-diskless-sync-delay 0 repl-ping-replica-period 1 repl-timeout 2} {
    test "PING comes when nothing else was sent, and only then" {
        set c [replica capa eof]
        online $c
        assert_equal ping [$c -read]
        set until [expr {[clock milliseconds] + 2500}]
        set pings 0
        r SET k first
        while {[$c -read] ne "SET k first"} {}
        while {[clock milliseconds] < $until} {
            r SET k v
            $c -send REPLCONF ACK 1
            if {[$c -read] eq "ping"} { incr pings }
            after 50
        }
        assert_equal 0 $pings
        cut $c
    }

    test "A replica that does not acknowledge for repl-timeout is disconnected" {
        set c [replica capa eof listening-port 7002]
        online $c
        assert_equal 1 [$c -closed]
        assert [log_has "Disconnecting timedout replica (streaming sync): 127.0.0.1:7002"]
    }

    test "What it said while the primary was busy counts" {
        set c [replica capa eof listening-port 7013]
        lassign [full_sync $c] id offset
        $c -send REPLCONF ACK $offset
        r SET k v
        streamed $c
        streamed $c
        set busy [client]
        $busy -send DEBUG SLEEP 3
        $c -send REPLCONF ACK $offset
        assert_equal OK [$busy -read]
        r SET k w
        assert_equal {SET k w} [streamed $c]
        cut $c
    }

    test "Newlines will do, while it loads" {
        set c [replica capa eof listening-port 7012]
        full_sync $c
        set until [expr {[clock milliseconds] + 3500}]
        while {[clock milliseconds] < $until} {
            $c -raw "\n"
            after 100
        }
        assert_match "*flags=S*" [r CLIENT LIST TYPE replica]
        cut $c
    }

    test "One that came by SYNC need not acknowledge" {
        set c [replica]
        $c -send SYNC
        read_snapshot $c
        set until [expr {[clock milliseconds] + 3500}]
        while {[clock milliseconds] < $until} { assert_equal ping [$c -read] }
        cut $c
    }

    test "A replica that takes nothing of a diskless sync is dropped, the others get all of it" {
        write_bytes 20000000
        r CONFIG SET repl-diskless-sync-delay 5 repl-diskless-sync-max-replicas 2
        set stuck [replica capa eof listening-port 7003]
        $stuck -send PSYNC ? -1
        set good [replica capa eof listening-port 7004]
        $good -send PSYNC ? -1
        answer $good
        assert {[string length [read_snapshot_fast $good]] > 20000000}
        assert [log_has "Disconnecting timedout replica (full sync): 127.0.0.1:7003"]
        wait_for {[log_has "1 replicas still up."]}
        r CONFIG SET repl-diskless-sync-delay 0 repl-diskless-sync-max-replicas 0
        $stuck -close
        cut $good
    }

    test "The child of a diskless sync ends with the last replica" {
        r SET k v
        r CONFIG SET rdb-key-save-delay 500000 ;# so that it is not done before
        set c [replica capa eof]
        $c -send PSYNC ? -1
        answer $c
        wait_for {[r CLIENT LIST TYPE replica] ne ""}
        $c -close
        wait_for {[log_has "last replica dropped, killing fork child."]}
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        r CONFIG SET rdb-key-save-delay 0
        assert_equal PONG [r PING]
    }
}

with_server {repl-diskless-sync-delay 0 client-output-buffer-limit "replica 3mb 0 0"} {
    # The replica has its snapshot, and says no more.
    proc stop_reading {port} {
        set c [replica capa eof capa psync2 listening-port $port]
        full_sync $c
        return $c
    }

    test "A replica that lets too much wait is dropped; after a full sync the log tells what would have been enough" {
        set c [stop_reading 7005]
        write_bytes 12000000
        wait_for {[r CLIENT LIST TYPE replica] eq ""}
        assert [log_has "overcoming of output buffer limits"]
        assert [log_has "Replica 127.0.0.1:7005 could not keep up with its full sync"]
        assert [log_has "'client-output-buffer-limit replica'. Its next full sync begins in 1 s"]
        assert_equal 1 [info_field client_output_buffer_limit_disconnections]
        r FLUSHALL
    }

    test "It gets no snapshot at once; others do; and it waits longer each time" {
        set began [clock milliseconds]
        set c [replica capa eof capa psync2 listening-port 7005]
        $c -send PSYNC ? -1
        set other [replica capa eof listening-port 7006]
        online $other
        full_sync_answer $c
        assert {[clock milliseconds] - $began > 300}
        cut_one $other 7006
        write_bytes 12000000
        wait_for {[log_has "Its next full sync begins in 2 s"]}
        r FLUSHALL
    }

    test "One that was level is only dropped" {
        set c [replica capa eof capa psync2 listening-port 7007]
        lassign [online $c] id offset
        $c -send REPLCONF ACK $offset
        r SET k v
        streamed $c
        streamed $c
        $c -send REPLCONF ACK [expr {$offset + [string length [resp_encode SELECT 0][resp_encode SET k v]]}]
        wait_for {[regexp {idle=0} [r CLIENT LIST TYPE replica]]}
        write_bytes 12000000
        wait_for {[r CLIENT LIST TYPE replica] eq ""}
        assert {![log_has "Replica 127.0.0.1:7007 could not keep up"]}
        r FLUSHALL
    }

    test "CLIENT LIST shows what waits, and the memory of it" {
        set c [stop_reading 7008]
        write_bytes 5000000
        set pattern { oll=([1-9]\d*) omem=([1-9]\d*) tot-mem=(\d+)}
        wait_for {[regexp $pattern [r CLIENT LIST TYPE replica] -> blocks bytes all]}
        assert {$all > $bytes}
        $c -close
        r FLUSHALL
    }
}

with_server {repl-diskless-sync-delay 0 client-output-buffer-limit "replica 10000 0 0"} {
    test "The limits of class replica are never below the backlog's size" {
        set c [replica capa eof listening-port 7009]
        online $c
        for {set i 0} {$i < 9} {incr i} { r SET k [string repeat x 90000] }
        streamed $c
        for {set i 0} {$i < 9} {incr i} { assert_equal SET [lindex [streamed $c] 0] }
    }
}

with_server {repl-diskless-sync-delay 0 maxmemory-policy allkeys-lru} {
    test "What waits for replicas evicts no key" {
        r DEBUG POPULATE 10000
        set c [replica capa eof]
        full_sync $c
        r CONFIG SET maxmemory [expr {[info_field used_memory] + 8000000}]
        for {set i 0} {$i < 300} {incr i} { r SET same [string repeat x 100000] }
        wait_for {[regexp { omem=[1-9]\d{7,} } [r CLIENT LIST TYPE replica]]}
        assert_equal 0 [info_field evicted_keys]
        $c -close
    }
}

# --- bad manners ---------------------------------------------------------------------------------

with_server {repl-diskless-sync-delay 0} {
    test "A replica that wants a reply is disconnected" {
        foreach command {PING {ECHO x} {REPLCONF capa eof} NOSUCH {CLIENT ID} {CONFIG GET port} RESET} {
            set c [replica capa eof]
            online $c
            $c -send {*}$command
            wait_for {[r CLIENT LIST TYPE replica] eq ""}
            $c -close
        }
        assert [log_has "Replica generated a reply to command 'ping', disconnecting it: "]
    }

    test "A replica can neither read nor write keys" {
        foreach command {{SET stolen 1} {GET stolen} {PUBLISH a b}} {
            set c [replica capa eof]
            online $c
            $c -send {*}$command
            wait_for {[r CLIENT LIST TYPE replica] eq ""}
            $c -close
        }
        assert_equal 0 [r EXISTS stolen]
    }

    test "PSYNC again, and SYNC, are ignored" {
        set c [replica capa eof]
        lassign [online $c] id offset
        $c -send PSYNC ? -1
        $c -send SYNC
        $c -send PSYNC $id $offset
        r SET k v
        assert_equal {SELECT 0} [streamed $c]
        assert_equal {SET k v} [streamed $c]
        cut $c
    }

    test "PSYNC behind output that is not sent yet, in MULTI, by a monitor and by a subscriber" {
        set c [client]
        $c -raw [resp_encode PING][resp_encode PSYNC ? -1]
        assert_equal PONG [$c -read]
        assert_error "ERR SYNC and PSYNC are invalid with pending output" {$c -read}
        $c MULTI
        assert_error "ERR Command not allowed inside a transaction" {$c PSYNC ? -1}
        $c DISCARD
        $c SUBSCRIBE news
        assert_error "ERR Can't execute 'psync'*" {$c PSYNC ? -1}
        set m [client]
        $m MONITOR
        $m -send PSYNC ? -1
        $m -send SYNC
        r PING
        assert_match {*"PING"} [$m -line]
        assert_equal "" [r CLIENT LIST TYPE replica]
    }

    test "A subscriber in RESP3 that becomes a replica gets the stream, and no messages" {
        set c [replica capa eof]
        $c HELLO 3
        $c SUBSCRIBE news
        online $c
        r PUBLISH news hello
        r SET k v
        assert_equal {SELECT 0} [streamed $c]
        set command [streamed $c]
        if {$command eq "PUBLISH news hello"} { set command [streamed $c] }
        assert_equal {SET k v} $command
        cut $c
    }

    test "A client that tracks keys and becomes a replica hears nothing of them" {
        set c [replica capa eof]
        $c HELLO 3
        $c CLIENT TRACKING on BCAST
        online $c
        r SET k v
        assert_equal {SELECT 0} [streamed $c]
        assert_equal {SET k v} [streamed $c]
        cut $c
    }

    test "An ACK of more than was sent counts as nothing, and none goes backwards" {
        set c [replica capa eof listening-port 7010]
        lassign [online $c] id offset
        r SET k v
        streamed $c
        streamed $c
        set end [expr {$offset + [string length [resp_encode SELECT 0][resp_encode SET k v]]}]
        foreach wrong [list [expr {$end + 1}] 9223372036854775807 -1 -9223372036854775808 x "" 1] {
            $c -send REPLCONF ACK $wrong
            $c -send REPLCONF ACK $wrong FACK $wrong
        }
        $c -send REPLCONF ACK $end
        $c -send REPLCONF ACK $offset
        $c -send REPLCONF ACK
        wait_for {[r CLIENT LIST TYPE replica] eq ""}
        set c [replica capa eof capa psync2 listening-port 7010]
        $c -send PSYNC $id [expr {$end + 1}]
        assert_equal "+CONTINUE $id" [answer $c]
        cut $c
    }

    test "REPLCONF of any size and content" {
        set c [client]
        assert_error "ERR syntax error" {$c REPLCONF a}
        assert_error "ERR Unrecognized REPLCONF option: nosuch" {$c REPLCONF nosuch 1}
        assert_error "ERR REPLCONF ip-address provided by replica instance is too long: 10000000 bytes" {
            $c REPLCONF ip-address [string repeat x 10000000]
        }
        assert_error "ERR *" {$c REPLCONF ip-address "a\r\nb"}
        assert_error "ERR *" {$c REPLCONF ip-address "a\x1b\[31m"}
        assert_error "*not an integer*" {$c REPLCONF listening-port x}
        assert_error "ERR Unsupported rdb-filter-only option: data" {$c REPLCONF rdb-filter-only data}
        assert_error "ERR Missing rdb-filter-only values" {$c REPLCONF rdb-filter-only "\"x"}
        assert_error "ERR value is out of range*" {$c REPLCONF rdb-only 2}
        assert_equal OK [$c REPLCONF {*}[string repeat "capa eof " 50000]]
        assert_equal OK [$c REPLCONF capa [random_bytes 1000] version [random_bytes 1000]]
        assert_equal OK [$c REPLCONF]
        $c -send REPLCONF ACK 1
        $c -send REPLCONF GETACK *
        assert_equal PONG [$c PING]
    }

    test "The port and the address that a replica announces name it in the log" {
        set c [replica listening-port 7011 ip-address replica.example]
        $c -send PSYNC ? -1
        wait_for {[log_has "Replica replica.example:7011 asks for synchronization"]}
        $c -close
        foreach port {70000 -1} {
            set c [replica listening-port $port ip-address other.example]
            $c -send PSYNC ? -1
            wait_for {[log_has "Replica other.example:<unknown-replica-port> asks for synchronization"]}
            $c -close
        }
    }

    test "A filtered snapshot needs capa eof" {
        set c [replica rdb-filter-only functions]
        assert_error "ERR Filtered replica requires EOF capability" {$c PSYNC ? -1}
    }

    test "CLIENT KILL TYPE replica, and TYPE normal spares replicas" {
        set c [replica capa eof]
        online $c
        r CLIENT KILL TYPE normal SKIPME yes
        assert_match "*flags=S*" [r CLIENT LIST TYPE replica]
        assert_equal 1 [r CLIENT KILL TYPE replica]
        assert_equal 1 [$c -closed]
    }

    test "timeout and maxmemory-clients are not for replicas" {
        r CONFIG SET timeout 1 maxmemory-clients 1mb
        set c [replica capa eof]
        online $c
        write_bytes 3000000
        r_close
        after 2500
        assert_match "*flags=S*" [r CLIENT LIST TYPE replica]
        r CONFIG SET timeout 0 maxmemory-clients 0
        $c -close
        r FLUSHALL
    }

    test "Hundreds that ask for everything and hang up: one fork at a time, and nothing is left" {
        set memory [info_field used_memory]
        for {set i 0} {$i < 400} {incr i} {
            set c [client]
            $c -send REPLCONF capa eof
            $c -send PSYNC ? -1
            if {$i % 3} { $c -read }
            $c -close
            if {$i % 50 == 0} { assert_equal PONG [r PING] }
        }
        wait_for {[r CLIENT LIST TYPE replica] eq ""}
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        wait_for {[info_field used_memory] < $memory + 1000000}
    }
}

with_server {repl-diskless-sync-delay 0 requirepass secret} {
    test "PSYNC and REPLCONF before AUTH" {
        set c [client]
        foreach command {{PSYNC ? -1} SYNC {REPLCONF capa eof} {REPLCONF ACK 1}} {
            assert_error "NOAUTH*" {$c {*}$command}
        }
        $c AUTH secret
        assert_equal OK [$c REPLCONF capa eof]
        full_sync $c
    }
}

with_server {} {
    test "redis-cli --rdb, --functions-rdb and --replica" {
        set cli [file join $::root build oracle redis-cli]
        if {![file executable $cli]} { skip "there is no redis-cli" }
        r CONFIG SET repl-diskless-sync-delay 0
        r SET from-cli 1
        foreach {diskless} {yes no} {
            r CONFIG SET repl-diskless-sync $diskless
            set file [file join [server_folder] copy.rdb]
            exec $cli -p [server_port] --rdb $file 2>@1
            set f [open $file rb]
            assert_match "REDIS*from-cli*" [read $f]
            close $f
            exec $cli -p [server_port] --functions-rdb $file 2>@1
            set f [open $file rb]
            set bytes [read $f]
            close $f
            assert_match "REDIS*" $bytes
            assert {![string match "*from-cli*" $bytes]}
        }
        set pipe [open |[list $cli -p [server_port] --replica 2>@1] r]
        fconfigure $pipe -blocking 0
        set seen ""
        wait_for {[append seen [read $pipe]; string match "*SYNC done*" $seen]}
        r SET k streamed
        wait_for {[append seen [read $pipe]; string match {*"k","streamed"*} $seen]}
        send_signal TERM [pid $pipe]
        catch {close $pipe}
    }
}

# --- chains --------------------------------------------------------------------------------------

# The stream of a replica is its primary's, which does not select the database again for a sub-replica.
foreach {middle diskless} {kura yes kura no redis yes redis no} {
    test "Behind $middle, diskless $diskless: a sub-replica begins in the database that the stream has selected" {
        with_nodes [list a kura {} b $middle "repl-diskless-sync $diskless" c kura {} d redis {}] {
            follow $b $a
            $a SELECT 5
            $a SET x 1
            level $a $b
            follow $c $b
            follow $d $b
            $a SET y 2
            level $a $b $c $d
            $c SELECT 5
            assert_equal 2 [$c GET y]
        }
    }
}

test "A snapshot tells of the history from which that of its data branched off" {
    need_kura
    with_nodes {a kura {} b kura {} c kura {}} {
        follow $b $a
        $a SET x 1
        level $a $b
        $b REPLICAOF NO ONE
        $b SET x 2
        follow $c $b
        level $b $c
        foreach field {master_replid master_replid2 second_repl_offset} {
            assert_equal [node_field $b $field] [node_field $c $field]
        }
        assert_equal [node_field $a master_replid] [node_field $c master_replid2]
    }
}
