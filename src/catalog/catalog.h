/* All commands, found by name in any case. Filled at boot; only the metrics change afterwards. Rows and names are
 * constant, so that pointers to them stay valid for ever. */
#pragma once
#include "catalog/command_metrics.h"
#include "catalog/command_row.h"
#include <stddef.h>

/* Make rows known: an array that lives on and ends with a row whose name is NULL. main calls this for every module that
 * has commands, then catalog_ready(), which builds the indexes and asserts that the rows are consistent. */
void catalog_register(const struct command *rows);
void catalog_ready(void);

/* The row that a request names, a subcommand's where it has one, and its metrics; NULL, NULL for an unknown command.
 * argc is at least 1. O(1), and O(subcommands) for a container. */
struct catalog_found {
    const struct command *command;
    struct command_metrics *metrics;
};
struct catalog_found catalog_resolve(const struct slice *argv, int argc);

/* These return NULL for an unknown name. O(1), and O(subcommands). */
const struct command *catalog_find(struct slice name); /* a top-level command */
const struct command *catalog_find_sub(const struct command *container, struct slice name);
const struct command *catalog_find_full(struct slice full); /* "get", "config|get" */

size_t catalog_count(void);                 /* of the top-level rows */
const struct command *catalog_at(size_t i); /* in the order of registration; i is below catalog_count() */

/* Of a registered row. O(1). */
const struct command *catalog_container(const struct command *subcommand); /* NULL for top-level rows */
const char *catalog_full_name(const struct command *command);              /* "config|get" */
struct command_metrics *catalog_metrics(const struct command *command);

uint64_t catalog_ticks(void); /* that all calls took together, in ticks of clock_ticks(). O(rows) */
void catalog_reset_metrics(void);

/* The positions of the keys in a request for this command: as find_keys in its row. O(keys). */
int catalog_find_keys(const struct command *command, const struct slice *argv, int argc, int *positions, int max);
