/* The API of scripts. redis.call() is the way of each command that a script carries out, so it costs no allocation but
 * those of Lua's values: the arguments are slices of Lua's strings, which stay on the stack meanwhile, numbers are
 * printed to a scratch, and the reply is read where the command has written it.
 *
 * Lua has each short string once, so the address of a command's name tells the command, as long as the string lives: an
 * engine keeps the names that it knows alive. In the same way the address of the first key tells its hash.
 *
 * No command calls Lua. So one scratch is enough: a call ends before the next one begins. */
#include "script/api.h"
#include "base/alloc.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/num.h"
#include "base/sha1.h"
#include "base/version.h"
#include "catalog/catalog.h"
#include "exec/inner.h"
#include "exec/propagate.h"
#include "script/convert.h"
#include "script/ldb.h"
#include "script/ldb_log.h"
#include "script/library.h"
#include "script/lua_engine.h"
#include "script/protect.h"
#include "script/sandbox.h"
#include "session/request.h"
#include <lua5.1/lauxlib.h>
#include <stdio.h>

#define NUMBER_MAX 32      /* bytes that "%.17g" can print */
#define LOG_LINE_KEPT 4096 /* room for a line of the log that is kept for the next one */
#define SCRATCH_FIRST 16   /* arguments for which there is room at first */
#define INTEGER_MAX 0x1p53 /* up to here all integers are exact, and "%.17g" prints them without an exponent */

/* --- Arguments ------------------------------------------------------------------------------- */

static struct scratch {
    struct slice *argv;
    char (*digits)[NUMBER_MAX]; /* those of argument i, if it is a number */
    size_t cap;
} scratch;

static __attribute__((noinline)) void scratch_grow(size_t count) {
    size_t cap = scratch.cap ? scratch.cap : SCRATCH_FIRST;
    while (cap < count)
        cap *= 2;
    scratch.argv = alloc_resize(scratch.argv, scratch.cap * sizeof *scratch.argv, cap * sizeof *scratch.argv);
    scratch.digits = alloc_resize(scratch.digits, scratch.cap * NUMBER_MAX, cap * NUMBER_MAX);
    scratch.cap = cap;
}

/* As Redis prints numbers that are arguments: 1.5, 3, 10000000000000000, 1e+20. */
static struct slice print_number(char *to, lua_Number number) {
    if (number > -INTEGER_MAX && number < INTEGER_MAX && number == (lua_Number)(int64_t)number &&
        (number != 0 || !__builtin_signbit(number)))
        return slice_of(to, (size_t)num_print_i64(to, (int64_t)number));
    return slice_of(to, (size_t)snprintf(to, NUMBER_MAX, "%.17g", number));
}

/* The values on the stack become scratch.argv. NULL, or what is wrong with them. */
static const char *read_arguments(lua_State *L, int count) {
    if (unlikely(count == 0)) return "Please specify at least one argument for this redis lib call";
    if (unlikely((size_t)count > scratch.cap)) scratch_grow((size_t)count);
    for (int i = 0; i < count; i++) {
        int type = lua_type(L, i + 1);
        if (likely(type == LUA_TSTRING))
            scratch.argv[i].ptr = lua_tolstring(L, i + 1, &scratch.argv[i].len);
        else if (type == LUA_TNUMBER)
            scratch.argv[i] = print_number(scratch.digits[i], lua_tonumber(L, i + 1));
        else
            return "Lua redis lib command arguments must be strings or integers";
    }
    return NULL;
}

/* --- The names of commands ------------------------------------------------------------------- */

static size_t name_place(const char *name) {
    uintptr_t address = (uintptr_t)name;
    return (address >> 4 ^ address >> 11) % ENGINE_KNOWN_NAMES;
}

/* The name becomes known, in the place of another one. A container's subcommand is looked up each time. */
static __attribute__((noinline)) void learn_name(lua_State *L, struct engine_name *known, size_t place) {
    struct catalog_found found = catalog_resolve(scratch.argv, 1);
    if (found.command == NULL || found.command->subcommands) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_NAMES);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, (int)place + 1);
    lua_pop(L, 1);
    *known = (struct engine_name){scratch.argv[0].ptr, found.command, found.metrics};
}

static void find_command(lua_State *L, struct engine *e, struct request *r) {
    size_t place = name_place(r->argv[0].ptr);
    struct engine_name *known = &e->names_known[place];
    if (unlikely(known->name != r->argv[0].ptr)) {
        if (lua_type(L, 1) == LUA_TSTRING) learn_name(L, known, place);
        if (known->name != r->argv[0].ptr) return;
    }
    r->command = known->command;
    r->metrics = known->metrics;
    int first = r->command->first_key;
    if (first > 0 && first < r->argc && r->argv[first].ptr == e->first_key.name.ptr) r->key = e->first_key;
}

/* --- redis.call ------------------------------------------------------------------------------ */

static void push_error(lua_State *L, struct slice text) {
    if (unlikely(ldb_log_calls)) ldb_log_error(text);
    engine_push_error(L, text);
}

enum call_kind { CALL_RAISES, CALL_RETURNS };

static int give_error(lua_State *L, enum call_kind kind, const char *text) {
    if (kind == CALL_RAISES) return engine_raise(L, text);
    push_error(L, slice_cstr(text));
    return 1;
}

/* Memory may end while the reply is read. What is left of it then is cut off before the next call. */
static inline int call_command(lua_State *L, enum call_kind kind) {
    struct engine *e = engine_of(L);
    int argc = lua_gettop(L);
    const char *error = read_arguments(L, argc);
    if (unlikely(error != NULL)) return give_error(L, kind, error);
    struct inner *inner = e->inner;
    if (unlikely(inner == NULL))
        return give_error(L, kind, "redis.call/pcall can only be called inside a script invocation");
    struct request r = {.argv = scratch.argv, .argc = argc};
    find_command(L, e, &r);
    size_t mark = inner->range.start;
    if (unlikely(conn_mark() != mark)) conn_truncate(mark);
    if (unlikely(ldb_log_calls)) ldb_log_call(r.argv, argc);
    bool accepted = inner_call(inner, &r);
    if (unlikely(ldb_log_calls)) ldb_log_reply(mark, !accepted);
    bool failed = conn_mark() > mark && conn_arena.data[mark] == '-';
    convert_to_lua(L, mark);
    conn_truncate(mark);
    if (unlikely(failed) && kind == CALL_RAISES) return lua_error(L);
    return 1;
}

static int api_call(lua_State *L) {
    return call_command(L, CALL_RAISES);
}

static int api_pcall(lua_State *L) {
    return call_command(L, CALL_RETURNS);
}

/* Users have no permissions yet, so all that exists is allowed. */
static int api_acl_check_cmd(lua_State *L) {
    int argc = lua_gettop(L);
    const char *error = read_arguments(L, argc);
    if (error) return engine_raise(L, error);
    if (catalog_resolve(scratch.argv, argc).command == NULL)
        return engine_raise(L, "Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(L, 1);
    return 1;
}

/* --- Replies that a script makes ------------------------------------------------------------- */

static bool is_one_string(lua_State *L) {
    if (lua_gettop(L) == 1 && lua_type(L, 1) == LUA_TSTRING) return true;
    push_error(L, SLICE("wrong number or type of arguments"));
    return false;
}

static int api_status_reply(lua_State *L) {
    if (!is_one_string(L)) return 1;
    lua_createtable(L, 0, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_OK);
    lua_pushvalue(L, 1);
    lua_rawset(L, -3);
    return 1;
}

/* A text of one word gets the code ERR, whether a dash precedes it or not; else the first word is the code. */
static int api_error_reply(lua_State *L) {
    if (!is_one_string(L)) return 1;
    const char *text = lua_tostring(L, 1);
    text = lua_pushfstring(L, "-%s", text + (text[0] == '-'));
    push_error(L, slice_cstr(text));
    return 1;
}

/* --- How calls act --------------------------------------------------------------------------- */

static int api_setresp(lua_State *L) {
    struct engine *e = engine_of(L);
    if (lua_gettop(L) != 1) return engine_raise(L, "redis.setresp() requires one argument.");
    lua_Number resp = lua_tonumber(L, 1);
    if (resp != 2 && resp != 3) return engine_raise(L, "RESP version must be 2 or 3.");
    e->resp = (int)resp;
    if (e->inner) inner_set_resp(e->inner, e->resp);
    return 0;
}

enum repl_flag {
    REPL_AOF = 1 << 0,
    REPL_REPLICA = 1 << 1,
    REPL_ALL = REPL_AOF | REPL_REPLICA,
};

static int api_set_repl(lua_State *L) {
    struct engine *e = engine_of(L);
    if (lua_gettop(L) != 1) return engine_raise(L, "redis.set_repl() requires two arguments.");
    int flags = (int)lua_tonumber(L, 1);
    if (flags & ~REPL_ALL)
        return engine_raise(L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    unsigned targets = (flags & REPL_AOF ? PROPAGATE_FILE : 0) | (flags & REPL_REPLICA ? PROPAGATE_STREAM : 0);
    if (e->inner) inner_set_targets(e->inner, targets);
    return 0;
}

/* Effects are what is propagated, always. */
static int api_replicate_commands(lua_State *L) {
    lua_pushboolean(L, 1);
    return 1;
}

/* --- Others ---------------------------------------------------------------------------------- */

static int api_sha1hex(lua_State *L) {
    char digits[SHA1_DIGITS];
    if (lua_gettop(L) != 1) return engine_raise(L, "wrong number of arguments");
    size_t len = 0;
    const char *bytes = lua_tolstring(L, 1, &len);
    sha1_hex(slice_of(bytes ? bytes : "", len), digits);
    lua_pushlstring(L, digits, sizeof digits);
    return 1;
}

/* One line of the log, whatever the script says. */
static void log_line(enum log_level level, char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || text[i] == '\r' || text[i] == '\n') text[i] = ' ';
    log_write(level, "%.*s", (int)len, text);
}

static int api_log(lua_State *L) {
    int argc = lua_gettop(L);
    if (argc < 2) return engine_raise(L, "redis.log() requires two arguments or more.");
    if (!lua_isnumber(L, 1)) return engine_raise(L, "First argument must be a number (log level).");
    int level = (int)lua_tonumber(L, 1);
    if (level < LOG_DEBUG || level > LOG_WARNING) return engine_raise(L, "Invalid debug level.");
    if (level < (int)log_level()) return 0;
    struct buf *line = &engine_of(L)->log_line;
    line->len = 0;
    for (int i = 2; i <= argc; i++) {
        size_t len;
        const char *part = lua_tolstring(L, i, &len);
        if (part == NULL) continue;
        if (i > 2) buf_append(line, " ", 1);
        buf_append(line, part, len);
    }
    log_line((enum log_level)level, line->data, line->len);
    if (line->cap > LOG_LINE_KEPT) buf_free(line);
    return 0;
}

/* --- The tables ------------------------------------------------------------------------------ */

struct api_number {
    const char *name;
    int value;
};

static const luaL_Reg call_functions[] = {
    {"call", api_call},
    {"pcall", api_pcall},
    {"sha1hex", api_sha1hex},
    {"error_reply", api_error_reply},
    {"status_reply", api_status_reply},
    {"setresp", api_setresp},
    {"set_repl", api_set_repl},
    {"acl_check_cmd", api_acl_check_cmd},
    {NULL, NULL},
};

static const luaL_Reg script_functions[] = {
    {"breakpoint", ldb_breakpoint},
    {"debug", ldb_debug},
    {"replicate_commands", api_replicate_commands},
    {NULL, NULL},
};

static const luaL_Reg common_functions[] = {{"log", api_log}, {NULL, NULL}};

static const struct api_number common_numbers[] = {
    {"LOG_DEBUG", LOG_DEBUG},
    {"LOG_VERBOSE", LOG_VERBOSE},
    {"LOG_NOTICE", LOG_NOTICE},
    {"LOG_WARNING", LOG_WARNING},
    {NULL, 0},
};

static const struct api_number call_numbers[] = {
    {"REPL_NONE", 0},
    {"REPL_AOF", REPL_AOF},
    {"REPL_SLAVE", REPL_REPLICA},
    {"REPL_REPLICA", REPL_REPLICA},
    {"REPL_ALL", REPL_ALL},
    {NULL, 0},
};

static void add_functions(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static void add_numbers(lua_State *L, const struct api_number *numbers) {
    for (; numbers->name; numbers++) {
        lua_pushinteger(L, numbers->value);
        lua_setfield(L, -2, numbers->name);
    }
}

/* 0x00MMmmpp. */
static int version_number(void) {
    int major, minor, patch;
    sscanf(VERSION_REDIS, "%d.%d.%d", &major, &minor, &patch);
    return major << 16 | minor << 8 | patch;
}

/* What exists while a library loads, too. */
static void push_common(lua_State *L) {
    lua_newtable(L);
    add_functions(L, common_functions);
    add_numbers(L, common_numbers);
    lua_pushliteral(L, VERSION_REDIS);
    lua_setfield(L, -2, "REDIS_VERSION");
    lua_pushinteger(L, version_number());
    lua_setfield(L, -2, "REDIS_VERSION_NUM");
}

/* The table on top becomes the global `redis`, and `server`, as Valkey calls it. */
static void add_global(lua_State *L) {
    protect_table(L);
    lua_pushvalue(L, -1);
    sandbox_set(L, "server");
    sandbox_set(L, "redis");
}

static void keep_library_globals(lua_State *L) {
    lua_createtable(L, 0, 2);
    push_common(L);
    lua_pushcfunction(L, library_register);
    lua_setfield(L, -2, "register_function");
    sandbox_make_strict(L);
    protect_table(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "server");
    lua_setfield(L, -2, "redis");
    lua_rawseti(L, LUA_REGISTRYINDEX, ENGINE_LIBRARY_GLOBALS);
}

static void keep_names(lua_State *L) {
    lua_createtable(L, ENGINE_KNOWN_NAMES, 0);
    for (int i = 1; i <= ENGINE_KNOWN_NAMES; i++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, i);
    }
    lua_rawseti(L, LUA_REGISTRYINDEX, ENGINE_NAMES);
}

void api_open(lua_State *L, enum engine_kind kind) {
    keep_names(L);
    push_common(L);
    add_functions(L, call_functions);
    add_numbers(L, call_numbers);
    if (kind == ENGINE_SCRIPTS) add_functions(L, script_functions);
    add_global(L);
    if (kind == ENGINE_FUNCTIONS) keep_library_globals(L);
}
