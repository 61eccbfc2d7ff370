/* What the code of a library calls while it is loaded: redis.register_function(). */
#pragma once

struct lua_State;

/* A lua_CFunction. It tells engine_loading_of() of the function. */
int library_register(struct lua_State *L);
