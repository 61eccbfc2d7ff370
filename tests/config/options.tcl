# CONFIG GET and SET: the forms of values, refusals, all or nothing.

proc config {name} { return [lindex [r CONFIG GET $name] 1] }

proc assert_refused {why args} {
    set name [lindex $args end-1]
    assert_error "ERR CONFIG SET failed (possibly related to argument '$name') - $why" {
        uplevel 1 [list r CONFIG SET {*}$args]
    }
}

with_server {enable-protected-configs yes} {
    test "CONFIG GET takes several patterns, in any case, and never repeats an option" {
        assert_equal {hz 10} [r CONFIG GET hz]
        assert_equal {hz 10} [r CONFIG GET HZ h?]
        assert_equal {} [r CONFIG GET nothing-like-this]
        assert_equal {} [r CONFIG GET include]
        assert_equal 10 [dict get [r CONFIG GET list* hz] hz]
        assert {[dict size [r CONFIG GET *]] * 2 == [llength [r CONFIG GET *]]}
        assert {[dict size [r CONFIG GET *]] > 190}
        assert_error "ERR wrong number of arguments for 'config|get' command" { r CONFIG GET }
    }

    test "An option answers to its old name too" {
        r CONFIG SET hash-max-ziplist-entries 7
        assert_equal {hash-max-listpack-entries 7 hash-max-ziplist-entries 7} [r CONFIG GET hash-max-*entries]
        r CONFIG SET slave-priority 3
        assert_equal 3 [config replica-priority]
    }

    test "Hidden options answer to their exact name only" {
        assert_equal {key-load-delay 0} [r CONFIG GET key-load-delay]
        assert_equal {} [r CONFIG GET key-load*]
    }

    test "CONFIG GET replies a map in RESP3" {
        set c [client]
        $c HELLO 3
        $c -tagged 1
        assert_equal {map {{bulk hz} {bulk 10}}} [$c CONFIG GET hz]
    }

    test "CONFIG GET shows values in the form of Redis" {
        foreach {name given shown} {
            maxmemory 100mb 104857600
            maxmemory 1k 1000
            maxmemory 1KB 1024
            maxmemory 0 0
            maxmemory-clients 5% 5%
            appendonly YES yes
            maxmemory-policy AllKeys-LRU allkeys-lru
            notify-keyspace-events KEA AKE
            notify-keyspace-events xEg gxE
            notify-keyspace-events {} {}
            save {60 5 10 2} {60 5 10 2}
            save {} {}
            client-output-buffer-limit {normal 1mb 2 3}
                {normal 1048576 2 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60}
            client-output-buffer-limit {replica 5 6 7} {normal 1048576 2 3 slave 5 6 7 pubsub 33554432 8388608 60}
            latency-tracking-info-percentiles {50 100.0 99.99} {50 100 99.99}
            shutdown-on-sigint {nosave now} {nosave now}
            shutdown-on-sigint default default
            hz 1000 500
            hz 0 1
            hz 10 10
        } {
            assert_equal OK [r CONFIG SET $name $given]
            assert_equal $shown [config $name]
        }
        # No signal ends the server before the first append-only file is complete.
        wait_for {[info_field aof_rewrite_in_progress] == 0}
    }

    test "CONFIG SET refuses a bad value and says why" {
        assert_refused "argument couldn't be parsed into an integer" hz abc
        assert_refused "argument couldn't be parsed into an integer" hz ""
        assert_refused "argument couldn't be parsed into an integer" hz +5
        assert_refused "argument must be between 0 and 2147483647 inclusive" hz -5
        assert_refused "argument must be between 0 and 65535 inclusive" port 65536
        assert_refused "argument must be a memory value" maxmemory -1
        assert_refused "argument must be a memory value" maxmemory 1gb1
        assert_refused "argument must be a memory or percent value" maxmemory-clients x
        assert_refused "argument must be between 0 and 9223372036854775807 inclusive" set-max-listpack-value -1
        assert_refused "argument couldn't be parsed into an integer" set-max-listpack-value 1kb
        assert_refused "percentage argument must be less or equal to 100" maxmemory-clients 101%
        assert_refused "argument must be 'yes' or 'no'" appendonly maybe
        assert_refused "argument(s) must be one of the following: everysec, always, no" appendfsync sometimes
        assert_refused "argument must be between 1048576 and 9223372036854775807 inclusive" proto-max-bulk-len 5
        assert_refused "No such file or directory" bind-source-addr x dir /nonexistent
        assert_refused "Invalid save parameters" save "1 2 3"
        assert_refused "Invalid save parameters" save "1 1 "
        assert_refused "Wrong number of arguments in buffer limit configuration." client-output-buffer-limit "normal 1"
        assert_refused "Invalid client class specified in buffer limit configuration." \
            client-output-buffer-limit "x 1 2 3"
        assert_refused "Error in hard, soft or soft_seconds setting in buffer limit configuration." \
            client-output-buffer-limit "normal -1 2 3"
        assert_refused "template format is invalid or contains unknown variables" proc-title-template "{foo}"
        assert_refused "shutdown options SAVE and NOSAVE can't be used simultaneously" shutdown-on-sigint "save nosave"
        assert_refused "Invalid event class character. Use 'Ag\$lshzxeKEtmdn'." notify-keyspace-events "K!"
        assert_refused "The operating system is not able to handle the specified number of clients, try with *" \
            maxclients 4000000000
        assert_refused "dbfilename can't be a path, just a filename" hz 10 dbfilename a/b
    }

    test "CONFIG SET refuses options that are fixed at the start" {
        assert_refused "can't set immutable config" databases 3
        assert_refused "can't set immutable config" enable-debug-command no
        assert_refused "can't set immutable config" unixsocket x
    }

    test "CONFIG SET refuses unknown options, missing values and repetitions" {
        assert_error "ERR Unknown option or number of arguments for CONFIG SET - 'foo'" { r CONFIG SET foo bar }
        assert_error "ERR Unknown option or number of arguments for CONFIG SET - 'foo'" { r CONFIG SET hz 11 foo bar }
        assert_error "ERR Unknown option or number of arguments for CONFIG SET - 'user'" { r CONFIG SET user x }
        assert_error "ERR wrong number of arguments for 'config|set' command" { r CONFIG SET hz }
        assert_error "ERR wrong number of arguments for 'config|set' command" { r CONFIG SET hz 1 timeout }
        assert_refused "duplicate parameter" timeout 1 hz 11 hz 12
        assert_equal {10 0} [list [config hz] [config timeout]]
        assert_error "ERR unknown subcommand 'foo'. Try CONFIG HELP." { r CONFIG foo }
    }

    test "CONFIG SET sets several options together, or none of them" {
        set dir [config dir]
        assert_equal OK [r CONFIG SET timeout 100 hz 50 maxmemory-policy allkeys-lfu]
        assert_equal {100 50 allkeys-lfu} [list [config timeout] [config hz] [config maxmemory-policy]]
        assert_refused "argument couldn't be parsed into an integer" timeout 5 maxmemory-policy noeviction save "" hz x
        assert_equal {100 50 allkeys-lfu} [list [config timeout] [config hz] [config maxmemory-policy]]
        # If an option fails only when it is applied, all of them go back to their former values.
        assert_refused "Failed to bind to specified addresses." timeout 5 bind 203.0.113.77
        assert_equal 100 [config timeout]
        assert_equal 127.0.0.1 [config bind]
        assert_equal PONG [[client] PING]
        r CONFIG SET timeout 0 hz 10 maxmemory-policy noeviction
    }

    test "The log names a planned option once" {
        r CONFIG SET slowlog-max-len 1
        r CONFIG SET slowlog-max-len 2
        assert_equal 1 [regexp -all {option 'slowlog-max-len' is accepted} [server_log]]
    }

    test "CONFIG RESETSTAT resets the statistics, and CONFIG HELP explains the subcommands" {
        r SET k v
        r GET k
        assert {[info_field keyspace_hits] > 0}
        assert_equal OK [r CONFIG RESETSTAT]
        assert_equal 0 [info_field keyspace_hits]
        assert_match "CONFIG <subcommand>*" [lindex [r CONFIG HELP] 0]
    }
}

if {![attached]} {
    with_server {} {
        test "CONFIG SET refuses protected options" {
            assert_refused "can't set protected config" dir /
            assert_refused "can't set protected config" dbfilename x.rdb
        }
    }
    with_server {enable-protected-configs local} {
        test "With enable-protected-configs local, clients of this machine may set protected options" {
            assert_equal OK [r CONFIG SET dir /]
            assert_equal / [config dir]
        }
    }
}
