/* Calls that a script makes: redis.call().
 *
 * The client that sent the script acts itself, with a database and a protocol of the script's own: SELECT in a script
 * moves the script only, and what it reads has the form of RESP2 until redis.setresp(3). Messages to that client keep
 * the client's protocol, and follow the script's reply. While the script runs, the clock stands still, no client may
 * wait (call_is_nested), nothing is evicted, and waiting clients are not served.
 *
 * The gates are judged when the script begins, not for each call: a script is not stopped half-way because of what has
 * changed meanwhile. As in Redis, the gates that are about writing let all pass behind the script's first write.
 *
 * A call costs no allocation and no copy here, and one branch for all gates. */
#pragma once
#include "exec/call.h"
#include "net/conn.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct db;
struct request;

/* What the script may do. */
enum inner_flag {
    INNER_NO_WRITES = 1 << 0, /* neither CMD_WRITE nor CMD_MAY_REPLICATE: EVAL_RO, the flag no-writes */
    INNER_ALLOW_OOM = 1 << 1, /* CMD_DENYOOM too, whatever memory is in use: the flag allow-oom */
};

/* The calls of a script that runs: one struct for each run, which lives as long as the run. */
struct inner {
    struct client *client;
    unsigned called; /* enum command_flag: the OR of all commands so far that were not refused */
    /* Private. */
    unsigned flags;
    unsigned stops;   /* enum command_flag and GATES_ANY: calls of others need not be judged */
    unsigned gates;   /* bits of enum gates_place: those that stop something */
    unsigned targets; /* propagate_targets before */
    struct db *db;    /* the client's own, as the next two */
    uint8_t resp;
    unsigned client_flags; /* enum client_flag: those that a script can change */
    struct call_outer outer;
    struct conn_range range; /* replies to calls, which are not the client's */
};

extern struct inner *inner_current; /* NULL: no script runs */
/* The requests of this client are calls of its script. */
static inline bool inner_is_by(const struct client *c) {
    return inner_current && inner_current->client == c;
}

/* Called by the body of a request (EVAL, FCALL): its client's script begins. Its replies may have so many bytes at a
 * time; CONN_NO_LIMIT: as memory allows. O(1). */
void inner_begin(struct inner *in, struct client *c, unsigned flags, size_t reply_limit);
/* The script has made its last call; to be called before anything is replied to the client, whose range is open again.
 * The request itself is not propagated. Does nothing if it was called before. */
void inner_end(struct inner *in);

/* Carry out a call. `r` has argv and argc, at least 1, and raw is empty. If the caller knows them, `command` and
 * `metrics` are filled in as by request_prepare(); else command is NULL. With them, key.name is the first key, if its
 * hash is known, else its ptr is NULL. A command with subcommands is never known by its first argument alone.
 *
 * The reply is behind the mark that the caller took before (conn_mark()); an error begins with '-'. The caller reads it
 * there (conn_written(), or conn_walk() if !conn_is_plain()) and cuts it off by conn_truncate(mark). False: the call
 * was refused, or its reply has exceeded the limit; then an error is behind the mark.
 *
 * What was refused is counted in errorstats and in the command's rejected calls, and errors of commands in errorstats
 * and failed calls; so a script that passes such an error on replies it by reply_error_again(). */
bool inner_call(struct inner *in, struct request *r);

/* redis.setresp(): the protocol of the replies to the next calls, 2 or 3. */
void inner_set_resp(struct inner *in, int resp);
/* redis.set_repl(): enum propagate_target, those that hear of the next calls. */
void inner_set_targets(struct inner *in, unsigned targets);
/* The script has called a command that may write (SCRIPT KILL is refused then). */
bool inner_has_written(const struct inner *in);
