# Redis and kura read the same directory in turn.

set oracle [file join $root build oracle redis-server]

proc start_as {binary directives folder} {
    set mine $::env(KURA_SERVER)
    set ::env(KURA_SERVER) $binary
    set code [catch {server_start $directives -folder $folder} h options]
    set ::env(KURA_SERVER) $mine
    return -options $options $h
}

foreach preamble {yes no} {
    test "Redis reads what kura wrote, and kura reads what Redis added (aof-use-rdb-preamble $preamble)" {
        set directives [list appendonly yes aof-use-rdb-preamble $preamble]
        set h [server_start $directives]
        set folder [server_folder $h]
        set c [client $h]
        dataset_fill $c
        $c BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress $c] == 0}
        $c SET behind:the:base 1
        $c LPUSH list:small first
        set written [dataset $c]
        $c -close
        server_kill $h
        set h [start_as $oracle $directives $folder]
        set c [client $h]
        assert_equal $written [dataset $c]
        $c SET by:redis 1
        $c MULTI
        $c INCR behind:the:base
        $c INCR behind:the:base
        $c EXEC
        set written [dataset $c]
        $c -close
        server_kill $h
        set h [server_start $directives -folder $folder]
        set c [client $h]
        assert_equal $written [dataset $c]
        $c SET again:by:kura 1
        set written [dataset $c]
        $c -close
        server_kill $h
        set h [start_as $oracle $directives $folder]
        set c [client $h]
        assert_equal $written [dataset $c]
        $c BGREWRITEAOF
        wait_for {[info_field aof_rewrite_in_progress $c] == 0}
        $c -close
        server_kill $h
        set h [server_start $directives -folder $folder]
        set c [client $h]
        assert_equal $written [dataset $c]
        $c -close
        server_kill $h
        server_forget $h
    }
}
