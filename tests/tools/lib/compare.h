/* Are two replies the same? A rule of a *.grammar file tells how strictly to compare the replies of a command:
 *
 *   !exact XINFO           byte by byte, in spite of another rule for this command
 *   !sort KEYS             the order of members (of pairs in a map), at any depth, does not matter
 *   !type RANDOMKEY        only the type of the reply matters, and whether it is null
 *   !near 2 TTL            two integers may differ by 2
 *   !ignore INFO           there must be a reply, and any is right
 *   !listpack OBJECT       ours may say listpack where the oracle says hashtable or quicklist, as Redis 7.2 does
 *   !xinfo XINFO           without times, what 7.2 added or corrected, Redis's radix tree, and consumers that have
 *                          nothing pending, since 7.2 makes more of them
 *   !pending XPENDING      without how long ago entries were delivered
 *   !errno SORT            the oracle may say without reason that scores can't be converted: it looks at an errno that
 *                          any former command may have set
 *
 * COMMAND may be COMMAND|SUBCOMMAND. Errors are compared byte by byte under all rules but the last. */
#pragma once
#include "bytes.h"

struct rule {
    enum {
        RULE_EXACT,
        RULE_SORT,
        RULE_TYPE,
        RULE_NEAR,
        RULE_IGNORE,
        RULE_LISTPACK,
        RULE_ERRNO,
        RULE_XINFO,
        RULE_PENDING
    } how;
    int64_t near;
};

/* Parses "!sort" and so on at *at, and moves behind it. */
bool compare_parse(const char **at, struct rule *rule);
bool compare_add_rule(const char *line); /* a whole line, for all later commands of that name */
struct rule compare_rule(const struct command *c);
bool compare_replies(struct rule rule, const char *a, size_t a_len, const char *b, size_t b_len);
