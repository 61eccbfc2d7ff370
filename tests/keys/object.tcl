# OBJECT.
with_server {} {
    test "OBJECT of a missing key replies null" {
        foreach what {ENCODING REFCOUNT IDLETIME FREQ} { assert_equal (nil) [r OBJECT $what none] }
    }

    test "OBJECT REFCOUNT shows small integers as shared" {
        foreach {value count} {0 2147483647 9999 2147483647 10000 1 -1 1 abc 1} {
            r SET k $value
            assert_equal $count [r OBJECT REFCOUNT k]
        }
    }

    test "OBJECT IDLETIME grows until the key is read, and OBJECT itself is no access" {
        r SET k v
        assert_equal 0 [r OBJECT IDLETIME k]
        wait_for {[r OBJECT IDLETIME k] >= 2}
        r TYPE k
        r TTL k
        r EXISTS k
        assert {[r OBJECT IDLETIME k] >= 2}
        r GET k
        assert {[r OBJECT IDLETIME k] <= 1}
    }

    test "A look-up for writing counts as a use, even if nothing is written" {
        r SET k v
        wait_for {[r OBJECT IDLETIME k] >= 2}
        assert_equal 0 [r SETNX k w]
        assert {[r OBJECT IDLETIME k] <= 1}
        wait_for {[r OBJECT IDLETIME k] >= 2}
        r EXPIRE k 1000
        assert {[r OBJECT IDLETIME k] <= 1}
    }

    test "OBJECT FREQ needs an LFU policy, and OBJECT IDLETIME any other" {
        assert_error "ERR An LFU maxmemory policy is not selected, access frequency not tracked.*" {r OBJECT FREQ k}
        if {[catch {r CONFIG SET maxmemory-policy allkeys-lfu}]} { skip "no such policy yet" }
        r SET new v
        assert_equal 5 [r OBJECT FREQ new]
        assert_error "ERR An LFU maxmemory policy is selected, idle time not tracked.*" {r OBJECT IDLETIME new}
        r CONFIG SET maxmemory-policy noeviction
    }

    test "CLIENT NO-TOUCH keeps all commands but TOUCH from counting as access" {
        r SET k v
        wait_for {[r OBJECT IDLETIME k] >= 2}
        r CLIENT NO-TOUCH ON
        r GET k
        r APPEND k w
        r SET other v
        assert {[r OBJECT IDLETIME k] >= 2}
        assert {[r OBJECT IDLETIME other] <= 1}
        r TOUCH k
        assert {[r OBJECT IDLETIME k] <= 1}
        r CONFIG SET maxmemory-policy allkeys-lfu
        r CONFIG SET lfu-decay-time 0 ;# a full minute that ends just now would take one off
        r SET new v
        for {set i 0} {$i < 50} {incr i} { r GET new }
        assert_equal 5 [r OBJECT FREQ new]
        r CLIENT NO-TOUCH OFF
        r GET new
        assert_equal 6 [r OBJECT FREQ new]
        r CONFIG SET maxmemory-policy noeviction
    }

    test "OBJECT HELP explains the subcommands, and unknown ones are refused" {
        assert_match "OBJECT <subcommand>*" [lindex [r OBJECT HELP] 0]
        assert_error "ERR unknown subcommand 'foo'. Try OBJECT HELP." {r OBJECT foo k}
        assert_error "ERR wrong number of arguments for 'object|encoding' command" {r OBJECT ENCODING}
    }
}
