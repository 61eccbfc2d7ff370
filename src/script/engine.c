/* See engine.h. What an engine does: it compiles, runs scripts and functions, and loads libraries. */
#include "script/engine.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/module.h"
#include "base/option.h"
#include "base/worker.h"
#include "exec/inner.h"
#include "script/api.h"
#include "script/convert.h"
#include "script/ldb.h"
#include "script/lib_cjson.h"
#include "script/lib_msgpack.h"
#include "script/lua_engine.h"
#include "script/protect.h"
#include "script/run.h"
#include "script/sandbox.h"
#include "script/source.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include <lua5.1/lauxlib.h>

#define COLLECT_KB 4      /* garbage for which a step of engine_collect() pays */
#define FAILURE_KEPT 4096 /* room for the text of an error that is kept for the next one */

/* Globals that only exist for code that names them. */
#define GIVEN_NAMES (SANDBOX_KEYS | SANDBOX_ARGV)

/* --- Coming and going ------------------------------------------------------------------------ */

/* The table that the library has pushed becomes a global. */
static void add_library(lua_State *L, const char *name) {
    protect_table(L);
    sandbox_set(L, name);
}

static int engine_open(lua_State *L) {
    enum engine_kind kind = engine_of(L)->kind;
    sandbox_open(L);
    lib_cjson_open(L);
    add_library(L, "cjson");
    lib_msgpack_open(L);
    add_library(L, "cmsgpack");
    if (kind == ENGINE_SCRIPTS) {
        lua_pushcfunction(L, engine_describe);
        sandbox_set(L, "__redis__err__handler");
    }
    sandbox_push_globals(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, ENGINE_OPEN_GLOBALS);
    api_open(L, kind);
    return 0;
}

struct engine *engine_new(enum engine_kind kind) {
    return engine_make(kind, engine_open);
}

static void engine_close(void *arg) {
    engine_unmake(arg);
}

void engine_free(struct engine *e) {
    engine_close(e);
}

void engine_free_later(struct engine *e) {
    worker_submit(engine_close, e);
}

size_t engine_memory(const struct engine *e) {
    return (size_t)e->cell->live;
}

static void collect_step(lua_State *L, void *ctx) {
    (void)ctx;
    lua_gc(L, LUA_GCSTEP, COLLECT_KB);
}

/* It may fail for lack of memory. Then it is left undone. */
void engine_collect(struct engine *e) {
    engine_protect(e, collect_step, NULL, ENGINE_UNHANDLED);
    lua_settop(e->lua, ENGINE_PLACES);
}

/* --- Compiling ------------------------------------------------------------------------------- */

void engine_drop(struct engine *e, int function) {
    engine_forget(e->lua, function);
}

struct compilation {
    struct slice source;
    int function; /* 0: the error's text is on the stack */
};

static void compile_inside(lua_State *L, void *ctx) {
    struct compilation *c = ctx;
    if (source_load(L, c->source, "@user_script") != 0) lua_error(L);
    unsigned names = sandbox_settle(L);
    if (names & SANDBOX_ANY) names = GIVEN_NAMES;
    c->function = engine_keep(L) | (int)(names & GIVEN_NAMES);
}

int engine_compile(struct engine *e, struct slice source, struct buf *error) {
    struct compilation c = {.source = source};
    engine_prepare(e);
    int status = engine_protect(e, compile_inside, &c, ENGINE_UNHANDLED);
    if (status != 0) {
        const char *text = lua_tostring(e->lua, -1);
        buf_printf(error, "Error compiling script (new function): %s", text ? text : "?");
    }
    lua_settop(e->lua, ENGINE_PLACES);
    if (status == LUA_ERRMEM) engine_collect_all(e);
    return c.function;
}

/* --- Running --------------------------------------------------------------------------------- */

static void push_words(lua_State *L, const struct slice *words, int count) {
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushlstring(L, words[i].ptr, words[i].len);
        lua_rawseti(L, -2, i + 1);
    }
}

/* The same for the keys; the first one is at the bottom of the stack. */
static void push_keys(lua_State *L, const struct script_run *run) {
    lua_createtable(L, run->key_count, 0);
    for (int i = 0; i < run->key_count; i++) {
        if (i == 0)
            lua_pushvalue(L, 1);
        else
            lua_pushlstring(L, run->keys[i].ptr, run->keys[i].len);
        lua_rawseti(L, -2, i + 1);
    }
}

/* The first key as Lua has it stays at the bottom of the stack, so that its address tells its hash to redis.call(). */
static void push_first_key(lua_State *L, struct engine *e) {
    const struct script_run *run = e->run;
    if (run->key_count == 0) {
        lua_pushnil(L);
        return;
    }
    struct slice key = run->keys[0];
    lua_pushlstring(L, key.ptr, key.len);
    if (run->request->key.name.ptr != key.ptr) return;
    e->first_key = (struct key){slice_of(lua_tostring(L, -1), key.len), run->request->key.hash};
}

/* KEYS and ARGV, as far as the code names them. */
static void set_globals(lua_State *L, struct engine *e, unsigned names) {
    const struct script_run *run = e->run;
    if (names & SANDBOX_KEYS) {
        lua_pushvalue(L, lua_upvalueindex(ENGINE_VALUE_KEYS));
        push_keys(L, run);
        lua_rawset(L, lua_upvalueindex(ENGINE_VALUE_GLOBALS));
        e->names |= SANDBOX_KEYS;
    }
    if (names & SANDBOX_ARGV) {
        lua_pushvalue(L, lua_upvalueindex(ENGINE_VALUE_ARGV));
        push_words(L, run->args, run->arg_count);
        lua_rawset(L, lua_upvalueindex(ENGINE_VALUE_GLOBALS));
        e->names |= SANDBOX_ARGV;
    }
}

/* No script finds what another one was given. The table has these names, so this takes no memory. */
static void clear_globals(lua_State *L, struct engine *e) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_OPEN_GLOBALS);
    for (unsigned bit = SANDBOX_KEYS; bit <= SANDBOX_ARGV; bit <<= 1) {
        if (!(e->names & bit)) continue;
        lua_rawgeti(L, LUA_REGISTRYINDEX, bit == SANDBOX_KEYS ? ENGINE_KEYS : ENGINE_ARGV);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    e->names = 0;
}

/* Calls the function, and replies what it returns. */
static void run_inside(lua_State *L, void *ctx) {
    struct engine *e = ctx;
    struct script_run *run = e->run;
    unsigned names = ldb_is_on ? GIVEN_NAMES : (unsigned)e->function & GIVEN_NAMES;
    push_first_key(L, e);
    if (names) set_globals(L, e, names);
    lua_rawgeti(L, LUA_REGISTRYINDEX, e->function >> ENGINE_FUNCTION_REF);
    if (e->kind == ENGINE_FUNCTIONS) {
        push_keys(L, run);
        push_words(L, run->args, run->arg_count);
    }
    lua_call(L, e->kind == ENGINE_FUNCTIONS ? 2 : 0, 1);
    inner_end(&run->inner);
    lua_replace(L, 1);
    convert_to_reply(L, run->request->client, e->resp);
}

/* What the script made is garbage now. If it took all memory, the next one would have none. */
static void reply_failure(struct engine *e, int status, size_t mark) {
    struct client *c = e->run->request->client;
    engine_settle_failure(e);
    inner_end(&e->run->inner);
    conn_truncate(mark);
    buf_append(&e->failure, "", 1);
    if (e->was_counted)
        reply_error_again(c, slice_cstr(e->failure.data));
    else
        reply_error(c, e->failure.data);
    if (e->failure.cap > FAILURE_KEPT) buf_free(&e->failure);
    lua_settop(e->lua, ENGINE_PLACES);
    if (status == LUA_ERRMEM) engine_collect_all(e);
}

void engine_run(struct engine *e, int function, struct script_run *run) {
    lua_State *L = e->lua;
    size_t mark = run->inner.range.start;
    e->run = run;
    e->inner = &run->inner;
    e->function = function;
    e->resp = 2;
    e->first_key.name.ptr = NULL;
    engine_prepare(e);
    int status = engine_protect(e, run_inside, e, ENGINE_HANDLED);
    if (unlikely(status != 0)) reply_failure(e, status, mark);
    if (e->names) clear_globals(L, e);
    lua_settop(L, ENGINE_PLACES);
    e->run = NULL;
    e->inner = NULL;
}

/* --- Libraries ------------------------------------------------------------------------------- */

enum library_step { LIBRARY_COMPILES, LIBRARY_RUNS };

struct library {
    struct slice source;
    enum library_step step;
};

/* What was registered runs among all globals from now on. */
static void settle_loaded(lua_State *L, struct engine *e) {
    const int *functions = (const int *)(const void *)e->loaded.data;
    for (size_t i = 0; i < e->loaded.len / sizeof *functions; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, functions[i] >> ENGINE_FUNCTION_REF);
        if (lua_isfunction(L, -1)) sandbox_settle(L);
        lua_pop(L, 1);
    }
}

static void load_inside(lua_State *L, void *ctx) {
    struct library *library = ctx;
    if (source_load(L, library->source, "@user_function") != 0) lua_error(L);
    library->step = LIBRARY_RUNS;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_LIBRARY_GLOBALS);
    sandbox_narrow(L);
    lua_call(L, 0, 0);
    sandbox_widen(L);
    settle_loaded(L, engine_of(L));
}

/* What the handler has written begins with "ERR ", which is not wanted of the compiler. */
static void append_load_error(struct engine *e, const struct library *library, struct buf *error) {
    engine_settle_failure(e);
    struct slice text = buf_slice(&e->failure);
    if (library->step == LIBRARY_RUNS) {
        buf_append_cstr(error, "Error registering functions: ");
    } else {
        buf_append_cstr(error, "Error compiling function: ");
        text = slice_of(text.ptr + 4, text.len - 4);
    }
    buf_append_slice(error, text);
}

bool engine_load_library(struct engine *e, struct slice code, const struct engine_loading *loading, struct buf *error) {
    struct library library = {.source = code, .step = LIBRARY_COMPILES};
    e->loading = loading;
    e->load_until_us = loading->limit_ms ? clock_mono_us() + loading->limit_ms * 1000 : 0;
    engine_prepare(e);
    int status = engine_protect(e, load_inside, &library, ENGINE_HANDLED);
    e->loading = NULL;
    e->load_until_us = 0;
    buf_free(&e->loaded);
    if (status != 0) append_load_error(e, &library, error);
    sandbox_widen(e->lua);
    lua_settop(e->lua, ENGINE_PLACES);
    if (status == LUA_ERRMEM) engine_collect_all(e);
    return status == 0;
}

/* --- The module ------------------------------------------------------------------------------ */

/* What a call replies has to have room among what the script has. */
static bool apply_memory_limit(const char **error) {
    (void)error;
    run_reply_limit = engine_options.memory_limit ? (size_t)engine_options.memory_limit : CONN_NO_LIMIT;
    return true;
}

static void engine_start(void) {
    const char *error;
    apply_memory_limit(&error); /* not called for the default */
}

static const struct option engine_rows[] = {
    {"script-memory-limit", .type = OPTION_MEMORY, .address = &engine_options.memory_limit, .initial = "1gb",
     .apply = apply_memory_limit},
    {NULL},
};

const struct module engine_module = {.options = engine_rows, .start = engine_start};
