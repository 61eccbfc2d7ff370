/* Are two replies the same? How strictly depends on the command; a rule of a *.grammar file says so:
 *
 *   !sort KEYS             the order of members (of pairs in a map), at any depth, does not matter
 *   !type RANDOMKEY        only the type of the reply, and whether it is null, matters
 *   !near 2 TTL            two integers may differ by 2
 *   !ignore INFO           nothing matters but that there is a reply
 *   !listpack OBJECT       ours may say listpack where the oracle says hashtable or quicklist: Redis 7.2 does
 *   !errno SORT            the oracle may say that scores can't be converted, for nothing: it goes by an errno that is
 *                          still set from the last number out of range, in whatever command that was
 *
 * and COMMAND may be COMMAND|SUBCOMMAND. Errors are compared byte by byte in all but the last. */
#pragma once
#include "bytes.h"

struct rule {
    enum { RULE_EXACT, RULE_SORT, RULE_TYPE, RULE_NEAR, RULE_IGNORE, RULE_LISTPACK, RULE_ERRNO } how;
    int64_t near;
};

/* Parses "!sort" and so on at *at, and moves behind it. */
bool compare_parse(const char **at, struct rule *rule);
bool compare_add_rule(const char *line); /* a whole line, for all later commands of that name */
struct rule compare_rule(const struct command *c);
bool compare_replies(struct rule rule, const char *a, size_t a_len, const char *b, size_t b_len);
