/* What `lua-enable-deprecated-api yes` gives back: getfenv, setfenv and newproxy. */
#pragma once
#include <lua5.1/lua.h>

void deprecated_open(lua_State *L); /* put them into the table of globals on top */
