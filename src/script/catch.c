/* pcall, xpcall and coroutines. Lua's own would let a script catch the error that ends it, and go on for ever in
 * `while true do pcall(f) end`. So these are functions of ours with the same behaviour and texts, which pass an error
 * on while the run is being ended. */
#include "script/catch.h"
#include <lua5.1/lauxlib.h>

bool catch_ending;
lua_State *catch_running;

void catch_pass(lua_State *L, int status) {
    if (status != 0 && catch_ending) lua_error(L);
}

/* Errors of redis.call() are tables. In Redis, pcall gives their text instead, if they have one, and else what is
 * in its place as one more result. xpcall does not. */
static void show_text(lua_State *L) {
    if (!lua_istable(L, -1)) return;
    lua_getfield(L, -1, "err");
    if (lua_isstring(L, -1)) lua_remove(L, -2);
}

static int catch_pcall(lua_State *L) {
    if (lua_isnone(L, 1)) lua_pushboolean(L, false); /* Redis's pcall() calls a boolean then, and fails */
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    catch_running = L; /* an error may have left a coroutine */
    catch_pass(L, status);
    if (status != 0) show_text(L);
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Upvalue: the script's handler. It runs before anything is caught, and inside the hook if the hook raised the error,
 * where no further hook could end it; so the end of a run does not reach it. */
static int catch_handle(lua_State *L) {
    if (catch_ending) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int catch_xpcall(lua_State *L) {
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (lua_isfunction(L, 2)) lua_pushcclosure(L, catch_handle, 1);
    lua_insert(L, 1); /* the handler below the function */
    int status = lua_pcall(L, 0, LUA_MULTRET, 1);
    catch_running = L; /* an error may have left a coroutine */
    catch_pass(L, status);
    lua_pushboolean(L, status == 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* --- Coroutines ------------------------------------------------------------------------------ */

static int catch_create(lua_State *L) {
    luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

/* Why co cannot be resumed, as coroutine.status() names it; NULL: it can. */
static const char *state_of(lua_State *L, lua_State *co) {
    lua_Debug frame;
    if (co == L) return "running";
    if (lua_status(co) == LUA_YIELD) return NULL;
    if (lua_status(co) != 0) return "dead"; /* an error ended it */
    if (lua_getstack(co, 0, &frame)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : NULL;
}

#define RESUMES_PER_HOOK 16

/* Each coroutine counts its instructions for itself, so many short ones would pass the hook by, and nested ones for
 * ever. So it comes at the first instruction of each so-manieth that is resumed. */
static void let_hook_come(lua_State *co) {
    static unsigned resumes;
    if (++resumes % RESUMES_PER_HOOK == 0) lua_sethook(co, lua_gethook(co), lua_gethookmask(co), 1);
}

/* Resume co with the `count` values on top of L. True: what it gave is on top of L, *count values. False: the error
 * is there. */
static bool resume(lua_State *L, lua_State *co, int *count) {
    const char *state = state_of(L, co);
    if (!lua_checkstack(co, *count)) return luaL_error(L, "too many arguments to resume");
    if (state) {
        lua_pushfstring(L, "cannot resume %s coroutine", state);
        return false;
    }
    lua_xmove(L, co, *count);
    lua_setlevel(L, co); /* the depth of C calls goes on counting, so that nested coroutines are bounded */
    catch_running = co;
    let_hook_come(co);
    int status = lua_resume(co, *count);
    catch_running = L;
    if (status != 0 && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        catch_pass(L, status);
        return false;
    }
    *count = lua_gettop(co);
    if (!lua_checkstack(L, *count + 1)) return luaL_error(L, "too many results to resume");
    lua_xmove(co, L, *count);
    return true;
}

static int catch_resume(lua_State *L) {
    lua_State *co = lua_tothread(L, 1);
    luaL_argcheck(L, co, 1, "coroutine expected");
    int count = lua_gettop(L) - 1;
    bool good = resume(L, co, &count);
    if (!good) count = 1;
    lua_pushboolean(L, good);
    lua_insert(L, -(count + 1));
    return count + 1;
}

static int catch_wrapped(lua_State *L) {
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int count = lua_gettop(L);
    if (resume(L, co, &count)) return count;
    if (lua_isstring(L, -1)) { /* add the position of the caller, as Lua does */
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int catch_wrap(lua_State *L) {
    catch_create(L);
    lua_pushcclosure(L, catch_wrapped, 1);
    return 1;
}

static const struct luaL_Reg catch_base[] = {{"pcall", catch_pcall}, {"xpcall", catch_xpcall}, {NULL, NULL}};
/* running, status and yield are Lua's own. */
static const struct luaL_Reg catch_coroutine[] = {
    {"create", catch_create}, {"resume", catch_resume}, {"wrap", catch_wrap}, {NULL, NULL}};

void catch_open(lua_State *L) {
    luaL_register(L, NULL, catch_base);
    lua_getfield(L, -1, "coroutine");
    luaL_register(L, NULL, catch_coroutine);
    lua_pop(L, 1);
}
