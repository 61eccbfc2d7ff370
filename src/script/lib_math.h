/* math.random and math.randomseed of scripts: the generator of POSIX's lrand48(), as Redis has it, so a script that
 * seeds gets the same numbers on each server. One sequence for the process. */
#pragma once
#include <lua5.1/lua.h>

void lib_math_open(lua_State *L); /* put both into the table `math` on top */
