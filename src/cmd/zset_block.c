/* Sorted sets: the commands that wait until there is a member. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/zsets.h"

static void bzpopmin(struct request *r) {
    multi_pop_one(r, &zsets_pop_type, false);
}

static void bzpopmax(struct request *r) {
    multi_pop_one(r, &zsets_pop_type, true);
}

static void bzmpop(struct request *r) {
    multi_pop_many(r, &zsets_pop_type, true);
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
