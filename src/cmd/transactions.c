/* MULTI, EXEC, DISCARD, WATCH and UNWATCH: see exec/tx.h. */
#include "cmd/families.h"
#include "exec/tx.h"

static void multi(struct request *r) {
    tx_multi(r->client);
}

static void discard(struct request *r) {
    tx_discard(r->client);
}

static void unwatch(struct request *r) {
    tx_unwatch(r->client);
}

const struct command transactions_commands[] = {
    {.name = "multi",
     .body = multi,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .acl = ACL_TRANSACTION,
     .group = GROUP_TRANSACTIONS,
     .since = "1.2.0",
     .summary = "Mark the start of a transaction block",
     .complexity = "O(1)"},
    {.name = "exec",
     .body = tx_exec,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG | CMD_UNQUEUED | CMD_EXEC,
     .acl = ACL_TRANSACTION,
     .group = GROUP_TRANSACTIONS,
     .since = "1.2.0",
     .summary = "Execute all commands issued after MULTI",
     .complexity = "Depends on commands in the transaction"},
    {.name = "discard",
     .body = discard,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .acl = ACL_TRANSACTION,
     .group = GROUP_TRANSACTIONS,
     .since = "2.0.0",
     .summary = "Discard all commands issued after MULTI",
     .complexity = "O(N), when N is the number of queued commands"},
    {.name = "watch",
     .body = tx_watch,
     .arity = -2,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .acl = ACL_TRANSACTION,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .group = GROUP_TRANSACTIONS,
     .since = "2.2.0",
     .summary = "Watch the given keys to determine execution of the MULTI/EXEC block",
     .complexity = "O(1) for every key.",
     .syntax = "key:key...",
     .key_flags = "RO"},
    {.name = "unwatch",
     .body = unwatch,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .acl = ACL_TRANSACTION,
     .group = GROUP_TRANSACTIONS,
     .since = "2.2.0",
     .summary = "Forget about all watched keys",
     .complexity = "O(1)"},
    {.name = NULL},
};
