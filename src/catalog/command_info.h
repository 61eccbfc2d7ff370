/* What follows from a row: the names of its flags, categories and group, and where the keys of a request are.
 *
 * Keys are found by key specs: https://redis.io/docs/latest/develop/reference/key-specs. A row without specs of its own
 * has one that is derived from first_key, last_key and key_step. Nothing here fails or allocates, unless it says so. */
#pragma once
#include "catalog/command_row.h"

#define COMMAND_INFO_NAMES 24 /* a row has fewer flags, and fewer categories */
/* Fill in the names, in the order in which COMMAND INFO lists them, and return how many there are. Names are
 * constants. */
size_t command_info_flags(const struct command *command, const char *names[COMMAND_INFO_NAMES]);
size_t command_info_acl(const struct command *command, const char *names[COMMAND_INFO_NAMES]); /* "@read" */

/* The categories of a row (enum command_acl): those that it names, and those that its flags imply. CMD_WRITE implies
 * @write, CMD_READONLY @read (not for scripts), CMD_ADMIN @admin and @dangerous, CMD_PUBSUB @pubsub, CMD_BLOCKING
 * @blocking, CMD_FAST @fast; without CMD_FAST it is @slow. */
unsigned command_info_acl_mask(const struct command *command);
unsigned command_info_acl_category(struct slice name);    /* "read" in any case; 0: there is none */
const char *command_info_group(enum command_group group); /* "sorted-set" */

/* The key specs of a row: its own, or the derived one, for which `derived` gives the room. */
const struct command_keys *command_info_keys(const struct command *command, struct command_keys derived[2]);

struct command_info_key {
    int position;      /* index in argv */
    const char *flags; /* "RW access update": a constant */
};

/* Find the keys of a request and what the command does to them. Writes at most max, returns how many keys there are, or
 * -1 if the arguments do not fit the specs. argc must agree with the arity. O(keys); allocates while find_keys runs. */
int command_info_find(const struct command *command, const struct slice *argv, int argc, struct command_info_key *keys,
                      int max);
bool command_info_has_keys(const struct command *command); /* the command has keys, or may have */
