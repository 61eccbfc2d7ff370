/* The row of a command: its name, its body and all that others ask about it. A row stands beside its body. Its flags
 * alone decide when the command may run and what follows from it: no other code compares names of commands.
 * `utils/command-row` prints a row for a command that Redis has. */
#pragma once
#include "base/slice.h"

struct request;

/* COMMAND INFO shows the flags that Redis has. "Shown only": nothing else looks at the flag yet. */
enum command_flag {
    CMD_WRITE = 1 << 0, /* may change data: refused after disk errors, stopped by CLIENT PAUSE, replayed from the log */
    CMD_READONLY = 1 << 1,           /* only reads data: CLIENT TRACKING remembers its keys */
    CMD_DENYOOM = 1 << 2,            /* may need more memory */
    CMD_ADMIN = 1 << 3,              /* for operators: MONITOR does not show it */
    CMD_PUBSUB = 1 << 4,             /* about channels: category @pubsub */
    CMD_NOSCRIPT = 1 << 5,           /* scripts may not call it */
    CMD_BLOCKING = 1 << 6,           /* may let its client wait */
    CMD_LOADING = 1 << 7,            /* runs while data is being loaded: passes that gate */
    CMD_STALE = 1 << 8,              /* runs on a replica that has lost its primary */
    CMD_SKIP_MONITOR = 1 << 9,       /* MONITOR does not show it */
    CMD_SKIP_SLOWLOG = 1 << 10,      /* shown only: the slow log does not record it */
    CMD_ASKING = 1 << 11,            /* shown only: runs on a slot that a cluster node is taking over */
    CMD_FAST = 1 << 12,              /* takes O(1) or O(log n): category @fast, else @slow */
    CMD_NO_AUTH = 1 << 13,           /* runs before the client has authenticated: passes that gate */
    CMD_MAY_REPLICATE = 1 << 14,     /* changes no data and yet may be propagated: PAUSE stops it, the log replays it */
    CMD_NO_ASYNC_LOADING = 1 << 15,  /* refused while a replica loads new data beside the old */
    CMD_NO_MULTI = 1 << 16,          /* refused between MULTI and EXEC */
    CMD_MOVABLE_KEYS = 1 << 17,      /* find_keys or key specs find its keys: first_key and the like do not suffice */
    CMD_ALLOW_BUSY = 1 << 18,        /* runs while a script takes too long: passes that gate */
    CMD_NO_MANDATORY_KEYS = 1 << 19, /* takes keys, but a count of 0 is fine too */
    CMD_PROTECTED = 1 << 20,         /* not shown: its body asks an option whether it may run (DEBUG) */
    CMD_RUNS_SCRIPT = 1 << 21,       /* gates judge it by what the script says of itself: gates_judge_scripts() */
    CMD_SYSCMD = 1 << 22,            /* COMMAND DOCS: meant for the server itself, not for its users */
    CMD_UNQUEUED = 1 << 23,          /* acts at once between MULTI and EXEC too, instead of being queued */
    CMD_EXEC = 1 << 24, /* runs the queued requests: gates judge it by their flags; it settles its replies */
    CMD_WHILE_SUBSCRIBED = 1 << 25, /* passes the gate of clients that have subscriptions in RESP2 */
    CMD_PROBE = 1 << 26,            /* a health check (PING): refused after disk errors, along with the writes */
    CMD_TOUCHES_ALWAYS = 1 << 27,   /* moves access times even after CLIENT NO-TOUCH ON */
    CMD_IN_LOG = 1 << 28,           /* changes no data, and yet logs have it: SELECT, SCRIPT LOAD in old ones */
    CMD_KEEPS_CACHING = 1 << 29,    /* of a container (CLIENT): its subcommands leave CLIENT CACHING in force */
    CMD_OUTWARD = 1 << 30,          /* talks to another server (MIGRATE): no log has it */
};

/* Categories that permit commands to users. Today COMMAND INFO shows them and COMMAND LIST filters by them. A row names
 * only those that do not follow from its flags: command_info_acl_mask() adds the others. */
enum command_acl {
    ACL_KEYSPACE = 1 << 0, /* keys, whatever their type */
    ACL_READ = 1 << 1,     /* from CMD_READONLY */
    ACL_WRITE = 1 << 2,    /* from CMD_WRITE */
    ACL_SET = 1 << 3,      /* from here to ACL_STREAM: the type of value */
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,      /* from CMD_PUBSUB */
    ACL_ADMIN = 1 << 13,       /* from CMD_ADMIN */
    ACL_FAST = 1 << 14,        /* from CMD_FAST */
    ACL_SLOW = 1 << 15,        /* from the lack of it */
    ACL_BLOCKING = 1 << 16,    /* from CMD_BLOCKING */
    ACL_DANGEROUS = 1 << 17,   /* may harm other clients: slow, or about the whole server. From CMD_ADMIN too */
    ACL_CONNECTION = 1 << 18,  /* about the client's own connection, or other connections */
    ACL_TRANSACTION = 1 << 19, /* MULTI, EXEC, WATCH and the like */
    ACL_SCRIPTING = 1 << 20,   /* runs scripts: no @read from CMD_READONLY */
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

/* A key spec: where some keys of a command are, as COMMAND shows it. A row has an array of specs, which ends with one
 * whose flags are NULL. A spec begins at index `begin`, or behind the word `keyword`. From there on the keys are either
 * a range, or as many as an argument says. */
struct command_keys {
    const char *flags;   /* "RW access update" as COMMAND INFO spells them, with blanks between; NULL: the end */
    const char *notes;   /* why the keys have these flags; or NULL */
    int begin;           /* index; 0 with a keyword; 0 without one: unknown */
    const char *keyword; /* in any case; or NULL */
    int from;            /* the search for the keyword starts at this index; negative: at the end, and goes backward */
    int last;         /* range: distance of the last key from the beginning; negative: from the end of the arguments */
    int step;         /* from key to key; 0: unknown */
    int limit;        /* range with negative last: 2 and more: only the first of so many parts of the rest are keys */
    int keynum_at;    /* distance of the argument that is the number of keys from the beginning; -1: a range */
    int keynum_first; /* distance of the first key from the beginning; 0 for a range */
    /* With the flag "variable_flags": returns the flags of this very request, a constant. Else NULL. */
    const char *(*vary)(const struct slice *argv, int argc);
};

/* A command's row. It stands beside its body; boot checks that rows are consistent. The first three members are written
 * without their names, so that clang-format fills the lines of a row: {"get", get, 2, .flags = ...}. */
struct command {
    const char *name;       /* lower case; without the container's name for a subcommand */
    command_fn body;        /* NULL for a container that only has subcommands */
    int arity;              /* how many arguments, with the name; negative: at least so many */
    unsigned flags;         /* enum command_flag */
    unsigned acl;           /* enum command_acl beyond those that flags imply; 0: the category of the group */
    int first_key;          /* index of the first key; 0: no keys. Without the next two, it is the only key */
    int last_key, key_step; /* 0: see command_last_key(), command_key_step() */
    int key_count_at;       /* index of an argument that tells how many keys follow it, if first_key is 0; or 0 */
    int member; /* index of an argument that names a member of the first key's collection, to be fetched ahead; or 0 */
    enum command_group group;
    const char *since, *summary;     /* our own prose, as are complexity, history and notes */
    const char *complexity;          /* NULL: O(1), or none for a container; "": none */
    const char *syntax;              /* arguments in the notation of catalog/command_syntax.h, or NULL */
    const char *tips;                /* command tips, separated by commas, or NULL */
    const char *history;             /* "version|change" pairs separated by newlines, or NULL */
    const char *deprecated;          /* "since|replacement", or NULL */
    const struct command_keys *keys; /* NULL: derived from first_key, last_key, key_step and flags */
    const char *key_flags; /* flags of the derived key spec; NULL: "RW update" with CMD_WRITE, else "RO access" */
    /* Finds movable keys: writes at most max indexes, returns how many keys there are, or -1 if the arguments are
     * wrong. */
    int (*find_keys)(const struct slice *argv, int argc, int *positions, int max);
    const struct command *subcommands; /* ends with a row whose name is NULL */
};

/* The number of rows in an array that ends with a nameless one; 0 for NULL. O(rows). */
static inline size_t command_count_rows(const struct command *rows) {
    size_t count = 0;
    while (rows && rows[count].name)
        count++;
    return count;
}

static inline bool command_takes(const struct command *command, int argc) {
    return command->arity > 0 ? argc == command->arity : argc >= -command->arity;
}

/* Index of the last key; negative: from the end; 0: no keys. A row without last_key has one key. */
static inline int command_last_key(const struct command *command) {
    return command->last_key ? command->last_key : command->first_key;
}

/* The distance from one key to the next; 0: no keys. A row without key_step has a key at each index. */
static inline int command_key_step(const struct command *command) {
    return command->key_step ? command->key_step : command->first_key != 0;
}

/* As COMMAND DOCS tells it, or NULL. */
static inline const char *command_complexity(const struct command *command) {
    if (command->complexity) return command->complexity[0] ? command->complexity : NULL;
    return command->body ? "O(1)" : NULL;
}
