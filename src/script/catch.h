/* pcall, xpcall and the coroutines of scripts: as Lua's, but no script catches the end that the server gives it. */
#pragma once
#include <lua5.1/lua.h>
#include <stdbool.h>

/* The run is to end. The count hook (at SCRIPT KILL or a time limit) and the debugger set it and raise an error; while
 * it is set, pcall, xpcall, coroutine.resume, load ... pass each error on. The caller of the outermost lua_pcall()
 * clears it. One for the process: two scripts never run at once. */
extern bool catch_ending;
/* The coroutine that runs, or the main one; NULL while nothing does. The engine sets it before a run and clears it
 * behind; in between, coroutine.resume keeps it. */
extern lua_State *catch_running;

/* Put the functions over Lua's own in the table of globals on top, and in its table `coroutine`. */
void catch_open(lua_State *L);

/* After a lua_pcall(), lua_resume() or lua_load() that returned status, its error on top: raises it again if the run
 * is being ended. For every C function of the sandbox that catches errors. */
void catch_pass(lua_State *L, int status);
