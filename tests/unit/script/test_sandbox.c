/* What scripts find and cannot change: texts and results taken from redis-server 7.0.15, each way to write that Lua 5.1
 * has tried on each protected table, and what would crash or fill a stock Lua. */
#include "base/module.h"
#include "base/option.h"
#include "sandbox_lab.h"

static const struct lab_line lines[] = {
    {"x = 1", "false user_script:1: Attempt to modify a readonly table"},
    {"function f() end", "false user_script:1: Attempt to modify a readonly table"},
    {"return foo", "false user_script:1: Script attempted to access nonexistent global variable 'foo'"},
    {"return _G.foo", "false user_script:1: Script attempted to access nonexistent global variable 'foo'"},
    {"return _G['a b']", "false user_script:1: Script attempted to access nonexistent global variable 'a b'"},
    {"return _G[1], 1", "false user_script:1: Script attempted to access nonexistent global variable '1'"},
    {"return _G[1.5]", "false user_script:1: Script attempted to access nonexistent global variable '1.5'"},
    {"return _G[nil]", "false user_script:1: Second argument to luaProtectedTableError must be a string or number"},
    {"return _G[{}]", "false user_script:1: Second argument to luaProtectedTableError must be a string or number"},
    {"return _G[true]", "false user_script:1: Second argument to luaProtectedTableError must be a string or number"},
    {"_G.foo = 1", "false user_script:1: Attempt to modify a readonly table"},
    {"_G.string = nil", "false user_script:1: Attempt to modify a readonly table"},
    {"string = nil", "false user_script:1: Attempt to modify a readonly table"},
    {"string.x = 1", "false user_script:1: Attempt to modify a readonly table"},
    {"string.format = nil", "false user_script:1: Attempt to modify a readonly table"},
    {"getmetatable('').__index = nil", "false user_script:1: Attempt to modify a readonly table"},
    {"getmetatable('').__index.x = 1", "false user_script:1: Attempt to modify a readonly table"},
    {"getmetatable('').__add = 1", "false user_script:1: Attempt to modify a readonly table"},
    {"getmetatable(_G).__index = nil", "false user_script:1: Attempt to modify a readonly table"},
    {"return getmetatable(_G).__index(_G, 'zz')",
     "false user_script:1: Script attempted to access nonexistent global variable 'zz'"},
    {"return string.nope, table.nope, math.nope, bit.nope, struct.nope, coroutine.nope",
     "true nil nil nil nil nil nil"},
    {"rawset(_G, 'x', 1)", "false Attempt to modify a readonly table"},
    {"rawset(string, 'x', 1)", "false Attempt to modify a readonly table"},
    {"rawset(getmetatable(''), '__index', 1)", "false Attempt to modify a readonly table"},
    {"setmetatable(_G, {})", "false Attempt to modify a readonly table"},
    {"setmetatable(string, {})", "false Attempt to modify a readonly table"},
    {"setmetatable(string, nil)", "false Attempt to modify a readonly table"},
    {"setmetatable(string, 5)", "false user_script:1: bad argument #2 to 'setmetatable' (nil or table expected)"},
    {"setmetatable(getmetatable(''), {})", "false Attempt to modify a readonly table"},
    {"setmetatable('', {})", "false user_script:1: bad argument #1 to 'setmetatable' (table expected, got string)"},
    {"return setmetatable(1)", "false user_script:1: bad argument #1 to 'setmetatable' (table expected, got number)"},
    {"return setmetatable({})", "false user_script:1: bad argument #2 to 'setmetatable' (nil or table expected)"},
    {"return setmetatable({}, 5)", "false user_script:1: bad argument #2 to 'setmetatable' (nil or table expected)"},
    {"return setmetatable(setmetatable({}, {__metatable = 1}), {})",
     "false user_script:1: cannot change a protected metatable"},
    {"return getmetatable(string), getmetatable(math), getmetatable(bit), getmetatable(1), getmetatable(nil), "
     "getmetatable(nil)",
     "true nil nil nil nil nil nil"},
    {"return getmetatable(setmetatable({}, {__metatable = 'm'}))", "true m"},
    {"return getmetatable()", "false user_script:1: bad argument #1 to 'getmetatable' (value expected)"},
    {"local t = setmetatable({}, string) return getmetatable(t) == string", "true true"},
    {"local t = setmetatable({}, getmetatable('')) return getmetatable(t) == getmetatable(''), t.len == string.len, "
     "t.nope",
     "true true true nil"},
    {"local t = setmetatable({}, getmetatable(_G)) return t.foo",
     "false user_script:1: Script attempted to access nonexistent global variable 'foo'"},
    {"local t = setmetatable({}, {__index = _G}) return t.string == string, t.foo",
     "false user_script:1: Script attempted to access nonexistent global variable 'foo'"},
    {"local t = setmetatable({}, {__newindex = _G}) t.foo = 1",
     "false user_script:1: Attempt to modify a readonly table"},
    {"return getmetatable('').__index == string, getmetatable(getmetatable('')), ('x').rep == string.rep",
     "true true nil true"},
    {"return _G._G == _G, _G.string == string, rawget(_G, 'string') == string, rawget(string, 'rep') == string.rep",
     "true true true true true"},
    {"return rawget(_G, 'nope'), rawget(string, 1), rawget(_G, 'print'), rawget(_G, 'require')",
     "true nil nil nil nil"},
    {"return rawequal(_G, _G._G), rawequal(string, table), _G == _G._G", "true true false true"},
    {"return #_G, #string, table.getn(string), table.maxn(string), table.concat(string), select('#', unpack(string))",
     "true 0 0 0 0  0"},
    {"return next({}), next({5}), next({5}, 1)", "true nil 1 nil"},
    {"return next({}, 'x')", "false invalid key to 'next'"},
    {"return next(string) ~= nil, next(string, 'upper') == nil or true", "true true true"},
    {"local n = 0 for k, v in next, string do n = n + 1 end return n", "true 15"},
    {"local n = 0 for k, v in pairs(string) do n = n + 1 if string[k] ~= v then return k end end return n", "true 15"},
    {"local n = 0 for k, v in pairs(math) do n = n + 1 end return n", "true 31"},
    {"local n = 0 table.foreach(string, function(k, v) n = n + 1 end) return n", "true 15"},
    {"for i, v in ipairs(string) do return i end return 0", "true 0"},
    {"local o = {} for k, v in pairs(table) do o[#o + 1] = k end table.sort(o) return unpack(o)",
     "true concat foreach foreachi getn insert maxn remove setn sort"},
    {"local o = {} for k, v in pairs(string) do o[#o + 1] = k end table.sort(o) return unpack(o)",
     "true byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper"},
    {"local o = {} for k, v in pairs(math) do o[#o + 1] = k end table.sort(o) return unpack(o)",
     "true abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi "
     "pow rad random randomseed sin sinh sqrt tan tanh"},
    {"local o = {} for k, v in pairs(coroutine) do o[#o + 1] = k end table.sort(o) return unpack(o)",
     "true create resume running status wrap yield"},
    {"local o = {} for k, v in pairs(getmetatable('')) do o[#o + 1] = k end return unpack(o)", "true __index"},
    {"local o = {} for k, v in pairs(getmetatable(_G)) do o[#o + 1] = k end return unpack(o)", "true __index"},
    {"return pairs({}) == next, pairs(string) == next", "true false false"},
    {"table.insert(string, 1)", "false Attempt to modify a readonly table"},
    {"table.insert(string, 1, 2)", "false Attempt to modify a readonly table"},
    {"table.insert(_G, 1)", "false Attempt to modify a readonly table"},
    {"table.insert(string)", "false user_script:1: wrong number of arguments to 'insert'"},
    {"table.insert(string, 1, 2, 3)", "false user_script:1: wrong number of arguments to 'insert'"},
    {"table.insert(string, 'x', 1)", "false user_script:1: bad argument #2 to 'insert' (number expected, got string)"},
    {"table.remove(string) table.sort(string) table.foreachi(string, pairs) return table.remove(string, 1), "
     "table.concat(string, ',', 1, 0)",
     "true nil "},
    {"table.setn(string, 3)", "false user_script:1: 'setn' is obsolete"},
    {"table.setn({}, 3)", "false user_script:1: 'setn' is obsolete"},
    {"table.insert({}, 1, 2, 3)", "false user_script:1: wrong number of arguments to 'insert'"},
    {"table.insert({})", "false user_script:1: wrong number of arguments to 'insert'"},
    {"table.insert({}, 'x', 1)", "false user_script:1: bad argument #2 to 'insert' (number expected, got string)"},
    {"table.insert(1)", "false user_script:1: bad argument #1 to 'insert' (table expected, got number)"},
    {"local t = {1, 2, 3} table.insert(t, 2, 9) return unpack(t)", "true 1 9 2 3"},
    {"local t = {1, 2, 3} table.insert(t, 6, 9) return #t, t[6]", "true 3 9"},
    {"local t = {1, 2, 3} table.insert(t, -1, 9) return t[-1], t[0], t[1], t[2], t[3], t[4]", "true 9 nil nil 1 2 3"},
    {"local t = {} table.insert(t, nil) table.insert(t, 'a') table.insert(t, 'b') return #t, t[1], t[2]", "true 2 a b"},
    {"return table.foreach({5, 6}, function(k, v) return v end)", "true 5"},
    {"return table.foreach({5, 6}, function(k, v) end)", "true"},
    {"table.foreach({1}, nil)", "false user_script:1: bad argument #2 to 'foreach' (function expected, got nil)"},
    {"table.foreach(string, 1)", "false user_script:1: bad argument #2 to 'foreach' (function expected, got number)"},
    {"table.foreach()", "false user_script:1: bad argument #1 to 'foreach' (table expected, got no value)"},
    {"rawset(1, 2)", "false user_script:1: bad argument #1 to 'rawset' (table expected, got number)"},
    {"rawset({}, 1)", "false user_script:1: bad argument #3 to 'rawset' (value expected)"},
    {"rawset({}, nil, 1)", "false table index is nil"},
    {"rawset({}, 0/0, 1)", "false table index is NaN"},
    {"local t = {} return rawset(t, 'a', 1) == t, t.a", "true true 1"},
    {"return rawget({})", "false user_script:1: bad argument #2 to 'rawget' (value expected)"},
    {"return rawget({a = 5}, 'a'), rawget(setmetatable({}, {__index = string}), 'rep')", "true 5 nil"},
    {"return next()", "false user_script:1: bad argument #1 to 'next' (table expected, got no value)"},
    {"return pairs()", "false user_script:1: bad argument #1 to 'pairs' (table expected, got no value)"},
    {"return pairs(1)", "false user_script:1: bad argument #1 to 'pairs' (table expected, got number)"},
    {"return unpack({1, 2, 3})", "true 1 2 3"},
    {"return unpack({1, 2, 3}, 2)", "true 2 3"},
    {"return unpack({1, 2, 3}, 2, 5)", "true 2 3 nil nil"},
    {"return unpack({1, 2, 3}, -1, 1)", "true nil nil 1"},
    {"return unpack({1, 2, 3}, 5, 1)", "true"},
    {"return unpack({1, 2, 3}, nil, 2)", "true 1 2"},
    {"return unpack({1, 2, 3}, -2, 2^31-1)", "false user_script:1: too many results to unpack"},
    {"return unpack({1}, -2^31, 2^31-1)", "false user_script:1: too many results to unpack"},
    {"return unpack({1}, 2^31-1, 2^31-1)", "true nil"},
    {"return unpack({1}, 1, 9000)", "false user_script:1: too many results to unpack"},
    {"return unpack({1}, 1, 1e300)", "true"},
    {"return unpack()", "false user_script:1: bad argument #1 to 'unpack' (table expected, got no value)"},
    {"return unpack({}, 'x')", "false user_script:1: bad argument #2 to 'unpack' (number expected, got string)"},
    {"return unpack('abc')", "false user_script:1: bad argument #1 to 'unpack' (table expected, got string)"},
    {"return select('#', unpack({}, 1, 7000))", "true 7000"},
    {"return loadstring('return 1 + 1')()", "true 2"},
    {"return loadstring('return ...', 'name')(5)", "true 5"},
    {"return loadstring('x x')", "true nil [string \"x x\"]:1: '=' expected near 'x'"},
    {"return loadstring('x x', '@file')", "true nil file:1: '=' expected near 'x'"},
    {"return loadstring('x x', '=name')", "true nil name:1: '=' expected near 'x'"},
    {"return loadstring('x x\\n', 'long name of a chunk that is a text of its own and has to be cut somewhere, since "
     "it is long')",
     "true nil [string \"long name of a chunk that is a text of its own and has to be cu...\"]:1: '=' expected near "
     "'x'"},
    {"return loadstring('')()", "true"},
    {"return loadstring(string.dump(function() end))",
     "true nil [string \"\033LuaQ\"]:1: unexpected symbol near 'char(27)'"},
    {"return loadstring('\\27Lua')", "true nil [string \"\033Lua\"]:1: unexpected symbol near 'char(27)'"},
    {"return loadstring('\\27')", "true nil [string \"\033\"]:1: unexpected symbol near 'char(27)'"},
    {"return loadstring('\\27', '@x')", "true nil x:1: unexpected symbol near 'char(27)'"},
    {"return loadstring()", "false user_script:1: bad argument #1 to 'loadstring' (string expected, got no value)"},
    {"return loadstring({})", "false user_script:1: bad argument #1 to 'loadstring' (string expected, got table)"},
    {"return loadstring(5)", "true nil [string \"5\"]:1: unexpected symbol near '5'"},
    {"return loadstring('return string.nope')()", "true nil"},
    {"return loadstring('return nope')()",
     "false [string \"return nope\"]:1: Script attempted to access nonexistent global variable 'nope'"},
    {"return loadstring('nope = 1', '@c')()", "false c:1: Attempt to modify a readonly table"},
    {"return loadstring('#!x')", "true nil [string \"#!x\"]:1: unexpected symbol near '#'"},
    {"return loadstring('return \"a\\0b\"') ()", "true a\000b"},
    {"local t = {'return ', '4', '2'} local i = 0 return load(function() i = i + 1 return t[i] end)()", "true 42"},
    {"return load(function() return nil end)", "true function"},
    {"return load(function() return '' end)", "true function"},
    {"local done return load(function() if done then return nil end done = true return '\\27Lua' end)",
     "true nil (load):1: unexpected symbol near 'char(27)'"},
    {"local t = {'', '\\27Lua'} local i = 0 return load(function() i = i + 1 return t[i] end)",
     "true nil (load):1: unexpected symbol near 'char(27)'"},
    {"local t = {' ', '\\27Lua'} local i = 0 return load(function() i = i + 1 return t[i] end, '@n')",
     "true nil n:1: unexpected symbol near 'char(27)'"},
    {"local t = {'\\27', 'Lua'} local i = 0 return load(function() i = i + 1 return t[i] end, '@n')",
     "true nil n:1: unexpected symbol near 'char(27)'"},
    {"return load(function() return {} end)", "true nil user_script:1: reader function must return a string"},
    {"return load(function() error('inside') end)", "true nil user_script:1: inside"},
    {"return load(function() error({}) end)", "true nil table"},
    {"return load(function() coroutine.yield() end)", "true nil attempt to yield across metamethod/C-call boundary"},
    {"return load()", "false user_script:1: bad argument #1 to 'load' (function expected, got no value)"},
    {"return load('return 1')", "false user_script:1: bad argument #1 to 'load' (function expected, got string)"},
    {"return load(function() return nil end, {})",
     "false user_script:1: bad argument #2 to 'load' (string expected, got table)"},
    {"return pcall()", "true false attempt to call a boolean value"},
    {"return pcall(nil)", "true false attempt to call a nil value"},
    {"return pcall(error)", "true false nil"},
    {"return pcall(error, 'x')", "true false x"},
    {"return pcall(error, {})", "true false table nil"},
    {"return pcall(error, {err = 'x'})", "true false x"},
    {"return pcall(error, {err = 5})", "true false 5"},
    {"return pcall(error, {err = true})", "true false table true"},
    {"return pcall(error, {ok = 'x'})", "true false table nil"},
    {"return pcall(error, setmetatable({}, {__index = function(t, k) return 'dyn' .. k end}))", "true false dynerr"},
    {"return pcall(error, setmetatable({}, {__index = function(t, k) error('inner') end}))",
     "false user_script:1: inner"},
    {"return pcall(pcall, error, {err = 'x'})", "true true false x"},
    {"return pcall(pcall)", "true true false attempt to call a boolean value"},
    {"return pcall(function(...) return select('#', ...), ... end, 1, nil, nil)", "true true 3 1 nil nil"},
    {"return pcall(string.rep)", "true false bad argument #1 to '?' (string expected, got no value)"},
    {"return xpcall()", "false user_script:1: bad argument #2 to 'xpcall' (value expected)"},
    {"return xpcall(error)", "false user_script:1: bad argument #2 to 'xpcall' (value expected)"},
    {"return xpcall(error, nil)", "true false error in error handling"},
    {"return xpcall(function() return 1, nil, 3 end, 5)", "true true 1 nil 3"},
    {"return xpcall(function() error('x') end, function(e) return e .. '!' end)", "true false user_script:1: x!"},
    {"return xpcall(function() error({err = 'x'}) end, function(e) return e end)", "true false table"},
    {"return xpcall(function() error('x') end, function(e) error('y') end)", "true false error in error handling"},
    {"return xpcall(error, function(e) return e, 2 end)", "true false nil"},
    {"local function f() return pcall(f) end local t = {f()} return #t > 150, t[#t]", "true true C stack overflow"},
    {"local function f() return f() + 1 end local ok, e = pcall(f) return ok, e",
     "true false user_script:1: stack overflow"},
    {"return coroutine.create(1)", "false user_script:1: bad argument #1 to 'create' (Lua function expected)"},
    {"return coroutine.create(nil)", "false user_script:1: bad argument #1 to 'create' (Lua function expected)"},
    {"return coroutine.create(string.rep)", "false user_script:1: bad argument #1 to 'create' (Lua function expected)"},
    {"return coroutine.wrap(string.rep)", "false user_script:1: bad argument #1 to 'wrap' (Lua function expected)"},
    {"return coroutine.wrap()", "false user_script:1: bad argument #1 to 'wrap' (Lua function expected)"},
    {"return coroutine.resume(1)", "false user_script:1: bad argument #1 to 'resume' (coroutine expected)"},
    {"return coroutine.resume()", "false user_script:1: bad argument #1 to 'resume' (coroutine expected)"},
    {"local c = coroutine.create(function(...) local a = coroutine.yield(...) return a, 'end' end) return "
     "coroutine.status(c), coroutine.resume(c, 1, nil)",
     "true suspended true 1 nil"},
    {"local c = coroutine.create(function(...) local a = coroutine.yield(...) return a, 'end' end) coroutine.resume(c) "
     "return coroutine.resume(c, 7)",
     "true true 7 end"},
    {"local c = coroutine.create(function() end) coroutine.resume(c) return coroutine.status(c), coroutine.resume(c)",
     "true dead false cannot resume dead coroutine"},
    {"local c = coroutine.create(function() error('x') end) local a, b = coroutine.resume(c) return a, b, "
     "coroutine.status(c), coroutine.resume(c)",
     "true false user_script:1: x dead false cannot resume dead coroutine"},
    {"local c = coroutine.create(function() error({err = 'x'}) end) return coroutine.resume(c)", "true false table"},
    {"local c c = coroutine.create(function() return coroutine.status(c), coroutine.resume(c) end) return "
     "coroutine.resume(c)",
     "true true running false cannot resume running coroutine"},
    {"local c c = coroutine.create(function() local d = coroutine.create(function() return coroutine.status(c), "
     "coroutine.resume(c) end) return coroutine.resume(d) end) return coroutine.resume(c)",
     "true true true normal false cannot resume normal coroutine"},
    {"local w = coroutine.wrap(function(...) coroutine.yield(...) error('x') end) local a = w(5) return a, pcall(w)",
     "true 5 false user_script:1: x"},
    {"local w = coroutine.wrap(function() error({err = 'x'}) end) return pcall(w)", "true false x"},
    {"local w = coroutine.wrap(function() end) w() return w()", "false user_script:1: cannot resume dead coroutine"},
    {"return coroutine.wrap(function(...) return select('#', ...), ... end)(1, nil)", "true 2 1 nil"},
    {"return coroutine.yield(1)", "false attempt to yield across metamethod/C-call boundary"},
    {"return pcall(coroutine.wrap(function() pcall(coroutine.yield) return 1 end))", "true true 1"},
    {"return coroutine.wrap(function() return pcall(coroutine.yield) end)()",
     "true false attempt to yield across metamethod/C-call boundary"},
    {"return coroutine.running()", "true nil"},
    {"local function f() return coroutine.wrap(f)() end local ok, e = pcall(f) return ok, #e > 2000, e:sub(-16)",
     "true false true C stack overflow"},
    {"local function f() local c = coroutine.create(f) return coroutine.resume(c) end return select('#', f()) > 150",
     "true true"},
    {"return select('#', coroutine.resume(coroutine.create(function() return unpack({}, 1, 7000) end)))", "true 7001"},
    {"return pcall(coroutine.resume, coroutine.create(function() end), unpack({}, 1, 7000))", "true true true"},
    {"return string.rep('ab', 3), string.rep('ab', 0) == '', string.rep('ab', -1) == '', string.rep('', 100) == '', "
     "string.rep('a', 2.9), ('x'):rep(3)",
     "true ababab true true true aa xxx"},
    {"return #string.rep('abc', 1000), string.rep('abc', 1000) == ('abcabcabcabc'):rep(250), #string.rep('x', 2^32 + "
     "5), #string.rep('', 2^31 - 1)",
     "true 3000 true 5 0"},
    {"return string.rep('a\\0b', 400) == table.concat((function() local t = {} for i = 1, 400 do t[i] = 'a\\0b' end "
     "return t end)())",
     "true true"},
    {"return string.rep('x')", "false user_script:1: bad argument #2 to 'rep' (number expected, got no value)"},
    {"return string.rep()", "false user_script:1: bad argument #1 to 'rep' (string expected, got no value)"},
    {"return string.rep({}, 1)", "false user_script:1: bad argument #1 to 'rep' (string expected, got table)"},
    {"return string.rep('x', 'y')", "false user_script:1: bad argument #2 to 'rep' (number expected, got string)"},
    {"return string.format('%200d', 1)", "false user_script:1: invalid format (width or precision too long)"},
    {"return string.format('%.100f', 1)", "false user_script:1: invalid format (width or precision too long)"},
    {"return #string.format('%99.99f', 1e308)", "true 409"},
    {"return string.format('%y', 1)", "false user_script:1: invalid option '%y' to 'format'"},
    {"return string.format('%')", "false user_script:1: bad argument #2 to 'format' (no value)"},
    {"return string.format('%d')", "false user_script:1: bad argument #2 to 'format' (no value)"},
    {"return string.format('%-+ #05.3d', 5)", "true +005 "},
    {"return string.format('%-+ #0000005.3d', 5)", "false user_script:1: invalid format (repeated flags)"},
    {"return string.find('hello', 'l'), string.find('hello', 'l', 1, true), string.find('h.llo', '.', 1, true), "
     "string.find('hello', 'xyz')",
     "true 3 3 2 nil"},
    {"return string.find('a')", "false user_script:1: bad argument #2 to 'find' (string expected, got no value)"},
    {"return string.find('a', {})", "false user_script:1: bad argument #2 to 'find' (string expected, got table)"},
    {"return string.find({}, 'a')", "false user_script:1: bad argument #1 to 'find' (string expected, got table)"},
    {"return string.match('key:42', '(%a+):(%d+)')", "true key 42"},
    {"return string.match('a', '(')", "false user_script:1: unfinished capture"},
    {"return string.match('a', '%')", "false user_script:1: malformed pattern (ends with '%')"},
    {"return string.match('a', '[a')", "false user_script:1: malformed pattern (missing ']')"},
    {"return string.match()", "false user_script:1: bad argument #1 to 'match' (string expected, got no value)"},
    {"return string.gsub('hello', 'l', 'L'), string.gsub('abc', '%w', '%0%0'), string.gsub('abc', '', '-'), "
     "string.gsub('abc', 'b', {b = 'x'})",
     "true heLLo aabbcc -a-b-c- axc 1"},
    {"return string.gsub('abc', '%w', string)", "true abc 3"},
    {"return string.gsub('abc')", "false user_script:1: bad argument #2 to 'gsub' (string expected, got no value)"},
    {"return string.gsub('abc', 'b')",
     "false user_script:1: bad argument #3 to 'gsub' (string/function/table expected)"},
    {"return string.gsub('abc', '(', 'x')", "true xaxbxcx 4"},
    {"local o = {} for w in string.gmatch('one two', '%a+') do o[#o + 1] = w end return unpack(o)", "true one two"},
    {"local o = {} for k, v in ('a=1, b=2'):gfind('(%w+)=(%w+)') do o[#o + 1] = k .. v end return unpack(o)",
     "true a1 b2"},
    {"return string.gmatch()", "false user_script:1: bad argument #1 to 'gmatch' (string expected, got no value)"},
    {"return string.gfind()", "false user_script:1: bad argument #1 to 'gfind' (string expected, got no value)"},
    {"return string.gfind == string.gmatch", "true true"},
    {"return math.random(0)", "false user_script:1: bad argument #1 to 'random' (interval is empty)"},
    {"return math.random(2, 1)", "false user_script:1: bad argument #2 to 'random' (interval is empty)"},
    {"return math.random(1, 2, 3)", "false user_script:1: wrong number of arguments"},
    {"return math.random('a')", "false user_script:1: bad argument #1 to 'random' (number expected, got string)"},
    {"return math.random(2^31)", "false user_script:1: bad argument #1 to 'random' (interval is empty)"},
    {"return math.random(0.5)", "false user_script:1: bad argument #1 to 'random' (interval is empty)"},
    {"return math.random(1, 1), math.random(-2^31, 2^31 - 1), math.random(1.9)", "true 1 -2147483648 1"},
    {"return math.randomseed()",
     "false user_script:1: bad argument #1 to 'randomseed' (number expected, got no value)"},
    {"return math.randomseed({})", "false user_script:1: bad argument #1 to 'randomseed' (number expected, got table)"},
    {"math.randomseed(42) return math.random(1000000), math.random(), math.random(10), math.random(-5, 5)",
     "true 744526 0.34270147855519384 2 -1"},
    {"math.randomseed(1) return math.random(), math.random(), math.random(), math.random(), math.random()",
     "true 0.041630344484760586 0.45449244484980239 0.83481721851733381 0.33598602997883503 0.56548940370114953"},
    {"math.randomseed(-1) return math.random()", "true 0.3000257272739083"},
    {"math.randomseed(0) return math.random()", "true 0.1708280361121651"},
    {"math.randomseed(1.5) return math.random()", "true 0.041630344484760586"},
    {"math.randomseed(1e20) return math.random()", "true 0.1708280361121651"},
    {"math.randomseed(2^31) return math.random()", "true 0.67082803634499577"},
    {"math.randomseed(2^32) return math.random()", "true 0.1708280361121651"},
    {"math.randomseed('7') return math.random()", "true 0.26644419658297869"},
    {"math.randomseed(0/0) return math.random()", "true 0.1708280361121651"},
    {"math.randomseed(5) return math.random(-2^31, 0), math.random(-2^31, 2^31-1), math.random(-1, 2^31-1), "
     "math.random(0, 2^31-1)",
     "true -3274568062 -2147483648 -1693504464 -425350460"},
    {"collectgarbage('x')", "false user_script:1: bad argument #1 to 'collectgarbage' (invalid option 'x')"},
    {"return collectgarbage('collect'), collectgarbage(), collectgarbage('stop'), collectgarbage('restart'), "
     "collectgarbage('step', 100000)",
     "true 0 0 0 0 true"},
    {"return collectgarbage('setpause', 150), collectgarbage('setpause', 200), collectgarbage('setstepmul', 100), "
     "collectgarbage('setstepmul', 200)",
     "true 200 150 200 100"},
    {"return type(collectgarbage('count')), type(gcinfo()), collectgarbage('count') > 10", "true number number true"},
    {"return _VERSION, type(tostring({})), tostring(nil), tostring(1e15), tostring(2^53), tostring(-0.0 + 0)",
     "true Lua 5.1 string nil 1e+15 9.007199254741e+15 0"},
    {"return tostring({}):match('^table: 0x%x+$') ~= nil, tostring(string):match('^table: 0x%x+$') ~= nil, "
     "tostring(pairs):match('^function: 0x%x+$') ~= nil, tostring(_G):match('^table: 0x%x+$') ~= nil",
     "true true true true true"},
    {"return #string.dump(function() end) > 50, string.dump(string.rep)",
     "false user_script:1: unable to dump given function"},
    {"return print", "false user_script:1: Script attempted to access nonexistent global variable 'print'"},
    {"return require('x')", "false user_script:1: Script attempted to access nonexistent global variable 'require'"},
    {"return module", "false user_script:1: Script attempted to access nonexistent global variable 'module'"},
    {"return package", "false user_script:1: Script attempted to access nonexistent global variable 'package'"},
    {"return io", "false user_script:1: Script attempted to access nonexistent global variable 'io'"},
    {"return debug", "false user_script:1: Script attempted to access nonexistent global variable 'debug'"},
    {"return dofile", "false user_script:1: Script attempted to access nonexistent global variable 'dofile'"},
    {"return loadfile", "false user_script:1: Script attempted to access nonexistent global variable 'loadfile'"},
    {"return newproxy", "false user_script:1: Script attempted to access nonexistent global variable 'newproxy'"},
    {"return getfenv", "false user_script:1: Script attempted to access nonexistent global variable 'getfenv'"},
    {"return setfenv", "false user_script:1: Script attempted to access nonexistent global variable 'setfenv'"},
};

static void scripts_give_what_redis_gives(void **state) {
    (void)state;
    lab_compare(lines, sizeof lines / sizeof *lines);
}

/* --- What exists ------------------------------------------------------------------------------ */

/* pairs(_G) of redis-server has these without os; KEYS, ARGV, redis, cjson and cmsgpack are added by the engine. */
static void the_listed_globals_exist_and_no_others(void **state) {
    (void)state;
    lua_State *L = lab_open();
    lab_expect(L, "local o = {} for k, v in pairs(_G) do o[#o + 1] = k end table.sort(o) return table.concat(o, ' ')",
               "_G _VERSION assert bit collectgarbage coroutine error gcinfo getmetatable ipairs load loadstring math "
               "next os pairs pcall rawequal rawget rawset select setmetatable string struct table tonumber tostring "
               "type unpack xpcall");
    lab_expect(L, "local o = {} for k in pairs(os) do o[#o + 1] = k end return table.concat(o, ' ')", "clock");
    lab_expect(L, "return tostring(type(os.clock()) == 'number' and os.clock() >= 0)", "true");
    lab_close(L);
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* Each is a function body with the table in t, and must raise an error or change nothing. */
static const char *const writes[] = {
    "t.x = 1",
    "t[1] = 1",
    "t[{}] = 1",
    "for k in pairs(t) do t[k] = nil end",
    "for k in next, t do t[k] = 1 end",
    "local k = next(t) t[k] = nil",
    "rawset(t, 'x', 1)",
    "rawset(t, 1, 1)",
    "local k = next(t) rawset(t, k, nil)",
    "setmetatable(t, {})",
    "setmetatable(t, nil)",
    "setmetatable(t, {__index = function() return 1 end})",
    "getmetatable(t).__index = nil",
    "getmetatable(t).__newindex = nil",
    "rawset(getmetatable(t), '__newindex', nil)",
    "setmetatable(getmetatable(t), {})",
    "table.insert(t, 1)",
    "table.insert(t, 1, 1)",
    "table.remove(t)",
    "table.remove(t, 1)",
    "table.sort(t, function(a, b) t.x = 1 return false end)",
    "table.setn(t, 1)",
    "table.foreach(t, function(k, v) t[k] = nil end)",
    "table.foreach(t, function(k, v) rawset(t, k, nil) end)",
    "table.foreachi(t, function(k, v) t[k] = nil end)",
    "local u = setmetatable({}, {__newindex = t}) u.x = 1",
    "local u = setmetatable({}, {__index = t, __newindex = t}) u.x = 1 u[1] = 1",
    "local u = setmetatable({}, t) getmetatable(u).x = 1",
    "local u = setmetatable({}, t) rawset(getmetatable(u), 'x', 1)",
    "local u = setmetatable({}, {__newindex = function(_, k, v) rawset(t, k, v) end}) u.x = 1",
    "function t.x() end",
    "function t:y() end",
    "t.x, t.y = 1, 2",
    "for _, v in pairs(t) do if type(v) == 'table' and v ~= t then v.x = 1 end end",
    "for _, v in pairs(t) do if type(v) == 'table' then rawset(v, 'x', 1) end end",
    "string.gsub('x', 'x', setmetatable({}, {__index = function(_, k) t[k] = 1 end}))",
    "local f = loadstring('local t = ... t.x = 1') f(t)",
    "local i = 0 load(function() i = i + 1 return ({'local t = ... ', 't.x = 1'})[i] end)(t)",
    "coroutine.wrap(function() t.x = 1 end)()",
    "xpcall(function() error() end, function() t.x = 1 end)",
    "local n = pairs({}) t.x = n(t)",
    "local n = pairs({}) rawset(t, n(t) or 'x', 1)",
    "x = 1",
    "string = 1",
    "_G = {}",
    "function f() end",
    "for i = 1, 2 do y = i end",
    "loadstring('x = 1')()",
    "coroutine.wrap(function() x = 1 end)()",
    "(function() return function() x = 1 end end)()()",
};

/* One text for all that a script can reach from _G: names, types, and the identity of functions. */
static const char picture[] =
    "local seen, out, ids, n = {}, {}, {}, 0 "
    "local function id(v) if not ids[v] then n = n + 1 ids[v] = n end return ids[v] end "
    "local function walk(t, path) if seen[t] then return end seen[t] = true "
    "local keys = {} for k in pairs(t) do keys[#keys + 1] = tostring(k) end table.sort(keys) "
    "for _, k in ipairs(keys) do local v = rawget(t, k) out[#out + 1] = path .. k .. '=' .. type(v) .. "
    "((type(v) == 'function' or type(v) == 'table') and id(v) or tostring(v)) "
    "if type(v) == 'table' then walk(v, path .. k .. '.') end end "
    "local m = getmetatable(t) if type(m) == 'table' then out[#out + 1] = path .. '<>' walk(m, path .. '<>') end end "
    "walk(_G, '') walk(getmetatable(''), 'string:') return table.concat(out, '\\n')";

static void no_way_to_write_changes_a_protected_table(void **state) {
    (void)state;
    static const char *const tables[] = {
        "_G",    "string",           "table",           "math", "coroutine", "bit", "struct", "os",
        "added", "getmetatable('')", "getmetatable(_G)"};
    lua_State *L = lab_open();
    lua_newtable(L);
    lua_pushinteger(L, 5);
    lua_setfield(L, -2, "field");
    protect_table(L);
    sandbox_set(L, "added");
    char *before = strdup(lab_run(L, picture));
    assert_non_null(strstr(before, "string.rep=function"));
    assert_non_null(strstr(before, "added.field=number5"));
    assert_non_null(strstr(before, "\n<>__index=function"));
    assert_non_null(strstr(before, "string:__index=table"));
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (size_t k = 0; k < sizeof writes / sizeof *writes; k++) {
            char script[600];
            snprintf(script, sizeof script, "local t = %s pcall(function() %s end) return 'back'", tables[i],
                     writes[k]);
            lab_expect(L, script, "back");
            if (strcmp(lab_run(L, picture), before) != 0) fail_msg("%s is changed by: %s", tables[i], writes[k]);
        }
    }
    free(before);
    lab_close(L);
}

/* The real tables are no values of scripts: whatever a script gets hold of refuses. */
static void nothing_leads_to_a_real_table(void **state) {
    (void)state;
    lua_State *L = lab_open();
    lab_expect(L, "local t = setmetatable({}, string) return tostring(getmetatable(t) == string)", "true");
    lab_expect(L, "return tostring(getmetatable('').__index == string)", "true");
    lab_expect(L, "local s for k, v in pairs(getmetatable('')) do s = v end return tostring(s == string)", "true");
    lab_expect(L, "local s table.foreach(_G, function(k, v) if k == '_G' then s = v end end) return tostring(s == _G)",
               "true");
    lab_expect(L, "local k, v = next(getmetatable('')) return k .. tostring(v == string)", "__indextrue");
    /* __index and __newindex of ours are told the key only by C: a script cannot put itself between. */
    lab_expect(L, "return tostring(rawget(string, 1)) .. tostring(rawget(string, 2)) .. tostring(string.__index)",
               "nilnilnil");
    lab_close(L);
}

/* --- Globals ---------------------------------------------------------------------------------- */

static void a_function_that_assigns_keeps_the_proxy(void **state) {
    (void)state;
    lua_State *L = lab_open();
    lab_expect(L, "local f = function() return string end return tostring(f() == _G.string)", "true");
    lab_expect(L, "local f = function() string = 1 end f()", "ERR user_script:1: Attempt to modify a readonly table");
    lab_expect(L, "return (function() return (function() return function() _G = 1 end end)() end)()()",
               "ERR user_script:1: Attempt to modify a readonly table");
    lab_close(L);
}

/* Whether a script's environment has the real libraries. */
static bool is_direct(lua_State *L, const char *script) {
    assert_int_equal(source_load(L, slice_cstr(script), "@x"), 0);
    sandbox_settle(L);
    lua_getfenv(L, -1);
    lua_pushliteral(L, "string");
    lua_rawget(L, -2);
    bool direct = lua_istable(L, -1) && !protect_is_proxy(L, -1);
    lua_pop(L, 3);
    return direct;
}

static void only_code_that_holds_no_library_gets_at_the_real_ones(void **state) {
    (void)state;
    static const char *const harmless[] = {
        "",
        "return 1",
        "return string.rep('x', 3)",
        "return string['rep']",
        "local k = 'rep' return string[k]",
        "local f, g = string.rep, table.concat return f, g",
        "local function f() return math.floor(1.5) end return f()",
        "return pcall(string.rep, 'x', 2)",
        "return {string.rep, x = bit.band}",
        "string = nil or string", /* it assigns: the proxy */
    };
    static const char *const holders[] = {
        "return string",
        "return (string)",
        "local s = string return s",
        "local s s = string return s",
        "return string or 1",
        "return nil or string",
        "return string and string",
        "if string then return string end",
        "local t = {string} return t[1]",
        "local t = {s = string} return t.s",
        "local t = {[string] = 1} return (next(t))",
        "local t = {} t.s = string return t.s",
        "local t = {} t[string] = 1 return (next(t))",
        "return (function(...) return ... end)(string)",
        "local function f(s) return s end return f(string)",
        "for _, v in pairs({string}) do return v end",
        "local s = string local function f() return s end return f()",
        "local function f() return string end return f()",
        "local function f() return function() return string end end return f()()",
        "local s = string s = s.rep local u = string return u",
        "local s = string local f = s.rep return s",
        "local a, b = string.rep, string return b",
        "local s local function g() return s end s = string local r = g() s = s.rep return r",
        "local s = 1 for i = 1, 1 do s = string end return s",
        "local t = setmetatable({}, {__index = string}) return getmetatable(t).__index",
        "return coroutine.wrap(function() coroutine.yield(string) end)()",
        "return select(2, pcall(function() return string end))",
        "return ({xpcall(function() return string end, error)})[2]",
        "local x = string[string] return string",
        "while string do return string end",
        "repeat local s = string until s return string",
        "local s = string.rep and string return s",
        "return string.rep and string",
        "local s = not string.nope and string return s",
    };
    lua_State *L = lab_open();
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (is_direct(L, harmless[i]) == (strstr(harmless[i], "string =") != NULL)) fail_msg("%s", harmless[i]);
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++) {
        if (is_direct(L, holders[i])) fail_msg("%s", holders[i]);
        char script[300];
        snprintf(script, sizeof script, "local s = (function() %s end)() rawset(s, 'x', 1)", holders[i]);
        lab_expect(L, script, "ERR Attempt to modify a readonly table");
    }
    lab_close(L);
}

static unsigned names_of(lua_State *L, const char *script) {
    assert_int_equal(source_load(L, slice_cstr(script), "@x"), 0);
    unsigned names = sandbox_settle(L);
    lua_pop(L, 1);
    return names;
}

static void the_names_in_code_are_found(void **state) {
    (void)state;
    lua_State *L = lab_open();
    assert_int_equal(names_of(L, ""), 0);
    assert_int_equal(names_of(L, "return 1"), 0);
    assert_int_equal(names_of(L, "return KEYS[1]"), SANDBOX_KEYS);
    assert_int_equal(names_of(L, "return ARGV[1], 'KEYSx', 1.5, true, nil"), SANDBOX_ARGV);
    assert_int_equal(names_of(L, "local a, b, c = 1, 'x' return function(x) local u = a return function() return "
                                 "#KEYS + #ARGV, u, x end end"),
                     SANDBOX_KEYS | SANDBOX_ARGV);
    assert_int_equal(names_of(L, "return _G['KE' .. 'YS']"), SANDBOX_ANY);
    assert_int_equal(names_of(L, "return loadstring('return KEYS')"), SANDBOX_ANY);
    assert_int_equal(names_of(L, "return load, KEYS"), SANDBOX_ANY | SANDBOX_KEYS);
    lab_close(L);
}

/* While a library loads there is only what it is given; its functions see all afterwards. */
static void narrowed_globals_are_all_there_is(void **state) {
    (void)state;
    lua_State *L = lab_open();
    assert_int_equal(source_load(L,
                                 SLICE("local given = api local function peek() return type(string), tostring(api) end "
                                       "api.keep(function() return peek() end)"),
                                 "@lib"),
                     0);
    lua_newtable(L); /* the globals */
    lua_newtable(L); /* api */
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "kept");
    assert_int_equal(luaL_loadstring(L, "local kept = ... return function(f) kept.f = f end"), 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "kept");
    lua_call(L, 1, 1);
    lua_setfield(L, -2, "keep");
    sandbox_make_strict(L);
    protect_table(L);
    lua_setfield(L, -2, "api");
    lua_pushvalue(L, -1);
    lua_insert(L, 1);
    sandbox_narrow(L);
    assert_int_equal(lua_pcall(L, 0, 0, 0), 0);
    static const struct lab_line absent[] = {
        {"return string", "lib:1: Script attempted to access nonexistent global variable 'string'"},
        {"return _G", "lib:1: Script attempted to access nonexistent global variable '_G'"},
        {"return api.call", "lib:1: Script attempted to access nonexistent global variable 'call'"},
        {"return api[nil]", "lib:1: Second argument to luaProtectedTableError must be a string or number"},
        {"api.x = 1", "lib:1: Attempt to modify a readonly table"},
        {"api = 1", "lib:1: Attempt to modify a readonly table"},
        {"x = 1", "lib:1: Attempt to modify a readonly table"},
    };
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        assert_int_equal(source_load(L, slice_cstr(absent[i].script), "@lib"), 0);
        assert_int_equal(lua_pcall(L, 0, 0, 0), LUA_ERRRUN);
        assert_string_equal(lua_tostring(L, -1), absent[i].expected);
        lua_pop(L, 1);
    }
    sandbox_widen(L);
    sandbox_widen(L);
    for (int settled = 0; settled < 2; settled++) { /* the function sees all globals, and the library's api no more */
        lua_getfield(L, LUA_REGISTRYINDEX, "kept");
        lua_getfield(L, -1, "f");
        if (settled) sandbox_settle(L);
        assert_int_equal(lua_pcall(L, 0, 1, 0), LUA_ERRRUN);
        assert_string_equal(lua_tostring(L, -1), "lib:1: Script attempted to access nonexistent global variable 'api'");
        lua_pop(L, 2);
    }
    lab_close(L);
}

/* --- An end that no script catches -------------------------------------------------------------- */

static void end_the_run(lua_State *L, lua_Debug *frame) {
    (void)frame;
    catch_ending = true;
    luaL_error(L, "the end");
}

static void no_script_catches_its_end(void **state) {
    (void)state;
    static const char *const stubborn[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function(e) return e end) end",
        "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
        "while true do xpcall(function() while true do end end, pcall) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do pcall(c) end",
        "while true do load(function() while true do end end) end",
        "while true do load(function() pcall(function() while true do end end) end) end",
        "while true do pcall(table.sort, {3, 2, 1}, function(a, b) while true do end end) end",
        "while true do pcall(string.gsub, 'aaa', 'a', function() while true do end end) end",
        "while true do pcall(table.foreach, {1}, function() while true do end end) end",
        "while true do pcall(tostring, setmetatable({}, {__tostring = function() while true do end end})) end",
        "while true do pcall(pcall, pcall, pcall, function() while true do end end) end",
        "local t = setmetatable({}, {__index = function() while true do end end}) while true do pcall(next, t.x) end",
        "local function f() return pcall(f) end while true do f() end",
        "local e = setmetatable({}, {__index = function() while true do end end}) while true do pcall(error, e) end",
        "while true do loadstring('while true do end')() end",
    };
    lua_State *L = lab_open();
    for (size_t i = 0; i < sizeof stubborn / sizeof *stubborn; i++) {
        lua_sethook(L, end_the_run, LUA_MASKCOUNT, 10000);
        const char *got = lab_run(L, stubborn[i]);
        lua_sethook(L, NULL, 0, 0);
        if (strncmp(got, "ERR ", 4) != 0) fail_msg("%s gives %s", stubborn[i], got);
        lab_expect(L, "return tostring(pcall(error))", "false"); /* the next script catches what it likes */
    }
    lab_close(L);
}

/* --- Memory and stacks -------------------------------------------------------------------------- */

static void demands_beyond_the_memory_are_errors(void **state) {
    (void)state;
    static const char *const greedy[] = {
        "return ('x'):rep(2^31 - 1)",
        "return ('0123456789'):rep(2^31 - 1)",
        "local s = ('x'):rep(1e6) return s:rep(2^31 - 1)",
        "local s = ('x'):rep(1e6) while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
        "return ('x'):rep(1e6):gsub('x', ('y'):rep(1e6))",
        "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1e6) end return table.concat(t)",
        "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1e5 + i) end return table.concat(t)",
        "local t = setmetatable({}, {__index = function(t, i) return i end}) return unpack(t, 1, 7000), ('x'):rep(1e9)",
    };
    lua_State *L = lab_open();
    lab_memory.limit = 32 << 20;
    for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
        const char *got = lab_run(L, greedy[i]);
        if (!strstr(got, "not enough memory")) fail_msg("%s gives %.200s", greedy[i], got);
        lab_expect(L, "return 'next'", "next");
    }
    lab_memory.limit = 0;
    lab_close(L);
}

/* Each of these overflows the C stack, or an int, or runs for minutes in a stock Lua. */
static void hostile_arguments_are_errors(void **state) {
    (void)state;
    static const struct lab_line hostile[] = {
        {"return ('a'):rep(300000):find(('a?'):rep(300000))", "ERR user_script:1: pattern too complex"},
        {"return ('a'):rep(300000):match(('a*'):rep(300000))", "ERR user_script:1: pattern too complex"},
        {"return ('a'):gsub(('a-'):rep(300000), '')", "ERR user_script:1: pattern too complex"},
        {"return ('a'):gmatch(('a+'):rep(300000))", "ERR user_script:1: pattern too complex"},
        {"return tostring(('a'):find(('a-'):rep(300000), 1, true))", "nil"},
        {"return #('a'):rep(4000):match(('a?'):rep(4000))", "4000"},
        {"return #('a'):rep(5000):match(('a'):rep(5000) .. ('[^b]'):rep(0))", "5000"},
        {"table.insert({}, -2^31, 1)", "ERR user_script:1: bad argument #2 to 'insert' (position out of bounds)"},
        {"table.insert({}, -1e9, 1)", "ERR user_script:1: bad argument #2 to 'insert' (position out of bounds)"},
        {"local t = {} table.insert(t, 2^31 - 1, 1) return t[2^31 - 1]", "1"},
        {"return #string.format('%99.99f', -1e308)", "410"},
        {"return ('x'):byte(1, 2^31 - 1)", "120"},
        {"return #{('x'):rep(1e6):byte(1, -1)}", "ERR user_script:1: stack overflow (string slice too long)"},
        {"local s = ('('):rep(1e5) return (select(2, loadstring('return ' .. s)):gsub('%(', ''))",
         "[string \"return ...\"]:1: chunk has too many syntax levels"},
        {"return #select(2, loadstring(('a='):rep(1e5))) > 10 and 'error'", "error"},
        {"return loadstring('local x = ' .. ('{'):rep(1e5)) and 1 or 'error'", "error"},
        {"return loadstring('return ' .. ('a..'):rep(1e5) .. 'a') and 1 or 'error'", "error"},
        {"return #loadstring('return [==[' .. (']='):rep(1e6) .. ']==]')()", "2000000"},
        {"return loadstring('return [' .. ('='):rep(1e6) .. '[') and 1 or 'error'", "error"},
        {"return select(2, load(function() return ' ' .. (' '):rep(1e6) end))",
         "user_script:1: source is longer than 64 MB"},
        {"return select(2, loadstring((' '):rep(2^26 + 1)))", "source is longer than 64 MB"},
        {"return loadstring((' '):rep(2^26 - 8) .. 'return 7')()", "7"},
    };
    lua_State *L = lab_open();
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        lab_expect(L, hostile[i].script, hostile[i].expected);
    assert_true(source_load(L, slice_of(NULL, SOURCE_MAX_BYTES + 1), "@x") != 0);
    lab_close(L);
}

/* The chunk's name has to live through a parser that collects: CVE-2025-49844. */
static void names_of_chunks_outlive_collections(void **state) {
    (void)state;
    lua_State *L = lab_open();
    lua_gc(L, LUA_GCSETPAUSE, 0);
    lua_gc(L, LUA_GCSETSTEPMUL, 1000000);
    lab_expect(L,
               "for i = 1, 3000 do local name = '@n' .. i .. 'z\\0tail' "
               "local f, e = loadstring('local a = {} local b = \"' .. i .. '\" error(\"e\")', name) "
               "local ok, text = pcall(f) if text ~= 'n' .. i .. 'z:1: e' then return text end end return 'good'",
               "good");
    lab_close(L);
}

/* --- lua-enable-deprecated-api ------------------------------------------------------------------ */

static const struct lab_line deprecated[] = {
    {"return type(getfenv), type(setfenv), type(newproxy)", "true function function function"},
    {"return getfenv() == _G, getfenv(1) == _G, getfenv(0) == _G, getfenv(function() end) == _G, getfenv(string.rep) "
     "== _G",
     "true true true true true true"},
    {"return getfenv(-1)", "false user_script:1: bad argument #1 to 'getfenv' (level must be non-negative)"},
    {"return getfenv(100)", "false user_script:1: bad argument #1 to 'getfenv' (invalid level)"},
    {"return getfenv('x')", "false user_script:1: bad argument #1 to 'getfenv' (number expected, got string)"},
    {"return getfenv({})", "false user_script:1: bad argument #1 to 'getfenv' (number expected, got table)"},
    {"getfenv().x = 1", "false user_script:1: Attempt to modify a readonly table"},
    {"rawset(getfenv(0), 'x', 1)", "false Attempt to modify a readonly table"},
    {"return setfenv(1, {})", "true function"},
    {"local f = setfenv(function() return x end, {x = 5}) return f(), getfenv(f).x", "true 5 5"},
    {"local f = setfenv(function() y = 6 return y end, {}) return f(), getfenv(f).y", "true 6 6"},
    {"local f = function() return string end setfenv(f, _G) return f() == string", "true true"},
    {"setfenv(string.rep, {})", "false user_script:1: 'setfenv' cannot change environment of given object"},
    {"setfenv(1)", "false user_script:1: bad argument #2 to 'setfenv' (table expected, got no value)"},
    {"setfenv(1, 1)", "false user_script:1: bad argument #2 to 'setfenv' (table expected, got number)"},
    {"setfenv(-1, {})", "false user_script:1: bad argument #1 to 'setfenv' (level must be non-negative)"},
    {"setfenv(100, {})", "false user_script:1: bad argument #1 to 'setfenv' (invalid level)"},
    {"setfenv('x', {})", "false user_script:1: bad argument #1 to 'setfenv' (number expected, got string)"},
    {"setfenv({}, {})", "false user_script:1: bad argument #1 to 'setfenv' (number expected, got table)"},
    {"local f = setfenv(function() return string end, setmetatable({}, {__index = _G})) return f() == string",
     "true true"},
    {"local p = newproxy() return type(p), getmetatable(p)", "true userdata nil"},
    {"local p = newproxy(true) return type(p), type(getmetatable(p))", "true userdata table"},
    {"local p = newproxy(true) getmetatable(p).__index = function(t, k) return k .. '!' end return p.foo", "true foo!"},
    {"local p = newproxy(true) getmetatable(p).__add = function(a, b) return 7 end return p + 1", "true 7"},
    {"local p = newproxy(true) getmetatable(p).__tostring = function(a, b) return 'me' end return tostring(p), "
     "getmetatable(p).__tostring(p)",
     "true me me"},
    {"local p = newproxy(true) getmetatable(p).__len = function() return 9 end return #p, #newproxy(p), "
     "getmetatable(newproxy(p)) == getmetatable(p)",
     "true 9 9 true"},
    {"newproxy(1)", "false user_script:1: bad argument #1 to 'newproxy' (boolean or proxy expected)"},
    {"newproxy({})", "false user_script:1: bad argument #1 to 'newproxy' (boolean or proxy expected)"},
    {"local p = newproxy() newproxy(p)",
     "false user_script:1: bad argument #1 to 'newproxy' (boolean or proxy expected)"},
    {"return newproxy(false) ~= newproxy(nil)", "true true"},
    {"local p = newproxy(true) getmetatable(p).__call = function(self, a) return a end return p(5)", "true 5"},
};

static void deprecated_functions_are_safe(void **state) {
    (void)state;
    bool *on = sandbox_module.options->address;
    *on = true;
    lab_compare(deprecated, sizeof deprecated / sizeof *deprecated);
    lua_State *L = lab_open();
    lab_expect(L, "setfenv(0, {})", "ERR Attempt to modify a readonly table"); /* the state's own: all scripts' */
    lab_expect(L,
               "local ran = 0 for i = 1, 100 do local p = newproxy(true) "
               "getmetatable(p).__gc = function() ran = ran + 1 end "
               "pcall(rawset, getmetatable(p), '__gc', function() ran = ran + 1 end) "
               "pcall(setmetatable, getmetatable(p), {__gc = function() ran = ran + 1 end}) end "
               "collectgarbage() collectgarbage() return ran",
               "0");
    lab_expect(L, "return getfenv(1) == _G and pcall(rawset, getfenv(1), 'x', 1) and 'writable' or 'safe'", "safe");
    lab_close(L);
    *on = false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_give_what_redis_gives),
        cmocka_unit_test(the_listed_globals_exist_and_no_others),
        cmocka_unit_test(no_way_to_write_changes_a_protected_table),
        cmocka_unit_test(nothing_leads_to_a_real_table),
        cmocka_unit_test(a_function_that_assigns_keeps_the_proxy),
        cmocka_unit_test(only_code_that_holds_no_library_gets_at_the_real_ones),
        cmocka_unit_test(the_names_in_code_are_found),
        cmocka_unit_test(narrowed_globals_are_all_there_is),
        cmocka_unit_test(no_script_catches_its_end),
        cmocka_unit_test(demands_beyond_the_memory_are_errors),
        cmocka_unit_test(hostile_arguments_are_errors),
        cmocka_unit_test(names_of_chunks_outlive_collections),
        cmocka_unit_test(deprecated_functions_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
