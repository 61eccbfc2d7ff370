# Starts under difficulties: full and read-only disks, a manifest that is lost, a snapshot beside no log, a second
# server in the folder, and what dead processes have left.

proc in_folder {h args} { return [file join [server_folder $h] {*}$args] }

proc slurp {path} {
    set file [open $path rb]
    set bytes [read $file]
    close $file
    return $bytes
}

proc spill {path bytes {mode wb}} {
    set file [open $path $mode]
    puts -nonewline $file $bytes
    close $file
}

# Starts a server in the folder of h that is not to come up. Returns what it has logged.
proc log_of_refusal {h directives} {
    set before [string length [server_log $h]]
    set next [server_start $directives -folder [server_folder $h] -wait 0]
    assert_equal 1 [server_wait_exit 20000 $next]
    return [string range [server_log $h] $before end]
}

# Runs the body with the client `c` of a server that is started in the folder of h.
proc with_next {h directives body} {
    upvar c c next next
    set next [server_start $directives -folder [server_folder $h]]
    set c [resp_connect 127.0.0.1 [server_port $next]]
    $c -timeout 20000
    set code [catch {uplevel 1 $body} result options]
    $c -close
    server_kill $next
    return -options $options $result
}

# A log of ten keys.
proc make_log {{directives {appendonly yes}}} {
    set h [server_start $directives]
    set c [resp_connect 127.0.0.1 [server_port $h]]
    for {set i 0} {$i < 10} {incr i} { $c SET key:$i value:$i }
    $c -close
    server_kill $h
    return $h
}

# --- disks -----------------------------------------------------------------------------------

# Puts the folder of h on a file system of its own, of so many kB. Skips the test where mounting is not allowed.
proc mount_small {h kb} {
    set folder [server_folder $h]
    set aside [string trim [exec mktemp -d]]
    exec sh -c {cp -a "$1"/. "$2"} sh $folder $aside
    if {[catch {exec mount -t tmpfs -o size=${kb}k kura-test $folder} why]} {
        file delete -force $aside
        skip "no mount: $why"
    }
    exec sh -c {cp -a "$1"/. "$2"} sh $aside $folder
    file delete -force $aside
}

proc fill_up {h} {
    catch {exec sh -c {cat /dev/zero >"$1"} sh [in_folder $h filler]}
}

proc unmount {h} { exec umount -l [server_folder $h] }

test "A server starts on a full disk, serves reads, refuses writes, and goes on when there is room" {
    set h [make_log]
    mount_small $h 400
    try {
        fill_up $h
        set manifest [slurp [in_folder $h appendonlydir appendonly.aof.manifest]]
        with_next $h {appendonly yes appendfsync everysec logfile /dev/null} {
            assert_equal 10 [$c DBSIZE]
            assert_equal $manifest [slurp [in_folder $h appendonlydir appendonly.aof.manifest]]
            set error ""
            for {set i 0} {$i < 100 && $error eq ""} {incr i} { catch {$c SET big:$i [string repeat v 1000]} error
                if {$error eq "OK"} { set error "" } }
            assert_match "MISCONF Errors writing to the AOF file: No space left on device" $error
            assert_equal value:3 [$c GET key:3]
            file delete [in_folder $h filler]
            wait_for {![catch {$c SET k v}]}
        }
        with_next $h {appendonly yes logfile /dev/null} { assert_equal v [$c GET k] }
    } finally { unmount $h }
    server_forget $h
}

test "A torn end that a full disk cannot keep does not prevent the start" {
    set h [make_log]
    set incr [in_folder $h appendonlydir appendonly.aof.1.incr.aof]
    set whole [slurp $incr]
    mount_small $h 400
    try {
        spill $incr "#K:torn" ab
        fill_up $h
        with_next $h {appendonly yes appendfsync always logfile /dev/null} {
            assert_equal 10 [$c DBSIZE]
            assert_error "MISCONF Errors writing to the AOF file: No space left on device" {$c SET k v}
            assert_equal err [info_field aof_last_write_status $c]
            assert_error "ERR Can't execute an AOF background rewriting.*" {$c BGREWRITEAOF}
            assert_equal $whole#K:torn [slurp $incr]
            file delete [in_folder $h filler]
            wait_for {![catch {$c SET k v}]}
            assert_equal ok [info_field aof_last_write_status $c]
            assert_equal "#K:torn" [slurp [lindex [glob [in_folder $h appendonlydir *.removed]] 0]]
        }
        with_next $h {appendonly yes logfile /dev/null} {
            assert_equal 11 [$c DBSIZE]
            assert_equal v [$c GET k]
        }
    } finally { unmount $h }
    server_forget $h
}

test "Keys that expire while the log cannot be written are in it afterwards" {
    set h [make_log]
    set incr [in_folder $h appendonlydir appendonly.aof.1.incr.aof]
    mount_small $h 400
    try {
        spill $incr [resp_encode SET soon 5 PX 1][resp_encode SET soon 5 PXAT [expr {[clock milliseconds] + 1000}]] ab
        spill $incr "*1" ab
        fill_up $h
        with_next $h {appendonly yes appendfsync always logfile /dev/null} {
            wait_for {[$c EXISTS soon] == 0}
            file delete [in_folder $h filler]
            wait_for {![catch {$c INCR soon} reply] && $reply == 1}
        }
        with_next $h {appendonly yes logfile /dev/null} { assert_equal 1 [$c GET soon] }
    } finally { unmount $h }
    server_forget $h
}

# A server whose own log is elsewhere, since its dir takes no new file.
proc start_elsewhere {folder directives {wait 1}} {
    return [server_start [dict merge [list dir $folder] $directives] -wait $wait]
}

test "A server starts in a read-only folder, and goes on when it can write" {
    set h [make_log]
    mount_small $h 400
    set folder [server_folder $h]
    set log [string trim [exec mktemp]]
    try {
        foreach save {"" "3600 1"} {
            exec mount -o remount,ro $folder
            set next [start_elsewhere $folder [list appendonly yes appendfsync always save $save logfile $log]]
            set c [client $next]
            assert_equal 10 [$c DBSIZE]
            assert_error "MISCONF Errors writing to the AOF file: Read-only file system" {$c SET k v}
            assert_equal value:3 [$c GET key:3]
            exec mount -o remount,rw $folder
            wait_for {![catch {$c SET k v}]}
            $c DEL k
            server_kill $next
        }
        # Without a log there is nothing to serve.
        file delete -force [in_folder $h appendonlydir]
        exec mount -o remount,ro $folder
        set next [start_elsewhere $folder [list appendonly yes save "" logfile $log] 0]
        assert_equal 1 [server_wait_exit 20000 $next]
        assert_match "*Can't open or create append-only dir appendonlydir: Read-only file system*" [slurp $log]
    } finally { unmount $h }
    file delete $log
    server_forget $h
}

# --- the manifest ----------------------------------------------------------------------------

test "Files without a manifest are neither overwritten nor taken for nothing" {
    set h [make_log]
    set manifest [in_folder $h appendonlydir appendonly.aof.manifest]
    set incr [in_folder $h appendonlydir appendonly.aof.1.incr.aof]
    set base [in_folder $h appendonlydir appendonly.aof.1.base.rdb]
    set kept [slurp $manifest]
    file delete $manifest
    set before [slurp $incr][slurp $base]
    set log [log_of_refusal $h {appendonly yes}]
    assert_match "*Found the file appendonlydir/appendonly.aof.1.incr.aof of * bytes*The manifest\
        appendonlydir/appendonly.aof.manifest is not there*" $log
    assert_equal $before [slurp $incr][slurp $base]
    assert {![file exists $manifest]}
    # What the message advises works.
    spill $manifest "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    assert_equal $kept [slurp $manifest]
    with_next $h {appendonly yes} { assert_equal 10 [$c DBSIZE] }
    server_forget $h
}

test "A base alone without a manifest is found, too" {
    set h [server_start {appendonly yes}]
    set c [resp_connect 127.0.0.1 [server_port $h]]
    $c SET k v
    $c BGREWRITEAOF
    wait_for {[info_field aof_rewrite_in_progress $c] == 0}
    $c -close
    server_kill $h
    file delete [in_folder $h appendonlydir appendonly.aof.manifest] \
        [in_folder $h appendonlydir appendonly.aof.2.incr.aof]
    assert_match "*Found the file appendonlydir/appendonly.aof.2.base.rdb*" [log_of_refusal $h {appendonly yes}]
    server_forget $h
}

test "A first start that was cut short does not prevent the next one" {
    foreach preamble {yes no} {
        set directives [list appendonly yes aof-use-rdb-preamble $preamble aof-timestamp-enabled yes]
        set h [server_start $directives]
        server_kill $h
        file delete [in_folder $h appendonlydir appendonly.aof.manifest]
        with_next $h $directives { assert_equal OK [$c SET k v] }
        with_next $h $directives { assert_equal v [$c GET k] }
        server_forget $h
    }
}

test "A rewrite does not overwrite files that the manifest does not name" {
    set h [make_log]
    spill [in_folder $h appendonlydir appendonly.aof.2.incr.aof] precious
    spill [in_folder $h appendonlydir appendonly.aof.2.base.rdb] precious
    with_next $h {appendonly yes} {
        $c BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress $c] == 0}
        assert_equal ok [info_field aof_last_bgrewrite_status $c]
        $c SET k v
    }
    assert_equal precious [slurp [in_folder $h appendonlydir appendonly.aof.2.incr.aof]]
    assert_equal precious [slurp [in_folder $h appendonlydir appendonly.aof.2.base.rdb]]
    assert_equal "file appendonly.aof.3.base.rdb seq 3 type b\nfile appendonly.aof.3.incr.aof seq 3 type i\n" \
        [slurp [in_folder $h appendonlydir appendonly.aof.manifest]]
    with_next $h {appendonly yes} { assert_equal 11 [$c DBSIZE] }
    server_forget $h
}

# --- the snapshot ----------------------------------------------------------------------------

test "A log that is switched on in the configuration begins with the snapshot" {
    set h [server_start {save "3600 1"}]
    set c [resp_connect 127.0.0.1 [server_port $h]]
    dataset_fill $c
    set all [dataset $c]
    $c SAVE
    $c -close
    server_kill $h
    with_next $h {appendonly yes save "3600 1"} {
        assert_equal $all [dataset $c]
        assert_match "*There is no append-only file yet: it begins with the data of dump.rdb*" [server_log $h]
        $c SET behind 1
        set all [dataset $c]
        catch {$c SHUTDOWN}
    }
    file rename [in_folder $h dump.rdb] [in_folder $h old.rdb]
    with_next $h {appendonly yes} { assert_equal $all [dataset $c] }
    # A log that exists is what counts, even an empty one.
    with_next $h {appendonly yes} {
        $c FLUSHALL
        $c BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress $c] == 0}
    }
    file rename [in_folder $h old.rdb] [in_folder $h dump.rdb]
    with_next $h {appendonly yes} { assert_equal 0 [$c DBSIZE] }
    server_forget $h
}

test "A snapshot that is broken is not replaced by an empty log" {
    set h [server_start {}]
    server_kill $h
    spill [in_folder $h dump.rdb] "REDIS0011\xff broken"
    assert_match "*Fatal error loading the DB*Terminating server after rdb file reading failure.*" \
        [log_of_refusal $h {appendonly yes}]
    assert {![file exists [in_folder $h appendonlydir]]}
    server_forget $h
}

# --- a second server -------------------------------------------------------------------------

test "A second server with the same log is refused, and told whose it is" {
    set h [server_start {appendonly yes}]
    set c [client $h]
    $c SET k v
    assert_match "*The append-only dir appendonlydir is in use by the process [server_pid $h]:*" \
        [log_of_refusal $h {appendonly yes}]
    assert_equal OK [$c SET k v2]
    with_next $h {appendonly no} { assert_equal PONG [$c PING] }
    # Another folder for the log, and there is no conflict.
    with_next $h {appendonly yes appenddirname other} { assert_equal OK [$c SET k v3] }
    assert_equal v2 [[client $h] GET k]
    # A child that saves does not prolong the lock.
    set c [client $h]
    $c CONFIG SET rdb-key-save-delay 10000000
    $c BGSAVE
    server_kill $h
    with_next $h {appendonly yes} { assert_equal v2 [$c GET k] }
    server_forget $h
}

test "kura-check-aof --fix leaves the files of a running server alone" {
    set h [server_start {appendonly yes}]
    set tool [file join [file dirname [server_binary]] kura-check-aof]
    if {![file exists $tool]} { file link -symbolic $tool [server_binary] }
    set manifest [in_folder $h appendonlydir appendonly.aof.manifest]
    assert_match "*All AOF files and manifest are valid*" [exec $tool $manifest]
    assert_equal 1 [catch {exec $tool --fix $manifest << y} output]
    assert_match "*is in use by the process [server_pid $h]*" $output
    server_kill $h
    assert_match "*All AOF files and manifest are valid*" [exec $tool --fix $manifest << y]
    server_forget $h
}

test "A second server with the same snapshot is refused, if both save by themselves" {
    set h [server_start {save "3600 1"}]
    set pid [server_pid $h]
    assert_match "*The snapshot dump.rdb in [server_folder $h] is in use by the process $pid:*" \
        [log_of_refusal $h {save "60 1"}]
    with_next $h {save "" enable-protected-configs yes} {
        assert_error "*Another server saves to this file*" {$c CONFIG SET save "60 1"}
        assert_equal {save {}} [$c CONFIG GET save]
        assert_equal OK [$c CONFIG SET dbfilename other.rdb]
        assert_equal OK [$c CONFIG SET save "60 1"]
        assert_error "*Another server saves to this file*" {$c CONFIG SET dbfilename dump.rdb}
        assert_equal {dbfilename other.rdb} [$c CONFIG GET dbfilename]
    }
    with_next $h {save "60 1" dbfilename other.rdb} { assert_equal PONG [$c PING] }
    server_kill $h
    with_next $h {save "60 1"} { assert_equal PONG [$c PING] }
    server_forget $h
}

test "CONFIG SET dir moves the lock of the snapshot, and a clean end leaves no file of it" {
    set here [server_start {save "3600 1" enable-protected-configs yes}]
    set there [server_start {save "3600 1"}]
    set c [client $here]
    assert_error "*Another server saves to this file*" {$c CONFIG SET dir [server_folder $there]}
    assert_equal [list dir [server_folder $here]] [$c CONFIG GET dir]
    server_kill $there
    assert_equal OK [$c CONFIG SET dir [server_folder $there]]
    assert {![file exists [in_folder $here .dump.rdb.lock]]}
    assert_match "*is in use by the process [server_pid $here]*" [log_of_refusal $there {save "3600 1"}]
    with_next $here {save "3600 1"} { assert_equal PONG [$c PING] }
    server_stop $here
    assert {![file exists [in_folder $there .dump.rdb.lock]]}
    server_forget $here
    server_forget $there
}

test "dir stays while the log is on" {
    set h [server_start {appendonly yes enable-protected-configs yes}]
    set c [client $h]
    assert_error "*dir can't be changed while the append-only file is on*" {$c CONFIG SET dir /}
    assert_equal OK [$c CONFIG SET dir [server_folder $h]]
    $c CONFIG SET appendonly no
    wait_for {![catch {$c CONFIG SET dir /}]}
    server_kill $h
    server_forget $h
}

# --- left-overs ------------------------------------------------------------------------------

test "A start removes what dead processes have left, and nothing else" {
    set h [make_log]
    set dead [exec sh -c {echo $$}]
    set alive [pid]
    set gone [list temp-$dead.rdb temp-$dead-0123456789abcdef.rdb temp-rewriteaof-$dead.aof \
        temp-rewriteaof-bg-$dead.aof temp-rewriteaof-bg-$dead-0123456789abcdef.aof]
    set stay [list temp-$alive.rdb temp-rewriteaof-bg-$alive.aof temp-.rdb temp-x.rdb temp-$dead.rdb.txt \
        temp-$dead-x.rdb my-temp-$dead.rdb]
    foreach name [concat $gone $stay] { spill [in_folder $h $name] x }
    foreach name {temp-appendonly.aof.incr temp-appendonly.aof.manifest} {
        spill [in_folder $h appendonlydir $name] x
    }
    # A server that saves nothing by itself removes nothing: the folder may belong to others.
    with_next $h {} {}
    foreach name $gone { assert {[file exists [in_folder $h $name]]} }
    with_next $h {appendonly yes} { assert_equal 10 [$c DBSIZE] }
    foreach name $gone { assert {![file exists [in_folder $h $name]]} }
    foreach name $stay { assert {[file exists [in_folder $h $name]]} }
    assert_equal {} [glob -nocomplain [in_folder $h appendonlydir temp-*]]
    server_forget $h
}

test "A second SIGINT during the last save leaves no file" {
    set h [server_start {save "3600 1"}]
    set c [client $h]
    $c DEBUG POPULATE 5
    $c CONFIG SET rdb-key-save-delay 10000000
    send_signal INT [server_pid $h]
    wait_for {[llength [glob -nocomplain [in_folder $h temp-*]]] == 1}
    send_signal INT [server_pid $h]
    assert_equal 1 [server_wait_exit 20000 $h]
    assert_equal {} [glob -nocomplain [in_folder $h temp-*]]
    server_forget $h
}

test "A link that is planted under the name of a temporary file leads nowhere" {
    set h [server_start {save ""}]
    set victim [in_folder $h victim]
    spill $victim precious
    set c [client $h]
    $c SET k v
    # The name of the former versions. Those of this one cannot be guessed.
    file link -symbolic [in_folder $h temp-[server_pid $h].rdb] victim
    assert_equal OK [$c SAVE]
    assert_equal precious [slurp $victim]
    assert_equal file [file type [in_folder $h dump.rdb]]
    server_kill $h
    server_forget $h
}
