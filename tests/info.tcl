# INFO: its sections and fields, and whether they count what they say.

proc section_names {text} {
    return [lmap {- name} [regexp -all -inline -line {^# (\w+)\r$} $text] { set name }]
}

# The fields of one section of INFO as a dictionary.
proc section {name} {
    set d [dict create]
    foreach line [split [r INFO $name] \n] {
        if {[regexp {^([^#:]+):(.*)\r$} $line -> field value]} { dict set d $field $value }
    }
    return $d
}

with_server {} {
    test "INFO has the sections of Redis, in the order of Redis" {
        set default {Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace}
        set all {Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats
                 Cluster Keyspace}
        assert_equal $default [section_names [r INFO]]
        assert_equal $default [section_names [r INFO default]]
        assert_equal [list {*}$all] [section_names [r INFO everything]]
        assert_equal [list {*}$all] [section_names [r INFO ALL]]
        assert_equal {Clients CPU} [section_names [r INFO cpu CLIENTS cpu]]
        assert_equal {Commandstats} [section_names [r INFO commandstats nothing]]
        assert_equal "" [r INFO nothing]
        assert_equal "" [r INFO nothing else]
    }

    test "An empty line separates sections" {
        assert_equal "# Cluster\r\ncluster_enabled:0\r\n" [r INFO cluster]
        assert_equal "# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n" [r INFO cluster modules]
        foreach line [split [string range [r INFO everything] 0 end-1] \n] {
            assert {[regexp {^(|# \w+|[^:]+:.*)\r?$} $line]}
        }
    }

    test "INFO is verbatim in RESP3" {
        set c [client]
        $c HELLO 3
        $c -tagged 1
        assert_equal {verbatim {txt {}}} [$c INFO nothing]
        $c -close
    }

    test "INFO has the fields that clients and exporters read" {
        set fields [dict create]
        foreach line [split [r INFO everything] \n] { dict set fields [lindex [split $line :] 0] 1 }
        foreach field {
            redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits monotonic_clock
            multiplexing_api atomicvar_api gcc_version process_id process_supervised run_id tcp_port server_time_usec
            uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file io_threads_active
            connected_clients cluster_connections maxclients client_recent_max_input_buffer
            client_recent_max_output_buffer blocked_clients tracking_clients clients_in_timeout_table
            used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak
            used_memory_peak_human used_memory_peak_perc used_memory_overhead used_memory_startup used_memory_dataset
            used_memory_dataset_perc allocator_allocated allocator_active allocator_resident total_system_memory
            total_system_memory_human used_memory_lua used_memory_vm_eval used_memory_lua_human
            used_memory_scripts_eval number_of_cached_scripts number_of_functions number_of_libraries
            used_memory_vm_functions used_memory_vm_total used_memory_vm_total_human used_memory_functions
            used_memory_scripts used_memory_scripts_human maxmemory maxmemory_human maxmemory_policy
            allocator_frag_ratio allocator_frag_bytes allocator_rss_ratio allocator_rss_bytes rss_overhead_ratio
            rss_overhead_bytes mem_fragmentation_ratio mem_fragmentation_bytes mem_not_counted_for_evict
            mem_replication_backlog mem_total_replication_buffers mem_clients_slaves mem_clients_normal
            mem_cluster_links mem_aof_buffer mem_allocator active_defrag_running lazyfree_pending_objects
            lazyfreed_objects loading async_loading current_cow_peak current_cow_size current_cow_size_age
            current_fork_perc current_save_keys_processed current_save_keys_total rdb_changes_since_last_save
            rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec
            rdb_current_bgsave_time_sec rdb_saves rdb_last_cow_size rdb_last_load_keys_expired
            rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled
            aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_last_bgrewrite_status aof_rewrites
            aof_rewrites_consecutive_failures aof_last_write_status aof_last_cow_size module_fork_in_progress
            module_fork_last_cow_size total_connections_received total_commands_processed instantaneous_ops_per_sec
            total_net_input_bytes total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes
            instantaneous_input_kbps instantaneous_output_kbps instantaneous_input_repl_kbps
            instantaneous_output_repl_kbps rejected_connections sync_full sync_partial_ok sync_partial_err
            expired_keys expired_stale_perc expired_time_cap_reached_count expire_cycle_cpu_milliseconds evicted_keys
            evicted_clients evicted_scripts total_eviction_exceeded_time current_eviction_exceeded_time keyspace_hits
            keyspace_misses
            pubsub_channels pubsub_patterns pubsubshard_channels latest_fork_usec total_forks migrate_cached_sockets
            slave_expires_tracked_keys active_defrag_hits active_defrag_misses active_defrag_key_hits
            active_defrag_key_misses total_active_defrag_time current_active_defrag_time tracking_total_keys
            tracking_total_items tracking_total_prefixes unexpected_error_replies total_error_replies
            dump_payload_sanitizations total_reads_processed total_writes_processed io_threaded_reads_processed
            io_threaded_writes_processed reply_buffer_shrinks reply_buffer_expands role connected_slaves
            master_failover_state master_replid master_replid2 master_repl_offset second_repl_offset
            repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen used_cpu_sys
            used_cpu_user used_cpu_sys_children used_cpu_user_children used_cpu_sys_main_thread
            used_cpu_user_main_thread cluster_enabled
        } {
            if {![dict exists $fields $field]} { error "INFO has no $field" }
        }
    }

    test "Section server describes the process" {
        set s [section server]
        assert_match 7.* [dict get $s redis_version]
        assert_equal standalone [dict get $s redis_mode]
        assert {[regexp {^[0-9a-f]{40}$} [dict get $s run_id]]}
        assert_equal [dict get $s run_id] [info_field run_id]
        assert_equal [server_port] [dict get $s tcp_port]
        if {![attached]} { assert_equal [server_pid] [dict get $s process_id] }
        assert {abs([dict get $s server_time_usec] / 1000 - [clock milliseconds]) < 5000}
        assert {[file exists [dict get $s executable]]}
    }

    test "connected_clients and total_connections_received count connections" {
        set connected [info_field connected_clients]
        set received [info_field total_connections_received]
        set c [client]
        $c PING
        assert_equal [expr {$connected + 1}] [info_field connected_clients]
        assert_equal [expr {$received + 1}] [info_field total_connections_received]
        $c -close
        wait_for {[info_field connected_clients] == $connected}
    }

    test "Memory grows with the data and shrinks with FLUSHALL" {
        r FLUSHALL
        set before [info_field used_memory]
        set rss [info_field used_memory_rss]
        r SET big [string repeat x 10000000]
        assert {[info_field used_memory] - $before >= 10000000}
        assert {[info_field used_memory_dataset] >= 10000000}
        assert {[info_field used_memory_peak] >= $before + 10000000}
        assert {$rss > 100000}
        r FLUSHALL
        wait_for {[info_field used_memory] - $before < 1000000}
        assert {[info_field used_memory_peak] >= $before + 10000000}
        assert {[regexp {^[0-9.]+[BKMG]$} [info_field used_memory_human]]}
        assert {[regexp {^[0-9.]+%$} [info_field used_memory_peak_perc]]}
    }

    test "Section keyspace counts keys and deadlines of each database" {
        r FLUSHALL
        assert_equal "# Keyspace\r\n" [r INFO keyspace]
        r MSET a 1 b 2 c 3
        r SET d 4 EX 100
        r SELECT 9
        r SET e 5
        r SELECT 0
        assert_match "keys=4,expires=1,avg_ttl=*" [info_field db0]
        assert_equal "keys=1,expires=0,avg_ttl=0" [info_field db9]
        r FLUSHALL
    }

    test "INFO counts hits, misses, expired keys and changes" {
        r FLUSHALL
        r CONFIG RESETSTAT
        r SET a 1
        r GET a
        r GET a
        r EXISTS a
        r GET b
        assert_equal 3 [info_field keyspace_hits]
        assert_equal 1 [info_field keyspace_misses]
        r SET x 1 PX 1
        wait_for {[info_field expired_keys] == 1}
        set changes [info_field rdb_changes_since_last_save]
        r INCR a
        assert_equal [expr {$changes + 1}] [info_field rdb_changes_since_last_save]
    }

    test "INFO counts bytes, reads, writes and commands" {
        set in [info_field total_net_input_bytes]
        set out [info_field total_net_output_bytes]
        set commands [info_field total_commands_processed]
        set value [string repeat x 100000]
        r SET bytes $value
        r GET bytes
        assert {[info_field total_net_input_bytes] - $in >= 100000}
        assert {[info_field total_net_output_bytes] - $out >= 100000}
        assert_equal [expr {$commands + 5}] [info_field total_commands_processed]
        assert {[info_field total_reads_processed] > 0 && [info_field total_writes_processed] > 0}
    }

    test "instantaneous_ops_per_sec follows the load" {
        wait_for {
            [string length [r MGET {*}[lrepeat 100 a]]] > 0 && [info_field instantaneous_ops_per_sec] > 0
        }
    }

    test "The CPU time grows" {
        set before [info_field used_cpu_user]
        wait_for {[string length [r INFO everything]] > 0 && [info_field used_cpu_user] > $before}
        assert {[regexp {^\d+\.\d{6}$} [info_field used_cpu_sys]]}
    }

    test "commandstats counts calls, failures and refusals, of subcommands by their full names" {
        r CONFIG RESETSTAT
        r DEL k list
        r SET k x
        r GET k
        r GET k
        catch { r INCR k }
        catch { r GET }
        r CLIENT ID
        r CLIENT GETNAME
        assert_match "calls=2,usec=*,usec_per_call=*,rejected_calls=1,failed_calls=0" [info_field cmdstat_get]
        assert_match "calls=1,usec=*,usec_per_call=*,rejected_calls=0,failed_calls=1" [info_field cmdstat_incr]
        assert_match "calls=1,*" [info_field {cmdstat_client\|id}]
        assert_match "calls=1,*" [info_field {cmdstat_client\|getname}]
        assert_error "INFO has no field cmdstat_strlen" { info_field cmdstat_strlen }
        assert {[regexp {usec_per_call=\d+\.\d\d,} [info_field cmdstat_get]]}
        r CONFIG RESETSTAT
        assert_error "INFO has no field cmdstat_get" { info_field cmdstat_get }
    }

    test "errorstats counts by code" {
        r CONFIG RESETSTAT
        catch { r NOSUCHCOMMAND }
        catch { r GET }
        catch { r HELLO 9 }
        assert_equal count=2 [info_field errorstat_ERR]
        assert_equal count=1 [info_field errorstat_NOPROTO]
        assert_equal 3 [info_field total_error_replies]
    }

    test "errorstats has no code that would end its field" {
        catch { r DEBUG ERROR "A:B#C\r\nD rest" }
        assert_equal count=1 [info_field errorstat_A_B_C__D]
    }

    test "acl_access_denied_auth counts failed logins, and CONFIG RESETSTAT keeps it" {
        set before [info_field acl_access_denied_auth]
        catch { r AUTH nobody x }
        catch { r HELLO 3 AUTH nobody x }
        r AUTH default x
        assert_equal [expr {$before + 2}] [info_field acl_access_denied_auth]
        r CONFIG RESETSTAT
        assert_equal [expr {$before + 2}] [info_field acl_access_denied_auth]
    }

    test "latencystats shows the configured percentiles" {
        r CONFIG RESETSTAT
        for {set i 0} {$i < 100} {incr i} { r GET nothing }
        set line [info_field latency_percentiles_usec_get]
        assert {[regexp {^p50=([\d.]+),p99=([\d.]+),p99.9=([\d.]+)$} $line -> p50 p99 p999]}
        assert {$p50 > 0 && $p50 <= $p99 && $p99 <= $p999}
        r DEBUG SLEEP 0.05
        assert {[regexp {^p50=([\d.]+)} [info_field latency_percentiles_usec_debug] -> slept]}
        assert {$slept > 45000 && $slept < 500000}
        set old [lindex [r CONFIG GET latency-tracking-info-percentiles] 1]
        r CONFIG SET latency-tracking-info-percentiles "0 12.5 100"
        assert {[regexp {^p0=[\d.]+,p12.5=[\d.]+,p100=[\d.]+$} [info_field latency_percentiles_usec_get]]}
        r CONFIG SET latency-tracking-info-percentiles $old
        r CONFIG SET latency-tracking no
        assert_error "INFO has no field latency_percentiles_usec_get" { info_field latency_percentiles_usec_get }
        r CONFIG SET latency-tracking yes
    }

    test "TIME tells seconds and microseconds" {
        lassign [r TIME] seconds microseconds
        assert {abs($seconds - [clock seconds]) < 5}
        assert {$microseconds >= 0 && $microseconds < 1000000}
        assert_error "ERR wrong number of arguments for 'time' command" { r TIME x }
    }
}

with_server {} {
    test "The largest input and output of the last seconds are known, while they last and for some time" {
        assert {[info_field client_recent_max_input_buffer] < 1000000}
        set c [client]
        $c -raw "*3\r\n\$3\r\nSET\r\n\$3\r\nbig\r\n\$3000000\r\n[string repeat x 2000000]"
        wait_for {[info_field client_recent_max_input_buffer] >= 2000000}
        assert {[info_field client_recent_max_output_buffer] < 1000000}
        $c -raw "[string repeat x 1000000]\r\n"
        assert_equal OK [$c -read]
        for {set i 0} {$i < 5} {incr i} { $c -send GET big }
        wait_for {[info_field client_recent_max_output_buffer] >= 3000000}
        after 1100 ;# a second that saw nothing new
        assert {[info_field client_recent_max_output_buffer] >= 3000000}
        $c -close
        wait_for {[info_field client_recent_max_input_buffer] < 1000000} 15000
        wait_for {[info_field client_recent_max_output_buffer] < 1000000} 15000
        r DEL big
    }
}

with_server {} {
    test "Without data hardly anything is in use beyond used_memory_startup" {
        set more [expr {[info_field used_memory] - [info_field used_memory_startup]}]
        assert {$more >= 0 && $more < 100000}
        set more [expr {[info_field used_memory_overhead] - [info_field used_memory_startup]}]
        assert {$more >= 0 && $more < 100000}
    }
}

with_server {supervised systemd} {
    test "process_supervised names the service manager" {
        assert_equal systemd [info_field process_supervised]
    }
}

test "mem_aof_buffer is the memory of what waits to be written" {
    with_wrapped_server "ulimit -f 64" {appendonly yes appendfsync everysec logfile ""} {
        assert {[info_field mem_aof_buffer] < 100000}
        catch { r SET k [string repeat v 200000] }
        wait_for {[info_field mem_aof_buffer] >= 200000}
        assert_equal [info_field mem_aof_buffer] [info_field mem_not_counted_for_evict]
        assert {[dict get [r MEMORY STATS] aof.buffer] >= 200000}
    }
}

test "unexpected_error_replies counts commands of the log that fail" {
    with_server {appendonly yes} {
        r SET k text
        set incr [lindex [glob [file join [server_folder] appendonlydir *.incr.aof]] 0]
        set file [open $incr ab]
        puts -nonewline $file [resp_encode INCR k][resp_encode SET l 1]
        close $file
        assert_equal 0 [info_field unexpected_error_replies]
        server_restart {appendonly yes} KILL
        assert_equal 1 [r GET l]
        assert_equal 1 [info_field unexpected_error_replies]
    }
}
