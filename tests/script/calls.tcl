# What the calls of a script are to the rest of the server: to its gates, its statistics, MONITOR, client-side caches,
# messages, waiting clients, and to the client itself.

proc eval_error {script {command EVAL}} {
    if {![catch { r $command $script 0 } error]} { error "no error of $script" }
    return [regsub { script: [0-9a-f]{40}, on @user_script:\d+\.$} $error { <where>}]
}

proc field_of {section line name} {
    foreach text [split [r INFO $section] \n] {
        if {[regexp "^$line:.*?\\m$name=(\\d+)" $text -> value]} { return $value }
    }
    return 0
}

set first_write "redis.call('set','w','1')"

with_server {} {
    # --- The client --------------------------------------------------------------------------------

    test "What a script selects is its own" {
        assert_equal {OK (nil) here} [r EVAL "
            redis.call('set','where','here')
            local ok = redis.call('select',4).ok
            local there = redis.call('get','where')
            redis.call('set','where','there')
            redis.call('select',0)
            return {ok, there or false, redis.call('get','where')}" 0]
        assert_equal here [r GET where]
        r EVAL "redis.call('select',4)" 0
        assert_equal here [r GET where]
        catch { r EVAL "redis.call('select',4) error('afterwards')" 0 }
        assert_equal here [r GET where]
        r SELECT 4
        assert_equal there [r EVAL "return redis.call('get','where')" 0]
        r SELECT 0
    }

    test "A protocol that a script sets is its own" {
        r HSET h f v
        set c [client]
        $c -tagged 1
        assert_equal {array {{bulk f} {bulk v}}} [$c EVAL "return redis.call('hgetall','h')" 0]
        $c EVAL "redis.setresp(3)" 0
        assert_equal {array {{bulk f} {bulk v}}} [$c EVAL "return redis.call('hgetall','h')" 0]
        assert_equal {array {{bulk f} {bulk v}}} [$c HGETALL h]
        $c HELLO 3
        assert_equal {array {{bulk f} {bulk v}}} [$c EVAL "return redis.call('hgetall','h')" 0]
        assert_equal map [lindex [$c HGETALL h] 0]
    }

    test "CLIENT REPLY hides what the client is sent, not what its script reads" {
        set c [client]
        foreach hidden {OFF SKIP} {
            r DEL copy
            r SET seen x
            $c -send CLIENT REPLY $hidden
            $c -send EVAL "redis.call('set','copy',redis.call('get','seen'))" 0
            if {$hidden eq "OFF"} { $c -send CLIENT REPLY ON; assert_equal OK [$c -read] }
            assert_equal PONG [$c PING]
            assert_equal x [r GET copy]
        }
        r SET copy y
        $c -send MULTI
        $c -send CLIENT REPLY OFF
        $c -send EVAL "redis.call('set','copy',redis.call('get','seen')) return 'hidden'" 0
        $c -send CLIENT REPLY ON
        $c -send EXEC
        assert_equal {OK QUEUED QUEUED QUEUED} [list [$c -read] [$c -read] [$c -read] [$c -read]]
        assert_equal x [r GET copy]
    }

    test "CLIENT NO-TOUCH holds for the calls" {
        r SET k v
        r DEBUG SLEEP 1.1
        set c [client]
        $c CLIENT NO-TOUCH ON
        $c EVAL "return redis.call('get','k')" 0
        assert {[r OBJECT IDLETIME k] >= 1}
        $c CLIENT NO-TOUCH OFF
        $c EVAL "return redis.call('get','k')" 0
        assert {[r OBJECT IDLETIME k] < 1}
    }

    test "READONLY in a script does not outlive it" {
        set c [client]
        $c CLIENT CAPA redirect
        $c EVAL "redis.call('readonly')" 0
        r REPLICAOF 127.0.0.1 1
        assert_error "REDIRECT *" { $c GET k }
        r REPLICAOF NO ONE
    }

    # --- Waiting -----------------------------------------------------------------------------------

    test "What would wait replies at once, as in EXEC" {
        r DEL none
        foreach {call reply} {
            "'blpop','none','0'" (nil)
            "'brpoplpush','none','other','0'" (nil)
            "'blmove','none','other','left','left','0'" (nil)
            "'blmpop','0','1','none','left'" (nil)
            "'bzpopmin','none','0'" (nil)
            "'bzmpop','0','1','none','min'" (nil)
            "'xread','block','0','streams','none','0'" (nil)
        } {
            assert_equal $reply [r EVAL "return redis.call($call)" 0]
        }
        r RPUSH list a b
        assert_equal {list a} [r EVAL "return redis.call('blpop','list','0')" 0]
        assert_equal "ERR This Redis command is not allowed from script <where>" \
            [eval_error "return redis.call('wait','0','0')"]
    }

    test "Waiting clients are served behind the script, with what it has left" {
        r DEL list
        set c [client]
        $c -send BLPOP list 0
        wait_for {[info_field blocked_clients] == 1}
        assert_equal {2 1 b} [r EVAL "
            local n = redis.call('rpush','list','a','b')
            local first = redis.call('lpop','list')
            return {n, redis.call('llen','list'), redis.call('lindex','list',0)}" 0]
        assert_equal {list b} [$c -read]
        $c -send BLPOP list 0
        wait_for {[info_field blocked_clients] == 1}
        r EVAL "redis.call('rpush','list','a') redis.call('del','list')" 0
        r SET last 1
        assert_equal 1 [info_field blocked_clients]
        r RPUSH list c
        assert_equal {list c} [$c -read]
    }

    test "The client's own messages follow its reply, in its own protocol" {
        set c [client]
        $c HELLO 3
        $c SUBSCRIBE news
        $c CLIENT TRACKING ON
        $c GET tracked
        $c -tagged 1
        $c -send EVAL "redis.call('publish','news','hi') redis.call('set','tracked','1') return {1, 2}" 0
        assert_equal {array {{int 1} {int 2}}} [$c -read]
        assert_equal {push {{bulk message} {bulk news} {bulk hi}}} [$c -read]
        assert_equal {push {{bulk invalidate} {array {{bulk tracked}}}}} [$c -read]
        assert_equal {simple PONG} [$c EVAL "return redis.call('ping')" 0]
    }

    test "WATCH and keyspace events see each call" {
        r CONFIG SET notify-keyspace-events KA
        set c [client]
        $c PSUBSCRIBE __keyspace@0__:*
        r SET watched 0
        assert_equal set [lindex [$c -read] 3]
        r WATCH watched
        set d [client]
        $d EVAL "redis.call('incr','watched') redis.call('expire','watched',100) redis.call('del','watched')" 0
        r MULTI
        assert_equal (nil) [r EXEC]
        foreach event {incrby expire del} {
            assert_equal [list pmessage __keyspace@0__:* __keyspace@0__:watched $event] [$c -read]
        }
        r CONFIG SET notify-keyspace-events ""
    }

    # --- Who hears of calls ------------------------------------------------------------------------

    proc seen {m} {
        set line {^\+\d+\.\d{6} \[(\d+) (lua|127\.0\.0\.1:\d+)\] (.*)$}
        if {![regexp $line [$m -line] -> db from words]} { error "no line" }
        return "$db [expr {$from eq "lua" ? "lua" : "client"}] $words"
    }

    test "MONITOR shows the script, then its calls" {
        r SCRIPT LOAD "return redis.call('ping')"
        set m [client]
        $m MONITOR
        r EVAL "
            redis.call('set',KEYS\[1\],'v') redis.pcall('nosuch') redis.call('select',2)
            return redis.call('get','x')" 1 k
        catch { r EVALSHA [string repeat f 40] 0 }
        catch { r EVAL }
        catch { r EVAL "return 1" none }
        r MULTI
        r EVAL_RO "return redis.call('get','x')" 0
        r EXEC
        assert_match {0 client "EVAL" "*redis.call('set'*" "1" "k"} [seen $m]
        assert_equal {0 lua "set" "k" "v"} [seen $m]
        assert_equal {2 lua "select" "2"} [seen $m]
        assert_equal {2 lua "get" "x"} [seen $m]
        assert_match {0 client "EVALSHA" "ffff*" "0"} [seen $m]
        assert_equal {0 client "EVAL" "return 1" "none"} [seen $m]
        assert_equal {0 client "MULTI"} [seen $m]
        assert_match {0 client "EVAL_RO" "return *" "0"} [seen $m]
        assert_equal {0 lua "get" "x"} [seen $m]
        assert_equal {0 client "EXEC"} [seen $m]
    }

    test "Client-side caches are told of keys that scripts have read, and of no others" {
        r MSET read 1 named 1 written 1
        set c [client]
        $c HELLO 3
        $c CLIENT TRACKING ON
        foreach command {EVAL EVAL_RO} {
            r CONFIG RESETSTAT
            $c $command "redis.call('get','read') return redis.call('mget','read','read2')" 1 named
            assert_equal 2 [info_field tracking_total_keys]
            r MSET named 2 read2 2 read 2
            assert_equal {invalidate read2} [$c -read]
            assert_equal {invalidate read} [$c -read]
        }
        $c EVAL "redis.call('set','written','2')" 0
        assert_equal 0 [info_field tracking_total_keys]
        $c CLIENT TRACKING OFF
        $c CLIENT TRACKING ON OPTIN
        $c EVAL "redis.call('get','read')" 0
        assert_equal 0 [info_field tracking_total_keys]
        $c CLIENT CACHING YES
        $c EVAL "redis.call('get','read') redis.call('get','read2')" 0
        assert_equal 2 [info_field tracking_total_keys]
        r DEL read read2
        $c -close
    }

    # --- Gates -------------------------------------------------------------------------------------

    test "A script without flags writes until memory is short, and then what it has begun" {
        r FLUSHALL
        r SET big [string repeat x 100000]
        r CONFIG SET maxmemory 1
        set oom "OOM command not allowed when used memory > 'maxmemory'. <where>"
        assert_equal $oom [eval_error "redis.call('set','a','1')"]
        assert_equal $oom [eval_error "redis.call('get','a') redis.call('set','a','1')"]
        assert_equal 0 [r EXISTS a]
        r EVAL "redis.call('del','none') redis.call('set','a','1') redis.call('set','b','1')" 0
        assert_equal 2 [r EXISTS a b]
        assert_equal {OOM command not allowed when used memory > 'maxmemory'.} [eval_error "#!lua\nreturn 1"]
        r EVAL "#!lua flags=allow-oom\nredis.call('set','c','1')" 0
        assert_equal 1 [r EXISTS c]
        assert_equal 100000 [r EVAL "#!lua flags=no-writes\nreturn redis.call('strlen','big')" 0]
        r CONFIG SET maxmemory 0
    }

    test "Keys are evicted before a script, not under it" {
        r FLUSHALL
        r CONFIG SET maxmemory-policy allkeys-random
        for {set i 0} {$i < 2000} {incr i} { r SET key$i [string repeat x 1000] }
        r CONFIG SET maxmemory [expr {[info_field used_memory] - 500000}]
        wait_for {[info_field evicted_keys] > 100}
        lassign [r EVAL "
            local n = redis.call('dbsize')
            for i = 1, 1000 do redis.call('set','new' .. i,string.rep('y',1000)) end
            return {n, redis.call('dbsize')}" 0] n then
        assert_equal [expr {$n + 1000}] $then
        wait_for {[r DBSIZE] < $n + 100}
        r CONFIG SET maxmemory 0
        r CONFIG SET maxmemory-policy noeviction
        r FLUSHALL
    }

    test "Too few good replicas stop the writes of scripts, and scripts that may write" {
        r CONFIG SET min-replicas-to-write 1
        set text "NOREPLICAS Not enough good replicas to write."
        assert_equal "$text <where>" [eval_error $first_write]
        assert_equal $text [eval_error "#!lua\nreturn 1"]
        assert_equal (nil) [r EVAL "#!lua flags=no-writes\nreturn redis.call('get','none')" 0]
        assert_equal (nil) [r EVAL "return redis.call('get','none')" 0]
        r CONFIG SET min-replicas-to-write 0
    }

    test "A replica refuses the writes of scripts, and without its primary runs only what may be stale" {
        r SET k v
        r REPLICAOF 127.0.0.1 1
        set text "READONLY You can't write against a read only replica."
        assert_equal "$text <where>" [eval_error $first_write]
        assert_equal $text [eval_error "#!lua\nreturn 1"]
        assert_equal v [r EVAL "return redis.call('get','k')" 0]
        r CONFIG SET replica-serve-stale-data no
        set text "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
        assert_equal $text [eval_error "return 1"]
        assert_equal $text [eval_error "#!lua flags=no-writes\nreturn 1"]
        set stale "#!lua flags=no-writes,allow-stale\n"
        assert_equal 1 [r EVAL "${stale}return 1" 0]
        assert_equal OK [r EVAL "${stale}return redis.call('select',0)" 0]
        assert_equal "ERR Can not execute the command on a stale replica <where>" \
            [eval_error "${stale}return redis.call('get','k')"]
        r MULTI
        assert_error "MASTERDOWN *" { r EVAL "return 1" 0 }
        assert_error "EXECABORT *" { r EXEC }
        r CONFIG SET replica-serve-stale-data yes
        r REPLICAOF NO ONE
    }

    test "A snapshot that failed stops the writes of scripts, and scripts that may write" {
        r CONFIG SET save "3600 1000000"
        file mkdir [server_folder]/dump.rdb/x ;# it cannot be replaced
        r BGSAVE
        wait_for {[info_field rdb_last_bgsave_status] eq "err"}
        set text "MISCONF Redis is configured to save RDB snapshots, *"
        assert_match "$text <where>" [eval_error $first_write]
        assert_match $text [eval_error "#!lua\nreturn 1"]
        assert_equal PONG [r EVAL "return redis.call('ping')" 0]
        r CONFIG SET stop-writes-on-bgsave-error no
        wait_for {![catch { r EVAL $first_write 0 }]}
        r CONFIG SET save ""
        file delete -force [server_folder]/dump.rdb
    }

    test "A pause of writes stops scripts that may write" {
        r CLIENT PAUSE 100000 WRITE
        set c [client]
        set d [client]
        assert_equal 1 [r EVAL_RO "return 1" 0]
        assert_equal 1 [r EVAL "#!lua flags=no-writes\nreturn 1" 0]
        $c -send EVAL "return 2" 0
        $d -send EVAL "#!lua\nreturn 3" 0
        wait_for {[info_field blocked_clients] == 2}
        r CLIENT UNPAUSE
        assert_equal {2 3} [list [$c -read] [$d -read]]
    }
}

# --- Statistics ----------------------------------------------------------------------------------

set counted {
    "return 1"
    "return redis.call('set','s','x')"
    "return redis.call('get')"
    "return redis.pcall('get')"
    "return redis.call('nosuch')"
    "return redis.pcall('nosuch')"
    "return redis.call('multi')"
    "return redis.call('lpush','s','x')"
    "return redis.pcall('lpush','s','x')"
    "redis.pcall('lpush','s','x') return redis.call('incr','s')"
    "local e = redis.pcall('lpush','s','x') return e"
    "local e = redis.pcall('lpush','s','x') return redis.error_reply(e.err)"
    "return redis.error_reply('MY own')"
    "error('thrown')"
    "error({err='ERR table'})"
    "return redis.call('object','encoding')"
    "return redis.call('object','nosuch','k')"
    "return redis.call('config','get','x')"
    "return {redis.call('get','s'), redis.call('mget','s','s')}"
}

proc counters {h} {
    set lines {}
    foreach line [split [string map [list \r ""] [$h INFO everything]] \n] {
        if {[regexp {^(cmdstat_[^:]*):(calls=\d+).*(rejected_calls=\d+,failed_calls=\d+)} $line -> name calls failed]} {
            if {![regexp {config|info|debug|command} $name]} { lappend lines "$name $calls $failed" }
        } elseif {[regexp {^(errorstat_.*|total_error_replies:.*)$} $line -> text]} {
            lappend lines $text
        }
    }
    return [lsort $lines]
}

test "calls are counted as redis-server counts them" {
    foreach program {redis kura} {
        with_nodes [list h $program {}] {
            set counts($program) {}
            set first [node_field $h total_commands_processed]
            foreach command {EVAL EVAL_RO} {
                foreach script $counted {
                    $h CONFIG RESETSTAT
                    catch { $h $command $script 0 }
                    lappend counts($program) "$command $script: [join [counters $h] {; }]"
                }
            }
            $h MULTI
            $h EVAL "redis.pcall('get') redis.call('get','k')" 0
            $h EVAL "return redis.call('nosuch')" 0
            $h EXEC
            lappend counts($program) [counters $h]
            lappend counts($program) [expr {[node_field $h total_commands_processed] - $first}]
        }
    }
    foreach redis $counts(redis) kura $counts(kura) { assert_equal $redis $kura }
}
