# The API of scripts and the limit on their memory: what the comparison with redis-server 7.0 in tests/compat cannot
# show.

proc run {script args} { return [r EVAL $script 0 {*}$args] }

# How often an error with this code was replied.
proc errors_of {code} {
    return [expr {[regexp "errorstat_$code:count=(\\d+)" [r INFO errorstats] -> count] ? $count : 0}]
}

with_server {} {
    test "the version is that of the Redis that kura is compatible with" {
        assert_equal {7.2.6 459270} [run {return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}}]
        assert_equal [info_field redis_version] [run {return redis.REDIS_VERSION}]
    }

    test "server is another name of redis, and has the same 23 fields" {
        assert_equal {23 1} [run {local n = 0 for k, v in pairs(server) do n = n + 1 end return {n, server == redis}}]
        assert_equal OK [run {return server.call('SET', 'k', 'v')}]
        assert_error "ERR *readonly table*" { run {server.call = nil} }
    }

    test "redis.log writes one line, whatever it is given" {
        run {redis.log(redis.LOG_WARNING, 'of ', 12, ARGV[1], nil, 'end')} "two\r\nlines\n"
        run {redis.log(redis.LOG_DEBUG, 'too quiet')}
        run {redis.log(redis.LOG_NOTICE, string.rep('x', 100000))}
        assert_match "*# of  12 two  lines  end\n*" [server_log]
        assert_match "*\\* xxxxx*" [server_log]
        assert {![string match "*too quiet*" [server_log]]}
    }

    test "an error is counted once, under its code, wherever it passes" {
        r SET text value
        foreach {script code} {
            {return redis.call('LPUSH', 'text', 'x')} WRONGTYPE
            {return redis.pcall('LPUSH', 'text', 'x')} WRONGTYPE
            {local e = redis.pcall('LPUSH', 'text', 'x') error(e)} WRONGTYPE
            {error({err = 'MINE x'})} MINE
            {return {err = 'MINE x'}} MINE
            {return redis.error_reply('MINE x')} MINE
            {error('x')} ERR
            {return redis.call('nosuch')} ERR
            {return redis.call('get')} ERR
        } {
            r CONFIG RESETSTAT
            assert_error * { run $script }
            assert_equal 1 [errors_of $code]
            assert_equal 1 [info_field total_error_replies]
            assert_match "*failed_calls=1*" [info_field cmdstat_eval]
        }
    }

    test "an error that the script keeps to itself does not make its call a failed one" {
        r CONFIG RESETSTAT
        assert_equal 1 [run {redis.pcall('LPUSH', 'text', 'x') return 1}]
        assert_equal 1 [errors_of WRONGTYPE]
        assert_match "*failed_calls=0*" [info_field cmdstat_eval]
        assert_match "*failed_calls=1*" [info_field cmdstat_lpush]
    }

    test "a protocol chosen by the script is its own" {
        r HSET h f v
        set c [client]
        $c HELLO 3
        assert_equal [r EVAL {return redis.call('HGETALL', 'h')} 0] [$c EVAL {return redis.call('HGETALL', 'h')} 0]
        assert_equal {f v} [r EVAL {redis.setresp(3) return redis.call('HGETALL', 'h')} 0]
        assert_equal {f v} [r HGETALL h]
        $c -close
    }

    # --- Memory ----------------------------------------------------------------------------------

    test "a script beyond script-memory-limit gets an error, and others have memory" {
        r CONFIG SET script-memory-limit 10mb
        foreach script {
            {local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end}
            {return string.rep('x', 1e9)}
            {local s = 'x' while true do s = s .. s end}
            {local co = coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end) co()}
            {return cjson.encode({string.rep('"', 4e6)})}
            {local t = {} for i = 1, 1e9 do t[i] = i end}
        } {
            assert_error "ERR *not enough memory*" { run $script }
            assert_equal 6 [run {local n = 0 for i = 1, 3 do n = n + i end return n}]
            assert {[info_field used_memory_lua] < 10 << 20}
        }
        foreach script {
            {local t = {} for i = 1, 9 do t[i] = t end return t}
            {local s, t = string.rep('x', 10000), {} for i = 1, 10000 do t[i] = s end return t}
        } {
            assert_error "ERR the reply of the script takes too much memory*" { run $script }
        }
        r CONFIG SET script-memory-limit 1gb
    }

    test "a command whose reply has no room in script-memory-limit fails" {
        r CONFIG SET script-memory-limit 10mb
        r SETRANGE large 4000000 x
        assert_error "ERR Reply of a command is too large for the script*" {
            run {return redis.call('MGET', 'large', 'large', 'large', 'large')}
        }
        assert_equal 4000001 [run {redis.pcall('MGET', 'large', 'large', 'large') return #redis.call('GET', 'large')}]
        r DEL large
        r CONFIG SET script-memory-limit 1gb
    }

    test "an error of what load() reads is its second result, also where nothing else catches it" {
        assert_equal "nil user_script:2: inside" [run {
            local f, e = load(function() error('inside') end) return tostring(f) .. ' ' .. tostring(e)
        }]
    }

    test "a script that catches the end of its memory may go on" {
        r CONFIG SET script-memory-limit 10mb
        assert_equal {0 1} [run {
            local ok = pcall(function() local t = {} for i = 1, 1e9 do t[i] = {i} end end)
            return {ok and 1 or 0, #string.rep('x', 1e6) == 1e6 and 1 or 0}
        }]
        r CONFIG SET script-memory-limit 1gb
    }

    test "a script that has taken all memory and ends well leaves it to the next ones" {
        r CONFIG SET script-memory-limit 10mb
        foreach end {{return 1} {return redis.sha1hex('')} {error('x')}} {
            catch {run [subst -nocommands {
                local t = {}
                while true do
                    if not pcall(function() t[#t + 1] = {} end) then $end end
                end
            }]}
            assert_equal 2 [r EVAL "return 2 -- $end" 0] ;# a text of its own: it is compiled
            assert_equal [string repeat 0 40] [r EVAL {return redis.call('ECHO', string.rep('0', 40))} 0]
            r FUNCTION LOAD REPLACE "#!lua name=after\nredis.register_function('after', function() return 3 end)"
            assert_equal 3 [r FCALL after 0]
        }
        r CONFIG SET script-memory-limit 1gb
        r CONFIG SET script-memory-limit 5mb
        assert_equal 2 [run {return 2}]
        r CONFIG SET script-memory-limit 1gb
    }

    test "garbage does not count against the limit" {
        r CONFIG SET script-memory-limit 10mb
        assert_equal 1 [run {for i = 1, 3000 do local s = string.rep('x', 100000) .. i end return 1}]
        assert_equal 1 [run {
            local function waste() for i = 1, 3000 do local s = string.rep('x', 100000) .. i end return 1 end
            return coroutine.wrap(waste)()
        }]
        r CONFIG SET script-memory-limit 0
        assert_equal 20000000 [run {return #string.rep('x', 2e7)}]
        r CONFIG SET script-memory-limit 1gb
    }

    test "large strings and many values pass through scripts" {
        set large [string repeat abc 1000000]
        r SET large $large
        assert_equal [string length $large] [run {return #redis.call('GET', 'large')}]
        assert_equal $large [run {return redis.call('GET', 'large')}]
        run {redis.call('SET', 'copy', redis.call('GET', 'large'))}
        assert_equal $large [r GET copy]
        run {for i = 1, 100000 do redis.call('RPUSH', 'many', i) end}
        assert_equal 100000 [llength [run {return redis.call('LRANGE', 'many', 0, -1)}]]
        assert_equal 200000 [run {
            redis.call('MSET', 'large2', ARGV[1], 'n', 7)
            return #(redis.call('GET', 'large2') .. redis.call('GET', 'large2'))
        } [string repeat x 100000]]
    }
}

# --- Effects -------------------------------------------------------------------------------------

with_server {appendonly yes appendfsync always} {
    test "redis.set_repl decides which calls reach the file" {
        run {
            redis.call('SET', 'first', 1)
            redis.set_repl(redis.REPL_NONE) redis.call('SET', 'nowhere', 1)
            redis.set_repl(redis.REPL_REPLICA) redis.call('SET', 'replicas', 1)
            redis.set_repl(redis.REPL_AOF) redis.call('SET', 'file', 1)
            redis.set_repl(redis.REPL_ALL) redis.call('SET', 'last', 1)
        }
        r SET behind 1
        set text [log_bytes]
        foreach key {first file last behind} { assert_match "*\n$key\r\n*" $text }
        foreach key {nowhere replicas} { assert {![string match "*\n$key\r\n*" $text]} }
        assert_equal 6 [r DBSIZE]
    }

    test "the effects of a script are one unit, or one command, or nothing" {
        set before [string length [log_bytes]]
        run {redis.call('GET', 'first') return redis.call('SET', 'first', 2, 'NX')}
        assert_equal $before [string length [log_bytes]]
        run {redis.call('SET', 'one', 2)}
        assert {![string match "*MULTI*\none\r\n*" [string range [log_bytes] $before end]]}
        set before [string length [log_bytes]]
        run {redis.call('SET', 'two', 2) redis.call('SET', 'three', 2)}
        assert_match "*MULTI*\ntwo\r\n*\nthree\r\n*EXEC*" [string range [log_bytes] $before end]
        assert {![string match "*EVAL*" [log_bytes]]}
    }

    test "what a script did before its error stays and is in the file" {
        assert_error "ERR *" { run {redis.call('SET', 'before', 1) error('x')} }
        assert_equal 1 [r GET before]
        assert_match "*\nbefore\r\n*" [log_bytes]
    }
}
