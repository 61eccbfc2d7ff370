# A restart brings back what was written: every type, from every kind of base, however the log was switched on.

proc aof_file {pattern} {
    return [glob -nocomplain [file join [server_folder] appendonlydir $pattern]]
}

proc read_bytes {path} {
    set file [open $path rb]
    set bytes [read $file]
    close $file
    return $bytes
}

proc wait_rewritten {} {
    wait_for {[info_field aof_rewrite_scheduled] == 0 && [info_field aof_rewrite_in_progress] == 0}
    assert_equal ok [info_field aof_last_bgrewrite_status]
}

foreach preamble {yes no} {
    set how [list appendonly yes aof-use-rdb-preamble $preamble]
    with_server $how {
        test "Every type comes back from the log (aof-use-rdb-preamble $preamble)" {
            dataset_fill
            set before [dataset]
            server_restart $how KILL
            assert_equal $before [dataset]
        }

        test "Every type comes back from a rewritten base (aof-use-rdb-preamble $preamble)" {
            set before [dataset]
            r BGREWRITEAOF
            wait_rewritten
            assert_equal 1 [llength [aof_file *.incr.aof]]
            assert_equal 1 [llength [aof_file *.base.*]]
            r SET after-rewrite 1
            server_restart $how KILL
            assert_equal 1 [r GET after-rewrite]
            r DEL after-rewrite
            assert_equal $before [dataset]
        }

        test "Rewrites lose nothing that clients write meanwhile (aof-use-rdb-preamble $preamble)" {
            set c [client]
            for {set round 0} {$round < 5} {incr round} {
                catch {r BGREWRITEAOF}
                for {set i 0} {$i < 2000} {incr i} { $c -send INCR counter:[expr {$i % 7}] }
                for {set i 0} {$i < 2000} {incr i} { $c -read }
            }
            wait_rewritten
            set before [dataset]
            server_restart $how KILL
            assert_equal $before [dataset]
        }
    }
}

with_server {appendonly no} {
    test "A log that is switched on at run time holds the old data and the new" {
        dataset_fill
        r CONFIG SET appendonly yes
        for {set i 0} {$i < 100} {incr i} { r INCR counter }
        wait_rewritten
        r INCR counter
        set before [dataset]
        server_restart {appendonly yes} KILL
        assert_equal $before [dataset]
    }

    test "A log that is switched off and on again holds the same" {
        r CONFIG SET appendonly no
        assert_equal 0 [info_field aof_enabled]
        r SET unlogged 1
        r CONFIG SET appendonly yes
        wait_rewritten
        r SET logged 1
        set before [dataset]
        server_restart {appendonly yes} KILL
        assert_equal $before [dataset]
    }

    test "The first rewrite puts even the very next command of the same client into the log" {
        r CONFIG SET appendonly no
        r CONFIG SET hz 1
        r CONFIG SET rdb-key-save-delay 1000
        r BGSAVE
        r CONFIG SET appendonly yes
        r CONFIG SET rdb-key-save-delay 0
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        set c [client]
        $c -send BGREWRITEAOF
        $c -send SET next 1
        $c -read
        $c -read
        r CONFIG SET hz 10
        wait_rewritten
        server_restart {appendonly yes} KILL
        assert_equal 1 [r GET next]
    }

    test "A second rewrite is refused, BGSAVE has to wait, and BGSAVE SCHEDULE waits by itself" {
        r CONFIG SET rdb-key-save-delay 10000
        r BGREWRITEAOF
        assert_error "ERR Background append only file rewriting already in progress" {r BGREWRITEAOF}
        assert_error "ERR Another child process is active*" {r BGSAVE}
        assert_equal "Background saving scheduled" [r BGSAVE SCHEDULE]
        r CONFIG SET rdb-key-save-delay 0
        r CONFIG SET appendonly no
        wait_for {[info_field rdb_saves] > 0 && [info_field rdb_bgsave_in_progress] == 0}
        assert_equal ok [info_field rdb_last_bgsave_status]
    }
}

with_server {appendonly yes appendfsync always} {
    test "The log is on disk before the reply" {
        for {set i 0} {$i < 20} {incr i} {
            r SET key:$i $i
            assert {[string first "key:$i\r\n" [read_bytes [aof_file *.incr.aof]]] > 0}
        }
    }

    test "The log deletes expired keys too, and a restart does not bring them back" {
        r SET short v PX 20
        r SET long v PX 1000000
        wait_for {[regexp -nocase {(del|unlink)\r\n\$5\r\nshort} [read_bytes [aof_file *.incr.aof]]]}
        server_restart {appendonly yes} KILL
        assert_equal (nil) [r GET short]
        assert_equal v [r GET long]
    }

    test "Commands in the log see the keys that expired between the crash and the restart" {
        r DEBUG SET-ACTIVE-EXPIRE 0
        r SET k v
        r PEXPIRE k 100
        r APPEND k w
        server_restart {appendonly yes} KILL
        after 150
        assert_equal (nil) [r GET k]
        r DEBUG SET-ACTIVE-EXPIRE 1
    }
}

with_server {appendonly yes} {
    test "A command that reads and stores its result in the key is loaded again" {
        r PFADD hll a b c
        r PFCOUNT hll
        set before [r GET hll]
        server_restart {appendonly yes} KILL
        assert_equal $before [r GET hll]
    }
}

with_server {appendonly yes aof-timestamp-enabled yes} {
    test "Timestamps stand between writes, and the loader skips them" {
        r SET a 1
        after 1100
        r SET b 2
        assert_equal 2 [regexp -all -line {^#TS:[0-9]+\r$} [read_bytes [aof_file *.incr.aof]]]
        server_restart {appendonly yes} KILL
        assert_equal {1 2} [r MGET a b]
    }
}

with_server {appendonly no save {}} {
    test "The single file of an old version moves into the directory" {
        set file [open [file join [server_folder] appendonly.aof] wb]
        puts -nonewline $file [resp_encode SELECT 0][resp_encode SET old 1][resp_encode RPUSH list a b]
        close $file
        server_restart {appendonly yes}
        assert_equal 1 [r GET old]
        assert_equal {a b} [r LRANGE list 0 -1]
        assert {![file exists [file join [server_folder] appendonly.aof]]}
        r SET new 2
        server_restart {appendonly yes} KILL
        assert_equal {1 2} [r MGET old new]
    }
}

with_server {appendonly yes auto-aof-rewrite-min-size 10000 auto-aof-rewrite-percentage 100} {
    test "A growing log is rewritten by itself" {
        for {set i 0} {$i < 2000} {incr i} { r SET key value:$i }
        wait_for {[info_field aof_rewrites] > 0}
        wait_rewritten
        server_restart {appendonly yes} KILL
        assert_equal value:1999 [r GET key]
    }
}

# The log refers to a large value instead of copying it, until it is written and sent.
with_server {appendonly yes save {} repl-diskless-sync-delay 0} {
    test "Large values are written as they came, whatever becomes of them in the same turn" {
        set replica [node_start kura [list replicaof "127.0.0.1 [server_port]"]]
        wait_for {[node_field $replica master_link_status] eq "up"}
        set big [string repeat 0123456789abcdef 70000]
        set other [string repeat x 40000]
        set c [client]
        foreach command {
            {SET k $big} {APPEND k end} {SETRANGE k 5 XYZ} {GETSET l $big} {SET l small}
            {MSET a $big b $other a $other k2 $big} {DEL k2} {SETRANGE b 0 $big} {HSET h f $big}
            {RPUSH list $other $big} {PUBLISH channel $big} {MULTI} {SET m $big}
            {APPEND m $other} {EXEC} {RENAME m n} {SET gone $big PX 100000}
        } {
            $c -send {*}[subst -nocommands $command]
        }
        for {set i 0} {$i < 17} {incr i} { $c -read }
        $c -close
        set digest [r DEBUG DIGEST]
        wait_for {[$replica DEBUG DIGEST] eq $digest}
        node_end $replica
        server_restart {appendonly yes} KILL
        assert_equal $digest [r DEBUG DIGEST]
        assert_equal $big[string range $other 0 end] [r GET n]
    }
}
