/* Lists: the commands that wait where there is nothing to be had. What they do once there is, they share with those of
 * list_pop.c, and so it is propagated: as the command that does not wait. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/list_pop.h"
#include "cmd/lists.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"

static void pop(struct request *r, enum quicklist_end end) {
    struct client *c = r->client;
    int64_t timeout_ms;
    if (!args_timeout(c, r->argv[r->argc - 1], &timeout_ms)) return;
    for (int i = 1; i < r->argc - 1; i++) {
        struct key key = key_of(r->argv[i]);
        struct entry *e = db_write(c->db, &key);
        if (!e) continue;
        if (!lists_check(r, e)) return;
        reply_array(c, 2);
        reply_bulk(c, key.name);
        list_pop_one(r, &key, e, end);
        propagate_as((struct slice[]){end == QUICKLIST_HEAD ? SLICE("LPOP") : SLICE("RPOP"), key.name}, 2);
        return;
    }
    block_on(r, ENTRY_LIST, r->argv + 1, r->argc - 2, timeout_ms, reply_null_array);
}

static void blpop(struct request *r) {
    pop(r, QUICKLIST_HEAD);
}

static void brpop(struct request *r) {
    pop(r, QUICKLIST_TAIL);
}

static void blmpop(struct request *r) {
    struct list_pop_many m;
    int64_t timeout_ms;
    if (!list_pop_parse_many(r, 2, &m) || !args_timeout(r->client, r->argv[1], &timeout_ms) || list_pop_many(r, &m))
        return;
    block_on(r, ENTRY_LIST, m.keys, (int)m.key_count, timeout_ms, reply_null_array);
}

/* Moves if there is something to move. False: there is not, or an error was replied. As in Redis, the null
 * of a time that is over is that of an array, but not where nothing can block. */
static bool move(struct request *r, enum quicklist_end from, enum quicklist_end to, int64_t timeout_ms) {
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
    if (!move(r, from, to, timeout_ms)) return;
    propagate_as((struct slice[]){SLICE("LMOVE"), r->argv[1], r->argv[2], r->argv[3], r->argv[4]}, 5);
}

static void brpoplpush(struct request *r) {
    int64_t timeout_ms;
    if (!args_timeout(r->client, r->argv[3], &timeout_ms)) return;
    if (!move(r, QUICKLIST_TAIL, QUICKLIST_HEAD, timeout_ms)) return;
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
