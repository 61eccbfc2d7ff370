/* Source becomes functions here, and nowhere else: text only, bounded, and safe from faults of Lua's parser. */
#pragma once
#include "base/slice.h"
#include <lua5.1/lua.h>

/* The longest source that is compiled. Lua's lexer counts wrongly beyond 2 GB. */
#define SOURCE_MAX_BYTES ((size_t)64 << 20)

/* Push the function and return 0; or push the error's text and return what lua_load() returns. The function's globals
 * are those of the state. The chunk's name begins with '@' or '=', or is the source itself. */
int source_load(lua_State *L, struct slice text, const char *name);

/* Put load and loadstring into the table of globals on top. */
void source_open(lua_State *L);
