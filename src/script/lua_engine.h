/* The inside of an engine, for the files of this folder that speak Lua: the sandbox, the API, the libraries.
 *
 * Rules for C functions that Lua calls here: they run in protected mode, so any Lua call may leave them by longjmp when
 * memory ends. What they own meanwhile must be known to Lua (a userdata) or to the engine. They call luaL_checkstack()
 * before they push more than LUA_MINSTACK values, or push in a loop. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"
#include "script/engine_types.h"
#include "store/db.h"
#include <lua5.1/lua.h>

/* Values that an engine keeps at fixed places of the registry, before all references of luaL_ref():
 * lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_...). */
enum engine_slot {
    ENGINE_OK = 1, /* strings: "ok", "err" and so on */
    ENGINE_ERR,
    ENGINE_IGNORE, /* "ignore_error_stats_update" */
    ENGINE_DOUBLE,
    ENGINE_MAP,
    ENGINE_SET,
    ENGINE_BIG_NUMBER,
    ENGINE_VERBATIM,
    ENGINE_FORMAT,
    ENGINE_STRING,
    ENGINE_SOURCE,
    ENGINE_LINE,
    ENGINE_KEYS,
    ENGINE_ARGV,
    ENGINE_OPEN_GLOBALS,    /* the table in which KEYS and ARGV are put */
    ENGINE_LIBRARY_GLOBALS, /* all that exists while a library loads */
    ENGINE_NAMES,           /* the names of commands that api.c keeps alive, by their places in its cache */
    ENGINE_SLOTS
};

/* A command that scripts have called by this name, which is a string of Lua that stays alive. */
struct engine_name {
    const char *name;
    const struct command *command;
    struct command_metrics *metrics;
};
#define ENGINE_KNOWN_NAMES 128

/* Freed blocks of up to ENGINE_SPARE_BYTES, linked by their first bytes: a list for each size, in steps. */
#define ENGINE_SPARE_BYTES 256
#define ENGINE_SPARE_STEP 16
#define ENGINE_SPARES (ENGINE_SPARE_BYTES / ENGINE_SPARE_STEP)

struct engine {
    lua_State *lua;
    enum engine_kind kind;
    struct alloc_cell *cell; /* counts the bytes in use */
    int64_t watermark;       /* beyond so many bytes garbage is collected at the next chance */
    int64_t collected;       /* bytes in use after the last collection that a new run found necessary */
    bool wants_collection;   /* that has happened */
    void *spare[ENGINE_SPARES];
    size_t spare_bytes;                    /* of all of them */
    bool is_debugged;                      /* the hook is called at lines, too */
    bool is_open;                          /* the libraries are there: from now on, the limit on memory holds */
    void (*task)(lua_State *L, void *ctx); /* see engine_protect() */
    void *ctx;
    /* What runs, or NULL. */
    struct script_run *run;
    struct inner *inner; /* its calls */
    int function;
    struct key first_key;                 /* KEYS[1] as Lua has it, alive while it runs; ptr is NULL: not known */
    unsigned names;                       /* enum sandbox_name: the globals that it was given */
    int resp;                             /* 3 after redis.setresp(3), else 2 */
    const struct engine_loading *loading; /* of the library that is being loaded, or NULL */
    int64_t load_until_us;                /* clock_mono_us() when its time is over; 0: never */
    struct buf loaded;                    /* the functions that it has registered: int each */
    struct engine_name names_known[ENGINE_KNOWN_NAMES]; /* api.c */
    struct buf log_line;                                /* what redis.log() was given */
    /* The error that ended it. */
    struct buf failure;
    bool was_counted; /* it is in errorstats already */
};

struct engine *engine_of(lua_State *L); /* of any coroutine. O(1) */

/* What engine_load_library() was given, or NULL: no library is being loaded. */
const struct engine_loading *engine_loading_of(lua_State *L);
/* Pop a Lua function: what engine_run() and engine_drop() call it by. */
int engine_keep(lua_State *L);
void engine_forget(lua_State *L, int function); /* as engine_drop() */

/* --- Errors (engine_errors.c) ---------------------------------------------------------------- */

/* Push an error as the API of Redis has it: a table whose field `err` is the text. A text that begins with a dash and
 * has a blank begins with its own code ("-NOSCRIPT No matching script"), which the dash is no part of; all others get
 * the code ERR. The text may lie in the arena or in a string on the stack. */
void engine_push_error(lua_State *L, struct slice text);
int engine_raise(lua_State *L, const char *text); /* the same, and raise it: without a position */

/* The message handler: an error becomes a table that tells where it was raised. It is the global
 * `__redis__err__handler`, too. */
int engine_describe(lua_State *L);
/* The error on top of the stack, which engine_protect() left there: e->failure becomes its text, and catch_ending is
 * cleared. O(text), without Lua's memory. */
void engine_settle_failure(struct engine *e);

/* --- For engine.c ---------------------------------------------------------------------------- */

/* A new engine, in whose state open() was called. Without memory for it the server ends. */
struct engine *engine_make(enum engine_kind kind, lua_CFunction open);
void engine_unmake(struct engine *e); /* no function of it runs. Any thread may call */

#define ENGINE_PLACES 2 /* values on the stack of the main coroutine that stay there */

/* Call a function in protected mode. Returns the status of lua_pcall(); the caller cuts the stack to ENGINE_PLACES. The
 * first upvalues are the values of enum engine_value. */
typedef void engine_task(lua_State *L, void *ctx);
enum engine_value { ENGINE_VALUE_GLOBALS = 1, ENGINE_VALUE_KEYS, ENGINE_VALUE_ARGV };
enum engine_handling {
    ENGINE_UNHANDLED, /* the error is on top of the stack */
    ENGINE_HANDLED,   /* engine_settle_failure() puts it into e->failure */
};
int engine_protect(struct engine *e, engine_task *task, void *ctx, enum engine_handling handling);
void engine_prepare(struct engine *e);     /* before a task that may take long */
void engine_collect_all(struct engine *e); /* all garbage. O(memory) */

/* The number of a function is its reference, above the bits of enum sandbox_name that its code has. */
#define ENGINE_FUNCTION_REF 2
