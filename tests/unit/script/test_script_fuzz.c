/* Hostile scripts: random bytes, random words of Lua, and random programs from a grammar over all that the sandbox has,
 * with an allocator that fails at any call, a small memory and a hook that ends each run. Nothing crashes (sanitizers
 * tell), nothing leaks, no protected table changes, and the next script works.
 *
 * KURA_FUZZ_ROUNDS is the number of scripts of each kind. To repeat a failed run, pass the SEED that it prints. */
#include "base/buf.h"
#include "sandbox_lab.h"

#define PICK(array) (array)[rand_below(sizeof(array) / sizeof *(array))]

static long rounds;

/* --- Random text -------------------------------------------------------------------------------- */

static const char *const words[] = {
    "and ",   "break ", "do ",    "else ", "elseif ",   "end ",    "false ",  "for ",    "function ", "if ",
    "in ",    "local ", "nil ",   "not ",  "or ",       "repeat ", "return ", "then ",   "true ",     "until ",
    "while ", "+",      "-",      "*",     "/",         "%",       "^",       "#",       "==",        "~=",
    "<=",     ">=",     "<",      ">",     "=",         "(",       ")",       "{",       "}",         "[",
    "]",      ";",      ":",      ",",     ".",         "..",      "...",     "x ",      "y ",        "_G ",
    "1 ",     "1e999 ", "0x1p4 ", "'s' ",  "\"t\\0\" ", "[[l]] ",  "[==[",    "]==]",    "--",        "--[[",
    "\n",     "\\",     "\27",    "\0",    "\xff",      "string",  ".rep",    "\27LuaQ", "#!lua\n",   "'",
};

static void random_words(struct buf *out) {
    for (long left = (long)rand_below(60); left > 0; left--)
        buf_append_cstr(out, PICK(words));
}

static void random_bytes(struct buf *out) {
    for (long left = (long)rand_below(200); left > 0; left--) {
        char c = (char)rand_below(rand_below(2) ? 256 : 128);
        buf_append(out, &c, 1);
    }
}

/* --- Random programs ---------------------------------------------------------------------------- */

static const char *const names[] = {"a", "b", "c", "t", "f"}; /* locals of each program */
static const char *const functions[] = {
    "assert",
    "collectgarbage",
    "error",
    "gcinfo",
    "getmetatable",
    "ipairs",
    "load",
    "loadstring",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
    "string.byte",
    "string.char",
    "string.dump",
    "string.find",
    "string.format",
    "string.gmatch",
    "string.gsub",
    "string.len",
    "string.lower",
    "string.match",
    "string.rep",
    "string.reverse",
    "string.sub",
    "table.concat",
    "table.foreach",
    "table.foreachi",
    "table.getn",
    "table.insert",
    "table.maxn",
    "table.remove",
    "table.setn",
    "table.sort",
    "math.floor",
    "math.random",
    "math.randomseed",
    "math.ldexp",
    "math.fmod",
    "math.modf",
    "math.max",
    "coroutine.create",
    "coroutine.resume",
    "coroutine.wrap",
    "coroutine.yield",
    "coroutine.status",
    "coroutine.running",
    "bit.tobit",
    "bit.tohex",
    "bit.lshift",
    "bit.band",
    "struct.pack",
    "struct.unpack",
    "struct.size",
    "os.clock",
    "f",
    "a",
};
static const char *const methods[] = {"rep", "find", "match", "gmatch", "gsub", "format", "byte", "sub", "x"};
static const char *const tables[] = {"_G", "string",           "table",           "math", "coroutine", "bit", "struct",
                                     "os", "getmetatable('')", "getmetatable(_G)"};
static const char *const values[] = {
    "nil",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "3.5",
    "100",
    "1e5",
    "2^31",
    "2^31-1",
    "-2^31",
    "2^53",
    "1e308*10",
    "0/0",
    "'k'",
    "'v'",
    "'(a*)'",
    "'%w-'",
    "'[^a]?'",
    "'%b()'",
    "'%f[%w]'",
    "'%1'",
    "'%d%s'",
    "'%5.2f'",
    "'%q'",
    "'i4Bc0s'",
    "'!8>d'",
    "'\\27Lua'",
    "'return ...'",
    "'x = 1'",
    "'__index'",
    "'__gc'",
    "'aaaaaaaaaaaa'",
    "''",
    "'a\\0b'",
    "{}",
    "{1,2,3}",
    "{x=1}",
    "{__index=string}",
    "{__mode='kv'}",
    "function(...) return ... end",
    "function() error({err='e'}) end",
    "function() coroutine.yield(1) end",
};
static const char *const operators[] = {"+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", "and", "or"};

static void random_expression(struct buf *out, int depth);

static void random_arguments(struct buf *out, int depth) {
    buf_append_cstr(out, "(");
    for (long left = (long)rand_below(5), first = 1; left > 0; left--, first = 0) {
        if (!first) buf_append_cstr(out, ", ");
        random_expression(out, depth - 1);
    }
    buf_append_cstr(out, ")");
}

static void random_call(struct buf *out, int depth) {
    switch (rand_below(4)) {
    case 0:
        buf_append_cstr(out, "pcall(");
        buf_append_cstr(out, PICK(functions));
        for (long left = (long)rand_below(4); left > 0; left--) {
            buf_append_cstr(out, ", ");
            random_expression(out, depth - 1);
        }
        buf_append_cstr(out, ")");
        return;
    case 1:
        buf_printf(out, "('abab'):%s", PICK(methods));
        random_arguments(out, depth);
        return;
    default: buf_append_cstr(out, PICK(functions)); random_arguments(out, depth);
    }
}

static void random_expression(struct buf *out, int depth) {
    if (depth <= 0) {
        buf_append_cstr(out, rand_below(3) ? PICK(values) : PICK(names));
        return;
    }
    switch (rand_below(9)) {
    case 0: buf_append_cstr(out, PICK(tables)); return;
    case 1: buf_append_cstr(out, PICK(names)); return;
    case 2: buf_append_cstr(out, PICK(functions)); return;
    case 3:
        buf_append_cstr(out, "(");
        random_expression(out, depth - 1);
        buf_append_cstr(out, ") ");
        buf_append_cstr(out, PICK(operators));
        buf_append_cstr(out, " (");
        random_expression(out, depth - 1);
        buf_append_cstr(out, ")");
        return;
    case 4:
        buf_append_cstr(out, rand_below(2) ? "#(" : "-(");
        random_expression(out, depth - 1);
        buf_append_cstr(out, ")");
        return;
    case 5:
    case 6: random_call(out, depth); return;
    default: buf_append_cstr(out, PICK(values));
    }
}

static void random_statements(struct buf *out, int depth, int count);

static void random_statement(struct buf *out, int depth) {
    const char *name = PICK(names);
    switch (rand_below(depth > 0 ? 11 : 6)) {
    case 0: buf_printf(out, "%s.%s = ", PICK(tables), name); break;
    case 1: buf_printf(out, "%s[%s] = ", name, PICK(values)); break;
    case 2: buf_printf(out, "%s = ", name); break;
    case 3: buf_printf(out, "g%s = ", name); break;
    case 4: buf_printf(out, "local _ = "); break;
    case 5: buf_printf(out, "local %s = ", name); break;
    case 6:
        buf_printf(out, "for %s = 1, %s do ", name, PICK(values));
        random_statements(out, depth - 1, 2);
        buf_append_cstr(out, "end ");
        return;
    case 7:
        buf_printf(out, "for %s, b in pairs(%s) do ", name, PICK(tables));
        random_statements(out, depth - 1, 2);
        buf_append_cstr(out, "end ");
        return;
    case 8:
        buf_append_cstr(out, "pcall(function(...) ");
        random_statements(out, depth - 1, 3);
        buf_append_cstr(out, "end) ");
        return;
    case 9:
        buf_append_cstr(out, "coroutine.wrap(function() ");
        random_statements(out, depth - 1, 3);
        buf_append_cstr(out, "end)() ");
        return;
    default:
        buf_append_cstr(out, "while ");
        random_expression(out, 1);
        buf_append_cstr(out, " do ");
        random_statements(out, depth - 1, 2);
        buf_append_cstr(out, "end ");
        return;
    }
    random_expression(out, 3);
    buf_append_cstr(out, " ");
}

static void random_statements(struct buf *out, int depth, int count) {
    while (count-- > 0)
        random_statement(out, depth);
}

/* Each statement may fail without ending the program. */
static void random_program(struct buf *out) {
    buf_append_cstr(out, "local a, b, c, t, f = 1, 'b', {}, setmetatable({1, 2, x = 3}, {__index = string}), "
                         "function(...) return ... end ");
    for (long left = 1 + (long)rand_below(8); left > 0; left--) {
        buf_append_cstr(out, "pcall(function(...) ");
        random_statement(out, 2);
        buf_append_cstr(out, "end) ");
    }
    buf_append_cstr(out, "return ");
    random_expression(out, 2);
}

/* --- Running ------------------------------------------------------------------------------------ */

static const char picture[] =
    "local out = {} for _, t in ipairs({_G, string, table, math, coroutine, bit, struct, os, getmetatable('')}) do "
    "local n = 0 for k, v in pairs(t) do n = n + 1 out[#out + 1] = tostring(k) .. tostring(v) end out[#out + 1] = n "
    "end "
    "table.sort(out, function(x, y) return tostring(x) < tostring(y) end) return table.concat(out, ' ')";

static void end_the_run(lua_State *L, lua_Debug *frame) {
    (void)frame;
    catch_ending = true;
    luaL_error(L, "the end");
}

static void run(lua_State *L, struct slice text, const char *before) {
    lua_sethook(L, end_the_run, LUA_MASKCOUNT, 20000);
    lab_memory.limit = lab_memory.used + (4 << 20);
    if (rand_below(3) == 0) lab_memory.fail_after = (long)rand_below(200);
    lab_run_slice(L, text);
    lab_memory.fail_after = -1;
    lab_memory.limit = 0;
    lua_sethook(L, NULL, 0, 0);
    if (strcmp(lab_run(L, picture), before) == 0) return;
    fail_msg("a protected table changed, or the next script does not work, after: %.*s", (int)text.len, text.ptr);
}

static void run_many(void (*write)(struct buf *out)) {
    lua_State *L = lab_open();
    char *before = strdup(lab_run(L, picture));
    for (long i = 0; i < rounds; i++) {
        struct buf text = {0};
        write(&text);
        run(L, buf_slice(&text), before);
        buf_free(&text);
    }
    free(before);
    lab_close(L);
}

static void random_bytes_are_no_danger(void **state) {
    (void)state;
    run_many(random_bytes);
}

static void random_words_are_no_danger(void **state) {
    (void)state;
    run_many(random_words);
}

static void random_programs_are_no_danger(void **state) {
    (void)state;
    run_many(random_program);
}

/* Opening a sandbox may fail at each allocation. */
static void opening_fails_without_a_trace(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        lab_memory.used = 0;
        lua_State *L = lua_newstate(lab_realloc, NULL);
        lab_memory.armed = true;
        lab_memory.fail_after = n;
        int status = lua_cpcall(L, lab_open_protected, NULL);
        lab_memory.armed = false;
        lab_memory.fail_after = -1;
        lab_close(L);
        if (status == 0) break;
        assert_int_equal(status, LUA_ERRMEM);
    }
}

int main(void) {
    const char *told = getenv("KURA_FUZZ_ROUNDS");
    rounds = told ? atol(told) : 1500;
    lab_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_fails_without_a_trace),
        cmocka_unit_test(random_bytes_are_no_danger),
        cmocka_unit_test(random_words_are_no_danger),
        cmocka_unit_test(random_programs_are_no_danger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
