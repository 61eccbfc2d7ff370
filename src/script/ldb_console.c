/* Commands are rows. A command says what it has to say, which is sent when it ends, unless the script goes on: then
 * that is sent at the next stop, so that each request has one reply. */
#include "script/ldb_console.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "script/catch.h"
#include "script/ldb_log.h"
#include "script/ldb_show.h"
#include "script/ldb_source.h"
#include "script/ldb_wire.h"
#include "script/source.h"
#include <limits.h>
#include <lua5.1/lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIST_CONTEXT = 5,
    LIST_ALL = 1000000,
    TRIM_LEAST = 60,
    EVAL_LIMIT_US = 5000000, /* code of the dialogue may run for so long */
    EVAL_INSTRUCTIONS = 100000,
};

/* The request that is answered. */
static struct slice words[LDB_WIRE_ARGS];
static int word_count;
static int current; /* line */

/* As atoi() reads the word, if there is one. */
static int word_number(int i, int otherwise) {
    if (i >= word_count) return otherwise;
    char text[NUM_I64_MAX + 1] = "";
    size_t len = words[i].len < NUM_I64_MAX ? words[i].len : NUM_I64_MAX;
    memcpy(text, words[i].ptr, len);
    return atoi(text);
}

/* --- Looking --------------------------------------------------------------------------------- */

static void say_help(lua_State *L) {
    static const char *const lines[] = {
        "Commands, which may be shortened to their first letters:",
        "help              Show this text.",
        "step              Run this line, and stop at the next one.",
        "next              The same.",
        "continue          Run until a breakpoint.",
        "list [line] [n]   Show a line and n others on either side of it: by default 5 around",
        "                  the current one, which line 0 is, too.",
        "whole             Show all lines.",
        "print [name]      Show a variable, KEYS or ARGV; without a name, the local variables.",
        "break [line ...]  Set breakpoints; -line removes one, 0 removes all; without a line,",
        "                  show them.",
        "trace             Show the functions that run, the innermost first.",
        "eval <code>       Run Lua code, which does not see the local variables.",
        "redis <command>   Call a command as the script would.",
        "maxlen [bytes]    Cut values and replies off behind so many bytes, 0: nowhere; without",
        "                  a number, tell where.",
        "abort             End the script. What it wrote stays after SCRIPT DEBUG SYNC only.",
        "A script may call redis.debug(value, ...) to show values, and redis.breakpoint() to",
        "stop before its next line.",
    };
    (void)L;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ldb_say("%s", lines[i]);
}

static void list(lua_State *L) {
    (void)L;
    int around = word_number(1, 0);
    ldb_source_list(around > 0 ? around : current, word_number(2, LIST_CONTEXT), current);
}

static void list_all(lua_State *L) {
    (void)L;
    ldb_source_list(1, LIST_ALL, current);
}

/* Say the value on top, and pop it. */
static void say_value(lua_State *L, const char *head, const char *name) {
    struct buf line = {0};
    buf_append_cstr(&line, head);
    if (name) buf_printf(&line, "%s = ", name);
    ldb_show_value(L, -1, &line);
    ldb_say_value(buf_slice(&line));
    buf_free(&line);
    lua_pop(L, 1);
}

/* The variables of the function that stands still. */
static void print_all(lua_State *L) {
    lua_Debug frame;
    const char *name;
    int shown = 0;
    if (lua_getstack(L, 0, &frame)) {
        for (int i = 1; (name = lua_getlocal(L, &frame, i)); i++) {
            if (strstr(name, "(*temporary)")) {
                lua_pop(L, 1);
                continue;
            }
            say_value(L, "<value> ", name);
            shown++;
        }
    }
    if (!shown) ldb_say("No local variables in the current context.");
}

/* Push the first variable of this name, from the inner functions to the outer ones. */
static bool find_variable(lua_State *L, struct slice wanted) {
    lua_Debug frame;
    const char *name;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        for (int i = 1; (name = lua_getlocal(L, &frame, i)); i++) {
            if (slice_eq(wanted, slice_cstr(name))) return true;
            lua_pop(L, 1);
        }
    }
    return false;
}

static void print(lua_State *L) {
    if (word_count != 2) {
        print_all(L);
        return;
    }
    struct slice name = words[1];
    bool found = find_variable(L, name);
    if (!found && (slice_eq(name, SLICE("KEYS")) || slice_eq(name, SLICE("ARGV")))) {
        lua_getglobal(L, name.ptr[0] == 'K' ? "KEYS" : "ARGV");
        found = true;
    }
    if (found)
        say_value(L, "<value> ", NULL);
    else
        ldb_say("No such variable.");
}

static void trace(lua_State *L) {
    lua_Debug frame;
    int level = 0;
    for (; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Snl", &frame);
        if (!strstr(frame.short_src, "user_script")) continue;
        ldb_say("%s %s:", level == 0 ? "In" : "From", frame.name ? frame.name : "top level");
        ldb_source_say(frame.currentline, current);
    }
    if (level == 0) ldb_say("<error> Can't retrieve Lua stack.");
}

/* --- Breakpoints ----------------------------------------------------------------------------- */

static void say_breakpoints(void) {
    const int *lines;
    int count = ldb_source_breakpoints(&lines);
    if (count == 0) {
        ldb_say("No breakpoints set. Use 'b <line>' to add one.");
        return;
    }
    ldb_say("%d breakpoints set:", count);
    for (int i = 0; i < count; i++)
        ldb_source_say(lines[i], current);
}

static void add_breakpoint(int line) {
    const int *lines;
    if (ldb_source_breakpoints(&lines) == LDB_BREAKPOINTS_MAX)
        ldb_say("Too many breakpoints set.");
    else if (ldb_source_add_breakpoint(line))
        ldb_source_list(line, 1, current);
    else
        ldb_say("Wrong line number.");
}

static void change_breakpoint(struct slice word) {
    int64_t line;
    if (!num_parse_i64(word, &line)) {
        ldb_say("Invalid argument:'%.*s'", (int)word.len, word.ptr);
    } else if (line == 0) {
        ldb_source_clear_breakpoints();
        ldb_say("All breakpoints removed.");
    } else if (line > 0) {
        add_breakpoint(line > INT_MAX ? INT_MAX : (int)line);
    } else if (line >= -INT_MAX && ldb_source_remove_breakpoint((int)-line)) {
        ldb_say("Breakpoint removed.");
    } else {
        ldb_say("No breakpoint in the specified line.");
    }
}

static void breakpoints(lua_State *L) {
    (void)L;
    if (word_count == 1) say_breakpoints();
    for (int i = 1; i < word_count; i++)
        change_breakpoint(words[i]);
}

/* --- Doing ----------------------------------------------------------------------------------- */

static int64_t eval_until_us;

/* No hook runs inside of a hook, but this one does, in a coroutine of its own. */
static void eval_hook(lua_State *L, lua_Debug *at) {
    (void)at;
    if (clock_mono_us() < eval_until_us) return;
    catch_ending = true;
    luaL_error(L, "the code runs too long");
}

/* Push the function that the words behind the first one are, with "return " before them if that compiles. */
static int compile_words(lua_State *L) {
    static struct buf code; /* a Lua error may jump out of here: then the next call uses it again */
    code.len = 0;
    buf_append_cstr(&code, "return ");
    size_t before = code.len;
    for (int i = 1; i < word_count; i++) {
        if (i > 1) buf_append_cstr(&code, " ");
        buf_append_slice(&code, words[i]);
    }
    if (source_load(L, buf_slice(&code), "@ldb_eval") == 0) return 0;
    lua_pop(L, 1);
    return source_load(L, slice_of(code.data + before, code.len - before), "@ldb_eval");
}

/* The text of an error on top, which may be a table. */
static void say_error(lua_State *L) {
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "err");
        lua_rawget(L, -2);
    }
    const char *text = lua_tostring(L, -1);
    ldb_say("<error> %s", text ? text : "unknown error");
}

/* Nothing protects the inner coroutine but lua_pcall(): all else is done in the outer one. */
static void eval(lua_State *L) {
    lua_State *inner = lua_newthread(L);
    int failed = compile_words(L);
    if (!failed) {
        lua_xmove(L, inner, 1);
        lua_sethook(inner, eval_hook, LUA_MASKCOUNT, EVAL_INSTRUCTIONS);
        eval_until_us = clock_mono_us() + EVAL_LIMIT_US;
        failed = lua_pcall(inner, 0, 1, 0);
        catch_ending = false;
        lua_xmove(inner, L, 1);
    }
    if (failed)
        say_error(L);
    else
        say_value(L, "<retval> ", NULL);
}

/* redis.call() tells of the call and of its reply. */
static void call_redis(lua_State *L) {
    luaL_checkstack(L, word_count + 2, "too many arguments");
    lua_getglobal(L, "redis");
    lua_getfield(L, -1, "call");
    lua_remove(L, -2);
    for (int i = 1; i < word_count; i++)
        lua_pushlstring(L, words[i].ptr, words[i].len);
    ldb_log_calls = true;
    lua_pcall(L, word_count - 1, 0, 0);
    ldb_log_calls = false;
}

static void trim(lua_State *L) {
    (void)L;
    if (word_count == 2) {
        int bytes = word_number(1, 0);
        ldb_wire_trim(bytes == 0 ? 0 : bytes <= TRIM_LEAST ? TRIM_LEAST : (size_t)bytes);
    }
    if (ldb_wire_trimmed())
        ldb_say("<value> replies are truncated at %zu bytes.", ldb_wire_trimmed());
    else
        ldb_say("<value> replies are unlimited.");
}

/* --- The rows -------------------------------------------------------------------------------- */

struct console_row {
    const char *name, *letter;
    int words;                 /* at least */
    void (*run)(lua_State *L); /* NULL: the script goes on, or ends */
    enum ldb_console_end end;
};

static const struct console_row rows[] = {
    {"help", "h", 1, say_help, 0},       {"step", "s", 1, NULL, LDB_STEPS},
    {"next", "n", 1, NULL, LDB_STEPS},   {"continue", "c", 1, NULL, LDB_CONTINUES},
    {"list", "l", 1, list, 0},           {"whole", "w", 1, list_all, 0},
    {"print", "p", 1, print, 0},         {"break", "b", 1, breakpoints, 0},
    {"trace", "t", 1, trace, 0},         {"eval", "e", 1, eval, 0},
    {"redis", "r", 2, call_redis, 0},    {"maxlen", "m", 1, trim, 0},
    {"abort", "a", 1, NULL, LDB_ABORTS},
};

static const struct console_row *find_row(void) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (word_count >= rows[i].words && (slice_is(words[0], rows[i].name) || slice_is(words[0], rows[i].letter)))
            return &rows[i];
    return NULL;
}

/* What a command leaves on the Lua stack is dropped. */
enum ldb_console_end ldb_console(lua_State *L, int line) {
    int top = lua_gettop(L);
    luaL_checkstack(L, LUA_MINSTACK, "debugger");
    current = line;
    for (;; ldb_wire_send()) {
        switch (ldb_wire_read(words, &word_count)) {
        case LDB_WIRE_OK: break;
        case LDB_WIRE_GONE: return LDB_GONE;
        case LDB_WIRE_BAD: return LDB_BAD;
        }
        const struct console_row *row = find_row();
        if (!row)
            ldb_say("<error> Unknown Redis Lua debugger command or wrong number of arguments.");
        else if (row->run)
            row->run(L);
        else
            return row->end;
        lua_settop(L, top);
    }
}
