/* The dialogue of a debugging session while the script stands still. */
#pragma once
#include <lua5.1/lua.h>

enum ldb_console_end {
    LDB_STEPS,     /* run this line and stop again */
    LDB_CONTINUES, /* run to the next breakpoint */
    LDB_ABORTS,    /* end the script */
    LDB_GONE,      /* the client has hung up */
    LDB_BAD,       /* it sent what is no request */
};

/* Answer the client until the script is to go on. `line` is the current one. An error of Lua may leave it: memory. */
enum ldb_console_end ldb_console(lua_State *L, int line);
