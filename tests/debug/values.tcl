# Subcommands of DEBUG that look into values, and the options of redis-cli that do so with ordinary commands.

proc oracle_path {name} { return [file join $::root build oracle $name] }

# Writes the same data twice, in two encodings.
proc fill {client} {
    $client FLUSHALL
    $client SET int 42
    $client SET text "some text"
    $client SET volatile x EX 1000
    $client RPUSH list a 3 "" [string repeat z 100]
    $client SADD numbers 1 2 3
    $client SADD words one two 3
    $client HSET hash f v g 7
    $client ZADD zset 1.5 a -inf b 0.1 c 3 7
    $client SELECT 3
    $client SET other database
    $client SELECT 0
}

set values {int text volatile list numbers words hash zset nothing}

with_server {enable-debug-command yes} {
    test "DEBUG DIGEST of an empty dataset is zero, and a dataset that returns has its old digest" {
        set zeros [string repeat 0 40]
        assert_equal $zeros [r DEBUG DIGEST]
        assert_equal $zeros [r DEBUG DIGEST-VALUE nothing]
        r SET a 1
        set digest [r DEBUG DIGEST]
        assert {$digest ne $zeros}
        r SET a 2
        assert {[r DEBUG DIGEST] ne $digest}
        r SET a 1
        assert_equal $digest [r DEBUG DIGEST]
        r EXPIRE a 1000
        assert {[r DEBUG DIGEST] ne $digest}
        r PERSIST a
        assert_equal $digest [r DEBUG DIGEST]
        r MOVE a 1
        assert {[r DEBUG DIGEST] ne $digest}
    }

    test "Digests do not depend on encodings" {
        fill r
        set before [r DEBUG DIGEST-VALUE {*}$values]
        set all [r DEBUG DIGEST]
        r CONFIG SET set-max-intset-entries 0 set-max-listpack-entries 0 hash-max-listpack-entries 0 \
            zset-max-listpack-entries 0 list-max-listpack-size 1
        fill r
        assert_equal hashtable [r OBJECT ENCODING hash]
        assert_equal skiplist [r OBJECT ENCODING zset]
        assert_equal $before [r DEBUG DIGEST-VALUE {*}$values]
        assert_equal $all [r DEBUG DIGEST]
        r CONFIG SET set-max-intset-entries 512 set-max-listpack-entries 128 hash-max-listpack-entries 128 \
            zset-max-listpack-entries 128 list-max-listpack-size -2
    }

    test "Digests equal those of redis-server" {
        fill r
        set ours [r DEBUG DIGEST-VALUE {*}$values]
        set all [r DEBUG DIGEST]
        set binary [expr {[info exists ::env(KURA_SERVER)] ? $::env(KURA_SERVER) : ""}]
        set ::env(KURA_SERVER) [oracle_path redis-server]
        set code [catch {
            with_server {enable-debug-command yes save ""} {
                fill r
                assert_equal $ours [r DEBUG DIGEST-VALUE {*}$::values]
                assert_equal $all [r DEBUG DIGEST]
            }
        } result options]
        if {$binary eq ""} { unset ::env(KURA_SERVER) } else { set ::env(KURA_SERVER) $binary }
        return -options $options $result
    }

    test "DEBUG OBJECT describes collections" {
        r FLUSHALL
        r HSET h f v
        assert_match "Value at:0x* encoding:listpack serializedlength:14 lru:* lru_seconds_idle:0" [r DEBUG OBJECT h]
        r CONFIG SET list-max-listpack-size 10
        for {set i 0} {$i < 25} {incr i} { r RPUSH l element:[expr {100 + $i}] }
        assert_match "Value at:0x* encoding:quicklist * ql_nodes:3 ql_avg_node:8.33 ql_listpack_max:10 ql_compressed:0\
            ql_uncompressed_size:*" [r DEBUG OBJECT l]
        r CONFIG SET list-max-listpack-size -2
    }

    test "DEBUG SDSLEN and DEBUG LISTPACK describe one value" {
        r FLUSHALL
        r MSET s hello i 12
        r RPUSH l one 2
        assert_match "key_sds_len:1, * val_sds_len:5, *" [r DEBUG SDSLEN s]
        assert_error "ERR Not an sds encoded string." { r DEBUG SDSLEN i }
        assert_error "ERR Not an sds encoded string." { r DEBUG SDSLEN l }
        assert_error "ERR no such key" { r DEBUG SDSLEN nothing }
        assert_equal "Listpack structure printed on stdout" [r DEBUG LISTPACK l]
        assert_match {*listpack: 14 bytes, 2 elements*"one"*"2"*} [server_log]
        assert_error "ERR Not a listpack encoded object." { r DEBUG LISTPACK s }
        assert_error "ERR no such key" { r DEBUG LISTPACK nothing }
    }

    test "DEBUG HTSTATS and DEBUG HTSTATS-KEY describe hash tables" {
        r FLUSHALL
        r DEBUG POPULATE 1000
        r EXPIRE key:1 100
        set text [r DEBUG HTSTATS 0]
        assert_match {*Dictionary HT]*number of elements: 1000*Expires HT]*number of elements: 1*} $text
        set full [r DEBUG HTSTATS 0 FULL]
        assert {[regexp {different slots: (\d+)} $full -> lines] && $lines >= 125}
        set records 0
        foreach {- length count} [regexp -all -inline {\n   (\d): (\d+)} $full] {
            incr records [expr {$length * $count}]
        }
        assert_equal 1000 $records
        assert_match {*No stats available for empty dictionaries*} [r DEBUG HTSTATS 5]
        assert_error "ERR Out of range database" { r DEBUG HTSTATS 16 }
        assert_error "ERR value is not an integer or out of range" { r DEBUG HTSTATS x }
        for {set i 0} {$i < 200} {incr i} {
            r SADD set member:$i
            r HSET hash field:$i v
            r ZADD zset $i member:$i
        }
        foreach key {set hash zset} { assert_match {*number of elements: 200*} [r DEBUG HTSTATS-KEY $key] }
        r SADD small a
        assert_error "ERR The value stored at the specified key is not represented using an hash table" {
            r DEBUG HTSTATS-KEY small
        }
        assert_error "ERR no such key" { r DEBUG HTSTATS-KEY nothing }
    }
}

# --- redis-cli's walks ----------------------------------------------------------------------------

# The output of redis-cli with these arguments, whether it succeeds or not.
proc cli {args} {
    catch {exec [oracle_path redis-cli] -p [server_port] {*}$args 2>@1} text
    return $text
}

proc populate {} {
    r DEBUG POPULATE 100
    r SET big:string [string repeat x 5000]
    for {set i 0} {$i < 300} {incr i} {
        r RPUSH big:list e:$i
        r SADD big:set m:$i
        r HSET big:hash f:$i v
        r ZADD big:zset $i m:$i
    }
    r RPUSH small:list a
}

with_server {enable-debug-command yes maxmemory-policy allkeys-lfu} {
    populate

    test "redis-cli --bigkeys finds the biggest key of each type" {
        set text [cli --bigkeys]
        assert_match {*Sampled 106 keys in the keyspace!*} $text
        foreach {type key size} {
            string big:string "5000 bytes" list big:list "300 items" set big:set "300 members"
            hash big:hash "300 fields" zset big:zset "300 members"
        } {
            assert_match "*Biggest *$type found '\"$key\"' has $size*" $text
        }
        assert_match {*2 lists with 301 items*} $text
    }

    test "redis-cli --memkeys finds the key of each type that takes the most memory" {
        set text [cli --memkeys]
        assert_match {*Sampled 106 keys in the keyspace!*} $text
        foreach key {big:list big:set big:hash big:zset} {
            assert_match "*Biggest *found '\"$key\"' has [r MEMORY USAGE $key] bytes*" $text
        }
    }

    test "redis-cli --hotkeys finds the most frequent key" {
        for {set i 0} {$i < 2000} {incr i} { r GET big:string }
        assert_match {*hot key found with counter: *keyname: "big:string"*} [cli --hotkeys]
        r CONFIG SET maxmemory-policy noeviction
        assert_match {*Error: ERR An LFU maxmemory policy is not selected*} [cli --hotkeys]
    }
}
