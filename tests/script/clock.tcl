# Time stands still in a script, and in EXEC, as in Redis 7.2: no key expires half-way, and TIME and TTL do not move.

# Lua that takes so many milliseconds by the clock of the processor.
proc spin {ms} {
    return "local spin_until = os.clock() + $ms / 1000; while os.clock() < spin_until do end;"
}

with_server {} {
    test "TIME, TTL and PTTL do not move" {
        r SET k v PX 100000
        lassign [r EVAL "
            local all = {}
            for i = 1, 3 do
                local time = redis.call('time')
                time\[3\], time\[4\] = redis.call('pttl','k'), redis.call('ttl','k')
                all\[i\] = table.concat(time, ' ')
                [spin 20]
            end
            return all" 0] first second third
        assert_equal $first $second
        assert_equal $first $third
    }

    test "It is the time at which the script began" {
        for {set i 0} {$i < 5} {incr i} {
            set before [clock microseconds]
            lassign [r EVAL "[spin 10] return redis.call('time')" 0] s us
            set after [clock microseconds]
            # Within a millisecond of the beginning: what TIME says is as old as that at most.
            assert {$s * 1000000 + $us >= $before - 1100 && $s * 1000000 + $us <= $after - 10000}
        }
    }

    test "A script sees no earlier time than what ran before it" {
        for {set i 0} {$i < 200} {incr i} {
            r -send TIME
            r -send EVAL "return redis.call('time')" 0
        }
        set last 0
        for {set i 0} {$i < 400} {incr i} {
            lassign [r -read] s us
            set now [expr {$s * 1000000 + $us}]
            assert {$now >= $last}
            set last $now
        }
    }

    test "A key lives as long as the script, and no longer" {
        r SET k v
        assert_equal {v 20 1 v 0} [r EVAL "
            redis.call('pexpire','k',20)
            local all = {redis.call('get','k'), redis.call('pttl','k')}
            [spin 60]
            all\[#all + 1\] = redis.call('exists','k')
            all\[#all + 1\] = redis.call('get','k')
            all\[#all + 1\] = #redis.call('keys','nosuch')
            return all" 0]
        assert_equal (nil) [r GET k]
        assert_equal -2 [r PTTL k]
    }

    test "Deadlines are counted from the beginning" {
        r DEL k
        lassign [r EVAL "
            [spin 20]
            local time = redis.call('time')
            redis.call('set','a','v','px',5000)
            redis.call('set','b','v') redis.call('expire','b',5)
            redis.call('set','c','v') redis.call('getex','c','ex',5)
            [spin 20]
            redis.call('psetex','d',5000,'v')
            local all = {time\[1\] * 1000 + math.floor(time\[2\] / 1000)}
            for i, key in ipairs({'a', 'b', 'c', 'd'}) do all\[i + 1\] = redis.call('pexpiretime',key) end
            return all" 0] began a b c d
        assert_equal [lrepeat 4 [expr {$began + 5000}]] [list $a $b $c $d]
    }

    test "A deadline of now is over at once for what sets it, and for others when the script has ended" {
        assert_equal {0 1 1} [r EVAL "
            local time = redis.call('time')
            local ms = time\[1\] * 1000 + math.floor(time\[2\] / 1000)
            redis.call('set','over','v') redis.call('pexpireat','over',ms)
            redis.call('set','now','v','pxat',ms)
            redis.call('set','next','v','pxat',ms + 1)
            [spin 20]
            return {redis.call('exists','over'), redis.call('exists','now'), redis.call('exists','next')}" 0]
        assert_equal 0 [r EXISTS now next]
    }

    test "Ids of streams follow the time of the script" {
        lassign [r EVAL "
            local time = redis.call('time')
            local one = redis.call('xadd','s','*','f','v')
            [spin 20]
            local two = redis.call('xadd','s','*','f','v')
            return {time\[1\] * 1000 + math.floor(time\[2\] / 1000), one, two}" 0] ms one two
        assert_equal [list $ms-0 $ms-1] [list $one $two]
    }

    test "A long script leaves the next one a clock that goes" {
        lassign [r EVAL "[spin 30] return redis.call('time')" 0] s us
        lassign [r EVAL "return redis.call('time')" 0] s2 us2
        assert {($s2 - $s) * 1000000 + $us2 - $us >= 30000}
    }

    test "EXEC has one time too, and scripts inside it have no other" {
        r MULTI
        r TIME
        r SET k v PX 20
        r EVAL "local time = redis.call('time') [spin 60] return {time, redis.call('get','k')}" 0
        r GET k
        r PTTL k
        r TIME
        lassign [r EXEC] time - script value pttl time2
        assert_equal $time $time2
        assert_equal [list $time v] $script
        assert_equal {v 20} [list $value $pttl]
        assert_equal (nil) [r GET k]
    }

    test "A watched key does not come due between the commands of EXEC" {
        r SET k v PX 30
        r WATCH k
        r MULTI
        r EVAL [spin 60] 0
        r GET k
        assert_equal {(nil) v} [r EXEC]
        assert_equal (nil) [r GET k]
    }
}

test "What expired under a script reaches replicas behind it" {
    with_nodes {p kura {} q kura {}} {
        follow $q $p
        lassign [fake_stream_begin $p] c
        $p SET k v PX [expr {200 * [slowness]}]
        set spin [spin [expr {300 * [slowness]}]]
        $p EVAL "redis.call('set','a','1') $spin redis.call('set','b',redis.call('get','k'))" 0
        wait_for {[$p EXISTS k] == 0}
        $p SET end 1
        set heard [lmap words [fake_commands $c {SET end 1}] { lindex $words 0 }]
        assert_equal {SELECT SET MULTI set set EXEC DEL SET} $heard
        level $p $q
        assert_equal {v 0} [list [$q GET b] [$q EXISTS k]]
    }
}
