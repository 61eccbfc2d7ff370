/* Commands: their rows, the look-up, the gates, the call. */
#pragma once
#include "base/slice.h"
#include "store/db.h"
#include <stdbool.h>
#include <stdint.h>

struct client;
struct request;

enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13,
    CMD_MAY_REPLICATE = 1 << 14,
    CMD_NO_ASYNC_LOADING = 1 << 15,
    CMD_NO_MULTI = 1 << 16,
    CMD_MOVABLE_KEYS = 1 << 17,
    CMD_ALLOW_BUSY = 1 << 18,
    CMD_NO_MANDATORY_KEYS = 1 << 19,
    CMD_PROTECTED = 1 << 20,
    CMD_SENTINEL = 1 << 21, /* exists for sentinel only; never set here */
    CMD_SYSCMD = 1 << 22,   /* COMMAND DOCS: meant for the server itself, not for its users */
    CMD_UNQUEUED = 1 << 23, /* acts at once inside MULTI too: EXEC, WATCH, RESET */
    CMD_EXEC = 1 << 24,     /* runs what was queued, and answers for all of it */
};

enum command_acl {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
};

enum command_group {
    GROUP_GENERIC,
    GROUP_STRING,
    GROUP_LIST,
    GROUP_SET,
    GROUP_SORTED_SET,
    GROUP_HASH,
    GROUP_PUBSUB,
    GROUP_TRANSACTIONS,
    GROUP_CONNECTION,
    GROUP_SERVER,
    GROUP_SCRIPTING,
    GROUP_HYPERLOGLOG,
    GROUP_CLUSTER,
    GROUP_SENTINEL,
    GROUP_GEO,
    GROUP_STREAM,
    GROUP_BITMAP,
};

typedef void (*command_fn)(struct request *r);

/* Where keys are, as COMMAND tells it. Ends with a row whose flags are NULL. */
struct command_keys {
    const char *flags;   /* "RW access update" as COMMAND INFO spells them, blanks between; NULL: no more */
    const char *notes;   /* or NULL */
    int begin;           /* index of the first key; 0 with a keyword; 0 and no keyword: unknown */
    const char *keyword; /* begins behind this word (searched from `from`), or NULL */
    int from;
    /* range: last (negative: from the end), step, limit; keynum: step > 0 with keynum_at >= 0 */
    int last, step, limit;
    int keynum_at, keynum_first; /* -1, 0 for a range */
    /* With "variable_flags": the flags that this very request has (a constant). Else NULL. */
    const char *(*vary)(const struct slice *argv, int argc);
};

/* A command's row. It stands beside its body; boot checks that rows are consistent. */
struct command {
    const char *name;                  /* lower case; without the container's name for a subcommand */
    command_fn body;                   /* NULL for a container that only has subcommands */
    int arity;                         /* with the name; negative: at least */
    unsigned flags;                    /* enum command_flag */
    unsigned acl;                      /* enum command_acl beyond those that flags imply: see command_info.h */
    int first_key, last_key, key_step; /* 0 0 0: no keys */
    int member; /* index of an argument that names a member of the first key's collection, to be fetched ahead; or 0 */
    enum command_group group;
    const char *since, *summary, *complexity;
    const char *syntax;     /* arguments in the notation of server/docs.h, from which COMMAND DOCS builds its tree */
    const char *tips;       /* command tips, separated by commas, or NULL */
    const char *history;    /* "version|change" pairs separated by newlines, or NULL */
    const char *deprecated; /* "since|replacement", or NULL */
    const struct command_keys *keys; /* NULL: derived from first_key, last_key, key_step and flags */
    const char *key_flags; /* flags of the derived key spec; NULL: "RW update" with CMD_WRITE, else "RO access" */
    /* Finds key positions of movable keys: writes at most max indexes, returns how
     * many there are, -1 for a syntax error. */
    int (*find_keys)(const struct slice *argv, int argc, int *positions, int max);
    const struct command *subcommands; /* ends with a row whose name is NULL */
};

/* A request on its way: valid until its body returns. Slices point into the client's input. */
struct request {
    struct client *client;
    const struct command *command; /* a subcommand's row where there is one */
    struct command_stats *stats;
    struct slice *argv;
    int argc;
    struct key key;    /* the first key with its hash, if the row has one */
    struct slice raw;  /* the bytes of the request as they came (empty if it was not RESP) */
    uint64_t redacted; /* bit i: argument i is not for other eyes (MONITOR) */
};

#define REQUEST_REDACTABLE 64 /* arguments that can be */

/* For bodies: argument i is a password or the like. */
static inline void request_redact(struct request *r, int i) {
    if (i < REQUEST_REDACTABLE) r->redacted |= (uint64_t)1 << i;
}

/* Make the rows known; called by main for every family before exec_ready(). */
void exec_register(const struct command *rows); /* ends with a row whose name is NULL */
void exec_ready(void);                          /* builds the look-up, asserts consistency */

const struct command *exec_find(struct slice name); /* a top-level command, any case */
const struct command *exec_find_sub(const struct command *container, struct slice name);
const struct command *exec_find_full(struct slice full); /* "config|get" too */
size_t exec_command_count(void);
const struct command *exec_command_at(size_t i);                        /* top-level rows in registration order */
const struct command *exec_container(const struct command *subcommand); /* NULL for top-level rows */
const char *exec_full_name(const struct command *command);              /* "config|get" */
/* Key positions of a request for this command: as find_keys. */
int exec_find_keys(const struct command *command, const struct slice *argv, int argc, int *positions, int max);

/* Statistics of a command; ticks are clock_ticks(). One per row, subcommands included. */
#define EXEC_HISTOGRAM 256

struct command_stats {
    uint64_t calls, ticks, rejected, failed;
    uint32_t *histogram; /* EXEC_HISTOGRAM log-linear buckets of ticks; NULL before the first call */
};
struct command_stats *exec_stats(const struct command *command);
void exec_reset_stats(void);
/* Upper bound in ticks of a bucket, and the bucket of a duration. */
unsigned exec_histogram_bucket(uint64_t ticks);
uint64_t exec_histogram_ticks(unsigned bucket);

/* Conditions under which a gate may close: armed by the modules that know. */
enum exec_condition {
    EXEC_NEEDS_AUTH = 1 << 0, /* a password is set: per client, see client_flag */
    EXEC_LOADING = 1 << 1,
    EXEC_PAUSED = 1 << 2,
    EXEC_SUBSCRIBED = 1 << 3, /* somebody has subscriptions: per client, see server/pubsub.h */
    EXEC_MONITORED = 1 << 4,  /* there are monitors: they have no business with the keyspace */
    EXEC_DISK_ERROR = 1 << 5, /* writes are refused: exec_disk_error says why */
};
extern char exec_disk_error[512];
void exec_arm(unsigned condition, bool on);

/* Fill in command, stats and key of a request: the look-up half, before prefetching. */
void exec_prepare(struct request *r);
/* Call the body and nothing else, for a log that is replayed: no gates, no reply, no propagation. False if the command
 * cannot have so many arguments. */
bool exec_replay(struct request *r);
/* Time between here and the end of the next command counts as that command's. */
void exec_start_clock(void);
uint64_t exec_began(void); /* when that was, in ticks: tells one command from the next */
/* Gates, call, statistics, propagation: the other half. */
void exec_run(struct request *r);

/* True while commands run inside another one, EXEC: nothing may block then. */
extern bool exec_nested;
/* Around such commands. exec_nest() returns what exec_unnest() needs to charge EXEC for the whole of its time. */
uint64_t exec_nest(void);
void exec_unnest(uint64_t began);
/* Run a prepared request inside another one: no gates, since it has passed them before. */
void exec_run_nested(struct request *r);
/* Drop the reply that begins at mark if the client wants none. A command with CMD_EXEC does so itself,
 * piece by piece, since what runs inside it may be CLIENT REPLY. */
void exec_mute(const struct client *c, size_t mark);
/* The end of a request that had to wait and is answered without being called again. */
void exec_end(struct request *r, void (*reply)(struct client *c));
