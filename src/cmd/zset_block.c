/* Sorted sets: the commands that wait where there is nothing to be had. See list_block.c. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/zsets.h"
#include "exec/block.h"
#include "exec/propagate.h"

static void pop(struct request *r, bool last) {
    struct client *c = r->client;
    int64_t timeout_ms;
    if (!args_timeout(c, r->argv[r->argc - 1], &timeout_ms)) return;
    for (int i = 1; i < r->argc - 1; i++) {
        struct key key = key_of(r->argv[i]);
        struct entry *e = db_write(c->db, &key);
        if (!zsets_check(c, e)) return;
        if (!e) continue;
        reply_array(c, 3);
        reply_bulk(c, key.name);
        zsets_pop(c, &key, e, last, 1, ZSETS_POP_BARE);
        propagate_as((struct slice[]){last ? SLICE("ZPOPMAX") : SLICE("ZPOPMIN"), key.name}, 2);
        return;
    }
    block_on(r, ENTRY_ZSET, r->argv + 1, r->argc - 2, timeout_ms, reply_null_array);
}

static void bzpopmin(struct request *r) {
    pop(r, false);
}

static void bzpopmax(struct request *r) {
    pop(r, true);
}

static void bzmpop(struct request *r) {
    struct zsets_mpop m;
    int64_t timeout_ms;
    if (!zsets_parse_mpop(r, 2, &m) || !args_timeout(r->client, r->argv[1], &timeout_ms) || zsets_mpop(r, &m)) return;
    block_on(r, ENTRY_ZSET, m.keys, (int)m.key_count, timeout_ms, reply_null_array);
}

static const struct command_keys bzmpop_keys[] = {
    {.flags = "RW access delete", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command zset_block_commands[] = {
    {"bzpopmax", bzpopmax, -3, .flags = CMD_WRITE | CMD_BLOCKING | CMD_FAST, .first_key = 1, .last_key = -2,
     .group = GROUP_SORTED_SET, .since = "5.0.0",
     .summary = "Take the member with the highest score of the first sorted set that has any, or wait for one.",
     .complexity = "O(k + log n) for k keys and n members", .syntax = "key:key... timeout:double",
     .history = "6.0.0|The timeout may be a fraction.", .key_flags = "RW access delete"},
    {"bzpopmin", bzpopmin, -3, .flags = CMD_WRITE | CMD_BLOCKING | CMD_FAST, .first_key = 1, .last_key = -2,
     .group = GROUP_SORTED_SET, .since = "5.0.0",
     .summary = "Take the member with the lowest score of the first sorted set that has any, or wait for one.",
     .complexity = "O(k + log n) for k keys and n members", .syntax = "key:key... timeout:double",
     .history = "6.0.0|The timeout may be a fraction.", .key_flags = "RW access delete"},
    {"bzmpop", bzmpop, -5, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET,
     .since = "7.0.0", .summary = "Take members from an end of the first sorted set that has any, or wait for some.",
     .complexity = "O(k + log n + m) for k keys and n members, m of them taken",
     .syntax = "timeout:double numkeys:integer key:key... where:(MIN | MAX) [COUNT count:integer]",
     .keys = bzmpop_keys},
    {NULL},
};

const struct module zset_block_module = {.commands = zset_block_commands};
