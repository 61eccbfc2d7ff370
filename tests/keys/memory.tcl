# MEMORY USAGE, and the options of redis-cli that use it.
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
}
