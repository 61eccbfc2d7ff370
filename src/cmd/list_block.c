/* Lists: the commands that wait until there is an element. Then they do what the commands of list_pop.c do, and are
 * propagated as those. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/list_pop.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"

static void blpop(struct request *r) {
    multi_pop_one(r, &list_pop_type, false);
}

static void brpop(struct request *r) {
    multi_pop_one(r, &list_pop_type, true);
}

static void blmpop(struct request *r) {
    multi_pop_many(r, &list_pop_type, true);
}

/* Move an element if there is one, else wait. False: nothing was moved. As in Redis, a wait that has timed out replies
 * the null of an array, but where nothing may block the reply is a plain null. */
static bool move_or_wait(struct request *r, enum quicklist_end from, enum quicklist_end to, int64_t timeout_ms) {
    struct entry *source = db_write(r->client->db, &r->key);
    if (source) return list_pop_move(r, source, from, to);
    if (call_is_nested) {
        reply_null(r->client);
    } else {
        block_on(r, ENTRY_LIST, r->argv + 1, 1, timeout_ms, reply_null_array);
    }
    return false;
}

static void blmove(struct request *r) {
    enum quicklist_end from, to;
    int64_t timeout_ms;
    if (!list_pop_parse_end(r, r->argv[3], &from) || !list_pop_parse_end(r, r->argv[4], &to)) return;
    if (!args_timeout(r->client, r->argv[5], &timeout_ms)) return;
    if (!move_or_wait(r, from, to, timeout_ms)) return;
    propagate_as((struct slice[]){SLICE("LMOVE"), r->argv[1], r->argv[2], r->argv[3], r->argv[4]}, 5);
}

static void brpoplpush(struct request *r) {
    int64_t timeout_ms;
    if (!args_timeout(r->client, r->argv[3], &timeout_ms)) return;
    if (!move_or_wait(r, QUICKLIST_TAIL, QUICKLIST_HEAD, timeout_ms)) return;
    propagate_as((struct slice[]){SLICE("RPOPLPUSH"), r->argv[1], r->argv[2]}, 3);
}

static const struct command_keys move_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RW insert", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys blmpop_keys[] = {
    {.flags = "RW access delete", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command list_block_commands[] = {
    {"blpop", blpop, -3, .flags = CMD_WRITE | CMD_BLOCKING, .first_key = 1, .last_key = -2, .group = GROUP_LIST,
     .since = "2.0.0", .summary = "Take the first element of the first list that has any, or wait for one.",
     .complexity = "O(n) for n keys", .syntax = "key:key... timeout:double",
     .history = "6.0.0|The timeout may be a fraction.", .key_flags = "RW access delete"},
    {"brpop", brpop, -3, .flags = CMD_WRITE | CMD_BLOCKING, .first_key = 1, .last_key = -2, .group = GROUP_LIST,
     .since = "2.0.0", .summary = "Take the last element of the first list that has any, or wait for one.",
     .complexity = "O(n) for n keys", .syntax = "key:key... timeout:double",
     .history = "6.0.0|The timeout may be a fraction.", .key_flags = "RW access delete"},
    {"blmove", blmove, 6, .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING, .first_key = 1, .last_key = 2,
     .group = GROUP_LIST, .since = "6.2.0",
     .summary = "Move an element between the ends of two lists, or wait for one.",
     .syntax = "source:key destination:key#1 wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT) timeout:double",
     .keys = move_keys},
    {"blmpop", blmpop, -5, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, .group = GROUP_LIST, .since = "7.0.0",
     .summary = "Take elements from the first list that has any, or wait for some.",
     .complexity = "O(n + m) for n keys and m elements taken",
     .syntax = "timeout:double numkeys:integer key:key... where:(LEFT | RIGHT) [COUNT count:integer]",
     .keys = blmpop_keys},
    {"brpoplpush", brpoplpush, 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING, .first_key = 1, .last_key = 2,
     .group = GROUP_LIST, .since = "2.2.0",
     .summary = "Move the last element of a list to the front of another, or wait for one.",
     .syntax = "source:key destination:key#1 timeout:double", .history = "6.0.0|The timeout may be a fraction.",
     .deprecated = "6.2.0|`BLMOVE`: `RIGHT`, `LEFT`", .keys = move_keys},
    {NULL},
};

const struct module list_block_module = {.commands = list_block_commands};
