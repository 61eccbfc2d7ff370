# aof-checksums: with yes, each write is a frame with a checksum; with no, the log is as Redis 7 writes it.

proc slurp {path} {
    set file [open $path rb]
    set bytes [read $file]
    close $file
    return $bytes
}

proc in_log {name} { return [slurp [file join [server_folder] appendonlydir appendonly.aof.$name]] }
proc manifest {} { return [slurp [file join [server_folder] appendonlydir appendonly.aof.manifest]] }
proc wait_idle {} {
    wait_for {[info_field aof_rewrite_scheduled] == 0 && [info_field aof_rewrite_in_progress] == 0}
}

test "Without checksums the log is as Redis writes it" {
    with_server {appendonly yes aof-checksums no} {
        r SET k v
        r MULTI
        r SET a 1
        r SET b 2
        r EXEC
        r SELECT 1
        r SET c 3
        set expected [resp_encode SELECT 0][resp_encode SET k v][resp_encode MULTI][resp_encode SET a 1]
        append expected [resp_encode SET b 2][resp_encode EXEC][resp_encode SELECT 1][resp_encode SET c 3]
        assert_equal $expected [in_log 1.incr.aof]
        r SELECT 0
        set all [dataset]
        server_restart {appendonly yes aof-checksums no} KILL
        assert_equal $all [dataset]
        r CONFIG SET aof-use-rdb-preamble no
        r BGREWRITEAOF
        wait_idle
        assert {![string match "*#K:*" [in_log 2.base.aof]]}
        server_restart {appendonly yes aof-checksums no} KILL
        assert_equal $all [dataset]
    }
}

test "A change at run time begins a new increment, and nothing is lost" {
    with_server {appendonly yes appendfsync always} {
        assert_equal {aof-checksums yes} [r CONFIG GET aof-checksums]
        r SET one 1
        assert_equal OK [r CONFIG SET aof-checksums no]
        wait_for {[string match "*2.incr.aof*" [manifest]]}
        r SET two 2
        assert_match "#K:*" [in_log 1.incr.aof]
        assert_equal [resp_encode SELECT 0][resp_encode SET two 2] [in_log 2.incr.aof]
        r CONFIG SET aof-checksums no
        r SET three 3
        r CONFIG SET aof-checksums yes
        wait_for {[string match "*3.incr.aof*" [manifest]]}
        r SET four 4
        assert_match "#K:*SET*four*" [in_log 3.incr.aof]
        assert {![string match "*#K:*" [in_log 2.incr.aof]]}
        assert_equal 0 [info_field aof_rewrites]
        assert_equal ok [info_field aof_last_bgrewrite_status]
        set all [dataset]
        server_restart {appendonly yes} KILL
        assert_equal $all [dataset]
        assert_equal 4 [r DBSIZE]
        # Changes under load, with a rewrite in between.
        set c [client]
        for {set i 0} {$i < 200} {incr i} {
            $c -send INCR counter
            if {$i % 20 == 0} { r CONFIG SET aof-checksums [expr {$i % 40 ? "yes" : "no"}] }
            if {$i == 100} { r BGREWRITEAOF }
        }
        for {set i 0} {$i < 200} {incr i} { $c -read }
        wait_idle
        server_restart {appendonly yes} KILL
        assert_equal 200 [r GET counter]
    }
}

test "A log of the other kind gets a new increment at the start" {
    with_server {appendonly yes} {
        r SET one 1
        server_restart {appendonly yes aof-checksums no} KILL
        wait_for {[string match "*2.incr.aof*" [manifest]]}
        r SET two 2
        assert_equal [resp_encode SELECT 0][resp_encode SET two 2] [in_log 2.incr.aof]
        server_restart {appendonly yes aof-checksums no} KILL
        r SET three 3
        server_restart {appendonly yes} KILL
        wait_for {[string match "*3.incr.aof*" [manifest]]}
        assert_equal 3 [r DBSIZE]
        assert_equal {} [in_log 3.incr.aof]
    }
}

test "aof-disable-auto-gc no removes the history at once" {
    with_server {appendonly yes aof-disable-auto-gc yes} {
        for {set i 1} {$i <= 2} {incr i} {
            r SET k $i
            r BGREWRITEAOF
            wait_idle
        }
        # As Redis: the newest history first.
        assert_equal "file appendonly.aof.3.base.rdb seq 3 type b
file appendonly.aof.2.incr.aof seq 2 type h
file appendonly.aof.2.base.rdb seq 2 type h
file appendonly.aof.1.incr.aof seq 1 type h
file appendonly.aof.1.base.rdb seq 1 type h
file appendonly.aof.3.incr.aof seq 3 type i
" [manifest]
        assert_equal 6 [llength [glob [file join [server_folder] appendonlydir *.aof] \
            [file join [server_folder] appendonlydir *.rdb]]]
        r CONFIG SET aof-disable-auto-gc no
        wait_for {![string match "*type h*" [manifest]]}
        wait_for {[llength [glob [file join [server_folder] appendonlydir *]]] == 3}
        # While a rewrite is under way, it is done afterwards.
        r CONFIG SET aof-disable-auto-gc yes
        r BGREWRITEAOF
        r CONFIG SET aof-disable-auto-gc no
        wait_for {[llength [glob [file join [server_folder] appendonlydir *]]] == 3}
        assert {![string match "*type h*" [manifest]]}
    }
}
