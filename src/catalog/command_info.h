/* What COMMAND tells about rows beyond their own words: names of flags, ACL
 * categories and groups, and where keys are.
 *
 * Key positions come from key specs, as Redis publishes them: where to begin (an
 * index, or behind a keyword), and how to go on (a range, or as many as a number
 * says): https://redis.io/docs/latest/develop/reference/key-specs. A row without
 * specs of its own has one, made of first_key, last_key and key_step. */
#pragma once
#include "catalog/command_row.h"

/* Names in the order in which COMMAND INFO lists them; returns how many. */
#define COMMAND_INFO_NAMES 24
size_t command_info_flags(const struct command *command, const char *names[COMMAND_INFO_NAMES]);
size_t command_info_acl(const struct command *command, const char *names[COMMAND_INFO_NAMES]); /* with the @ */

/* Categories of the row and those its flags imply: @write from CMD_WRITE, @read from
 * CMD_READONLY (not for scripts), @admin and @dangerous from CMD_ADMIN, @pubsub,
 * @fast and @blocking from theirs, @slow from the lack of CMD_FAST. */
unsigned command_info_acl_mask(const struct command *command);
unsigned command_info_acl_category(struct slice name);    /* without the @, any case; 0: there is none */
const char *command_info_group(enum command_group group); /* "sorted-set" */

/* Key specs of a row: its own, or the derived one in *derived. Ends with a row whose flags are NULL. */
const struct command_keys *command_info_keys(const struct command *command, struct command_keys derived[2]);

struct command_info_key {
    int position;      /* in argv */
    const char *flags; /* "RW access update"; constant */
};

/* The keys of a request and what is done to them: writes at most max, returns how many there
 * are, -1 for arguments that do not fit the specs. argc agrees with the arity. O(keys). */
int command_info_find(const struct command *command, const struct slice *argv, int argc, struct command_info_key *keys,
                      int max);
bool command_info_has_keys(const struct command *command); /* there may be keys */
