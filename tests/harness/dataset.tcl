# The whole dataset of a server as text, for comparisons with its state before, or with another server.
#
#   dataset ?client?        one line a key: database, name, type, value (sets and hashes sorted), deadline
#   dataset_fill ?client?   every type in every encoding, in several databases, with deadlines

proc dataset {{c r}} {
    set lines {}
    for {set db 0} {$db < 16} {incr db} {
        $c SELECT $db
        foreach key [lsort [$c KEYS *]] {
            lappend lines [list $db $key [$c TYPE $key] [dataset::value $c $key] [$c PEXPIRETIME $key]]
        }
    }
    $c SELECT 0
    return [join $lines \n]
}

namespace eval dataset {}

proc dataset::value {c key} {
    switch -- [$c TYPE $key] {
        string { return [$c GET $key] }
        list { return [$c LRANGE $key 0 -1] }
        set { return [lsort [$c SMEMBERS $key]] }
        zset { return [$c ZRANGE $key 0 -1 WITHSCORES] }
        hash { return [lsort -stride 2 [$c HGETALL $key]] }
        stream { return [dataset::stream $c $key] }
    }
    return "?"
}

# All of a stream, but for what depends on when it is asked, on how it is kept, or on the version of the server.
proc dataset::stream {c key} {
    set state [$c XINFO STREAM $key FULL COUNT 0]
    foreach field {radix-tree-keys radix-tree-nodes} { dict unset state $field }
    set groups {}
    foreach group [dict get $state groups] {
        set consumers {}
        foreach consumer [dict get $group consumers] {
            lappend consumers [dict remove $consumer seen-time active-time]
        }
        lappend groups [dict replace [dict remove $group lag] consumers $consumers]
    }
    return [dict replace $state groups $groups]
}

proc dataset_fill {{c r}} {
    $c SET string:int 12345
    $c SET string:negative -1
    $c SET string:short abc
    $c SET string:binary "\x00\r\n\xff*3\r\n#K:"
    $c SET string:raw [string repeat x 1000]
    $c SET string:blob [string repeat "0123456789abcdef" 5000]
    $c APPEND string:appended hello
    $c INCRBYFLOAT string:float 3.25
    $c RPUSH list:small a b 3 -4
    for {set i 0} {$i < 500} {incr i} {
        $c RPUSH list:big element:$i:[string repeat y 20]
        $c SADD set:big member:$i
        $c ZADD zset:big [expr {$i * 1.5}] member:$i
        $c HSET hash:big field:$i value:$i
    }
    $c RPUSH list:huge [string repeat z 20000] b
    $c SADD set:ints 1 2 3 1000000
    $c SADD set:words one two three
    $c ZADD zset:small 1 a 2.5 b inf c -inf d
    $c XGROUP CREATE stream:empty group 0 MKSTREAM
    for {set i 1} {$i <= 300} {incr i} { $c XADD stream:big $i-1 name value:$i number $i }
    $c XADD stream:big 400-1 other "" name \x00\r\n
    $c XDEL stream:big 7-1 8-1 400-1
    $c XGROUP CREATE stream:big readers 0
    $c XGROUP CREATECONSUMER stream:big readers idle
    $c XREADGROUP GROUP readers one COUNT 100 STREAMS stream:big >
    $c XREADGROUP GROUP readers two COUNT 50 STREAMS stream:big >
    $c XACK stream:big readers 1-1 2-1 120-1
    $c XCLAIM stream:big readers two 0 50-1 RETRYCOUNT 9
    $c HSET hash:small f1 v1 f2 2
    $c SET expiring v EX 1000
    $c SADD expiring:set a b
    $c PEXPIRE expiring:set 2000000
    $c SELECT 9
    $c SET elsewhere 1
    $c SELECT 0
}
