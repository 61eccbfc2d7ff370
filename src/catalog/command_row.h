/* The row of a command: all that is known of it but its body. Rows stand beside the bodies, in src/cmd; what a command
 * may do, and when, hangs on the flags in its row and on nothing else. `utils/command-row` prints one. */
#pragma once
#include "base/slice.h"

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
    CMD_SENTINEL = 1 << 21,         /* exists for sentinel only; never set here */
    CMD_SYSCMD = 1 << 22,           /* COMMAND DOCS: meant for the server itself, not for its users */
    CMD_UNQUEUED = 1 << 23,         /* acts at once inside MULTI too: EXEC, WATCH, RESET */
    CMD_EXEC = 1 << 24,             /* runs what was queued, and answers for all of it */
    CMD_WHILE_SUBSCRIBED = 1 << 25, /* is for clients with subscriptions too, to which RESP2 has nothing else to say */
    CMD_PROBE = 1 << 26,            /* asks whether the server is well: refused along with the writes */
    CMD_TOUCHES_ALWAYS = 1 << 27,   /* moves the access clock even for a client that said CLIENT NO-TOUCH */
    CMD_IN_LOG = 1 << 28,           /* stands in a log though it changes nothing: SELECT */
    CMD_KEEPS_CACHING = 1 << 29, /* of a container: CLIENT CACHING goes on to the command behind a subcommand of its */
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
    const char *syntax;     /* arguments in the notation of catalog/docs.h, from which COMMAND DOCS builds its tree */
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
