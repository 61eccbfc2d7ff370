/* Snapshots by command. */
#include "cmd/families.h"
#include "server/reply.h"
#include "server/snapshot.h"

static void save(struct request *r) {
    if (snapshot_save()) {
        reply_ok(r->client);
    } else {
        reply_error(r->client, "ERR");
    }
}

static void lastsave(struct request *r) {
    reply_int(r->client, snapshot_figures.saved_s);
}

const struct command persistence_commands[] = {
    {.name = "save",
     .body = save,
     .arity = 1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI,
     .group = GROUP_SERVER,
     .since = "1.0.0",
     .summary = "Synchronously save the dataset to disk",
     .complexity = "O(N) where N is the total number of keys in all databases"},
    {.name = "lastsave",
     .body = lastsave,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_ADMIN | ACL_DANGEROUS,
     .group = GROUP_SERVER,
     .since = "1.0.0",
     .summary = "Get the UNIX time stamp of the last successful save to disk",
     .complexity = "O(1)",
     .tips = "nondeterministic_output"},
    {.name = NULL},
};
