# What goes over the wire, byte by byte the same as redis-server 7.0.15: the test plays the replica of each, and then
# the primary of each, and compares what it hears. Ids, ports and times are masked.

# Runs the body, which gives what was heard, with a node of each program as `h`.
proc same_as_redis {directives body} {
    foreach program {redis kura} {
        with_nodes [list h $program $directives] {
            set heard($program) [apply [list {h program} $body] $h $program]
        }
    }
    if {$heard(redis) eq $heard(kura)} { return }
    set theirs [split $heard(redis) \n]
    set ours [split $heard(kura) \n]
    for {set i 0} {[lindex $theirs $i] eq [lindex $ours $i]} {incr i} {}
    set from [expr {$i - 8}]
    set to [expr {$i + 6}]
    error "expected\n    [lrange $theirs $from $to]\nbut heard\n    [lrange $ours $from $to]"
}

proc masked {text} {
    # Ids, and Unix times in milliseconds.
    regsub -all {[0-9a-f]{40}} $text <id> text
    regsub -all {\m1[789][0-9]{11}\M} $text <time> text
    return $text
}

# The answer to a command, errors as they are.
proc answer {c args} {
    $c -send {*}$args
    return [answer_line $c]
}

proc answer_line {c} {
    if {[catch {$c -line} line]} { return "closed" }
    if {[string match {$[0-9]*} $line]} { append line " [$c -bytes [string range $line 1 end]]"; $c -bytes 2 }
    return [masked $line]
}

# --- As a primary --------------------------------------------------------------------------------

set refused {
    {REPLCONF}
    {REPLCONF listening-port}
    {REPLCONF listening-port abc}
    {REPLCONF listening-port 6380}
    {REPLCONF ip-address 10.0.0.1}
    {REPLCONF IP-ADDRESS host.name}
    {REPLCONF capa eof capa psync2 capa unheard-of}
    {REPLCONF capa eof listening-port 1 ip-address x}
    {REPLCONF nonsense 1}
    {REPLCONF capa eof nonsense 1}
    {REPLCONF rdb-only 0}
    {REPLCONF rdb-only abc}
    {REPLCONF rdb-filter-only functions}
    {REPLCONF rdb-filter-only "functions nonsense"}
    {REPLCONF rdb-filter-only ""}
    {PSYNC}
    {PSYNC ?}
    {PSYNC ? abc}
    {PSYNC ? -1 more words}
    {SYNC now}
    {ROLE extra}
    {REPLICAOF}
    {REPLICAOF NO}
    {REPLICAOF 127.0.0.1 abc}
    {REPLICAOF 127.0.0.1 0}
    {REPLICAOF 127.0.0.1 65536}
    {REPLICAOF NO ONE}
    {SLAVEOF no one}
    {ROLE}
    {WAIT 0 0}
    {WAIT 1 1}
    {WAIT a 0}
    {WAIT 0 a}
    {WAIT 0 -1}
    {WAIT -1 1}
    {FAILOVER}
    {FAILOVER ABORT}
    {FAILOVER TO}
    {FAILOVER TO 127.0.0.1 1}
    {FAILOVER TO 127.0.0.1 abc}
    {FAILOVER TIMEOUT 0}
    {FAILOVER TIMEOUT abc}
    {FAILOVER FORCE}
    {FAILOVER TIMEOUT 100 FORCE}
    {FAILOVER ABORT TO 127.0.0.1 1}
    {CLIENT LIST TYPE master}
    {CLIENT LIST TYPE replica}
    {CLIENT KILL TYPE slave}
}

test "answers to what a server without replicas is asked" {
    same_as_redis {} {
        set heard {}
        foreach words $::refused { lappend heard "$words: [answer [client $h] {*}$words]" }
        join $heard \n
    }
}

test "PSYNC and SYNC where they have no place" {
    same_as_redis {} {
        set heard {}
        foreach request {{PSYNC ? -1} SYNC} {
            set c [client $h]
            lappend heard [answer $c MULTI] [answer $c {*}$request] [answer $c EXEC]
            set c [client $h]
            $c SUBSCRIBE news
            lappend heard [answer $c {*}$request]
            set c [client $h]
            $c -raw "[resp_encode ECHO a][resp_encode {*}$request]"
            lappend heard [answer_line $c] [answer_line $c]
        }
        $h CONFIG SET requirepass secret
        foreach request {{PSYNC ? -1} SYNC {REPLCONF capa eof}} { lappend heard [answer [client $h] {*}$request] }
        join $heard \n
    }
}

# {how it is asked, directives}
foreach {name before request directives} {
    "PSYNC with eof, diskless" {REPLCONF capa eof capa psync2} {PSYNC ? -1} {repl-diskless-sync yes}
    "PSYNC without eof, diskless" {REPLCONF capa psync2} {PSYNC ? -1} {repl-diskless-sync yes}
    "PSYNC with eof, disk" {REPLCONF capa eof capa psync2} {PSYNC ? -1} {repl-diskless-sync no}
    "SYNC, diskless" {REPLCONF capa eof} {SYNC} {repl-diskless-sync yes}
    "SYNC, disk" {PING} {SYNC} {repl-diskless-sync no}
    "PSYNC with an unknown id" {PING} {PSYNC 0123456789012345678901234567890123456789 100} {repl-diskless-sync no}
    "rdb-only" {REPLCONF rdb-only 1 capa eof} {PSYNC ? -1} {repl-diskless-sync yes}
    "rdb-only by SYNC" {REPLCONF rdb-only 1} {SYNC} {repl-diskless-sync no}
} {
    test "the handshake and snapshot of $name" {
        set ::before $before
        set ::request $request
        same_as_redis $directives {
            set heard {}
            $h SET a 1
            set c [client $h]
            lappend heard [answer $c {*}$::before]
            $c -send {*}$::request
            if {$::request ne "SYNC"} { lappend heard [masked [$c -line]] }
            lassign [fake_snapshot $c] how bytes
            lappend heard "$how, [string range $bytes 0 4]"
            if {![string match *rdb-only* $::before]} {
                fake_online $h $c
                $h SELECT 3
                $h SET b 2
                lappend heard [fake_stream $c {SET b 2}]
            }
            join $heard \n
        }
    }
}

test "a snapshot without data, and one of functions only" {
    same_as_redis {repl-diskless-sync yes} {
        $h SET a 1
        $h FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
        set heard {}
        foreach filter {"" functions} {
            set c [client $h]
            $c REPLCONF capa eof rdb-only 1 rdb-filter-only $filter
            $c -send PSYNC ? -1
            $c -line
            lassign [fake_snapshot $c] how bytes
            lappend heard "$how [string match *\x01a* $bytes] [string match *register_function* $bytes]"
            $c -close
            wait_for {[node_field $h connected_slaves] == 0}
        }
        join $heard \n
    }
}

# The offsets of a partial sync: just behind the end, inside, before the first and beyond the last byte.
test "which offsets PSYNC continues" {
    same_as_redis {repl-ping-replica-period 1000} {
        lassign [fake_stream_begin $h] c id start
        for {set i 0} {$i < 10} {incr i} { $h SET key$i value }
        fake_stream $c {SET key9 value}
        set end [node_field $h master_repl_offset]
        set heard "[expr {$end - $start}]"
        foreach {name offset} [list next [expr {$end + 1}] first [expr {$start + 1}] inside [expr {$start + 30}] \
                unit [expr {$start + 24}]] {
            foreach capa {psync2 eof} {
                set d [client $h]
                $d REPLCONF capa $capa
                $d -send PSYNC [string toupper $id] $offset
                lappend heard "$name: [masked [$d -line]]"
                lappend heard [$d -bytes [expr {$end - $offset + 1}]]
                $d -close
            }
        }
        foreach {name offset} [list beyond [expr {$end + 2}] before $start zero 0 negative -5 far 99999999999999] {
            set d [client $h]
            $d -send PSYNC $id $offset
            lappend heard "$name: [masked [lindex [split [$d -line]] 0]]"
            $d -close
        }
        lappend heard [node_field $h sync_partial_ok] [node_field $h sync_partial_err]
        join $heard \n
    }
}

test "the PINGs of a primary" {
    same_as_redis {repl-ping-replica-period 1} {
        lassign [fake_stream_begin $h] c id start
        set bytes [$c -bytes 28]
        list $bytes [expr {[node_field $h master_repl_offset] >= $start + 28}]
    }
}

test "a command of a replica that wants a reply ends its connection" {
    same_as_redis {} {
        set heard {}
        foreach words {{GET a} {NOCOMMAND} {SET a b} {PING}} {
            lassign [fake_stream_begin $h] c
            $c -send {*}$words
            # What it did before is not asked; only whether it goes on.
            $h SET after 1
            lappend heard "$words: [catch {while {[fake_command $c] ne {SET after 1}} {}}]"
            $c -close
            wait_for {[node_field $h connected_slaves] == 0}
        }
        join $heard \n
    }
}

# Each command that is written otherwise than it came, and each kind of unit.
set writes {
    {SET a 1} {SET a 2 EX 1000} {SET a 3 PX 100000} {SET a 4 KEEPTTL} {SETEX a 1000 5} {PSETEX a 1000000 6}
    {SETNX a 7} {GETEX a EX 1000} {GETEX a PERSIST} {GETDEL a} {INCR n} {INCRBYFLOAT n 1.25} {APPEND s abc}
    {SETRANGE s 1 x} {EXPIRE n 1000} {PEXPIRE n 1000000} {EXPIREAT n 1} {SET n 1} {PEXPIRE n -1} {MSET x 1 y 2}
    {MSETNX x 1 z 2} {RPUSH l a b c d e f} {LPOP l} {LPOP l 2} {BLPOP l 0.1} {BRPOP l 0.1}
    {LMOVE l m LEFT RIGHT} {BLMOVE l m LEFT RIGHT 0.1} {BRPOPLPUSH m l 0.1} {BLMPOP 0.1 1 l LEFT COUNT 5}
    {LMPOP 1 m LEFT} {SADD set a} {SPOP set} {SADD set a b} {SPOP set 5} {SMOVE set other a} {SADD other a b}
    {SINTERSTORE set other other} {ZADD z 1 a 2 b 3 c 4 d 5 e} {ZPOPMIN z} {ZPOPMAX z 1} {BZPOPMIN z 0.1}
    {ZMPOP 1 z MIN} {BZMPOP 0.1 1 z MIN COUNT 5} {ZADD z INCR 1.5 a} {ZINCRBY z 2.5 a} {HSET h a 1 b 2}
    {HINCRBY h a 5} {HINCRBYFLOAT h a 1.5} {HDEL h a b} {PFADD p a b} {PFCOUNT p} {PFMERGE q p}
    {SETBIT bits 7 1} {BITFIELD bits SET u8 0 255} {GEOADD g 1 1 a}
    {GEOSEARCHSTORE gg g FROMMEMBER a BYRADIUS 1 km} {COPY x y REPLACE} {RENAME x xx} {MOVE y 1}
    {SORT other ALPHA STORE sorted} {UNLINK sorted} {DEL none} {TOUCH s} {PERSIST s} {SELECT 2} {SET in2 1}
    {SWAPDB 0 2} {SELECT 0} {GET in2} {MULTI} {SET a 1} {GET a} {SELECT 3} {INCR a} {EXEC} {SELECT 0} {MULTI}
    {GET a} {EXEC} {MULTI} {SET only 1} {EXEC} {MULTI} {DEL none} {EXEC} {MULTI} {SET a b} {DISCARD} {MULTI}
    {SPOP other} {SPOP other 9} {EXEC} {FLUSHDB} {FLUSHALL ASYNC} {PUBLISH news hello} {SPUBLISH news hello}
    {CONFIG SET maxmemory 0} {SUBSCRIBE} {EVAL} {SETEX a 0 b} {LPUSH a b} {LPUSH a c} {INCR a}
}

test "the stream of commands that are written otherwise than they came" {
    same_as_redis {} {
        lassign [fake_stream_begin $h] c
        foreach words $::writes { catch {$h {*}$words} }
        $h SELECT 9
        $h SET end 1
        join [lmap words [fake_commands $c {SET end 1}] { masked $words }] \n
    }
}

# redis-server passes on a condition that held and an option that came twice, where kura writes the effect; and names in
# the case in which they came.
proc effect {words} {
    set words [lreplace $words 0 0 [string toupper [lindex $words 0]]]
    if {[lindex $words 0] ni {SET PEXPIREAT}} { return $words }
    array set seen {}
    return [concat [lrange $words 0 2] [lmap word [lrange $words 3 end] {
        set word [string toupper $word]
        if {$word in {NX XX GT LT GET} || [info exists seen($word)]} { continue }
        set seen($word) 1
        set word
    }]]
}

# Random commands of those families whose effects are no matter of chance.
test "the stream of random commands" {
    set ::seed [expr {1 + [random_below 1000000000]}]
    set ::families {}
    foreach family {strings lists hashes zsets bitmaps transactions sizes} {
        lappend ::families [file join $::root tests compat $family.grammar]
    }
    same_as_redis {} {
        $h DEBUG SET-ACTIVE-EXPIRE 0
        lassign [fake_stream_begin $h] c
        load_wait [nodes::load $h [concat 5000 0 $::seed $::families]]
        $h SET end 1
        join [lmap words [fake_commands $c {SET end 1}] { masked [effect $words] }] \n
    }
}

# --- As a replica --------------------------------------------------------------------------------

# The handshake of a node that is told to follow the test.
proc hear_handshake {h l} {
    set c [await_replica $l]
    return [list $c [masked [string map [list [server_port $h] <port>] [join [hear_replica $c] \n]]]]
}

foreach {name directives} {
    "nothing else" {}
    "a password" {masterauth secret}
    "a user" {masterauth secret masteruser ada}
    "an announced address" {replica-announce-ip 10.1.2.3 replica-announce-port 7777}
} {
    test "the handshake of a replica that has $name" {
        # Redis 8's second connection is one word more.
        set kura [expr {[kura_is_tested] ? "repl-rdb-channel no" : ""}]
        foreach program {redis kura} {
            set l [fake_primary]
            set more [expr {$program eq "kura" ? $kura : ""}]
            with_nodes [list h $program [concat $directives $more [list replicaof "127.0.0.1 [fake_port $l]"]]] {
                lassign [hear_handshake $h $l] c heard($program)
                $c -close
                $h REPLICAOF NO ONE
            }
            end_primary $l
        }
        assert_equal $heard(redis) $heard(kura)
    }
}

set id_a [string repeat a 40]
set id_b [string repeat b 40]

# A node that has taken an empty snapshot from the test at offset 1000.
proc follow_test {h l {framing length}} {
    $h REPLICAOF 127.0.0.1 [fake_port $l]
    set c [await_replica $l]
    set said [hear_replica $c]
    $c -raw "+FULLRESYNC $::id_a 1000\r\n"
    if {$framing eq "length"} {
        $c -raw "\n\n[fake_bulk_snapshot [fake_empty_snapshot]]"
    } else {
        set mark [string repeat m 40]
        $c -raw "\n\$EOF:$mark\r\n[fake_empty_snapshot]$mark"
        # redis-server looks for the mark at the end of what it has read: nothing may follow before its first ACK.
        fake_ack $c
    }
    return $c
}

# The first ACK of at least this offset, behind which stands a GETACK. redis-server leaves that out, while kura counts
# it, since it has been applied too.
proc ack_from {c least} {
    while {[set ack [fake_ack $c]] < $least} {}
    return [expr {$ack == $least + 37 ? $least : $ack}]
}

foreach framing {length mark} {
    test "offsets are acknowledged behind whole units, and continue after a cut, framing by $framing" {
        set ::framing $framing
        same_as_redis {repl-diskless-load disabled} {
            set l [fake_primary]
            $h SET old 1
            set c [follow_test $h $l $::framing]
            $c -raw [resp_encode REPLCONF GETACK *]
            set heard [list [ack_from $c 1000]]
            $c -raw [resp_encode SELECT 4][resp_encode SET a 1][resp_encode PING][resp_encode REPLCONF GETACK *]
            lappend heard [ack_from $c 1101]
            # A transaction that is cut in two is asked for again as a whole.
            $c -raw [resp_encode MULTI][resp_encode SET a 2][string range [resp_encode SET b 2] 0 9]
            $c -close
            set c [await_replica $l]
            lappend heard [lindex [hear_replica $c] end]
            $c -raw "+CONTINUE\r\n[resp_encode MULTI][resp_encode SET a 2][resp_encode SET b 2][resp_encode EXEC]"
            $c -raw [resp_encode REPLCONF GETACK *]
            lappend heard [ack_from $c 1221]
            $h SELECT 4
            lappend heard [$h MGET a b]
            # Another id: what was so far is the second history.
            $c -close
            set c [await_replica $l]
            lappend heard [lindex [hear_replica $c] end]
            $c -raw "+CONTINUE $::id_b\r\n[resp_encode REPLCONF GETACK *]"
            fake_ack $c
            foreach field {master_replid master_replid2 second_repl_offset slave_repl_offset master_link_status} {
                lappend heard "$field [node_field $h $field]"
            }
            lappend heard [$h ROLE]
            # A replica of it goes on from either history.
            $c -raw [resp_encode SET c 3]
            wait_for {[$h GET c] == 3}
            set d [client $h]
            $d REPLCONF capa psync2
            $d -send PSYNC $::id_a 1001
            lappend heard [$d -line] [fake_stream $d {SET c 3}]
            # Promoted.
            $h REPLICAOF NO ONE
            lappend heard [expr {[node_field $h master_replid] ni [list $::id_a $::id_b]}]
            foreach field {master_replid2 second_repl_offset master_repl_offset} {
                lappend heard "$field [node_field $h $field]"
            }
            end_primary $l
            regsub -all {127.0.0.1 \d+} [string map [list [fake_port $l] <port>] [join $heard \n]] <address>
        }
    }
}

# What the replica does after each answer to PSYNC: what it says next, on this connection or the next one.
foreach {name reply} {
    "NOMASTERLINK" "-NOMASTERLINK Can't SYNC while not connected with my master\r\n"
    "LOADING" "-LOADING Redis is loading the dataset in memory\r\n"
    "another error" "-ERR unknown command 'PSYNC'\r\n"
} {
    test "the answer $name to PSYNC" {
        set ::reply $reply
        same_as_redis {} {
            set l [fake_primary]
            $h REPLICAOF 127.0.0.1 [fake_port $l]
            set c [await_replica $l]
            hear_replica $c
            $c -raw "\n\n$::reply"
            if {[catch {fake_request $c} next]} { set next "closed" }
            set heard [list $next [node_field $h master_link_status]]
            $c -close
            set c [await_replica $l]
            lappend heard [lindex [lindex [hear_replica $c] end] 0]
            end_primary $l
            join $heard \n
        }
    }
}

foreach {step reply} {
    PING "-NOAUTH Authentication required.\r\n"
    PING "-NOPERM this user has no permissions\r\n"
    PING "-ERR operation not permitted\r\n"
    PING "-LOADING busy\r\n"
    PING "-MASTERDOWN stale\r\n"
    AUTH "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    REPLCONF "-ERR unknown command\r\n"
} {
    test "the answer [string trim $reply] to $step" {
        set ::step $step
        set ::reply $reply
        same_as_redis {masterauth secret} {
            set l [fake_primary]
            $h REPLICAOF 127.0.0.1 [fake_port $l]
            set c [await_replica $l]
            set heard {}
            while {![catch {fake_request $c} words]} {
                set verb [lindex $words 0]
                lappend heard $verb
                if {$verb eq "PSYNC"} { break }
                catch { $c -raw [expr {$verb eq $::step ? $::reply : $verb eq "PING" ? "+PONG\r\n" : "+OK\r\n"}] }
            }
            end_primary $l
            join $heard \n
        }
    }
}

test "commands that clients may and may not send to a replica" {
    same_as_redis {} {
        set l [fake_primary]
        set c [follow_test $h $l]
        $c -raw [resp_encode SELECT 0][resp_encode SET a 1]
        wait_for {[$h GET a] == 1}
        set d [client $h]
        set heard {}
        set requests {{SET a 2} {DEL a} {FLUSHALL} {GET a} {EXISTS a} {WAIT 0 0} {PUBLISH x y} {PFCOUNT p}
            {SORT a STORE b} {MULTI} {SET a 2} {GET a} {EXEC} {FAILOVER} {REPLICAOF 127.0.0.1 PORT} {BLPOP l 0}
            {SWAPDB 0 1} {GETEX a}
            {CLIENT LIST TYPE primary} {GETEX a PERSIST} {SPUBLISH x y} {EXPIRE a 10} {SUBSCRIBE}}
        foreach words $requests {
            set words [string map [list PORT [fake_port $l]] $words]
            lappend heard "[lindex $words 0]: [answer $d {*}$words]"
        }
        # Without a link: served, or not.
        $c -close
        end_primary $l
        wait_for {[node_field $h master_link_status] eq "down"}
        lappend heard [answer $d GET a]
        $h CONFIG SET replica-serve-stale-data no
        foreach words {{GET a} {PING} {INFO} {SET a 1} {PUBLISH x y} {SUBSCRIBE x} {REPLCONF capa eof} {PSYNC ? -1}
                {ECHO x}} {
            set d [client $h]
            regsub {^\$.*} [answer $d {*}$words] {$} reply
            lappend heard "[lindex $words 0]: $reply"
        }
        $h CONFIG SET replica-serve-stale-data yes
        lappend heard [answer [client $h] PSYNC ? -1] [answer [client $h] SYNC]
        join $heard \n
    }
}
