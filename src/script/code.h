/* What the code of a compiled function does with globals. */
#pragma once
#include <lua5.1/lua.h>
#include <stdbool.h>

struct code_facts {
    bool assigns; /* it, or a function in it, assigns to a global */
    bool names_keys, names_argv;
    bool names_any;       /* it may look up globals by names that are made at run time */
    bool holds_libraries; /* it uses a library in another way than as in `string.rep`: a variable may hold it */
};

/* The globals that are libraries; ends with NULL. */
extern const char *const code_libraries[];

/* The facts of the Lua function on top of the stack. O(code). Raises nothing. */
struct code_facts code_look(lua_State *L);
