# While the dataset is being loaded: replies, INFO, the end of the server, and memory.

proc fields {c} {
    foreach line [split [$c INFO persistence] \n] {
        if {[regexp {^(\w+):(.*?)\r?$} $line -> name value]} { set found($name) $value }
    }
    return [array get found]
}

foreach {kind directives} {RDB {save ""} AOF {save "" appendonly yes aof-use-rdb-preamble no}} {
    with_server $directives {
        # 120 keys at 10 ms each: loading takes more than a second, unless a test ends it before.
        for {set i 0} {$i < 120} {incr i} { r SET key:$i [string repeat v 100] }
        if {$kind eq "RDB"} { r SAVE }
        set slowly [concat $directives {key-load-delay 10000}]
        set h [lindex $server::stack end]
        set folder [server_folder]

        test "While the $kind file is loaded, data is out of reach and INFO shows the progress" {
            r_close
            server_kill $h
            server::launch $h $folder [server_port] $slowly ""
            wait_for {![catch {resp_connect 127.0.0.1 [server_port]} c]}
            assert_error "LOADING Redis is loading the dataset in memory" {$c GET key:1}
            assert_error "LOADING *" {$c PING}
            assert_error "LOADING *" {$c SET a b}
            assert_error "LOADING *" {$c BGSAVE}
            assert_error "LOADING *" {$c DEBUG RELOAD}
            assert_error "LOADING *" {$c DEBUG LOADAOF}
            assert_error "LOADING *" {$c CONFIG SET appendonly yes}
            assert_match "*id=*" [$c CLIENT LIST]
            $c MULTI
            catch {$c GET key:1}
            assert_error "EXECABORT*" {$c EXEC}
            array set info [fields $c]
            assert_equal 1 $info(loading)
            assert_equal 0 $info(async_loading)
            assert {$info(loading_start_time) > 1600000000 && $info(loading_start_time) <= [clock seconds]}
            assert {$info(loading_total_bytes) > 0}
            assert {$info(loading_loaded_bytes) <= $info(loading_total_bytes)}
            assert {$info(loading_loaded_perc) <= 100 && $info(loading_eta_seconds) >= 0}
            wait_for {![catch {$c GET key:1} value]} 30000
            assert_equal [string repeat v 100] $value
            array unset info
            array set info [fields $c]
            assert_equal 0 $info(loading)
            assert {![info exists info(loading_start_time)]}
            assert_equal 120 [$c DBSIZE]
            $c -close
        }

        test "SHUTDOWN and signals end a server that loads the $kind file, and harm nothing" {
            foreach how {SHUTDOWN {SHUTDOWN SAVE} TERM INT} {
                server_kill $h
                server::launch $h $folder [server_port] $slowly ""
                wait_for {![catch {resp_connect 127.0.0.1 [server_port]} c]}
                if {[string match SHUTDOWN* $how]} {
                    catch {$c {*}$how} reply
                    assert_match "connection closed*" $reply
                } else {
                    assert_error "LOADING *" {$c PING}
                    send_signal $how [server_pid]
                }
                assert_equal 0 [server_wait_exit]
                catch {$c -close}
            }
            assert {![regexp {Saving the final} [server_log]]}
            server_restart $directives KILL
            assert_equal 120 [r DBSIZE]
        }
    }
}

with_server {save "" appendonly yes} {
    test "INFO persistence has the fields of Redis, in the order of Redis" {
        regsub -all {:[^\r\n]*} [r INFO persistence] "" names
        set expected {# Persistence loading async_loading current_cow_peak current_cow_size current_cow_size_age
            current_fork_perc current_save_keys_processed current_save_keys_total rdb_changes_since_last_save
            rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec
            rdb_current_bgsave_time_sec rdb_saves rdb_last_cow_size rdb_last_load_keys_expired
            rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled
            aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_last_bgrewrite_status aof_rewrites
            aof_rewrites_consecutive_failures aof_last_write_status aof_last_cow_size module_fork_in_progress
            module_fork_last_cow_size aof_current_size aof_base_size aof_pending_rewrite aof_buffer_length
            aof_pending_bio_fsync aof_delayed_fsync}
        assert_equal [list {*}$expected] [regexp -all -inline {\S+} $names]
    }
}

proc memory_line {name} {
    regexp "$name:\\s+(\\d+) kB" [exec cat /proc/[server_pid]/status] -> kb
    return $kb
}

foreach {kind directives} {RDB {save ""} AOF {save "" appendonly yes}} {
    with_server $directives {
        test "Loading an $kind file takes hardly more memory than the dataset" {
            if {[slowness] > 1} { skip "sanitizers keep what was freed" }
            r DEBUG POPULATE 100000 key 100
            set c [client]
            for {set i 0} {$i < 20000} {incr i} { $c -send SET other:$i [string repeat w 200] }
            for {set i 0} {$i < 20000} {incr i} { $c -read }
            for {set i 0} {$i < 20000} {incr i} { $c -send RPUSH list:[expr {$i / 100}] [string repeat l 50] }
            for {set i 0} {$i < 20000} {incr i} { $c -read }
            r SAVE
            server_restart $directives KILL
            wait_for {![catch {r PING}]}
            set peak [memory_line VmHWM]
            set now [memory_line VmRSS]
            # The window over the file and the like do not grow with the dataset.
            if {$peak > $now * 1.1 + 2500} { error "$peak kB at most, $now kB in the end" }
        }
    }
}

test "The service manager hears how far the start has come, and READY in the end" {
    set h [server_start {save ""}]
    set c [client $h]
    for {set i 0} {$i < 120} {incr i} { $c SET key:$i v }
    $c SAVE
    server_kill $h
    set socket [file join [server_folder $h] notify]
    set manager [open "|[list $::root/build/tools/datagrams $socket]" r]
    fconfigure $manager -blocking 0
    wait_for {[file exists $socket]}
    set ::env(NOTIFY_SOCKET) $socket
    set next [server_start {save "" supervised systemd key-load-delay 10000} -folder [server_folder $h]]
    unset ::env(NOTIFY_SOCKET)
    set told ""
    wait_for {[append told [read $manager]] ne "" && [string match "*READY=1*" $told]} 30000
    server_stop $next
    send_signal KILL [pid $manager]
    catch {close $manager}
    assert_match "STATUS=Loading the dataset: * %*STATUS=Ready to accept connections*READY=1*" $told
    assert {[regexp -all {STATUS=Loading} $told] >= 1}
    assert {[string last "Loading" $told] < [string first "READY=1" $told]}
    server_forget $h
}
