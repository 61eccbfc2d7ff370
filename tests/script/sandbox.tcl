# What scripts and functions find, and cannot change. tests/unit/script/test_sandbox.c has the texts and all the ways to
# write, tried on Lua's libraries; here they meet the tables of the engine, two states, and what lasts between calls.

set protected {_G redis server cjson cmsgpack string table math coroutine bit struct os getmetatable('')}

set ways {
    {t.x = 1} {t[1] = 1} {rawset(t, 'x', 1)} {setmetatable(t, {})} {table.insert(t, 1)} {t[next(t)] = nil}
    {rawset(t, next(t), nil)} {for k in pairs(t) do t[k] = nil end} {function t.f() end} {x = 1} {string = nil}
    {setmetatable({}, {__newindex = t}).x = 1} {getmetatable(t).__newindex = nil} {loadstring('x = 1')()}
    {load(function() return nil end)() t.x = 1} {coroutine.wrap(function() t.x = 1 end)()}
    {xpcall(error, function() t.x = 1 end)} {table.foreach(t, function(k) t[k] = nil end)}
}

# All names that a script can reach, with the addresses of what they stand for.
set picture {
    local seen, out = {}, {}
    local function walk(t, path)
        if seen[t] then return end
        seen[t] = true
        for k, v in pairs(t) do
            if not (path == '' and (k == 'KEYS' or k == 'ARGV')) then
                out[#out + 1] = path .. tostring(k) .. '=' .. tostring(v)
                if type(v) == 'table' then walk(v, path .. tostring(k) .. '.') end
            end
        end
    end
    walk(_G, '')
    walk(getmetatable(''), 'string:')
    table.sort(out)
    return out
}
set as_function "#!lua name=lib
redis.register_function('picture', function() $picture end)
redis.register_function('write', function(keys, args)
    local way = loadstring('local t = ' .. args\[1] .. ' ' .. args\[2])
    return tostring(pcall(way))
end)"

# The names, without the addresses, of `prefix.`; those of globals for no prefix.
proc names_in {picture prefix} {
    set names {}
    foreach line $picture {
        if {[regexp "^$prefix\[^.:]*$" [regsub {=.*} $line ""]]} { lappend names [regsub {=.*} $line ""] }
    }
    return $names
}

with_server {} {
    test "math.random gives one sequence for the life of the server, from lrand48's first state" {
        assert_equal 396465 [r EVAL {return math.random(1000000)} 0]
        r FUNCTION LOAD "#!lua name=random
            redis.register_function('random', function() return math.random(1000000) end)"
        assert_equal 840486 [r FCALL random 0]
        assert_equal 353337 [r EVAL {return math.random(1000000)} 0]
        r EVAL {math.randomseed(42)} 0
        assert_equal 744526 [r FCALL random 0]
        r FUNCTION DELETE random
    }

    test "Scripts find the listed globals and no others" {
        set globals [names_in [r EVAL $picture 0] ""]
        set listed {__redis__err__handler _G _VERSION assert bit cjson cmsgpack collectgarbage coroutine
            error gcinfo getmetatable ipairs load loadstring math next os pairs pcall rawequal rawget rawset redis
            select server setmetatable string struct table tonumber tostring type unpack xpcall}
        assert_equal [list {*}$listed] [lsort -dictionary $globals]
        foreach name {print require module package io debug dofile loadfile newproxy getfenv setfenv} {
            assert_error "*nonexistent global variable '$name'*" { r EVAL "return $name" 0 }
            assert_error "*nonexistent global variable '$name'*" { r EVAL "return _G\['$name'\]" 0 }
            assert_equal (nil) [r EVAL "return rawget(_G, '$name')" 0]
        }
    }

    test "No way to write changes what the next script finds, in scripts and in functions" {
        r FUNCTION LOAD REPLACE $as_function
        set of_scripts [r EVAL $picture 0]
        set of_functions [r FCALL picture 0]
        foreach table $protected {
            foreach way $ways {
                r EVAL "local t = $table return tostring(pcall(function() $way end))" 0
                r FCALL write 0 $table $way
            }
            assert_equal $of_scripts [r EVAL $picture 0]
            assert_equal $of_functions [r FCALL picture 0]
        }
        r FUNCTION FLUSH
    }

    test "The text of a refused assignment, and of a name that does not exist" {
        assert_error "ERR user_script:2: Attempt to modify a readonly table script: *, on @user_script:2." {
            r EVAL "\nx = 1" 0
        }
        assert_error "ERR user_script:1: Attempt to modify a readonly table script: *" { r EVAL {redis.x = 1} 0 }
        assert_error "ERR Attempt to modify a readonly table script: *" { r EVAL {rawset(redis, 'x', 1)} 0 }
        assert_error "ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: *" {
            r EVAL {return x} 0
        }
        assert_equal (nil) [r EVAL {return redis.x} 0]
    }

    test "What one caller leaves in KEYS and ARGV, the next one does not see" {
        r EVAL {
            KEYS.x = 'secret' ARGV[5] = 'secret' setmetatable(KEYS, {__index = function() return 'secret' end})
        } 1 k a
        foreach script {
            {return {tostring(KEYS.x), tostring(KEYS[7]), tostring(ARGV[5]), #KEYS, #ARGV}}
            {local g = _G return {tostring(g.KEYS.x), tostring(g.KEYS[7]), tostring(g.ARGV[5]), #g.KEYS, #g.ARGV}}
            {return loadstring("return {tostring(KEYS.x), tostring(KEYS[7]), tostring(ARGV[5]), #KEYS, #ARGV}")()}
        } { assert_equal {nil nil nil 1 1} [r EVAL $script 1 k a] }
        r FUNCTION LOAD "#!lua name=keys\nredis.register_function('keys', function() return KEYS end)"
        assert_error "*nonexistent global variable 'KEYS'*" { r FCALL keys 1 k a }
        r FUNCTION FLUSH
    }

    test "While a library loads, there is redis only" {
        foreach name {_G string pairs pcall error cjson loadstring KEYS} {
            assert_error "ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent\
                global variable '$name'" { r FUNCTION LOAD "#!lua name=l\nlocal x = $name" }
        }
        assert_error "*user_function:2: Script attempted to access nonexistent global variable 'call'" {
            r FUNCTION LOAD "#!lua name=l\nredis.call('GET', 'x')"
        }
        assert_error "*user_function:2: Attempt to modify a readonly table" {
            r FUNCTION LOAD "#!lua name=l\nx = 1"
        }
        assert_error "*user_function:2: Attempt to modify a readonly table" {
            r FUNCTION LOAD "#!lua name=l\nredis.x = 1"
        }
        assert_equal keys [r FUNCTION LOAD "#!lua name=keys
            local api = redis
            redis.register_function('all', function() return {type(string), type(api.call), type(redis.call)} end)"]
        assert_error "*Script attempted to access nonexistent global variable 'call'*" { r FCALL all 0 }
        r FUNCTION FLUSH
    }

    test "Commands may be called from inside of load, of a sort and of an error handler" {
        r SET k 5
        assert_equal 5 [r EVAL {
            local done
            return load(function()
                if done then return nil end
                done = true
                return 'return ' .. redis.call('GET', KEYS[1])
            end)()
        } 1 k]
        assert_equal 5 [r EVAL {
            return select(2, xpcall(error, function() return redis.call('GET', KEYS[1]) end))
        } 1 k]
        assert_error "*WRONGTYPE*" { r EVAL {
            local t = {3, 2, 1}
            table.sort(t, function(a, b) redis.call('LPUSH', KEYS[1], a) return a < b end)
        } 1 k }
        assert_match "WRONGTYPE*" [r EVAL {
            return select(2, load(function() redis.call('LPUSH', KEYS[1], 'a') end)).err
        } 1 k]
    }

    test "No script gets bytecode to run, whatever it is read by" {
        foreach script {
            {return select(2, loadstring(string.dump(function() return 1 end)))}
            {return select(2, loadstring("\27Lua"))}
            {local done return select(2, load(function() if done then return nil end done = true return "\27Lua" end))}
        } { assert_match "*unexpected symbol near 'char(27)'" [r EVAL $script 0] }
        assert_error "*unexpected symbol near 'char(27)'*" { r EVAL "\x1bLuaQ" 0 }
        assert_error "*" { r FUNCTION LOAD "#!lua name=l\n\x1bLuaQ" }
    }
}

with_server {script-memory-limit 32mb} {
    test "Demands beyond script-memory-limit are errors, and the next script works" {
        foreach script {
            {return ('x'):rep(2^31 - 1)}
            {local s = ('x'):rep(1e6) while true do s = s .. s end}
            {local t = {} for i = 1, 1e9 do t[i] = {} end}
            {return pcall(string.rep, 'x', 2^31 - 1) and 1 or error('not enough memory')}
            {return ('x'):rep(1e6):gsub('x', ('y'):rep(1e6))}
        } {
            assert_error "*not enough memory*" { r EVAL $script 0 }
            assert_equal 7 [r EVAL {return 3 + 4} 0]
        }
    }
}

with_server {lua-enable-deprecated-api yes} {
    test "lua-enable-deprecated-api gives back getfenv, setfenv and newproxy, which lead nowhere" {
        assert_equal {function function function} [r EVAL {return {type(getfenv), type(setfenv), type(newproxy)}} 0]
        assert_equal 1 [r EVAL {return getfenv() == _G and getfenv(1) == _G and getfenv(0) == _G} 0]
        assert_error "*Attempt to modify a readonly table*" { r EVAL {getfenv().x = 1} 0 }
        assert_error "*Attempt to modify a readonly table*" { r EVAL {rawset(getfenv(0), 'x', 1)} 0 }
        assert_error "*Attempt to modify a readonly table*" { r EVAL {setfenv(0, {})} 0 }
        assert_equal 5 [r EVAL {return setfenv(function() return x end, {x = 5})()} 0]
        assert_equal 0 [r EVAL {
            local ran = 0
            for i = 1, 100 do getmetatable(newproxy(true)).__gc = function() ran = ran + 1 end end
            collectgarbage()
            return ran
        } 0]
        assert_error "*immutable*" { r CONFIG SET lua-enable-deprecated-api no }
    }
}
