# What applications do with scripts: locks, limits, queues, semaphores, caches. Each test is a small program in the
# style of a well-known library, with several clients, and checks the promise that its script makes. Scripts are called
# as client libraries do: by EVALSHA, and by EVAL where that says NOSCRIPT.

array set sha_of {}

# run {?client? script} {keys} args...
proc run {text keys args} { return [run_by r $text $keys {*}$args] }
proc run_by {c text keys args} {
    global sha_of
    if {![info exists sha_of($text)]} { set sha_of($text) [$c EVAL {return redis.sha1hex(ARGV[1])} 0 $text] }
    if {[catch { $c EVALSHA $sha_of($text) [llength $keys] {*}$keys {*}$args } reply]} {
        if {![string match NOSCRIPT* $reply]} { error $reply }
        set reply [$c EVAL $text [llength $keys] {*}$keys {*}$args]
    }
    return $reply
}

proc with_clients {n body} {
    upvar 1 clients clients
    set clients {}
    for {set i 0} {$i < $n} {incr i} { lappend clients [client] }
    uplevel 1 $body
    foreach c $clients { $c -close }
}

# --- Locks ---------------------------------------------------------------------------------------

# A lock is a key with a token: who has the token may release or prolong it.
set unlock {
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    return redis.call('DEL', KEYS[1])
}
set prolong {
    if redis.call('GET', KEYS[1]) == ARGV[1] then
        return redis.call('PEXPIRE', KEYS[1], ARGV[2])
    end
    return 0
}
# All of the keys or none of them.
set lock_all {
    for _, key in ipairs(KEYS) do
        if redis.call('EXISTS', key) == 1 then return 0 end
    end
    for _, key in ipairs(KEYS) do
        redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    end
    return #KEYS
}
set unlock_all {
    local n = 0
    for _, key in ipairs(KEYS) do
        if redis.call('GET', key) == ARGV[1] then n = n + redis.call('DEL', key) end
    end
    return n
}
# A lock that its owner may take several times: a hash of owners and counts. Nil: it is taken; else it is taken for so
# many milliseconds by another. Who waits listens to a channel.
set enter {
    if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
        redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
        redis.call('PEXPIRE', KEYS[1], ARGV[1])
        return nil
    end
    return redis.call('PTTL', KEYS[1])
}
set leave {
    if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return nil end
    local depth = redis.call('HINCRBY', KEYS[1], ARGV[2], -1)
    if depth > 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[1])
        return 0
    end
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', KEYS[2], 'free')
    return 1
}

# --- Limits --------------------------------------------------------------------------------------

# So many calls in a window that begins with the first. Replies what is left, or -1, and when the window ends.
set fixed_window {
    local used = redis.call('INCR', KEYS[1])
    if used == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    local left = tonumber(ARGV[1]) - used
    return {left < 0 and -1 or left, redis.call('PTTL', KEYS[1])}
}
# So many calls in any window: a set of times. The caller gives the time.
set sliding_window {
    local now, window, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
    local used = redis.call('ZCARD', KEYS[1])
    if used >= limit then
        local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
        return {0, tonumber(first[2]) + window - now}
    end
    redis.call('ZADD', KEYS[1], now, ARGV[4])
    redis.call('PEXPIRE', KEYS[1], window)
    return {1, limit - used - 1}
}
# A bucket that is refilled with time; the state has fractions.
set token_bucket {
    local rate, size, now, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
    local state = redis.call('HMGET', KEYS[1], 'tokens', 'time')
    local tokens, time = tonumber(state[1]) or size, tonumber(state[2]) or now
    tokens = math.min(size, tokens + math.max(0, now - time) * rate)
    local allowed = tokens >= want
    if allowed then tokens = tokens - want end
    redis.call('HSET', KEYS[1], 'tokens', tokens, 'time', now)
    redis.call('EXPIRE', KEYS[1], math.ceil(size / rate) + 1)
    return {allowed and 1 or 0, tostring(tokens)}
}
# The time at which the next call would be in order, by the server's clock.
set steady_rate {
    local t = redis.call('TIME')
    local now = (t[1] - 1700000000) * 1000000 + t[2]
    local gap, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
    local due = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
    if due - now > gap * burst then return -1 end
    redis.call('SET', KEYS[1], string.format('%d', due + gap), 'PX', math.ceil(gap * (burst + 2) / 1000))
    return burst - math.ceil((due - now) / gap)
}

# --- Queues --------------------------------------------------------------------------------------

set move_due {
    local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
    for first = 1, #due, 100 do
        local last = math.min(first + 99, #due)
        redis.call('ZREM', KEYS[1], unpack(due, first, last))
        redis.call('RPUSH', KEYS[2], unpack(due, first, last))
    end
    return #due
}
# Takes a job, whose payload is JSON, counts the attempt in it, and keeps it until a time.
set reserve {
    local job = redis.call('LPOP', KEYS[1])
    if not job then return {false, false} end
    local t = cjson.decode(job)
    t.attempts = t.attempts + 1
    local kept = cjson.encode(t)
    redis.call('ZADD', KEYS[2], ARGV[1], kept)
    return {job, kept}
}
# Jobs with numbers and priorities: options come as MessagePack, and the job is a hash.
set add_job {
    local options = cmsgpack.unpack(ARGV[1])
    local id = redis.call('INCR', KEYS[1])
    local key = KEYS[2] .. id
    redis.call('HSET', key, 'name', ARGV[2], 'data', ARGV[3], 'opts', cjson.encode(options), 'tries', 0)
    if (options.delay or 0) > 0 then
        redis.call('ZADD', KEYS[4], options.delay, id)
    elseif options.priority then
        redis.call('ZADD', KEYS[5], options.priority * 4294967296 + id % 4294967296, id)
    elseif options.lifo then
        redis.call('RPUSH', KEYS[3], id)
    else
        redis.call('LPUSH', KEYS[3], id)
    end
    redis.call('XADD', KEYS[6], '*', 'event', 'added', 'id', id)
    return id .. ''
}
set next_job {
    local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[3])
    if not id then
        local first = redis.call('ZPOPMIN', KEYS[2])
        id = first[1]
        if not id then return nil end
        redis.call('LPUSH', KEYS[3], id)
    end
    local key = ARGV[1] .. id
    redis.call('HINCRBY', key, 'tries', 1)
    redis.call('SET', key .. ':lock', ARGV[2], 'PX', ARGV[3])
    return {id, redis.call('HGETALL', key)}
}
set finish_job {
    local key = ARGV[1] .. ARGV[2]
    if redis.call('GET', key .. ':lock') ~= ARGV[3] then return -2 end
    if redis.call('LREM', KEYS[1], -1, ARGV[2]) == 0 then return -3 end
    redis.call('DEL', key .. ':lock')
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
    redis.call('HSET', key, 'result', ARGV[5])
    for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1 - ARGV[6])) do
        redis.call('DEL', ARGV[1] .. old)
        redis.call('ZREM', KEYS[2], old)
    end
    return 0
}
# Active jobs without a lock have lost their worker.
set revive_jobs {
    local back = {}
    for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
        if redis.call('EXISTS', ARGV[1] .. id .. ':lock') == 0 then
            redis.call('LREM', KEYS[1], 1, id)
            redis.call('RPUSH', KEYS[2], id)
            table.insert(back, id)
        end
    end
    return back
}

# --- Semaphores, caches, counters ------------------------------------------------------------------

set acquire {
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) and not redis.call('ZSCORE', KEYS[1], ARGV[4]) then
        return 0
    end
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4])
    return 1
}
# A cached value; or a lease, which one client gets, so that it alone computes the value; or 'wait'.
set get_or_lease {
    local value = redis.call('GET', KEYS[1])
    if value then return {'value', value} end
    if redis.call('SET', KEYS[1] .. ':lease', ARGV[1], 'NX', 'PX', ARGV[2]) then return {'lease', ARGV[1]} end
    return {'wait'}
}
set fill {
    if redis.call('GET', KEYS[1] .. ':lease') ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    redis.call('DEL', KEYS[1] .. ':lease')
    return 1
}
set compare_and_set {
    local now = redis.call('GET', KEYS[1])
    if (now or '') ~= ARGV[1] then return {err = 'CHANGED is ' .. (now or 'nothing')} end
    return redis.call('SET', KEYS[1], ARGV[2])
}
set book_seats {
    local left = tonumber(redis.call('HGET', KEYS[1], 'left'))
    local want = tonumber(ARGV[1])
    if left < want then return redis.error_reply('SOLDOUT ' .. left .. ' left') end
    redis.call('HINCRBY', KEYS[1], 'left', -want)
    redis.call('RPUSH', KEYS[2], cjson.encode({who = ARGV[2], seats = want}))
    return redis.status_reply('BOOKED')
}
# Removes keys by a pattern, in steps.
set remove_by_pattern {
    local cursor, n = '0', 0
    repeat
        local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 100)
        cursor = step[1]
        if #step[2] > 0 then n = n + redis.call('UNLINK', unpack(step[2])) end
    until cursor == '0'
    return n
}
set bloom_add {
    local new = 0
    for i = 1, tonumber(ARGV[2]) do
        local place = tonumber(string.sub(redis.sha1hex(ARGV[1] .. i), 1, 8), 16) % ARGV[3]
        if redis.call('SETBIT', KEYS[1], place, 1) == 0 then new = 1 end
    end
    return new
}
set ranks_around {
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if rank == false then return {} end
    local first = math.max(0, rank - ARGV[2])
    local rows = redis.call('ZREVRANGE', KEYS[1], first, rank + ARGV[2], 'WITHSCORES')
    local out = {}
    for i = 1, #rows, 2 do
        out[#out + 1] = {first + (i + 1) / 2, rows[i], rows[i + 1]}
    end
    return out
}

# A map of strings and small numbers as MessagePack.
proc msgpack {map} {
    set out [binary format c [expr {0x80 | [dict size $map]}]]
    foreach {key value} $map {
        append out [binary format c [expr {0xa0 | [string length $key]}]] $key
        if {[string is integer -strict $value]} {
            append out \xce [binary format I $value]
        } else {
            append out [binary format c [expr {0xa0 | [string length $value]}]] $value
        }
    }
    return $out
}

with_server {appendonly yes} {
    test "A lock is released and prolonged only by who has its token" {
        assert_equal OK [r SET lock mine NX PX 60000]
        assert_equal (nil) [r SET lock other NX PX 60000]
        assert_equal 0 [run $unlock lock other]
        assert_equal 0 [run $prolong lock other 1000000]
        assert {[r PTTL lock] <= 60000}
        assert_equal 1 [run $prolong lock mine 1000000]
        assert {[r PTTL lock] > 60000}
        assert_equal 1 [run $unlock lock mine]
        assert_equal 0 [run $unlock lock mine]
        assert_equal OK [r SET lock other NX PX 60000]
        r DEL lock
    }

    test "A lock on several resources is taken as a whole" {
        with_clients 2 {
            lassign $clients a b
            assert_equal 3 [run_by $a $lock_all {la lb lc} A 60000]
            assert_equal 0 [run_by $b $lock_all {lc ld} B 60000]
            assert_equal 0 [r EXISTS ld]
            assert_equal 1 [run_by $b $lock_all {ld} B 60000]
            assert_equal 0 [run_by $b $unlock_all {la lb lc} B]
            assert_equal 3 [run_by $a $unlock_all {la lb lc ld} A]
            assert_equal 2 [run_by $b $lock_all {lc la} B 60000]
            assert_equal 3 [run_by $b $unlock_all {la lc ld} B]
        }
    }

    test "A lock that expires lets others in, but its late owner does no harm" {
        assert_equal OK [r SET lock first NX PX 1]
        wait_for { [r SET lock second NX PX 60000] eq "OK" }
        assert_equal 0 [run $unlock lock first]
        assert_equal second [r GET lock]
        assert_equal 1 [run $unlock lock second]
    }

    test "Who waits for a lock that was taken twice hears when it is free" {
        with_clients 2 {
            lassign $clients waiter owner
            assert_equal (nil) [run_by $owner $enter room 60000 owner]
            assert_equal (nil) [run_by $owner $enter room 60000 owner]
            set ms [run_by $waiter $enter room 60000 waiter]
            assert {$ms > 0 && $ms <= 60000}
            $waiter SUBSCRIBE room:free
            assert_equal (nil) [run_by $owner $leave {room room:free} 60000 stranger]
            assert_equal 0 [run_by $owner $leave {room room:free} 60000 owner]
            assert_equal 1 [run_by $owner $leave {room room:free} 60000 owner]
            assert_equal {message room:free free} [$waiter -read]
            $waiter UNSUBSCRIBE room:free
            assert_equal (nil) [run_by $waiter $enter room 60000 waiter]
            assert_equal 1 [run_by $waiter $leave {room room:free} 60000 waiter]
        }
    }

    test "A window of a fixed length lets so many through" {
        foreach left {2 1 0 -1 -1} {
            lassign [run $fixed_window window 3 60000] got ms
            assert_equal $left $got
            assert {$ms > 0 && $ms <= 60000}
        }
        assert_equal 5 [r GET window]
        r PEXPIRE window 1
        wait_for { [r EXISTS window] == 0 }
        assert_equal 2 [lindex [run $fixed_window window 3 60000] 0]
        r DEL window
    }

    test "A sliding window never lets more through than its limit" {
        set times {}
        set now 1000000
        for {set i 0} {$i < 500} {incr i} {
            incr now [random_below 3000]
            lassign [run $sliding_window slide $now 100000 20 call$i] allowed rest
            set times [lmap t $times { if {$t <= $now - 100000} continue; set t }]
            if {$allowed} {
                lappend times $now
                assert_equal [expr {20 - [llength $times]}] $rest
            } else {
                assert_equal 20 [llength $times]
                assert_equal [expr {[lindex $times 0] + 100000 - $now}] $rest
            }
            assert {[llength $times] <= 20}
        }
        assert_equal [llength $times] [r ZCARD slide]
        r DEL slide
    }

    test "A bucket is refilled with time, in fractions" {
        assert_equal {1 7} [run $token_bucket bucket 0.5 10 100 3]
        assert_equal {1 0} [run $token_bucket bucket 0.5 10 100 7]
        assert_equal {0 0.25} [run $token_bucket bucket 0.5 10 100.5 1]
        assert_equal {1 0} [run $token_bucket bucket 0.5 10 102 1]
        assert_equal {1 0} [run $token_bucket bucket 0.5 10 1000 10]
        assert_equal {0 0} [run $token_bucket bucket 0.5 10 999 1]
        assert_equal 999 [r HGET bucket time]
        r DEL bucket
    }

    test "A steady rate lets a burst through, and then one call at a time" {
        set replies {}
        for {set i 0} {$i < 10} {incr i} { lappend replies [run $steady_rate steady 60000000 4] }
        assert_equal {4 3 2 1 0 -1 -1 -1 -1 -1} $replies
        assert {[r PTTL steady] > 60000}
    }

    test "Jobs that are due move in their order, and each of them once" {
        for {set i 1} {$i <= 1000} {incr i} { r -send ZADD later $i job$i }
        for {set i 1} {$i <= 1000} {incr i} { r -read }
        with_clients 4 {
            foreach c $clients { $c -send EVAL $move_due 2 later ready 900 225 }
            foreach c $clients { assert_equal 225 [$c -read] }
        }
        assert_equal 0 [run $move_due {later ready} 900 225]
        assert_equal 100 [r ZCARD later]
        set i 0
        foreach job [r LRANGE ready 0 -1] { assert_equal job[incr i] $job }
        assert_equal 900 $i
        r DEL later ready
    }

    test "A job that was reserved comes back with one attempt more, until it is removed" {
        r RPUSH jobs {{"id":7,"attempts":0,"data":[1,"\u00e9",null]}}
        set job ""
        for {set attempt 1} {$attempt <= 3} {incr attempt} {
            lassign [run $reserve {jobs reserved} $attempt] was job
            assert_match "*\"attempts\":[expr {$attempt - 1}]*" $was
            assert_match "*\"attempts\":$attempt*" $job
            assert_match {*\[1,"*",null\]*} $was
            assert_equal [list $job] [r ZRANGE reserved 0 -1]
            assert_equal {(nil) (nil)} [run $reserve {jobs reserved} 9]
            if {$attempt < 3} { assert_equal 1 [run $move_due {reserved jobs} $attempt 10] }
        }
        assert_equal 1 [r ZREM reserved $job]
    }

    set queue {q:id q:job: q:wait q:delayed q:first q:events}
    test "A queue of jobs keeps its order, its priorities, its locks and its history" {
        set ids {}
        foreach {name options} {a {} b {} c {priority 5} d {priority 1} e {lifo 1} f {delay 99} g {priority 5}} {
            lappend ids [run $add_job $queue [msgpack $options] $name "{\"of\":\"$name\"}"]
        }
        assert_equal {1 2 3 4 5 6 7} $ids
        assert_equal {{"priority":5}} [r HGET q:job:3 opts]
        assert_equal 7 [r XLEN q:events]
        assert_equal 6 [r ZRANGE q:delayed 0 -1]
        set order {}
        while 1 {
            set next [run $next_job {q:wait q:first q:active} q:job: token 60000]
            if {$next eq "(nil)"} break
            lassign $next id fields
            lappend order [dict get $fields name]
            assert_equal 1 [dict get $fields tries]
        }
        assert_equal {e a b d c g} $order
        assert_equal -2 [run $finish_job {q:active q:done} q:job: 1 other 10 r 3]
        assert_equal 0 [run $finish_job {q:active q:done} q:job: 1 token 10 r 3]
        assert_equal -2 [run $finish_job {q:active q:done} q:job: 1 token 10 r 3]
        r SET q:job:6:lock token
        assert_equal -3 [run $finish_job {q:active q:done} q:job: 6 token 10 r 3]
        r DEL q:job:2:lock q:job:4:lock
        assert_equal {4 2} [run $revive_jobs {q:active q:wait} q:job:]
        assert_equal {} [run $revive_jobs {q:active q:wait} q:job:]
        assert_equal {2 2} [list [lindex [set next [run $next_job {q:wait q:first q:active} q:job: again 60000]] 0] \
            [dict get [lindex $next 1] tries]]
        foreach {id token} {2 again 3 token 5 token 7 token} {
            assert_equal 0 [run $finish_job {q:active q:done} q:job: $id $token 1$id result 3]
        }
        assert_equal {3 5 7} [r ZRANGE q:done 0 -1]
        assert_equal {0 0 1 1} [lmap id {1 2 3 4} { r EXISTS q:job:$id }]
    }

    test "Several workers never have the same job" {
        for {set i 0} {$i < 300} {incr i} { run $add_job $queue [msgpack {}] name $i }
        set seen [dict create]
        with_clients 5 {
            while 1 {
                foreach c $clients { $c -send EVALSHA $sha_of($next_job) 3 q:wait q:first q:active q:job: $c 60000 }
                set got [lmap c $clients { lindex [$c -read] 0 }]
                foreach id $got {
                    if {$id eq "(nil)"} continue
                    assert {![dict exists $seen $id]}
                    dict set seen $id 1
                }
                if {[lindex $got end] eq "(nil)"} break
            }
        }
        assert {[dict size $seen] >= 300}
    }

    test "A semaphore has so many holders, and drops those whose time is over" {
        foreach {now until who expected} {
            100 200 a 1    100 150 b 1    100 200 c 0    120 220 a 1    149 200 c 0
            150 250 c 1    150 250 b 0    220 300 b 1
        } {
            assert_equal $expected [run $acquire sem $now $until 2 $who]
        }
        assert_equal {c b} [r ZRANGE sem 0 -1]
        assert_equal 1 [r ZREM sem c]
        assert_equal 1 [run $acquire sem 230 300 2 d]
    }

    test "One client of many computes a missing value of the cache" {
        with_clients 8 {
            set i 0
            foreach c $clients { $c -send EVAL $get_or_lease 1 page token[incr i] 60000 }
            set replies [lmap c $clients { $c -read }]
            assert_equal {lease token1} [lindex $replies 0]
            foreach reply [lrange $replies 1 end] { assert_equal wait $reply }
            assert_equal 0 [run $fill page token2 wrong 60]
            assert_equal 1 [run $fill page token1 right 60]
            assert_equal 0 [run $fill page token1 late 60]
            foreach c $clients { assert_equal {value right} [run_by $c $get_or_lease page x 60000] }
        }
        assert_equal 0 [r EXISTS page:lease]
        assert {[r TTL page] > 50}
    }

    test "Compare-and-set loses no update" {
        r SET total 0
        with_clients 4 {
            for {set done 0} {$done < 200} {} {
                set seen [lmap c $clients { $c GET total }]
                foreach c $clients value $seen {
                    $c -send EVAL $compare_and_set 1 total $value [expr {$value + 1}]
                }
                foreach c $clients {
                    if {[catch { $c -read } reply]} { assert_match "CHANGED is *" $reply } else { incr done }
                }
            }
        }
        assert_equal $done [r GET total]
        assert_error "CHANGED is nothing" { run $compare_and_set none x y }
        assert_equal OK [run $compare_and_set none "" y]
    }

    test "Seats are sold once" {
        r HSET show left 50
        set sold 0
        with_clients 6 {
            for {set round 0} {$round < 10} {incr round} {
                foreach c $clients { $c -send EVAL $book_seats 2 show booked [expr {1 + $round % 3}] "client $c" }
                foreach c $clients {
                    if {![catch { $c -read } reply]} {
                        assert_equal BOOKED $reply
                        incr sold [expr {1 + $round % 3}]
                    } else {
                        assert_match "SOLDOUT * left" $reply
                    }
                }
            }
        }
        assert_equal 50 [expr {$sold + [r HGET show left]}]
        set seats 0
        foreach row [r LRANGE booked 0 -1] {
            assert {[regexp {"seats":(\d)} $row -> n]}
            incr seats $n
        }
        assert_equal $sold $seats
    }

    test "Keys are removed by a pattern" {
        for {set i 0} {$i < 3000} {incr i} { r -send MSET tmp:$i x keep:$i y }
        for {set i 0} {$i < 3000} {incr i} { r -read }
        assert_equal 3000 [run $remove_by_pattern {} tmp:*]
        assert_equal 0 [run $remove_by_pattern {} tmp:*]
        assert_equal 3000 [run $remove_by_pattern {} keep:*]
    }

    test "A filter of bits remembers what it was given" {
        set false 0
        for {set i 0} {$i < 300} {incr i} { run $bloom_add bloom word$i 5 20000 }
        for {set i 0} {$i < 300} {incr i} { assert_equal 0 [run $bloom_add bloom word$i 5 20000] }
        assert {[r BITCOUNT bloom] > 1200 && [r BITCOUNT bloom] <= 1500}
    }

    test "A list of ranks shows the neighbours of a player" {
        for {set i 1} {$i <= 20} {incr i} { r ZADD game [expr {$i * 10.5}] p$i }
        assert_equal {{3 p18 189} {4 p17 178.5} {5 p16 168}} [run $ranks_around game p17 1]
        assert_equal {{1 p20 210} {2 p19 199.5}} [run $ranks_around game p20 1]
        assert_equal {} [run $ranks_around game nobody 3]
    }

    test "All of it works after SCRIPT FLUSH, and in transactions" {
        r SCRIPT FLUSH
        r SET lock mine
        r MULTI
        r EVAL $prolong 1 lock mine 60000
        r EVAL $unlock 1 lock other
        r EVAL $unlock 1 lock mine
        assert_equal {1 0 1} [r EXEC]
        assert_error NOSCRIPT* { r EVALSHA $sha_of($enter) 1 room 60000 x }
        assert_equal (nil) [run $enter room 60000 x]
    }

    test "The append-only file has the effects of all of it" {
        set digest [r DEBUG DIGEST]
        assert {[r DBSIZE] > 300}
        r DEBUG LOADAOF
        assert_equal $digest [r DEBUG DIGEST]
        server_restart {appendonly yes}
        assert_equal $digest [r DEBUG DIGEST]
    }
}
