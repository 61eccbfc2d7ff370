# Keyspace notifications: time, both forms, and the work that is saved while nobody listens. compat/events compares the
# events of all commands with redis-server.
with_server {notify-keyspace-events KEA} {
    test "An event has two channels, one of its key and one of its kind" {
        set s [client]
        $s PSUBSCRIBE __key*
        r SELECT 3
        r SET k v
        assert_equal {pmessage __key* __keyspace@3__:k set} [$s -read]
        assert_equal {pmessage __key* __keyevent@3__:set k} [$s -read]
        r SELECT 0
    }

    test "A key that expires without being touched sends its event at the deadline" {
        set s [client]
        $s SUBSCRIBE __keyevent@0__:expired
        set began [clock milliseconds]
        r PSETEX short 150 v
        assert_equal {message __keyevent@0__:expired short} [$s -read]
        set waited [expr {[clock milliseconds] - $began}]
        assert {$waited >= 150 && $waited < 150 + 100 * [slowness]}
    }

    test "A client that listens to its own keys in RESP3 gets the event behind the reply" {
        set s [client]
        $s HELLO 3
        $s SUBSCRIBE __keyspace@0__:own
        $s -raw [resp_encode DEL own][resp_encode RPUSH own a b][resp_encode LRANGE own 0 -1][resp_encode SPOP own]
        assert_equal 0 [$s -read]
        assert_equal 2 [$s -read]
        assert_equal {message __keyspace@0__:own rpush} [$s -read]
        assert_equal {a b} [$s -read]
        assert_error WRONGTYPE* { $s -read }
    }

    test "LTRIM that removes nothing tells nobody" {
        r RPUSH list a b c
        set tracker [client]
        $tracker HELLO 3
        $tracker CLIENT TRACKING ON
        $tracker LLEN list
        set watcher [client]
        $watcher WATCH list
        set s [client]
        $s PSUBSCRIBE __keyspace*
        set dirty [info_field rdb_changes_since_last_save]
        foreach range {{0 -1} {-3 2} {-100 100}} { assert_equal OK [r LTRIM list {*}$range] }
        r LTRIM none 0 -1
        assert_equal {pong end} [$s PING end]
        assert_equal PONG [$tracker PING]
        $watcher MULTI
        $watcher LLEN list
        assert_equal 3 [$watcher EXEC]
        assert_equal $dirty [info_field rdb_changes_since_last_save]
        r LTRIM list 0 1
        assert_equal {pmessage __keyspace* __keyspace@0__:list ltrim} [$s -read]
        assert_equal {invalidate list} [$tracker -read]
    }

    test "CONFIG SET turns classes on and off at once" {
        set s [client]
        $s PSUBSCRIBE __keyspace*
        r CONFIG SET notify-keyspace-events Kl
        r SET x v
        r LPUSH y v
        assert_equal {pmessage __keyspace* __keyspace@0__:y lpush} [$s -read]
        r CONFIG SET notify-keyspace-events ""
        r LPUSH y v
        r CONFIG SET notify-keyspace-events Kmn
        r GET nothing
        r SET fresh v
        assert_equal {pmessage __keyspace* __keyspace@0__:nothing keymiss} [$s -read]
        assert_equal {pmessage __keyspace* __keyspace@0__:fresh new} [$s -read]
    }

    test "A listener that does not read is closed in the middle of a command, which goes on" {
        r CONFIG SET notify-keyspace-events KEA client-output-buffer-limit "pubsub 100000 0 0"
        set s [client]
        $s PSUBSCRIBE __key*
        set words {}
        for {set i 0} {$i < 20000} {incr i} { lappend words [string repeat k 40]$i v }
        assert_equal OK [r MSET {*}$words]
        wait_for {[r PUBSUB NUMPAT] == 0}
        assert_equal v [r GET [string repeat k 40]19999]
    }
}
