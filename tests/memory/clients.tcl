# maxmemory-clients: whatever memory a client takes, of the largest ones so many are closed that the others keep the
# limit; and without it, unread replies cost keys.

proc evicted {} { return [info_field evicted_clients] }

# Of all clients.
proc clients_memory {} {
    return [expr [join [lmap {_ bytes} [regexp -all -inline {tot-mem=(\d+)} [r CLIENT LIST]] {set bytes}] +]]
}

proc start_over {} {
    r CLIENT NO-EVICT on
    r CONFIG SET maxmemory 0 maxmemory-clients 0 maxmemory-policy noeviction
    r FLUSHALL
    wait_for {[info_field lazyfree_pending_objects] == 0}
    r CONFIG RESETSTAT
}

# A client that holds so many bytes of a request that does not come to its end.
proc large_client {bytes {name large}} {
    set c [client]
    $c CLIENT SETNAME $name
    $c -raw "*2\r\n\$3\r\nGET\r\n\$[expr {2 * $bytes}]\r\n[string repeat x $bytes]"
    wait_for {[regexp "name=$name .* qbuf=(\\d+)" [r CLIENT LIST] -> got] && $got >= $bytes}
    return $c
}

proc names_left {} {
    return [lsort [lmap {_ name} [regexp -all -inline {name=(\w+) } [r CLIENT LIST]] {set name}]]
}

# What a client may do to take 1 MB. Each gets a client and a value of 100,000 bytes under `big`.
set ways {
    "an unfinished argument" { $c -raw "*2\r\n\$3\r\nGET\r\n\$2000000\r\n[string repeat x 1000000]" }
    "an unfinished request" { $c -raw "*30000\r\n[string repeat "\$40\r\n[string repeat x 40]\r\n" 25000]" }
    "a transaction" {
        $c -raw [resp_encode MULTI][string repeat [resp_encode SET k [string repeat x 10000]] 100]
    }
    "watched keys" {
        set keys {}
        for {set i 0} {$i < 20000} {incr i} { lappend keys key:with:a:long:name:$i }
        $c -raw [resp_encode WATCH {*}$keys]
    }
    "subscriptions" {
        set channels {}
        for {set i 0} {$i < 20000} {incr i} { lappend channels channel:$i }
        $c -raw [resp_encode SUBSCRIBE {*}$channels]
        catch {$c -bytes 500000}
    }
    "patterns" {
        set patterns {}
        for {set i 0} {$i < 20000} {incr i} { lappend patterns pattern:$i* }
        $c -raw [resp_encode PSUBSCRIBE {*}$patterns]
        catch {$c -bytes 500000}
    }
    "prefixes to track" {
        set words {}
        for {set i 0} {$i < 20000} {incr i} { lappend words PREFIX prefix:$i: }
        $c -raw [resp_encode HELLO 3][resp_encode CLIENT TRACKING ON BCAST {*}$words]
    }
    "unread replies" { $c -raw [string repeat [resp_encode GET big] 200] }
    "a long wait" {
        set keys {}
        for {set i 0} {$i < 20000} {incr i} { lappend keys key:with:a:long:name:$i }
        $c -raw [resp_encode BLPOP {*}$keys 0]
    }
    "unread messages" {
        $c SUBSCRIBE news
        for {set i 0} {$i < 200} {incr i} { r PUBLISH news [string repeat x 100000] }
    }
    "unread invalidations" {
        $c HELLO 3
        $c CLIENT TRACKING ON BCAST
        for {set i 0} {$i < 1500} {incr i} { r SET [string repeat k 10000]:$i v }
    }
    "unread lines of MONITOR" {
        $c MONITOR
        for {set i 0} {$i < 200} {incr i} { r ECHO [string repeat x 100000] }
    }
}

with_server {client-output-buffer-limit {normal 0 0 0 pubsub 0 0 0}} {
    foreach {way take} $ways {
        test "A client that takes too much by $way is evicted" {
            start_over
            r SET big [string repeat x 100000]
            r CONFIG SET maxmemory-clients 400kb
            set c [client]
            $c CLIENT SETNAME large
            catch $take
            wait_for {[evicted] == 1}
            assert {"large" ni [names_left]}
            assert_match "*Evicting client: id=* name=large *" [server_log]
            catch {$c -rest}
            assert [$c -closed]
            r PING
        }

        test "CLIENT NO-EVICT spares a client that takes much by $way" {
            start_over
            r SET big [string repeat x 100000]
            r CONFIG SET maxmemory-clients 400kb
            set c [client]
            $c CLIENT SETNAME large
            assert_equal OK [$c CLIENT NO-EVICT on]
            eval $take
            wait_for {[regexp {name=large .*tot-mem=(\d+)} [r CLIENT LIST] -> bytes] && $bytes > 400000}
            assert_match "*name=large *flags=*e*" [r CLIENT LIST]
            assert_equal large [names_left]
        }
    }

    test "Without a limit, and below it, nobody is evicted" {
        start_over
        set c [large_client 1000000]
        r CONFIG SET maxmemory-clients 2mb
        r PING
        assert_equal 0 [evicted]
        r CONFIG SET maxmemory-clients 1mb
        wait_for {[evicted] == 1}
    }

    test "CLIENT NO-EVICT off makes a client a candidate again" {
        start_over
        r CONFIG SET maxmemory-clients 300kb
        set c [client]
        $c CLIENT NO-EVICT on
        r SET big [string repeat x 200000]
        # Both commands arrive before the server can know that the replies are not read.
        $c -raw [string repeat [resp_encode GET big] 100]
        wait_for {[regexp {tot-mem=(\d{7,}) } [r CLIENT LIST]]}
        assert_equal 0 [evicted]
        $c -raw [resp_encode CLIENT NO-EVICT off]
        wait_for {[evicted] == 1}
    }

    test "The largest clients go, and no more than need to" {
        start_over
        foreach kb {20 40 80 160 320 640 1280} { set many($kb) [large_client [expr {1000 * $kb}] size$kb] }
        # All of them; then more than half of the largest, of the two largest, and so on is to go.
        set gone 0
        set left {20 40 80 160 320 640 1280}
        r CONFIG SET maxmemory-clients [expr {[clients_memory] + 10000}]
        r PING
        assert_equal 0 [evicted]
        while {[llength $left] > 4} {
            r CONFIG SET maxmemory-clients [expr {[clients_memory] - 700 * [lindex $left end]}]
            set left [lrange $left 0 end-1]
            incr gone
            wait_for {[evicted] >= $gone}
            assert_equal [lsort [lmap kb $left {set _ size$kb}]] [names_left]
        }
        # More than the largest of those that are left, whose buffers have doubled.
        r CONFIG SET maxmemory-clients [expr {[clients_memory] - 1000 * (320 + 50)}]
        wait_for {[evicted] == $gone + 2}
        assert_equal {size20 size40} [names_left]
    }

    test "Many small clients together are too much as well" {
        start_over
        for {set i 0} {$i < 40} {incr i} { set few($i) [large_client 20000 small$i] }
        r CONFIG SET maxmemory-clients 400kb
        wait_for {[evicted] > 0}
        wait_for {[llength [names_left]] < 20}
        assert {[llength [names_left]] >= 8}
    }

    test "Less than 128 KB cannot be asked for: the operator must be able to talk to the server" {
        start_over
        r CONFIG SET maxmemory-clients 1
        set c [large_client 40000]
        r PING
        assert_equal {0 large} [list [evicted] [names_left]]
        assert_equal 1 [lindex [r CONFIG GET maxmemory-clients] 1]
        set d [client]
        $d -raw "*2\r\n\$3\r\nGET\r\n\$200000\r\n[string repeat x 100000]"
        wait_for {[evicted] == 1}
    }

    test "A percentage is one of maxmemory, and none without it" {
        start_over
        set c [large_client 1000000]
        r CONFIG SET maxmemory-clients 1%
        r PING
        assert_equal 0 [evicted]
        r CONFIG SET maxmemory 1gb
        r PING
        assert_equal 0 [evicted]
        r CONFIG SET maxmemory 50mb
        wait_for {[evicted] == 1}
        assert_equal 1% [lindex [r CONFIG GET maxmemory-clients] 1]
    }

    test "CONFIG RESETSTAT resets evicted_clients, and a limit that is taken away is forgotten" {
        start_over
        r CONFIG SET maxmemory-clients 200kb
        set c [client]
        catch {$c -raw "*2\r\n\$3\r\nGET\r\n\$2000000\r\n[string repeat x 1000000]"}
        wait_for {[evicted] == 1}
        r CONFIG RESETSTAT
        assert_equal 0 [evicted]
        r CONFIG SET maxmemory-clients 0
        set c [large_client 1000000]
        assert_equal 0 [evicted]
        r CONFIG SET maxmemory-clients 200kb
        wait_for {[evicted] == 1}
    }

    test "A client may evict itself, and gets nothing more" {
        start_over
        r SET big [string repeat x 100000]
        set c [large_client 1000000]
        set d [client]
        $d CONFIG SET maxmemory-clients 200kb
        wait_for {[evicted] == 1}
        $d -raw [string repeat [resp_encode GET big] 500]
        wait_for {[evicted] == 2}
        catch {$d -rest} bytes
        assert {[string length $bytes] < 500 * 100000}
    }
}

# --- replies that nobody reads, and keys ----------------------------------------------------------

with_server {} {
    foreach limit {0 300kb} {
        test "Unread replies cost keys unless the clients have a limit: $limit" {
            start_over
            for {set i 0} {$i < 2000} {incr i} { r SET k:$i [string repeat x 1000] EX 10000 }
            r SET hot [string repeat x 10000]
            r CONFIG SET maxmemory-clients $limit maxmemory-policy volatile-random
            r CONFIG SET maxmemory [expr {[info_field used_memory] + 200000}]
            set c [client]
            # More than the sockets take. Values below 16 KB are copied to the output.
            catch { $c -raw [string repeat [resp_encode GET hot] 2000] }
            if {$limit eq "0"} {
                wait_for {[info_field evicted_keys] > 1000}
                assert_equal 0 [evicted]
            } else {
                wait_for {[evicted] == 1}
                assert {[info_field evicted_keys] < 1000}
            }
        }
    }
}

# --- at random ------------------------------------------------------------------------------------

# Clients come, take memory in a random way, read or not, and limits move. The server keeps them, and survives.
with_server {client-output-buffer-limit {normal 0 0 0 pubsub 0 0 0} maxmemory-policy allkeys-random} {
    test "Random limits for keys and clients while clients do not read" {
        set empty [info_field used_memory]
        r SET big [string repeat x 100000]
        array set clients {}
        for {set round 0} {$round < 150} {incr round} {
            set i [random_below 6]
            if {![info exists clients($i)] || [random_below 4] == 0} {
                if {[info exists clients($i)]} { catch {$clients($i) -close} }
                set clients($i) [client]
            }
            set c $clients($i)
            $c -timeout 300
            set bytes ""
            switch [random_below 6] {
                0 { set bytes [string repeat [resp_encode GET big] [random_below 50]] }
                1 {
                    set value [string repeat y [random_below 9999]]
                    set bytes [string repeat [resp_encode SET k:[random_below 500] $value] 20]
                }
                2 { set bytes [resp_encode MULTI][string repeat [resp_encode SET q z] [random_below 5000]] }
                3 { set bytes "*2\r\n\$3\r\nGET\r\n\$9000000\r\n[string repeat x [random_below 1000000]]" }
                4 { set bytes [resp_encode SUBSCRIBE a b c] }
                5 { set bytes [resp_encode PUBLISH a [string repeat m [random_below 100000]]] }
            }
            if {[catch {$c -raw $bytes}]} {
                catch {$c -close}
                unset clients($i)
            }
            if {[random_below 5] == 0} {
                catch {
                    r CONFIG SET maxmemory-clients [lindex {0 130kb 300kb 1mb 5%} [random_below 5]] \
                        maxmemory [expr {[random_below 4] ? $empty + [random_below 5000000] : 0}]
                }
            }
        }
        foreach i [array names clients] { catch {$clients($i) -close} }
        r_close
        r CONFIG SET maxmemory 0 maxmemory-clients 0
        wait_for {[info_field connected_clients] == 1}
        r FLUSHALL
        wait_for {[info_field used_memory] < $empty + 1000000}
        assert_equal OK [r SET k v]
    }
}
