/* Gates: conditions under which requests are refused or postponed, whatever their command does.
 *
 * A module closes its gate by setting a row, and opens it with NULL. While all gates are open, a request pays one
 * branch; the same is true while only the memory limit's gate is closed, and memory is below the limit. A closed gate
 * still lets requests pass: those whose command has none of the flags in `stops`, or one of those in `passes`, and
 * those for which `holds` is false. The enum is the order in which gates are asked: the first that stops a request
 * gives the error. */
#pragma once
#include "base/alloc.h"
#include <stdbool.h>
#include <stdint.h>

struct client;
struct request;

#define GATES_ANY (1u << 31) /* beside enum command_flag: no command has this flag */

enum gates_place {
    GATES_AUTH,       /* a password is set */
    GATES_REDIRECT,   /* this is a replica, and clients follow redirections */
    GATES_MEMORY,     /* there is a limit on memory */
    GATES_DISK,       /* writes might not survive */
    GATES_REPLICAS,   /* too few replicas are level */
    GATES_READONLY,   /* this is a replica */
    GATES_SUBSCRIBED, /* there are subscribers */
    GATES_STALE,      /* this is a replica without its primary */
    GATES_LOADING,    /* the dataset is being loaded */
    GATES_BUSY,       /* a command takes long, and others are served meanwhile */
    GATES_MONITOR,    /* there are monitors */
    /* Requests wait at these. They are the last ones, so that a request that would fail does not wait first. */
    GATES_LOG,   /* the append-only file goes on in another file */
    GATES_PAUSE, /* CLIENT PAUSE */
    GATES_PLACES
};

struct gate {
    unsigned stops;  /* enum command_flag; 0: any request. What no closed gate stops pays two branches */
    unsigned passes; /* enum command_flag */
    /* Does the gate stop this request? `flags` are those of its command or, for EXEC, of all that it would run. NULL:
     * it stops every request. */
    bool (*holds)(const struct request *r, unsigned flags);
    const char *error; /* with its code; "%s" is the command's name. NULL: the request waits */
    /* The same for the calls of a script, which cannot wait (exec/inner.h): enum command_flag, of which one stops a
     * call; GATES_ANY: any. 0: the script itself has passed the gate, and that is enough. */
    unsigned stops_calls;
    const char *call_error; /* NULL: `error`, which has no "%s" then */
};

/* Close the gate with this row, which must live on, or open it with NULL. */
void gates_set(enum gates_place place, const struct gate *gate);
/* The same for a gate that stops no request while alloc_main_balance() is at most this. O(places). */
void gates_set_above(enum gates_place place, const struct gate *gate, int64_t balance);

extern int64_t gates_open_to; /* no gate stops a request while alloc_main_balance() is at most this */
/* False: gates_find_closed() finds none. */
static inline bool gates_may_stop(void) {
    return alloc_main_balance() > gates_open_to;
}
/* Or this is false: they find none for a request whose command has these flags. Those of EXEC and of commands that run
 * scripts are not enough to tell. */
extern unsigned gates_stopped; /* enum command_flag and GATES_ANY: what the closed gates stop */
static inline bool gates_may_stop_command(unsigned flags) {
    return (flags | GATES_ANY) & gates_stopped;
}
/* The flags by which gates judge a request: enum command_flag, mostly those of its row. */
unsigned gates_flags_of(const struct request *r);
/* At boot: if the command has CMD_RUNS_SCRIPT, this function tells them. A script that says nothing of itself has the
 * row's, but for CMD_STALE: a stale replica runs only what is said to be fit for it. */
void gates_judge_scripts(unsigned (*flags_of)(const struct request *r));
/* The first gate that stops a request with these flags (see holds), or NULL. O(gates). */
const struct gate *gates_find_closed(const struct request *r, unsigned flags);

/* For the calls of a script that begins now: which gates will stop some of them, as bits of enum gates_place, and the
 * flags that they stop. `holds` is asked with a request that has a client and nothing else. O(places). */
struct gates_for_calls {
    unsigned places, stops;
};
struct gates_for_calls gates_for_calls(struct client *c);
/* The first of these gates that stops a call of a command with these flags, or NULL. Here the order is Redis's for
 * calls: what this server is comes first, memory last. O(places). */
const struct gate *gates_find_for_call(unsigned places, unsigned flags);
