# Libraries of functions outlive the process and reach replicas: snapshots, the append-only file, replication, payloads;
# kura alone, and in exchange with redis-server.

# A library whose functions return "<library>:<function>"; `word` makes it another one of the same name.
proc library {name functions {word ""}} {
    set code "#!lua name=$name\n"
    foreach f $functions {
        append code "redis.register_function{function_name='$f', flags={'no-writes'}, "
        append code "callback=function(keys, args) return '$name:$f$word' end}\n"
    }
    return $code
}

# {name code ...} in order.
proc libraries {c} {
    set all {}
    foreach one [$c FUNCTION LIST WITHCODE] {
        lappend all [list [dict get $one library_name] [dict get $one library_code]]
    }
    return [concat {*}[lsort $all]]
}

proc fill_libraries {c} {
    $c FUNCTION LOAD [library one {f g}]
    $c FUNCTION LOAD [library two {h}]
    $c FUNCTION LOAD REPLACE [library two {h i} :new]
    $c FUNCTION LOAD [library gone {j}]
    $c FUNCTION DELETE gone
    $c FUNCTION LOAD "#!lua name=long\n--[string repeat { a long comment} 9000]\n[lindex [split [library long k] \n] 1]"
}

# What fill_libraries has made is there, and works.
proc assert_filled {c} {
    assert_equal {long one two} [dict keys [libraries $c]]
    assert_equal [library two {h i} :new] [dict get [libraries $c] two]
    assert_equal {one:g two:i:new long:k} [list [$c FCALL g 0] [$c FCALL i 0] [$c FCALL k 0]]
    assert_error "ERR Function not found" {$c FCALL j 0}
}

proc rewrite_log {c} {
    $c BGREWRITEAOF
    wait_for {[info_field aof_rewrite_in_progress $c] == 0 && [info_field aof_rewrite_scheduled $c] == 0}
    assert_equal ok [info_field aof_last_bgrewrite_status $c]
}

# --- Files ---------------------------------------------------------------------------------------

test "a snapshot has the libraries" {
    with_nodes {a kura {}} {
        $a SET key value
        fill_libraries $a
        $a SAVE
        node_restart $a {}
        assert_filled $a
        assert_equal value [$a GET key]
        $a FLUSHALL
        $a SAVE
        node_restart $a {}
        assert_filled $a
        $a FUNCTION FLUSH
        $a SAVE
        node_restart $a {}
        assert_equal {} [$a FUNCTION LIST]
    }
}

test "changes of libraries count as changes" {
    with_nodes {a kura {save "10000 10000"}} {
        foreach {changes command} [list 1 [list LOAD [library one f]] 1 [list LOAD REPLACE [library one g]] \
                1 {DELETE one} 1 FLUSH 0 {DELETE none} 0 {LOAD nothing} 0 DUMP 0 LIST 0 {RESTORE nothing}] {
            set before [node_field $a rdb_changes_since_last_save]
            catch {$a FUNCTION {*}$command}
            assert_equal $changes [expr {[node_field $a rdb_changes_since_last_save] - $before}]
        }
        set before [node_field $a rdb_changes_since_last_save]
        $a FUNCTION RESTORE [$a FUNCTION DUMP]
        assert_equal 1 [expr {[node_field $a rdb_changes_since_last_save] - $before}]
    }
}

foreach preamble {yes no} {
    test "the append-only file has the libraries, aof-use-rdb-preamble $preamble" {
        set directives "appendonly yes aof-use-rdb-preamble $preamble"
        with_nodes [list a kura $directives] {
            fill_libraries $a
            $a SET key value
            node_restart $a $directives
            assert_filled $a
            rewrite_log $a
            $a FUNCTION LOAD [library behind l]
            set manifest [server_folder $a]/appendonlydir/appendonly.aof.manifest
            assert_match "*All AOF files and manifest are valid*" \
                [exec [file join $::root src kura-check-aof] $manifest 2>@1]
            $a FLUSHALL
            node_restart $a $directives
            assert_equal behind:l [$a FCALL l 0]
            $a FUNCTION DELETE behind
            assert_filled $a
            set payload [$a FUNCTION DUMP]
            $a FUNCTION FLUSH ASYNC
            node_restart $a $directives
            assert_equal {} [$a FUNCTION LIST]
            $a FUNCTION RESTORE $payload
            node_restart $a $directives
            assert_filled $a
            $a DEBUG LOADAOF
            assert_filled $a
        }
    }
}

test "the file gets the commands that have changed something, and no others" {
    with_nodes {a kura {appendonly yes auto-aof-rewrite-percentage 0 aof-checksums no}} {
        need_kura
        $a FUNCTION LOAD [library one f]
        catch {$a FUNCTION LOAD [library one g]}
        catch {$a FUNCTION LOAD REPLACE "#!lua name=one\nreturn 1"}
        catch {$a FUNCTION DELETE two}
        catch {$a FUNCTION RESTORE xyz}
        $a FCALL f 0
        $a function load replace [library one g]
        set bytes [log_bytes $a]
        set expected [stream {SELECT 0} [list FUNCTION LOAD [library one f]] \
            [list function load replace [library one g]]]
        assert_equal $expected [regsub -all {#[^!][^\r\n]*\r\n} $bytes ""]
    }
}

test "DEBUG RELOAD brings the libraries back" {
    with_nodes {a kura {}} {
        fill_libraries $a
        $a DEBUG RELOAD
        assert_filled $a
        $a FUNCTION LOAD [library later m]
        assert_equal OK [$a DEBUG RELOAD NOSAVE NOFLUSH MERGE]
        assert_equal later:m [$a FCALL m 0]
        assert_equal {later long one two} [dict keys [libraries $a]]
        assert_error "ERR Error trying to load*" {$a DEBUG RELOAD NOSAVE NOFLUSH}
        assert_match "*Failed creating the library: Library '*' already exists*" [server_log $a]
        assert_equal OK [$a DEBUG RELOAD NOSAVE]
        assert_filled $a
        assert_error "ERR Function not found" {$a FCALL m 0}
    }
}

test "a snapshot with a library that does not load is refused at the start, and stays as it is" {
    with_nodes {a kura {}} {
        need_kura
        set path [server_folder $a]/dump.rdb
        set bytes "REDIS0010\xf5\x17#!lua name=a\nx = y + 1\n\xff[string repeat \x00 8]"
        set file [open $path wb]
        puts -nonewline $file $bytes
        close $file
        assert_error "ERR Error trying to load*" {$a DEBUG RELOAD NOSAVE}
        assert_match "*Failed creating the library: Error registering functions: *nonexistent global variable 'y'*" \
            [server_log $a]
        set file [open $path rb]
        assert_equal $bytes [read $file]
        close $file
    }
}

# --- Exchange of files ---------------------------------------------------------------------------

foreach {from to} {kura redis redis kura} {
    test "a snapshot of $from with libraries is read by $to" {
        foreach compression {yes no} {
            with_nodes [list a $from "rdbcompression $compression"] {
                fill_libraries $a
                $a SET key value
                $a SAVE
                set b [node_start $to [list dir [server_folder $a]]]
                assert_filled $b
                assert_equal value [$b GET key]
            }
        }
    }

    foreach preamble {yes no} {
        test "an append-only file of $from with libraries is read by $to, aof-use-rdb-preamble $preamble" {
            set directives "appendonly yes aof-use-rdb-preamble $preamble"
            with_nodes [list a $from $directives] {
                fill_libraries $a
                $a SET key value
                rewrite_log $a
                $a FUNCTION LOAD [library behind l]
                node_end $a
                set b [node_start $to [concat $directives [list dir [server_folder $a]]]]
                assert_equal behind:l [$b FCALL l 0]
                $b FUNCTION DELETE behind
                assert_filled $b
                assert_equal value [$b GET key]
            }
        }
    }

    test "a payload of $from is restored by $to" {
        with_nodes [list a $from {} b $to {}] {
            foreach compression {yes no} {
                $a CONFIG SET rdbcompression $compression
                $a FUNCTION FLUSH
                assert_equal OK [$b FUNCTION RESTORE [$a FUNCTION DUMP] FLUSH]
                assert_equal {} [$b FUNCTION LIST]
                fill_libraries $a
                assert_equal OK [$b FUNCTION RESTORE [$a FUNCTION DUMP]]
                assert_filled $b
                assert_error "ERR Library * already exists" {$b FUNCTION RESTORE [$a FUNCTION DUMP]}
                assert_equal OK [$b FUNCTION RESTORE [$a FUNCTION DUMP] REPLACE]
                assert_filled $b
            }
        }
    }
}

foreach diskless {yes no} {
    test "redis-cli --functions-rdb gets the libraries and no keys, repl-diskless-sync $diskless" {
        with_nodes [list a kura "repl-diskless-sync $diskless"] {
            fill_libraries $a
            $a SET key value
            set path [server_folder $a]/functions.rdb
            exec timeout 20 [oracle redis-cli] -p [server_port $a] --functions-rdb $path 2>@1
            foreach program {redis kura} {
                set b [node_start $program [list dir [server_folder $a] dbfilename functions.rdb]]
                assert_filled $b
                assert_equal 0 [$b DBSIZE]
                node_end $b
            }
            set text [exec [file join $::root src kura-check-rdb] $path]
            assert_match "*0 keys read*3 libraries of functions*" $text
            assert_match "*RDB looks OK*" [exec [oracle redis-check-rdb] $path]
        }
    }
}

# --- Replicas ------------------------------------------------------------------------------------

proc wait_libraries {replica primary} {
    wait_for {[libraries $replica] eq [libraries $primary]}
}

foreach {from to} {kura kura kura redis redis kura} {
    test "libraries go from $from to its replica $to" {
        with_nodes [list a $from {} b $to {}] {
            fill_libraries $a
            $b FUNCTION LOAD [library mine f]
            follow $b $a
            assert_filled $b
            assert_equal {long one two} [dict keys [libraries $b]]
            assert_error "READONLY *" {$b FUNCTION LOAD [library other x]}
            assert_error "READONLY *" {$b FUNCTION DELETE one}
            assert_error "READONLY *" {$b FUNCTION FLUSH}
            assert_error "READONLY *" {$b FUNCTION RESTORE [$a FUNCTION DUMP]}
            $a FUNCTION LOAD [library more m]
            wait_libraries $b $a
            $a FUNCTION LOAD REPLACE [library more n]
            wait_libraries $b $a
            assert_equal more:n [$b FCALL n 0]
            $a FUNCTION DELETE more
            wait_libraries $b $a
            $a FLUSHALL
            $a SET last 1
            wait_for {[$b GET last] == 1}
            assert_filled $b
            set payload [$a FUNCTION DUMP]
            $a FUNCTION FLUSH
            wait_libraries $b $a
            $a FUNCTION RESTORE $payload
            wait_libraries $b $a
            $a MULTI
            $a FUNCTION DELETE one
            $a FUNCTION LOAD [library one f :again]
            $a EXEC
            wait_libraries $b $a
            assert_equal one:f:again [$b FCALL f 0]
        }
    }
}

foreach load {disabled on-empty-db swapdb} {
    foreach diskless {yes no} {
        test "a full sync replaces the libraries: repl-diskless-load $load, repl-diskless-sync $diskless" {
            with_nodes [list a kura "repl-diskless-sync $diskless" b kura "repl-diskless-load $load"] {
                fill_libraries $a
                $b FUNCTION LOAD [library mine {f z}]
                $b SET mine 1
                follow $b $a
                assert_filled $b
                assert_error "ERR Function not found" {$b FCALL z 0}
                $b REPLICAOF NO ONE
                $a FUNCTION FLUSH
                $a DEBUG CHANGE-REPL-ID
                follow $b $a
                assert_equal {} [$b FUNCTION LIST]
            }
        }
    }
}

set id [string repeat a 40]

set registers "redis.register_function('n',redis.log)"

# A snapshot with libraries, {code ...}.
proc functions_rdb {sources {tail \xff}} {
    set bytes "REDIS0010"
    foreach source $sources { append bytes [binary format cca* 0xf5 [string length $source] $source] }
    return $bytes$tail[string repeat \x00 8]
}

foreach {load stays} {disabled 0 swapdb 1} {
    with_server [list repl-diskless-load $load repl-rdb-channel no save ""] {
        foreach {what bytes} [list \
            "is damaged behind the libraries" [functions_rdb [list "#!lua name=a\n$registers"] \x09] \
            "has a library that does not load" \
            [functions_rdb [list "#!lua name=a\n$registers" "#!lua name=b\nx = y"]] \
            "has a library twice" [functions_rdb [lrepeat 2 "#!lua name=a\n$registers"]] \
            "has a library of the form before 7.0" "REDIS0010\xf6\x01a\x03LUA\x00\x04code\xff[string repeat \x00 8]"] {
            test "repl-diskless-load $load: a snapshot that $what" {
                need_kura
                catch {r FUNCTION FLUSH}
                r FUNCTION LOAD [library mine f]
                r SET mine 1
                r REPLICAOF 127.0.0.1 [fake_start]
                fake_handshake
                fake_full $::id 5 $bytes
                wait_for {[fake_is_closed]}
                wait_for {[string match "*Failed trying to load the MASTER synchronization DB: *" [server_log]]}
                assert_equal $stays [r EXISTS mine]
                assert_equal $stays [llength [r FUNCTION LIST]]
                if {$stays} { assert_equal mine:f [r FCALL f 0] }
                assert_error "ERR Function not found" {r FCALL n 0}
                r REPLICAOF NO ONE
                fake_end
            }
        }
    }
}

# --- Loading takes too long, and damaged payloads ------------------------------------------------

with_server {} {
    test "a library that loads for too long is given up, and nothing of it stays" {
        r FUNCTION LOAD [library one f]
        set code "#!lua name=one\nredis.register_function('g', function() return 1 end) while true do end"
        set began [clock milliseconds]
        assert_error "ERR Error registering functions: ERR FUNCTION LOAD timeout" {r FUNCTION LOAD REPLACE $code}
        assert {[clock milliseconds] - $began < 5000 * [slowness]}
        assert_equal one:f [r FCALL f 0]
        assert_error "ERR Function not found" {r FCALL g 0}
    }

    test "so is a payload with such a library" {
        need_kura
        r FUNCTION LOAD REPLACE [library one f]
        r DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
        set code "#!lua name=two\nwhile true do end"
        set payload "[binary format cca* 0xf5 [string length $code] $code]\x0a\x00[string repeat x 8]"
        foreach policy {APPEND REPLACE FLUSH} {
            assert_error "ERR Error registering functions: ERR FUNCTION LOAD timeout" \
                {r FUNCTION RESTORE $payload $policy}
            assert_equal one:f [r FCALL f 0]
        }
        r DEBUG SET-SKIP-CHECKSUM-VALIDATION 0
    }

    test "a library may be big, and so may their number" {
        set names {}
        for {set i 0} {$i < 5000} {incr i} { lappend names function_with_a_long_name_$i }
        r FUNCTION FLUSH
        r FUNCTION LOAD [library big $names]
        assert_equal big:[lindex $names 4321] [r FCALL [lindex $names 4321] 0]
        for {set i 0} {$i < 300} {incr i} { r FUNCTION LOAD [library lib$i "a$i b$i"] }
        assert_equal 301 [llength [r FUNCTION LIST]]
        assert_equal 5600 [info_field number_of_functions]
        assert_equal 301 [info_field number_of_libraries]
        assert {[info_field used_memory_functions] > 100000}
        set before [info_field used_memory]
        r FUNCTION FLUSH SYNC
        assert {[info_field used_memory] < $before}
        assert_equal {0 0} [list [info_field number_of_functions] [info_field number_of_libraries]]
    }

    test "replacing libraries for a long time needs no more memory" {
        r FUNCTION FLUSH
        for {set i 0} {$i < 4000} {incr i} {
            if {$i == 1000} { set before [info_field used_memory] }
            r FUNCTION LOAD REPLACE [library one {f g h i j} $i]
            catch {r FUNCTION LOAD REPLACE "[library one {f g h i j} $i] x = 1"}
        }
        assert {[info_field used_memory] < $before + 1000000}
        r FUNCTION FLUSH
    }
}

test "damaged payloads have the effect that redis-server gives them" {
    set redis [node_start redis {}]
    with_nodes {a kura {}} {
        foreach h [list $a $redis] {
            $h DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
            $h CONFIG SET rdbcompression no
        }
        $redis FUNCTION LOAD [library one {f g}]
        $redis FUNCTION LOAD [library two h]
        set payload [$redis FUNCTION DUMP]
        for {set i 0} {$i < 400} {incr i} {
            set bytes $payload
            for {set n [expr {1 + [random_below 3]}]} {$n > 0} {incr n -1} {
                set at [random_below [expr {[string length $bytes] - 10}]]
                set bytes [string replace $bytes $at $at [random_bytes 1]]
            }
            set policy [lindex {APPEND REPLACE FLUSH} [random_below 3]]
            set states {}
            foreach h [list $a $redis] {
                $h FUNCTION FLUSH
                $h FUNCTION LOAD [library old k]
                catch {$h FUNCTION RESTORE $bytes $policy} reply
                lappend states [libraries $h]
            }
            if {[lindex $states 0] ne [lindex $states 1]} {
                error "$policy [binary encode hex $bytes]\n[lindex $states 0]\n[lindex $states 1]"
            }
        }
    }
    server_kill $redis
    server_forget $redis
}

# --- While a function runs -----------------------------------------------------------------------

# A function that runs until it is killed, in a busy server: {client that called it}.
proc start_endless {{h r}} {
    $h CONFIG SET busy-reply-threshold 10
    $h FUNCTION LOAD "#!lua name=endless\nredis.register_function{function_name='endless', flags={'no-writes'},\
        callback=function() while true do end end}"
    set c [client [expr {$h eq "r" ? "" : $h}]]
    $c -send FCALL endless 1 key argument
    wait_for {[catch {$h PING} reply] && [string match "BUSY *" $reply]}
    return $c
}

proc end_endless {h c} {
    assert_equal OK [$h FUNCTION KILL]
    assert_error "ERR *Script killed by user with SCRIPT KILL*" {$c -read}
    wait_for {![catch {$h PING}]}
}

foreach program {kura redis} {
    test "$program: FUNCTION STATS tells of a function that runs, and what else is allowed meanwhile" {
        with_nodes [list a $program {}] {
            set c [start_endless $a]
            set stats [$a FUNCTION STATS]
            set running [dict get $stats running_script]
            assert_equal {name endless command {FCALL endless 1 key argument}} [lrange $running 0 3]
            assert_equal duration_ms [lindex $running 4]
            assert {[lindex $running 5] >= 10}
            assert_equal {LUA {libraries_count 1 functions_count 1}} [dict get $stats engines]
            foreach command [list {FUNCTION LIST} {FUNCTION DUMP} {FUNCTION FLUSH} {FUNCTION DELETE endless} \
                    [list FUNCTION LOAD [library one f]] {FUNCTION RESTORE x} {FCALL endless 0} {FUNCTION HELP}] {
                assert_error "BUSY *FUNCTION KILL or SHUTDOWN NOSAVE." {$a {*}$command}
            }
            assert_error "BUSY *" {$a SCRIPT KILL}
            end_endless $a $c
            assert_equal "" [string trim [dict get [$a FUNCTION STATS] running_script] "(nil)"]
        }
    }
}

foreach load {disabled swapdb} {
    with_server [list repl-diskless-load $load repl-rdb-channel no save ""] {
        test "a full sync that arrives while a function runs waits for its end, repl-diskless-load $load" {
            need_kura
            r FUNCTION LOAD [library mine f]
            r SET mine 1
            set bytes [functions_rdb [list "#!lua name=theirs\n$registers"]]
            r REPLICAOF 127.0.0.1 [fake_start]
            fake_handshake
            r CONFIG SET replica-read-only no
            set c [start_endless r]
            fake_full $::id 5 $bytes
            for {set i 0} {$i < 100} {incr i} {
                assert_error "BUSY *" {r FUNCTION LIST}
                assert_equal endless [dict get [dict get [r FUNCTION STATS] running_script] name]
            }
            end_endless r $c
            wait_for {![catch {r FUNCTION LIST} list] && [llength $list] == 1}
            assert_equal theirs [dict get [lindex $list 0] library_name]
            assert_equal 0 [r EXISTS mine]
            r REPLICAOF NO ONE
            fake_end
        }
    }
}
