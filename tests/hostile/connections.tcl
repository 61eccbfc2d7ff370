# Masses of connections that come and go, read slowly or not at all.

proc only_this_client {} {
    wait_for {[info_field connected_clients] == 1} 20000
}

with_server {} {
    test "10,000 connections that open and close leave no memory behind" {
        r PING
        set before [info_field used_memory]
        for {set i 0} {$i < 10000} {incr i} {
            set socket [socket [server_host] [server_port]]
            # Some send a request, some leave in the middle of one.
            switch [expr {$i % 4}] {
                0 { puts -nonewline $socket "PING\r\n" }
                1 { puts -nonewline $socket "*2\r\n\$3\r\nGE" }
            }
            catch {close $socket}
        }
        only_this_client
        assert {[info_field used_memory] < $before + 2000000}
        assert {[info_field total_connections_received] >= 10000}
        assert_equal PONG [r PING]
    }

    test "500 connections with half a request each do not stop the server" {
        set before [info_field used_memory]
        set all {}
        for {set i 0} {$i < 500} {incr i} {
            set c [client]
            $c -raw "*3\r\n\$3\r\nSET\r\n\$4\r\nhalf\r\n\$5\r\nva"
            lappend all $c
        }
        wait_for {[info_field connected_clients] == 501}
        assert_equal PONG [r PING]
        foreach c $all { $c -raw "lue\r\n" }
        foreach c $all { assert_equal OK [$c -read] }
        foreach c $all { $c -close }
        only_this_client
        wait_for "\[info_field used_memory\] < [expr {$before + 2000000}]"
    }

    test "A client that never reads its replies is closed at client-output-buffer-limit" {
        r CONFIG SET client-output-buffer-limit "normal 20mb 0 0"
        r SET big [string repeat x 1000000]
        set before [info_field used_memory]
        set c [client]
        set bytes [string repeat [resp_encode GET big] 200]
        catch {$c -raw $bytes}
        only_this_client
        assert_equal PONG [r PING]
        $c -close
        r CONFIG SET client-output-buffer-limit "normal 0 0 0"
        wait_for "\[info_field used_memory\] < [expr {$before + 4000000}]"
    }

    test "A slow reader gets everything, and others do not wait for it" {
        r SET big [string repeat y 1000000]
        set slow [client]
        $slow -raw [string repeat [resp_encode GET big] 20]
        for {set i 0} {$i < 200} {incr i} { assert_equal PONG [r PING] }
        for {set i 0} {$i < 20} {incr i} { assert_equal 1000000 [string length [$slow -read]] }
        assert_equal PONG [$slow PING]
        r DEL big
    }

    test "A value that is overwritten and deleted while it is sent arrives as it was" {
        r SET big [string repeat 1 3000000]
        set slow [client]
        $slow -raw [string repeat [resp_encode GET big] 5]
        wait_for {[regexp -all {id=} [r CLIENT LIST]] == 2}
        # While it waits for the first reply to be complete, the server sends the others.
        set early [string length [$slow -read]]
        r SETRANGE big 0 2222
        r APPEND big tail
        r SET big [string repeat 3 100]
        r DEL big
        r FLUSHALL
        set kinds {}
        for {set i 1} {$i < 5} {incr i} {
            set value [$slow -read]
            lappend kinds [string length $value] [string range $value 0 3]
        }
        assert_equal 3000000 $early
        assert_equal [string repeat "3000000 1111 " 4] "[join $kinds] "
    }

    test "A pipeline of 50 MB does not keep others waiting" {
        set busy [client]
        $busy -timeout 60000
        set part [string repeat [resp_encode SET k [string repeat v 900]] 5500]
        set worst 0
        for {set i 0} {$i < 10} {incr i} {
            $busy -raw $part
            set started [clock microseconds]
            r PING
            set worst [expr {max($worst, [clock microseconds] - $started)}]
        }
        for {set i 0} {$i < 55000} {incr i} { $busy -read }
        assert {$worst < 500000 * [slowness]}
    }

    test "The query buffer has a limit" {
        r CONFIG SET client-query-buffer-limit 1mb
        set c [client]
        catch {$c -raw [resp_encode SET k [string repeat x 3000000]]}
        only_this_client
        assert_equal PONG [r PING]
        $c -close
        r CONFIG SET client-query-buffer-limit 1gb
    }

    test "An announced huge value takes little memory until its bytes come" {
        set before [info_field used_memory]
        set all {}
        for {set i 0} {$i < 200} {incr i} {
            set c [client]
            $c -raw "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$500000000\r\nstart"
            lappend all $c
        }
        wait_for {[info_field mem_clients_normal] > 200 * 65536}
        assert {[info_field used_memory] < $before + 200 * 100000}
        foreach c $all { $c -close }
        only_this_client
    }

    test "Large arguments of a waiting request count as memory of its client" {
        set c [client]
        set value [string repeat y 1000000]
        $c -raw "*5\r\n\$4\r\nMSET\r\n\$1\r\na\r\n\$1000000\r\n$value\r\n\$1\r\nb\r\n"
        wait_for {[info_field mem_clients_normal] > 1000000}
        wait_for {[regexp {tot-mem=1[0-9]{6} } [r CLIENT LIST]]}
        $c -raw "\$1000000\r\n$value\r\n"
        assert_equal OK [$c -read]
        wait_for {[info_field mem_clients_normal] < 100000}
        r DEL a b
    }

    test "Unsent replies that refer to large values take little more than the values" {
        r SET big [string repeat x 16384]
        set before [info_field used_memory]
        set c [client]
        $c -raw [string repeat [resp_encode GET big] 9000]
        wait_for {[regexp {oll=1[0-9]{4} } [r CLIENT LIST]]}
        assert {[info_field used_memory] < $before + 9000 * 600}
        $c -close
        only_this_client
        r DEL big
    }

    test "The server sends replies while it still executes the requests of one read" {
        if {[slowness] > 1} { skip "sanitizers keep what is freed" }
        r SET big [string repeat x 16000]
        proc peak_kb {} {
            set file [open /proc/[server_pid]/status]
            regexp {VmHWM:\s*(\d+)} [read $file] -> kb
            close $file
            return $kb
        }
        set before [peak_kb]
        set c [client]
        $c -raw [string repeat "GET big\r\n" 7000]
        wait_for {[regexp {omem=1[0-9]{8} } [r CLIENT LIST]]}
        # 112 MB wait for the client; the arena does not hold as much again.
        assert {[peak_kb] - $before < 150000}
        $c -close
        only_this_client
        r DEL big
    }

    test "An argument is shorter than 2 GB, whatever proto-max-bulk-len says" {
        r CONFIG SET proto-max-bulk-len 8gb
        set c [client]
        $c -raw "*2\r\n\$4\r\nECHO\r\n\$2147483648\r\n"
        assert_equal "-ERR Protocol error: invalid bulk length\r\n" [$c -rest]
        set c [client]
        $c -raw "*2\r\n\$4\r\nECHO\r\n\$2147000000\r\nstart"
        wait_for {[regexp {qbuf=2[0-9] } [r CLIENT LIST]]}
        $c -close
        r CONFIG SET proto-max-bulk-len 512mb
    }

    test "Half-megabyte pieces of requests from many clients leave no memory behind" {
        set before [info_field used_memory]
        for {set i 0} {$i < 50} {incr i} {
            set c [client]
            catch {$c -raw "*5\r\n\$1000000\r\n[string repeat z 500000]"}
            $c -close
        }
        only_this_client
        wait_for "\[info_field used_memory\] < [expr {$before + 4000000}]"
    }
}

with_server {maxclients 20} {
    test "A client beyond maxclients gets an error and is closed" {
        set all {}
        for {set i 0} {$i < 19} {incr i} { set c [client]; $c PING; lappend all $c }
        r PING
        set late [client]
        assert_equal "-ERR max number of clients reached\r\n" [$late -rest]
        $late -close
        [lindex $all 0] -close
        wait_for {[info_field connected_clients] == 19}
        assert_equal PONG [[client] PING]
        assert_equal 1 [info_field rejected_connections]
    }
}

with_server {timeout 1} {
    test "timeout closes idle clients, not busy ones" {
        set idle [client]
        $idle PING
        wait_for {[r PING] eq "PONG" && [info_field connected_clients] == 1} 15000
        assert {[$idle -closed]}
    }

    test "A client that reads a large reply slowly is not idle" {
        r SET big [string repeat x 30000000]
        set slow [client]
        $slow -send GET big
        set channel [$slow -channel]
        set got 0
        while {$got < 30000000 && ![eof $channel]} {
            incr got [string length [read $channel 500000]]
            after 60
            r PING
        }
        assert_equal 30000013 $got
        r DEL big
    }
}

set socket_folder [string trim [exec mktemp -d]]
with_server [list unixsocket $socket_folder/s] {
    test "A Unix socket that is shut down with a reply unsent is closed, and does not keep the loop busy" {
        r SET big [string repeat x 5000000]
        set hanging [open |[list [file join $::root build tools bridge] $::socket_folder/s hang] r+]
        fconfigure $hanging -translation binary -blocking 0
        puts -nonewline $hanging [resp_encode GET big][resp_encode QUIT]
        flush $hanging
        wait_for {[regexp {omem=[1-9]} [r CLIENT LIST]]}
        close $hanging write
        only_this_client
        close $hanging
    }
}
file delete -force $socket_folder
