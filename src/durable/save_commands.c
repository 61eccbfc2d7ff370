/* The commands SAVE, BGSAVE, LASTSAVE and BGREWRITEAOF. A background save waits while a child is running, and inside
 * EXEC, since a fork in the middle of a transaction would save half of it. */
#include "aof/aof.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "disk/child.h"
#include "durable/bgsave.h"
#include "durable/snapshot.h"
#include "exec/block.h"
#include "exec/call.h"
#include "session/client.h"
#include "session/reply.h"

static void refuse_second_save(struct client *c) {
    reply_error(c, "ERR Background save already in progress");
}

static void save(struct request *r) {
    if (child_running() == CHILD_RDB || child_running() == CHILD_TRANSFER) {
        refuse_second_save(r->client);
    } else if (bgsave_now()) {
        reply_ok(r->client);
    } else {
        reply_error(r->client, "ERR");
    }
}

/* BGSAVE [SCHEDULE] */
static void bgsave(struct request *r) {
    struct client *c = r->client;
    bool schedule = r->argc == 2 && slice_is(r->argv[1], "schedule");
    enum child_kind child = child_running();
    if (r->argc > 1 && !schedule) {
        reply_syntax_error(c);
    } else if (child == CHILD_RDB || child == CHILD_TRANSFER) {
        refuse_second_save(c);
    } else if (child != CHILD_NONE && !schedule) {
        reply_error(c, "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
                       "order to schedule a BGSAVE whenever possible.");
    } else if (child != CHILD_NONE || call_is_nested) {
        bgsave_schedule();
        reply_status(c, "Background saving scheduled");
    } else if (bgsave_start()) {
        reply_status(c, "Background saving started");
    } else {
        reply_error(c, "ERR");
    }
}

/* The client whose request waits until the worker has prepared the rewrite: only then it is known whether the child can
 * be started. The request runs again then. */
static uint64_t rewrite_asker;

static void reply_begun(struct request *r, enum aof_begun begun) {
    struct client *c = r->client;
    rewrite_asker = 0;
    switch (begun) {
    case AOF_BEGUN: reply_status(c, "Background append only file rewriting started"); break;
    case AOF_FAILED:
        reply_error(
            c, "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.");
        break;
    case AOF_BEGINS:
        rewrite_asker = c->id;
        block_postpone(r);
        break;
    }
}

static void bgrewriteaof(struct request *r) {
    struct client *c = r->client;
    enum child_kind child = child_running();
    if (c->id == rewrite_asker) {
        reply_begun(r, aof_rewrite_begun());
    } else if (child == CHILD_AOF) {
        reply_error(c, "ERR Background append only file rewriting already in progress");
    } else if (child != CHILD_NONE || call_is_nested || aof_status().is_busy) {
        aof_schedule_rewrite(true);
        reply_status(c, "Background append only file rewriting scheduled");
    } else {
        reply_begun(r, aof_rewrite());
    }
}

static void lastsave(struct request *r) {
    reply_int(r->client, snapshot_metrics.saved_s);
}

static const struct command save_commands[] = {
    {"save", save, 1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Write a snapshot while all clients wait.", .complexity = "O(n) for n keys"},
    {"bgsave", bgsave, -1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Let a child process write a snapshot.",
     .complexity = "O(n) for n pages of memory, at the fork", .syntax = "[SCHEDULE@3.2.2]",
     .history = "3.2.2|New: `SCHEDULE`."},
    {"bgrewriteaof", bgrewriteaof, 1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Let a child process write the append-only file anew.",
     .complexity = "O(n) for n pages of memory, at the fork"},
    {"lastsave", lastsave, 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_ADMIN | ACL_DANGEROUS,
     .group = GROUP_SERVER, .since = "1.0.0", .summary = "Tell at which Unix time the last snapshot succeeded.",
     .tips = "nondeterministic_output"},
    {NULL},
};

const struct module save_commands_module = {.commands = save_commands};
