# What scripts have changed, as the append-only file and replicas get it: the effects of the calls, as one unit, in the
# bytes of redis-server 7.0.15. And scripts that come out of a log, as Redis wrote them before version 7.

proc masked {text} {
    regsub -all {\m1[789][0-9]{11}\M} $text <time> text
    return $text
}

# The commands of the log, which ends with this one, as lists.
proc logged {h last} {
    wait_for {[string match "*[resp_encode {*}$last]" [log_bytes $h]]}
    return [log_commands [log_bytes $h]]
}

set log {appendonly yes aof-use-rdb-preamble no auto-aof-rewrite-percentage 0}

# The file of kura may select the database that is selected already, behind a call that was for the file alone.
proc without_repeated_selects {commands} {
    set db ""
    set all {}
    foreach words $commands {
        if {[lindex $words 0] eq "SELECT" && [lindex $words 1] eq $db} { continue }
        if {[lindex $words 0] eq "SELECT"} { set db [lindex $words 1] }
        lappend all $words
    }
    return $all
}

# Runs the body with a node of each program as `h`, which is to write SET end 1 last. Each target has to hear the same.
proc same_effects {body} {
    foreach program {redis kura} {
        set more [expr {$program eq "kura" && [kura_is_tested] ? {aof-checksums no} : {}}]
        with_nodes [list h $program [concat $::log $more]] {
            $h DEBUG SET-ACTIVE-EXPIRE 0
            lassign [fake_stream_begin $h] c
            apply [list h $body ::] $h
            set heard($program) {}
            foreach words [fake_commands $c {SET end 1}] { lappend heard($program) "replica: [masked $words]" }
            foreach words [without_repeated_selects [logged $h {SET end 1}]] {
                lappend heard($program) "file: [masked $words]"
            }
        }
    }
    for {set i 0} {[lindex $heard(redis) $i] eq [lindex $heard(kura) $i]} {incr i} {
        if {$i > [llength $heard(redis)]} { return [llength $heard(redis)] }
    }
    set from [expr {$i - 8}]
    set to [expr {$i + 4}]
    error "expected\n    [lrange $heard(redis) $from $to]\nbut heard\n    [lrange $heard(kura) $from $to]"
}

# Errors are part of the game.
proc run {h script args} { catch { $h EVAL $script 0 {*}$args } reply; return $reply }

set scripts {
    "return 1"
    "redis.call('get','a')"
    "redis.call('set','a','1')"
    "redis.call('set','a','1') redis.call('incr','a')"
    "redis.call('del','none') redis.call('set','a','2') redis.call('persist','a')"
    "redis.call('select',3) redis.call('set','x','1') redis.call('set','y','1')"
    "redis.call('select',3) redis.call('set','x','2')"
    "redis.call('set','z','1') redis.call('select',4) redis.call('set','x','1')"
    "redis.call('select',5)"
    "redis.call('set','t','1','ex','100000') redis.call('sadd','s','one') redis.call('spop','s')"
    "redis.call('expire','t','-1') redis.call('getex','a','px','1000000') redis.call('incrbyfloat','f','0.5')"
    "redis.call('publish','c','m')"
    "redis.call('set','a','3') redis.call('publish','c','m')"
    "redis.pcall('incr','a','x') redis.call('set','b','1') redis.call('nosuch')"
    "redis.call('set','b','2') error('afterwards')"
    "redis.call('lpush','l','a','b') redis.call('rpoplpush','l','m') return redis.call('lpop','l')"
    "redis.call('swapdb',0,3) redis.call('set','swapped','1') redis.call('swapdb',0,3)"
    "redis.call('select',9) redis.call('set','x','1') redis.call('flushdb')"
    "redis.call('copy','a','aa') redis.call('move','aa','7')"
    "redis.call('xadd','stream','1-1','f','v') redis.call('xgroup','create','stream','g','0')"
    "redis.set_repl(redis.REPL_NONE) redis.call('set','none','1') redis.call('publish','c','m')"
    "redis.set_repl(redis.REPL_AOF) redis.call('set','file','1')"
    "redis.set_repl(redis.REPL_AOF) redis.call('publish','c','m') redis.call('set','file','2')"
    "redis.set_repl(redis.REPL_REPLICA) redis.call('set','replica','1')"
    "redis.set_repl(redis.REPL_SLAVE) redis.call('set','replica','2') redis.call('set','replica','3')"
    "redis.call('set','all','1') redis.set_repl(redis.REPL_AOF) redis.call('set','file','3')"
    "redis.set_repl(redis.REPL_NONE) redis.call('set','none','2') redis.set_repl(3) redis.call('incr','all')"
    "redis.set_repl(redis.REPL_AOF) redis.call('select',6) redis.call('set','file','4')"
    "redis.set_repl(redis.REPL_REPLICA) redis.call('sadd','r','a') redis.set_repl(1) redis.call('spop','r')"
    "redis.replicate_commands() redis.call('set','a','4')"
    "redis.breakpoint() redis.call('set','a','5')"
}

test "effects leave as nothing, one command, or a transaction" {
    set commands [same_effects {
        foreach script $::scripts { run $h $script }
        $h SET end 1
    }]
    assert {$commands > 60}
}

test "the effects of scripts are part of the transaction that they run in" {
    same_effects {
        foreach script $::scripts {
            $h MULTI
            $h SET before 1
            $h EVAL $script 0
            $h EVAL $script 0
            $h EXEC
            $h MULTI
            $h EVAL $script 0
            $h EXEC
        }
        $h SET end 1
    }
}

test "a key that a script finds expired is part of its unit" {
    same_effects {
        foreach script {
            "return redis.call('get','old')"
            "redis.call('get','old') redis.call('set','a','1')"
            "redis.call('set','a','2') redis.call('get','old')"
            "redis.call('select',2) redis.call('get','old') redis.call('set','a','1')"
            "redis.set_repl(redis.REPL_NONE) redis.call('set','old','new')"
            "redis.set_repl(redis.REPL_AOF) redis.call('get','old') redis.call('set','a','1')"
        } {
            foreach db {0 2} {
                $h SELECT $db
                $h SET old x PX 1
            }
            $h SELECT 0
            after 5
            run $h $script
        }
        $h SET end 1
    }
}

# Random scripts of calls with one outcome.
proc random_script {} {
    set lines {}
    for {set n [random_below 6]} {$n >= 0} {incr n -1} {
        set key k[random_below 5]
        lappend lines [lindex {
            "redis.call('set','$key','[random_below 100]')"
            "redis.pcall('incr','$key')"
            "redis.pcall('rpush','$key','a','b')"
            "redis.pcall('lpop','$key')"
            "redis.call('del','$key')"
            "redis.call('expire','$key','1000')"
            "redis.pcall('getex','$key','persist')"
            "redis.call('publish','$key','m')"
            "redis.call('select',[random_below 3])"
            "redis.call('rename','$key','k0')"
            "redis.set_repl(redis.REPL_ALL)"
            "redis.set_repl([random_below 4])"
            "if redis.call('exists','$key') == 1 then redis.call('append','k1',redis.call('type','$key').ok) end"
        } [random_below 13]]
        lset lines end [uplevel 0 [list subst [lindex $lines end]]]
    }
    return [join $lines " "]
}

test "the effects of random scripts" {
    set ::random {}
    for {set i 0} {$i < 400} {incr i} { lappend ::random [list [random_below 4] [random_script]] }
    same_effects {
        foreach step $::random {
            lassign $step kind script
            if {$kind == 0} { $h MULTI; $h SET in multi }
            run $h $script
            if {$kind == 0} { $h EXEC }
        }
        $h SET end 1
    }
}

# --- The log comes back --------------------------------------------------------------------------

test "the file and a replica have what scripts did" {
    with_nodes [list p kura $log q kura {}] {
        follow $q $p
        foreach script $scripts { run $p $script }
        # What was for one target only is no part of the comparison.
        foreach db {0 6} { $p SELECT $db; $p DEL none file replica r; $q SELECT $db }
        $p SELECT 0
        level $p $q
        set before [dataset $p]
        node_restart $p $log
        assert_equal $before [dataset $p]
    }
}

# SCRIPT LOAD, EVAL and EVALSHA stood in the logs of Redis before 7, and EVAL had no effects beside it.
set old_log {
    {SELECT 0}
    {SCRIPT LOAD "redis.call('incr',KEYS[1]) return redis.call('incr',KEYS[1])"}
    {EVALSHA 3f59b3ae2ae9e8d3b1b6e17eb5bd1b5fd5a3f0c4 1 unknown}
    {EVAL "redis.call('set',KEYS[1],ARGV[1]) redis.call('rpush','l','a','b')" 1 k v}
    {EVAL "redis.call('select',2) redis.call('set','in2','1')" 0}
    {MULTI}
    {EVAL "redis.call('incr','n')" 0}
    {EVAL "redis.call('incr','n')" 0}
    {EXEC}
    {EVAL "redis.call('set','t','1','px','5') return redis.call('time')" 0}
    {EVAL "redis.call('set','partly','1') redis.call('nosuch')" 0}
    {SET last 1}
}

proc with_sha {commands} {
    set text "redis.call('incr',KEYS\[1\]) return redis.call('incr',KEYS\[1\])"
    r SCRIPT LOAD $text
    set sha [r EVAL {return redis.sha1hex(ARGV[1])} 0 $text]
    return [lmap words $commands { string map [list 3f59b3ae2ae9e8d3b1b6e17eb5bd1b5fd5a3f0c4 $sha unknown sha] $words }]
}

test "scripts of an old append-only file run, and their effects are not logged once more" {
    with_server {appendonly yes aof-use-rdb-preamble no aof-checksums no} {
        set commands [with_sha $old_log]
        set bytes [join [lmap words $commands { resp_encode {*}$words }] ""]
        set h [server::handle ""]
        r CONFIG SET appendonly no
        r CONFIG SET appendonly yes
        wait_for {[info_field aof_rewrite_in_progress] == 0}
        set folder [server_folder]
        server_kill
        set path [lindex [lsort [glob [file join $folder appendonlydir *.incr.aof]]] end]
        set file [open $path wb]
        puts -nonewline $file $bytes
        close $file
        server_restart {appendonly yes aof-use-rdb-preamble no aof-checksums no}
        assert_equal v [r GET k]
        assert_equal 2 [r GET sha]
        assert_equal {a b} [r LRANGE l 0 -1]
        assert_equal 2 [r GET n]
        assert_equal {1 1} [list [r GET partly] [r GET last]]
        r SELECT 2
        assert_equal 1 [r GET in2]
        r SELECT 0
        set file [open $path rb]
        assert_equal $bytes [string range [read $file] 0 [string length $bytes]-1]
        assert {[file size $path] < [string length $bytes] + 200} ;# the deadline of t may be over
        close $file
    }
}

test "scripts of an old primary run, and a replica passes them on as they are" {
    set l [fake_primary]
    with_server {} { set commands [with_sha $old_log] }
    set bytes [join [lmap words $commands { resp_encode {*}$words }] ""]
    set more [list aof-checksums no repl-rdb-channel no replicaof "127.0.0.1 [fake_port $l]"]
    with_nodes [list q kura [concat $log $more]] {
        set p [await_replica $l]
        hear_replica $p
        $p -raw "+FULLRESYNC [string repeat a 40] 0\r\n[fake_bulk_snapshot [fake_empty_snapshot]]"
        wait_for {[string match *master_link_status:up* [$q INFO replication]]}
        set sub [fake_replica $q PSYNC ? -1]
        $sub -line
        fake_snapshot $sub
        fake_online $q $sub
        $p -raw $bytes
        wait_for {[$q GET last] == 1}
        assert_equal v [$q GET k]
        assert_equal 2 [$q GET sha]
        assert_equal 2 [$q GET n]
        assert_equal $bytes [$sub -bytes [string length $bytes]]
        assert_equal $bytes [join [lmap words [logged $q {SET last 1}] { resp_encode {*}$words }] ""]
        end_primary $l
    }
}

test "what a client's script writes on a replica is in its file only" {
    with_nodes [list p kura {} q kura [concat $log {aof-checksums no replica-read-only no}]] {
        follow $q $p
        set sub [fake_replica $q PSYNC ? -1]
        $sub -line
        fake_snapshot $sub
        fake_online $q $sub
        run $q "redis.call('set','own','1') redis.call('set','own','2')"
        run $q "redis.set_repl(redis.REPL_REPLICA) redis.call('set','own','3')"
        $p SET last 1
        wait_for {[$q GET last] == 1}
        assert_equal {{SELECT 0} {SET last 1}} [fake_commands $sub {SET last 1}]
        assert_equal {{SELECT 0} MULTI {set own 1} {set own 2} EXEC {SELECT 0} {SET last 1}} \
            [lrange [logged $q {SET last 1}] end-6 end]
    }
}
