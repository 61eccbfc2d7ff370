# The debugger: what redis-cli --ldb shows, told by kura and by redis-server 7.0 alike, and what a session may do to
# others.

# Begins a session and returns its connection; ::stopped is where the script stands.
proc debug_script {h mode script args} {
    set c [client $h]
    $c SCRIPT DEBUG $mode
    set ::stopped [$c EVAL $script {*}[expr {$args eq "" ? 0 : $args}]]
    return $c
}

# The reply to one request; an error is its text.
proc told {c args} {
    if {[catch {$c {*}$args} reply]} { set reply "error $reply" }
    regsub -all {@0x[0-9a-f]+} $reply @ADDRESS reply
    return $reply
}

# The replies to all requests. What comes behind <endsession> is the script's own reply, and then the connection ends.
proc dialogue {h mode script arguments requests} {
    set c [debug_script $h $mode $script {*}$arguments]
    set replies [list $::stopped]
    foreach request $requests {
        set reply [told $c {*}$request]
        lappend replies $reply
        if {"<endsession>" in $reply} {
            lappend replies [told $c -read] "closed [$c -closed]"
            break
        }
    }
    $c -close
    return $replies
}

proc same_dialogue {script arguments requests {mode YES}} {
    set replies [lmap h [list $::kura $::redis] { dialogue $h $mode $script $arguments $requests }]
    lassign $replies ours theirs
    foreach our $ours their $theirs request [concat EVAL $requests] {
        if {$our ne $their} { error "to '$request'\n  redis: $their\n  kura:  $our" }
    }
    return $ours
}

set all_kinds {local a = 1
local t = {1, 2, {x = 'y'}}
local s = "a\0b\r\n\1\255\"\\"
redis.call('set', 'k', ARGV[1])
local r = redis.call('get', 'k')
redis.debug('hello', t, 5, nil, true)
for i = 1, 2 do
  a = a + i
end
local function f(x)
  local inner = x
  redis.breakpoint()
  return inner
end
f(7)
return {a, r}}

with_nodes {kura kura {} redis redis {}} {
    set ::kura $kura
    set ::redis $redis

    test "The help names all commands" {
        foreach request {h help {help me}} {
            set told [join [lindex [dialogue $kura YES "return 1" {} [list $request]] 1] \n]
            foreach command {help step next continue list whole print break trace eval redis maxlen abort} {
                assert {[regexp -line "^$command " $told]}
            }
        }
    }
    test "The source, variables, breakpoints, the stack and the limit are told as by redis-server" {
        same_dialogue $all_kinds {1 key arg} {
            ? l list w whole {l 4} {l 4 1} {list 100} {l 1 100} {l x} {l -1} {l 2 -1} {l 1x} {w 1}
            p print {p a} {print zz} {p a b} s step n next p {p s} {p t} {p KEYS} {p ARGV}
            b break {b 8} {b 8 9} b {b -8} b {b 0} {b 100} {b 0} {b foo} {b x y} {b 1 x -1 0 -5} {b 03} {b +3}
            {b 99999999999999999999} {b 9223372036854775807} {b -9223372036854775808}
            t trace {t 1} m maxlen {m 10} {maxlen 100} {m 5} {m 0} {m -1} {m x} {m 61} {m 1 2}
            zzz r redis s s c t p {p inner} {p a} {p x} c
        }
    }
    test "Code and commands of the dialogue do what they do in redis-server" {
        same_dialogue "local a = 1\nreturn redis.call('get', 'k')" {1 kk} {
            {e 1+1} {eval a} {e return a} {e error("x")} {e return} e eval {e 1,2} {e nil} {e {1,2}} {e return 1,2}
            {e syntax error(} {e print(1)} {e x=1} {e redis.breakpoint()} {e redis.debug("hi")} {e redis.debug()}
            {e cjson.null} {e "a b c"} {e for i=1,2 do redis.debug(i) end} {e while} {e #!lua} {e return KEYS[1]}
            {e KEYS[1]="q"} {e KEYS} {p KEYS} {e _G.KEYS} {e "\n"} {e error("a\nb")} {e redis.call("set","k","1")}
            {e redis.pcall("set")} {r get k} {redis set k 2} {r foo} {R ping} {r get nokey} {r rpush L 1 2 3}
            {r lrange L 0 -1} {r hset H a 1 b 2} {r hgetall H} {r incr k} {r set x 1 2 3 4} {r echo "a b"}
            {r type L} {r multi} {r subscribe a} {r eval "return 1" 0} {r script flush} {r lrange L 5 9} {r select 3}
            {r set a,b 1.5} {r a b c d e f g h i j k l m n} S
        }
        same_dialogue "return 1" {} [list [list e "\33Lua"] [list e "'[string repeat y 1022]'"] \
            [list r {*}[lrepeat 1023 a]] c]
    }
    test "Values of all types are shown as by redis-server, and long ones are cut off" {
        same_dialogue {local f = 1.5
local g = -0.0
local big, third, huge, none = 1e300, 1/3, 2^53, 1/0
local fn = function() end
local co = coroutine.create(fn)
local n, yes, no = nil, true, false
local t = {a = 1, [2] = 3, [1] = 1, x = {y = {z = {}}}}
local c = {} c.c = c
local e, list, hole, mixed = {}, {1, 2, {3}}, {1, nil, 3}, {1, 2, x = 3}
local d = 1 local d = 2
local K = cjson.null
local long = string.rep('x', 300)
return long} {1 key1 {arg 1} arg2} {
            {b 13} c p {p f} {p d} {p fn} {p co} {p t} {p c} {p e} {p K} {p n} {p yes} {p long} m
            {e string.rep("y",500)}
            {m 60} {p long} {p t} {m 0} {p long} {p c} w {e error(string.rep("e",500))} c
        }
        same_dialogue {local s = string.rep('x', 300)
redis.debug(s)
redis.call('set', s, s)
redis.call('get', s)} {} {s s s s {r get x} c}
    }
    test "What a script calls is told while it is stepped" {
        same_dialogue {local x = redis.pcall()
x = redis.pcall({})
x = redis.error_reply('My Err')
x = redis.status_reply('OK')
x = redis.error_reply()
x = redis.pcall('set', 'k')
x = redis.pcall('set', 1.5, 'a\r\nb')
x = redis.pcall('get', '1.5')
x = redis.pcall('lpush', '1.5', 1)
redis.setresp(3)
x = redis.pcall('hgetall', 'H')
x = redis.pcall('smembers', 'SS')
x = redis.pcall('zscore', 'ZZ', 'a')
x = redis.pcall('get', 'none')
x = redis.pcall('zrange', 'ZZ', 0, -1, 'withscores')
local ok, e = pcall(redis.call, 'set')
ok, e = pcall(redis.log, 1)
ok, e = pcall(redis.sha1hex)
ok, e = pcall(redis.setresp, 9)
ok, e = pcall(error, {err = 'x'})
ok, e = pcall(redis.set_repl, 99)
return redis.call('nosuch')} {} [list {r del 1.5 k} {r hset H a 1 b 2} {r sadd SS x} {r zadd ZZ 1.5 a 2 b} \
            {*}[lrepeat 22 s]]
    }
    test "Functions, coroutines and loops are gone through as in redis-server" {
        same_dialogue {local function g(n)
  redis.breakpoint()
  local z = n
  return z
end
local function f(n)
  return (g(n + 1))
end
local t = {m = function(self) local q = f(1) return q end}
local r = t:m()
local co = coroutine.create(function(x)
  local inco = x
  redis.breakpoint()
  coroutine.yield(inco)
end)
coroutine.resume(co, 5)
for k, v in pairs({x = 1}) do
  r = k
end
return r} {} {c t p {p n} {p self} {p t} c t p {p inco} {p co} s s p s {p k} s s s s s}
    }
    test "A session ends as in redis-server: with the script, at its error, or by an abort" {
        foreach mode {YES SYNC} {
            same_dialogue "redis.call('set', 'z', 1)\nreturn 1" {} {s s} $mode
            same_dialogue "redis.call('set', 'z', 1)\nreturn {1, {ok = 'x'}, {2}}" {} {s c} $mode
            same_dialogue "redis.call('set', 'z', 1)\nreturn 1" {} {s abort} $mode
            same_dialogue "local a\nerror('boom')" {} {s c} $mode
        }
        same_dialogue {} {} {l s}
        same_dialogue "\n\nreturn 1\n\n" {} {l {l 1} {l 0} {l 2 0} w a}
        same_dialogue "#!lua flags=no-writes\nreturn 1" {} {w {r set k 1} c}
        foreach h [list $kura $redis] {
            foreach {script arguments reply} {
                "return return" 0                 "ERR Error compiling script*"
                "#!lua flags=zz\nreturn 1" 0      "ERR Unexpected flag in script shebang: zz"
                "return 1" x                      "ERR value is not an integer*"
                "return 1" 5                      "ERR Number of keys can't be greater*"
            } {
                set c [client $h]
                $c SCRIPT DEBUG YES
                assert_equal <endsession> [$c EVAL $script {*}$arguments]
                assert_error $reply { $c -read }
                assert [$c -closed]
            }
        }
    }
    test "What is no request ends the session" {
        foreach {bytes} {"s\r\n" "*x\r\n" "*0\r\n" "*-1\r\n" "*2000000\r\n" "*1\r\n\$-1\r\n" "*1\r\n\$99999999\r\n"
                         "*1\r\n:1\r\n" "*1\r\n\$1\r\nsXX" "*1\r\n\$0\r\n\r\n" "*1025\r\n" "*1\r\n\$1025\r\n"} {
            foreach h [list $kura $redis] {
                set c [debug_script $h YES "return 3"]
                $c -raw $bytes
                assert_equal <endsession> [$c -read]
                assert_error "ERR protocol error script: *, on @user_script:1." { $c -read }
                assert [$c -closed]
            }
        }
    }
    test "Whoever has not asked for it is not debugged" {
        foreach h [list $kura $redis] {
            set c [client $h]
            assert_error "ERR Use SCRIPT DEBUG YES/SYNC/NO" { $c SCRIPT DEBUG MAYBE }
            assert_equal OK [$c SCRIPT DEBUG YES]
            assert_equal OK [$c SCRIPT DEBUG NO]
            assert_equal 1 [$c EVAL "redis.debug('x') return redis.breakpoint() and 2 or 1" 0]
            $c SCRIPT DEBUG SYNC
            assert_error "NOSCRIPT*" { $c EVALSHA x 0 }
            assert_error "ERR Please use EVAL instead of EVALSHA for debugging" { $c EVALSHA [string repeat 0 40] 0 }
            assert_equal PONG [$c PING]
            $c SCRIPT DEBUG NO
            $c MULTI
            $c SCRIPT DEBUG YES
            assert_equal {{ERR SCRIPT DEBUG must be called outside a pipeline}} [$c EXEC]
            $c -close
        }
    }
}

with_server {busy-reply-threshold 300} {
    proc log_has {pattern} { return [string match *$pattern* [server_log]] }
    proc count_ended {} { return [regexp -all {Debugging session with pid} [server_log]] }

    test "A forked session blocks nobody, and nothing of it remains" {
        r SET k before
        set offset [info_field master_repl_offset]
        set c [debug_script {} YES "redis.call('set', 'k', 'after')\nreturn redis.call('get', 'k')"]
        assert_equal before [r GET k]
        assert_equal 1 [llength [split [string trim [r CLIENT LIST]] \n]]
        $c s
        assert_equal before [r GET k]
        r BGSAVE                               ;# a snapshot has its own child
        wait_for {[info_field rdb_bgsave_in_progress] == 0}
        assert_equal ok [info_field rdb_last_bgsave_status]
        assert_equal <endsession> [lindex [$c c] end]
        assert_equal after [$c -read]
        assert [$c -closed]
        assert_equal before [r GET k]
        assert_equal $offset [info_field master_repl_offset]
    }
    test "A session in the server keeps others waiting, and what it wrote" {
        set c [debug_script {} SYNC "redis.call('set', 'k', 'after')\nreturn 1"]
        r -send GET k
        assert ![catch {$c l}]
        $c s
        $c -send c
        assert_equal <endsession> [$c -read]
        assert_equal 1 [$c -read]
        assert [$c -closed]
        assert_equal after [r -read]
    }
    test "What the client was replied before comes before the session" {
        foreach mode {YES SYNC} {
            set c [client]
            $c -raw "[resp_encode SCRIPT DEBUG $mode][resp_encode EVAL {return 5} 0]"
            assert_equal OK [$c -read]
            assert_match "*Stopped at 1*" [$c -read]
            $c -raw "[resp_encode l][resp_encode zz][resp_encode c][resp_encode PING]"
            assert_equal {{-> 1   return 5}} [$c -read]
            assert_match "*Unknown*" [$c -read]
            assert_equal <endsession> [$c -read]
            assert_equal 5 [$c -read]
            assert [$c -closed]
        }
    }
    test "A script whose client hangs up runs on, but not for ever" {
        set c [debug_script {} SYNC "local a\nredis.call('set', 'k', 'hung up')\nreturn 1"]
        $c -close
        wait_for {[r GET k] eq "hung up"}
        foreach mode {SYNC YES} {
            set ended [count_ended]
            set c [debug_script {} $mode "local a\nwhile true do pcall(function() while true do end end) end"]
            $c -send c
            $c -close
            if {$mode eq "YES"} { wait_for {[count_ended] > $ended} } else { assert_equal PONG [r PING] }
        }
    }
    test "A loop without end stops for a look, and can be aborted inside of pcall()" {
        set c [debug_script {} YES "while true do pcall(function()\nwhile true do end\nend) end"]
        assert_match "*Stopped at 2, stop reason = timeout reached, infinite loop?*" [$c c]
        assert_match "*Stopped at 2, stop reason = timeout reached, infinite loop?*" [$c c]
        assert_equal <endsession> [$c a]
        assert_error "ERR script aborted for user request script: *" { $c -read }
        assert [$c -closed]
    }
    test "Code of the dialogue ends, too" {
        set c [debug_script {} YES "return 1"]
        $c -timeout 30000
        set code {while true do pcall(function() while true do end end) end}
        assert_match "<error> *the code runs too long" [lindex [$c e $code] 0]
        assert_equal {{<error> x}} [$c e {error({err = 'x'})}]
        assert_equal {{<error> unknown error}} [$c e {error({})}]
        assert_equal {{<retval> 1}} [$c e 1]
        $c c
    }
    test "There are so many sessions at a time and no more" {
        set sessions {}
        for {set i 0} {$i < 32} {incr i} { lappend sessions [debug_script {} YES "return $i"] }
        set c [client]
        $c SCRIPT DEBUG YES
        assert_error "ERR Too many debugging sessions" { $c EVAL "return 1" 0 }
        set ended [count_ended]
        foreach session $sessions { $session -close }
        wait_for {[count_ended] == $ended + 32}
        assert_match "*Stopped at 1*" [$c EVAL "return 1" 0]
        $c c
    }
    test "Random bytes end a session at worst" {
        for {set i 0} {$i < 30} {incr i} {
            set c [debug_script {} [lindex {YES SYNC} [expr {$i & 1}]] "return 1"]
            catch {
                $c -raw [lindex {"*1\r\n$" "*2\r\n$1\r\ne\r\n$" "*1\r\n$1" ""} [random_below 4]]
                $c -raw [random_bytes [random_below 3000]]
            }
            $c -close
            assert_equal PONG [r PING]
        }
    }
    test "The end of the server ends its sessions" {
        foreach mode {YES SYNC} {
            set c [debug_script {} $mode "return 1"]
            r_close
            server_restart {busy-reply-threshold 300}
            catch {$c -rest}
            assert [$c -closed]
            assert_equal PONG [r PING]
        }
    }
    test "redis-cli steps through a script" {
        set file [file join [server_folder] script.lua]
        set f [open $file w]
        puts $f "local a = redis.call('set', KEYS\[1\], ARGV\[1\])\nreturn {a, ARGV\[1\]}"
        close $f
        set shown [exec [oracle redis-cli] -p [server_port] --ldb --eval $file key , value << "s\np\nc\n" 2>@1]
        foreach text {"<redis> set key value" "<reply> \"+OK\"" "<value> a = {\[\"ok\"\]=\"OK\"}" "2) \"value\""} {
            assert [string match "*[string map {[ \\[ ] \\]} $text]*" $shown]
        }
    }
}
