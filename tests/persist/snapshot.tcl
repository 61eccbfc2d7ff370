# SAVE, a restart after it, DEBUG RELOAD, and damaged files.

proc fill_all_types {c} {
    $c SET string value
    $c SET number 12345
    $c SET late value PX 100000000
    $c RPUSH list a b c 1 2 3
    $c SADD set a b c
    $c SADD integers 1 2 3
    $c HSET hash name value
    $c ZADD zset 1.5 a inf b
    $c SELECT 9
    $c SET there 1
    $c SELECT 0
}

proc assert_all_types {c} {
    assert_equal value [$c GET string]
    assert_equal 12345 [$c GET number]
    assert {[$c PTTL late] > 90000000}
    assert_equal {a b c 1 2 3} [$c LRANGE list 0 -1]
    assert_equal {a b c} [lsort [$c SMEMBERS set]]
    assert_equal intset [$c OBJECT ENCODING integers]
    assert_equal value [$c HGET hash name]
    assert_equal {a 1.5 b inf} [$c ZRANGE zset 0 -1 WITHSCORES]
    $c SELECT 9
    assert_equal 1 [$c GET there]
    $c SELECT 0
    assert_equal 8 [$c DBSIZE]
}

proc dump_of {h} { return [file join [server_folder $h] dump.rdb] }

proc read_file {path} {
    set f [open $path rb]
    set bytes [read $f]
    close $f
    return $bytes
}

proc write_file {path bytes} {
    set f [open $path wb]
    puts -nonewline $f $bytes
    close $f
}

if {![attached]} {
    test "A restart after SAVE and kill -9 finds all data" {
        set h [server_start {}]
        set c [client $h]
        fill_all_types $c
        assert_equal OK [$c SAVE]
        assert {abs([$c LASTSAVE] - [clock seconds]) <= 2}
        set folder [server_folder $h]
        server_kill $h
        assert_equal dump.rdb [glob -tails -directory $folder *.rdb]
        set again [server_start {} -folder $folder]
        set c [client $again]
        assert_all_types $c
        assert_match {*Done loading RDB, keys loaded: 9, keys expired: 0.*} [server_log $again]
        assert_match "*rdb_last_load_keys_loaded:9\r\n*" [$c INFO persistence]
        server_stop $again
        server_forget $again
    }

    test "SHUTDOWN SAVE saves, under another name too" {
        set h [server_start {dbfilename other.rdb}]
        set c [client $h]
        fill_all_types $c
        catch {$c SHUTDOWN SAVE}
        assert_equal 0 [server_wait_exit 20000 $h]
        set again [server_start {dbfilename other.rdb} -folder [server_folder $h]]
        assert_all_types [client $again]
        server_stop $again
        server_forget $again
    }

    test "A damaged file is never loaded silently" {
        set h [server_start {}]
        set c [client $h]
        fill_all_types $c
        $c SAVE
        set good [read_file [dump_of $h]]
        set folder [server_folder $h]
        server_stop $h
        set size [string length $good]
        set flipped [binary format c [expr {[scan [string index $good 150] %c] ^ 1}]]
        foreach {what bytes message} [list \
                "a flipped bit" [string replace $good 150 150 $flipped] {*dump.rdb, offset *} \
                "a cut file" [string range $good 0 [expr {$size / 2}]] {*dump.rdb, offset * keys before it are sound*} \
                "a later version" [string replace $good 5 8 0099] {*offset 9: Can't handle RDB format version 99*} \
                "another file" "this is no such file" {*Wrong signature*}] {
            write_file [file join $folder dump.rdb] $bytes
            set h [server_start {} -folder $folder -wait 0]
            assert_equal 1 [server_wait_exit 20000 $h]
            assert_match $message [server_log $h]
            assert_match {*Fatal error loading the DB*} [server_log $h]
            assert_equal $bytes [read_file [file join $folder dump.rdb]]
        }
        write_file [file join $folder dump.rdb] $good
        set h [server_start {} -folder $folder]
        assert_all_types [client $h]
        server_stop $h
        server_forget $h
    }
}

with_server {enable-protected-configs yes} {
    if {[attached]} { return }
    test "DEBUG RELOAD keeps everything" {
        r FLUSHALL
        fill_all_types [client]
        assert_equal OK [r DEBUG RELOAD]
        assert_all_types [client]
    }

    test "DEBUG RELOAD gives up a save in the background, which would bring an older snapshot" {
        r CONFIG SET rdb-key-save-delay 10000000
        r BGSAVE
        r CONFIG SET rdb-key-save-delay 0
        r SET later 1
        assert_equal OK [r DEBUG RELOAD]
        assert_equal 0 [info_field rdb_bgsave_in_progress]
        assert_equal 1 [r GET later]
        assert_equal 0 [info_field rdb_changes_since_last_save]
        assert_equal ok [info_field rdb_last_bgsave_status]
    }

    test "SAVE and DEBUG RELOAD are not written to the append-only file" {
        r CONFIG SET appendonly yes
        wait_for {[info_field aof_rewrite_in_progress] == 0 && [info_field aof_rewrite_scheduled] == 0}
        r SET logged 1
        r SAVE
        r SET logged 2
        r DEBUG RELOAD
        assert_equal 0 [info_field rdb_changes_since_last_save]
        set text ""
        foreach path [glob [file join [server_folder] appendonlydir *.incr.aof]] { append text [read_file $path] }
        r CONFIG SET appendonly no
        assert_match {*logged*} $text
        assert {![regexp -nocase {save|reload} $text]}
    }

    test "SAVE is refused in a transaction and while a child saves, and BGSAVE waits for EXEC" {
        r FLUSHALL
        r SET a 1
        assert_equal OK [r MULTI]
        assert_error {ERR Command not allowed inside a transaction} { r SAVE }
        assert_error {EXECABORT*} { r EXEC }
        r MULTI
        r BGSAVE
        assert_equal {{Background saving scheduled}} [r EXEC]
        wait_for {[info_field rdb_bgsave_in_progress] == 0 && [info_field rdb_last_bgsave_status] eq "ok"}
        r CONFIG SET rdb-key-save-delay 500000
        wait_for {![catch {r BGSAVE}]}
        foreach words {SAVE BGSAVE {BGSAVE SCHEDULE}} {
            assert_error {ERR Background save already in progress} { r {*}$words }
        }
        assert_error {ERR syntax error} { r BGSAVE FOO }
        r CONFIG SET rdb-key-save-delay 0
        r FLUSHALL
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
    }

    test "DEBUG RELOAD takes NOSAVE, NOFLUSH and MERGE" {
        r FLUSHALL
        r SET a 1
        r DEBUG RELOAD
        r SET a 2
        r SET b 2
        assert_equal OK [r DEBUG RELOAD NOSAVE NOFLUSH MERGE]
        assert_equal {1 2} [r MGET a b]
        assert_error {ERR Error trying to load*} { r DEBUG RELOAD NOFLUSH NOSAVE }
        assert_equal OK [r DEBUG RELOAD NOSAVE]
        assert_equal 1 [r DBSIZE]
        assert_error {*only supports the MERGE*} { r DEBUG RELOAD FOO }
    }

    test "Expired keys are not loaded" {
        r FLUSHALL
        r DEBUG SET-ACTIVE-EXPIRE 0
        r SET stays 1
        r SET goes 1 PX 1
        set from [clock milliseconds]
        wait_for {[clock milliseconds] > $from + 5}
        r SAVE
        r DEBUG RELOAD NOSAVE
        assert_equal 1 [r DBSIZE]
        r DEBUG SET-ACTIVE-EXPIRE 1
    }

    test "A failing save leaves the old file" {
        r FLUSHALL
        r SET a 1
        r SAVE
        set path [dump_of [lindex $server::stack end]]
        set before [read_file $path]
        r CONFIG SET dbfilename .
        assert_error {ERR*} { r SAVE }
        r CONFIG SET dbfilename dump.rdb
        assert_equal $before [read_file $path]
        assert_equal dump.rdb [file tail [glob [file dirname $path]/*.rdb]]
    }

    test "A payload with a wrong checksum passes only if checksums are not verified" {
        r SET a hello
        set payload [r DUMP a]
        set payload [string replace $payload end end [format %c [expr {[scan [string index $payload end] %c] ^ 255}]]]
        assert_error {ERR DUMP payload version or checksum are wrong} { r RESTORE b 0 $payload }
        r DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
        assert_equal OK [r RESTORE b 0 $payload]
        r DEBUG SET-SKIP-CHECKSUM-VALIDATION 0
        assert_equal hello [r GET b]
    }
}

test "A failing snapshot stops writes, PING and transactions with writes, in the words of Redis" {
    with_server {save "3600 1" dbfilename taken} {
        set c [client]
        $c MULTI
        $c SET a 1
        set d [client]
        $d MULTI
        $d PING
        file mkdir [file join [server_folder] taken]
        r BGSAVE
        wait_for {[catch {r PING}]}
        assert_equal err [info_field rdb_last_bgsave_status]
        set error "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.\
            Commands that may modify the data set are disabled, because this instance is configured to report errors\
            during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs\
            for details about the RDB error."
        assert_error $error {r SET b 1}
        assert_error $error {r PING}
        assert_error "EXECABORT Transaction discarded because of: $error" {$c EXEC}
        assert_equal PONG [$d EXEC]
        assert_equal 0 [r DBSIZE]
        r CONFIG SET stop-writes-on-bgsave-error no
        wait_for {![catch {r SET b 1}]}
        r CONFIG SET save ""
    }
}
