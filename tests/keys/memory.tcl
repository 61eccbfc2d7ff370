# MEMORY, and the options of redis-cli that use it.
with_server {} {
    test "MEMORY USAGE tells how much memory a key takes, its name included" {
        r SET small 1
        r SET text [string repeat x 100]
        r SET large [string repeat x 100000]
        r SET [string repeat n 1000] 1
        assert_equal (nil) [r MEMORY USAGE absent]
        assert_equal 32 [r MEMORY USAGE small]
        assert {[r MEMORY USAGE text] >= 112 && [r MEMORY USAGE text] <= 128}
        assert {[r MEMORY USAGE large] >= 100000 && [r MEMORY USAGE large] < 125000}
        assert {[r MEMORY USAGE [string repeat n 1000]] >= 1000}
        assert_equal 32 [r MEMORY USAGE small SAMPLES 0]
        assert_error "ERR syntax error" {r MEMORY USAGE small SAMPLES -9223372036854775808}
    }

    test "MEMORY USAGE is no access to the key" {
        set before [r OBJECT IDLETIME small]
        after 1100
        r MEMORY USAGE small
        assert {[r OBJECT IDLETIME small] > $before}
    }

    test "MEMORY HELP explains the subcommands, and unknown ones are refused" {
        assert_match "MEMORY <subcommand>*" [lindex [r MEMORY HELP] 0]
        assert_error "ERR unknown subcommand 'foo'. Try MEMORY HELP." {r MEMORY foo k}
    }

    test "redis-cli --memkeys and --bigkeys find the largest string" {
        set cli [file join $::root build oracle redis-cli]
        if {![file executable $cli]} { skip "no redis-cli" }
        set out [exec $cli -p [server_port] --memkeys]
        assert_match "*Biggest string found*large*" $out
        set out [exec $cli -p [server_port] --bigkeys]
        assert_match "*Biggest string found*large*100000 bytes*" $out
    }

    test "MEMORY STATS has the fields of Redis 7.2, and agrees with INFO" {
        r SELECT 3
        r SET other v EX 1000
        r SELECT 0
        set stats [r MEMORY STATS]
        assert_equal [list {*}{peak.allocated total.allocated startup.allocated replication.backlog clients.slaves
            clients.normal cluster.links
            aof.buffer lua.caches functions.caches db.0 db.3 overhead.total keys.count
            keys.bytes-per-key
            dataset.bytes dataset.percentage peak.percentage allocator.allocated allocator.active allocator.resident
            allocator-fragmentation.ratio allocator-fragmentation.bytes allocator-rss.ratio allocator-rss.bytes
            rss-overhead.ratio rss-overhead.bytes fragmentation fragmentation.bytes}] [dict keys $stats]
        assert_equal 5 [dict get $stats keys.count]
        assert_equal [info_field used_memory_startup] [dict get $stats startup.allocated]
        foreach {field name} {total.allocated used_memory dataset.bytes used_memory_dataset} {
            assert {abs([dict get $stats $field] - [info_field $name]) < 100000}
        }
        assert_equal [dict get $stats total.allocated] \
            [expr {[dict get $stats overhead.total] + [dict get $stats dataset.bytes]}]
        assert {[dict get $stats db.3 overhead.hashtable.expires] > 0}
        assert_equal 0 [dict get $stats db.0 overhead.hashtable.expires]
        set c [client]
        $c HELLO 3
        $c -tagged 1
        lassign [$c MEMORY STATS] type fields
        assert_equal map $type
        assert_equal double [lindex [dict get $fields {bulk peak.percentage}] 0]
        r FLUSHALL
        assert_equal 27 [dict size [r MEMORY STATS]]
        assert_equal 0 [dict get [r MEMORY STATS] keys.bytes-per-key]
    }

    test "MEMORY DOCTOR tells nothing of little data, and names a peak that is past" {
        assert_match "*too little data*" [r MEMORY DOCTOR]
        for {set i 0} {$i < 40} {incr i} { r SET large:$i [string repeat x 1000000] }
        r MEMORY STATS
        for {set i 0} {$i < 30} {incr i} { r DEL large:$i }
        wait_for {[info_field used_memory] < 20000000}
        assert_match "*Peak: *" [r MEMORY DOCTOR]
        r FLUSHALL
    }

    test "MEMORY PURGE and MALLOC-STATS reach the allocator" {
        assert_equal OK [r MEMORY PURGE]
        set report [r MEMORY MALLOC-STATS]
        if {[string match libc* [info_field mem_allocator]]} {
            assert_equal "Stats not supported for the current allocator" $report
        } else {
            assert_match "*Begin jemalloc statistics*Version*" $report
        }
    }

    test "LOLWUT tells the version" {
        foreach request {LOLWUT {LOLWUT VERSION} {LOLWUT VERSION 7} {LOLWUT 1 2}} {
            assert_equal "Redis ver. 7.2.6\n" [r {*}$request]
        }
        assert_error "ERR value is not an integer or out of range" { r LOLWUT VERSION x }
    }
}
