/* See lua_engine.h.
 *
 * Lua leaves a C function by longjmp when a script fails or memory ends, and calls the panic function, which ends the
 * server, if nobody protects it. So everything that may allocate runs inside engine_protect(). That is one lua_pcall()
 * of a C function that stays on the stack; nothing is pushed outside of it that could need memory.
 *
 * Lua 5.1 does not collect when an allocation fails. So an engine has a watermark below its limit: an allocation beyond
 * it sets a hook that collects before the next instruction, where it is safe. What one single call of a C function
 * needs beyond that fails. */
#include "script/lua_engine.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "script/catch.h"
#include "script/ldb.h"
#include "script/run.h"
#include <lua5.1/lauxlib.h>
#include <stdlib.h>

#define SPARE_TOTAL (256 << 10) /* bytes of freed blocks that are kept */

/* Places on the stack of the main coroutine. */
enum engine_place { PLACE_HANDLER = 1, PLACE_RUNNER = ENGINE_PLACES };

struct engine_options engine_options;

struct engine *engine_of(lua_State *L) {
    void *engine;
    lua_getallocf(L, &engine);
    return engine;
}

const struct engine_loading *engine_loading_of(lua_State *L) {
    return engine_of(L)->loading;
}

int engine_keep(lua_State *L) {
    struct engine *e = engine_of(L);
    int function = luaL_ref(L, LUA_REGISTRYINDEX) << ENGINE_FUNCTION_REF;
    if (e->loading) buf_append(&e->loaded, &function, sizeof function);
    return function;
}

void engine_forget(lua_State *L, int function) {
    luaL_unref(L, LUA_REGISTRYINDEX, function >> ENGINE_FUNCTION_REF);
}

int engine_protect(struct engine *e, engine_task *task, void *ctx, enum engine_handling handling) {
    e->task = task;
    e->ctx = ctx;
    catch_running = e->lua;
    lua_pushvalue(e->lua, PLACE_RUNNER);
    int status = lua_pcall(e->lua, 0, 0, handling == ENGINE_HANDLED ? PLACE_HANDLER : 0);
    catch_running = NULL;
    return status;
}

static int engine_runner(lua_State *L) {
    struct engine *e = engine_of(L);
    e->task(L, e->ctx);
    return 0;
}

/* --- Memory ---------------------------------------------------------------------------------- */

static void engine_hook(lua_State *L, lua_Debug *at);

/* A script that is debugged is stopped at its lines, too. */
static void set_hook(lua_State *L, int instructions) {
    lua_sethook(L, engine_hook, LUA_MASKCOUNT | (ldb_is_on ? LUA_MASKLINE : 0), instructions);
}

/* Before the next instruction, in whatever coroutine that is. */
static void ask_for_collection(struct engine *e) {
    if (e->wants_collection) return;
    e->wants_collection = true;
    set_hook(e->lua, 1);
    if (catch_running) set_hook(catch_running, 1);
}

/* More is in use than the watermark. False: `by` bytes more would exceed the limit. */
static __attribute__((noinline)) bool may_grow(struct engine *e, size_t by) {
    int64_t limit = engine_options.memory_limit;
    if (limit == 0 || !e->is_open) return true;
    ask_for_collection(e);
    return by <= (uint64_t)limit && e->cell->live <= limit - (int64_t)by;
}

/* Small blocks that Lua has freed are kept for its next ones: strings and tables come and go with every run. */
static inline size_t spare_bytes(size_t n) {
    return n <= ENGINE_SPARE_BYTES ? (n + ENGINE_SPARE_STEP - 1) & ~(size_t)(ENGINE_SPARE_STEP - 1) : n;
}

static inline void *spare_take(struct engine *e, size_t place) {
    void *p = e->spare[place];
    e->spare[place] = *(void **)p;
    e->spare_bytes -= (place + 1) * ENGINE_SPARE_STEP;
    return p;
}

static inline void engine_put(struct engine *e, void *p, size_t n) {
    size_t place = (n - 1) / ENGINE_SPARE_STEP;
    if (unlikely(n - 1 >= ENGINE_SPARE_BYTES || e->spare_bytes > SPARE_TOTAL)) { /* n is 0 for NULL */
        alloc_cell_put(e->cell, p, spare_bytes(n));
        return;
    }
    *(void **)p = e->spare[place];
    e->spare[place] = p;
    e->spare_bytes += (place + 1) * ENGINE_SPARE_STEP;
}

static void drop_spares(struct engine *e) {
    for (size_t place = 0; place < ENGINE_SPARES; place++)
        while (e->spare[place])
            alloc_cell_put(e->cell, spare_take(e, place), (place + 1) * ENGINE_SPARE_STEP);
}

static void *engine_allocate(void *ctx, void *p, size_t old, size_t n) {
    struct engine *e = ctx;
    if (n == 0) {
        engine_put(e, p, old);
        return NULL;
    }
    if (p == NULL && n <= ENGINE_SPARE_BYTES) {
        size_t place = (n - 1) / ENGINE_SPARE_STEP;
        if (e->spare[place]) return spare_take(e, place);
    }
    if (unlikely(n > old && (uint64_t)e->cell->live + (n - old) > (uint64_t)e->watermark) && !may_grow(e, n - old))
        return NULL;
    return alloc_cell_resize(e->cell, p, spare_bytes(old), spare_bytes(n));
}

/* A quarter of the limit is for what comes until the garbage is collected. Where more than the rest is in use after
 * that, half of what is left is. */
static void set_watermark(struct engine *e) {
    int64_t limit = engine_options.memory_limit, live = e->cell->live;
    if (limit == 0) {
        e->watermark = INT64_MAX;
        return;
    }
    e->watermark = limit - limit / 4;
    if (live > e->watermark) e->watermark = live > limit ? limit : live + (limit - live) / 2;
}

static void collect_now(struct engine *e, lua_State *L) {
    e->wants_collection = false;
    lua_gc(L, LUA_GCCOLLECT, 0);
    set_watermark(e);
}

static void collect_all(lua_State *L, void *ctx) {
    (void)ctx;
    lua_gc(L, LUA_GCCOLLECT, 0);
}

/* A collection may move tables of Lua's own, so it may run out of memory. Then it is left undone. */
void engine_collect_all(struct engine *e) {
    engine_protect(e, collect_all, NULL, ENGINE_UNHANDLED);
    lua_settop(e->lua, ENGINE_PLACES);
}

/* Little is left for the next run. If the run before has left garbage, that helps; if it did not help the last time, it
 * does not now. */
static bool may_have_garbage(const struct engine *e) {
    int64_t limit = engine_options.memory_limit, live = e->cell->live;
    return limit && live > limit - limit / 4 && live > e->collected + limit / 16;
}

void engine_prepare(struct engine *e) {
    if (unlikely(may_have_garbage(e))) {
        engine_collect_all(e);
        e->collected = e->cell->live;
    }
    set_watermark(e);
    if (likely(ldb_is_on == e->is_debugged)) return;
    e->is_debugged = ldb_is_on;
    set_hook(e->lua, RUN_TICK_INSTRUCTIONS);
}

/* --- The hook -------------------------------------------------------------------------------- */

static int end_what_runs(lua_State *L, const char *error) {
    catch_ending = true;
    return engine_raise(L, error);
}

/* While a script is debugged, nobody else is served, and only the debugger ends it. */
static void pass_to_debugger(lua_State *L, lua_Debug *at) {
    if (at->event == LUA_HOOKLINE)
        ldb_at_line(L, at);
    else
        ldb_at_count(L, at);
}

static void engine_hook(lua_State *L, lua_Debug *at) {
    struct engine *e = engine_of(L);
    if (lua_gethookcount(L) != RUN_TICK_INSTRUCTIONS) set_hook(L, RUN_TICK_INSTRUCTIONS);
    if (e->wants_collection) collect_now(e, L);
    if (unlikely(ldb_is_on)) {
        pass_to_debugger(L, at);
        return;
    }
    if (e->run && run_tick(e->run)) end_what_runs(L, RUN_KILLED);
    if (e->load_until_us && clock_mono_us() > e->load_until_us) end_what_runs(L, "FUNCTION LOAD timeout");
}

/* --- The state ------------------------------------------------------------------------------- */

static int engine_panic(lua_State *L) {
    const char *text = lua_tostring(L, -1);
    log_warning("A Lua error that nobody protected: %s", text ? text : "?");
    abort();
}

static int fill_slots(lua_State *L) {
    static const char *const names[ENGINE_SLOTS] = {
        [ENGINE_OK] = "ok",
        [ENGINE_ERR] = "err",
        [ENGINE_IGNORE] = "ignore_error_stats_update",
        [ENGINE_DOUBLE] = "double",
        [ENGINE_MAP] = "map",
        [ENGINE_SET] = "set",
        [ENGINE_BIG_NUMBER] = "big_number",
        [ENGINE_VERBATIM] = "verbatim_string",
        [ENGINE_FORMAT] = "format",
        [ENGINE_STRING] = "string",
        [ENGINE_SOURCE] = "source",
        [ENGINE_LINE] = "line",
        [ENGINE_KEYS] = "KEYS",
        [ENGINE_ARGV] = "ARGV",
    };
    lua_pushinteger(L, 0); /* luaL_unref() puts a number here: now it needs no memory for that */
    lua_rawseti(L, LUA_REGISTRYINDEX, 0);
    for (int slot = 1; slot < ENGINE_SLOTS; slot++) {
        lua_pushstring(L, names[slot] ? names[slot] : "");
        lua_rawseti(L, LUA_REGISTRYINDEX, slot);
    }
    return 0;
}

struct engine *engine_make(enum engine_kind kind, lua_CFunction open) {
    struct engine *e = alloc_zero(sizeof *e);
    e->kind = kind;
    e->cell = alloc_cell_new();
    e->watermark = INT64_MAX;
    lua_State *L = e->lua = lua_newstate(engine_allocate, e);
    if (L == NULL || lua_cpcall(L, fill_slots, NULL) != 0 || lua_cpcall(L, open, NULL) != 0) {
        log_warning("Out of memory for a Lua state");
        abort();
    }
    lua_atpanic(L, engine_panic);
    set_hook(L, RUN_TICK_INSTRUCTIONS);
    lua_pushcfunction(L, engine_describe);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_OPEN_GLOBALS);
    lua_pushliteral(L, "KEYS");
    lua_pushliteral(L, "ARGV");
    lua_pushcclosure(L, engine_runner, ENGINE_VALUE_ARGV);
    e->is_open = true;
    set_watermark(e);
    return e;
}

/* No finalizer of a script exists, since only C can give one to a userdata. So closing runs no script. */
void engine_unmake(struct engine *e) {
    lua_close(e->lua);
    drop_spares(e);
    alloc_cell_free(e->cell);
    buf_free(&e->failure);
    buf_free(&e->log_line);
    alloc_put(e, sizeof *e);
}
