/* The API of scripts: the table `redis`, which is `server` too, with call(), log(), sha1hex() and the others. */
#pragma once
#include "script/engine_types.h"
#include <lua5.1/lua.h>

/* Make the tables of an engine, with the sandbox open. Functions of libraries have no breakpoint(), debug() and
 * replicate_commands(), and register_function() exists only while a library loads. To be called protected. */
void api_open(lua_State *L, enum engine_kind kind);
