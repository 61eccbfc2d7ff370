/* The debugger of scripts: SCRIPT DEBUG, and the sessions of `redis-cli --ldb`.
 *
 * A client that has said SCRIPT DEBUG YES steps through its next EVAL in a forked child, which has the client's socket
 * from then on and ends with the script: others are not blocked, and nothing that the script writes remains. After
 * SCRIPT DEBUG SYNC it does so in the server itself, which serves nobody else meanwhile. Either way the connection is
 * closed at the end. One session at a time in a process; without one, all of this costs a branch on ldb_is_on.
 *
 * What the parts around it do: EVAL calls ldb_run() for a client that ldb_wants(); the engine gives all scripts KEYS
 * and ARGV while ldb_is_on, asks for LUA_MASKLINE, and passes the events of its hook to ldb_at_line() and
 * ldb_at_count(). The API tells ldb_log.h of its calls and errors. */
#pragma once
#include <lua5.1/lua.h>
#include <stdbool.h>

struct client;
struct module;
struct request;

extern bool ldb_is_on; /* a session runs in this process */

/* The client has asked for a session. While no client has, one branch. */
extern int ldb_clients; /* that have */
bool ldb_asked(const struct client *c);
static inline bool ldb_wants(const struct client *c) {
    return ldb_clients && ldb_asked(c);
}

/* Carry out EVAL or EVAL_RO in a session: `body` is its body. Replies, or leaves that to a child. */
void ldb_run(struct request *r, void (*body)(struct request *r));
/* The body of SCRIPT DEBUG (YES|SYNC|NO). */
void ldb_command(struct request *r);

/* From the hook, at a new line and every RUN_TICK_INSTRUCTIONS: may stop the script for a dialogue, and raises an error
 * if the dialogue ends it. Only while ldb_is_on. */
void ldb_at_line(lua_State *L, lua_Debug *at);
void ldb_at_count(lua_State *L, lua_Debug *at);

/* redis.breakpoint() and redis.debug(), as C functions of Lua. */
int ldb_breakpoint(lua_State *L);
int ldb_debug(lua_State *L);

extern const struct module ldb_module;
