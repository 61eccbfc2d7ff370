/* All the commands there are: rows by name, in any case. Filled at boot, and constant from then on but for the counts. */
#pragma once
#include "catalog/command_row.h"
#include "catalog/command_stats.h"
#include <stddef.h>

/* Make rows known, which end with one whose name is NULL and must live on: called by main for every family, and then
 * catalog_ready(), which builds the look-up and asserts that the rows are consistent. */
void catalog_register(const struct command *rows);
void catalog_ready(void);

/* The row that a request names, a subcommand's where it has one, and its counts. NULL, NULL: there is none. O(1). */
struct catalog_found {
    const struct command *command;
    struct command_stats *stats;
};
struct catalog_found catalog_resolve(const struct slice *argv, int argc);

const struct command *catalog_find(struct slice name); /* a top-level command, or NULL */
const struct command *catalog_find_sub(const struct command *container, struct slice name);
const struct command *catalog_find_full(struct slice full); /* "config|get" too */
size_t catalog_count(void);                                 /* of the top-level rows */
const struct command *catalog_at(size_t i);                 /* in the order of registration */

/* From here on linear in the number of rows: for replies about commands and for errors, not for every request. */
const struct command *catalog_container(const struct command *subcommand); /* NULL for top-level rows */
const char *catalog_full_name(const struct command *command);              /* "config|get" */
struct command_stats *catalog_stats(const struct command *command);
void catalog_reset_stats(void);

/* The positions of the keys in a request for this command: as find_keys in its row. */
int catalog_find_keys(const struct command *command, const struct slice *argv, int argc, int *positions, int max);
