/* The register of options: every module's rows, and setting them at run time.
 *
 * A module hands its rows over once; from then on the configuration file, the command line and CONFIG GET, SET and
 * REWRITE know them. Invariant: a registered option always has a valid value that its module has accepted. A CONFIG SET
 * of several options is all or nothing: all values are read first, then each `apply` that a changed option has runs
 * once; if anything fails, the former values come back and are applied again. */
#pragma once
#include "base/option.h"
#include "base/slice.h"

/* Register rows (they end with a row whose name is NULL, and live as long as the process) and set them to their
 * defaults. Asserts that names are unique and that each row is complete. */
void config_register(const struct option *rows);
size_t config_count(void);
const struct option *config_at(size_t i); /* in the order of registration */
/* By name or alias, in any case; NULL if there is none. O(options), and so is config_index(). */
const struct option *config_find(struct slice name);
size_t config_index(const struct option *o); /* config_at(config_index(o)) == o */

struct config_error {
    bool unknown;          /* there is no such option; text is not set then */
    struct slice argument; /* the name that was given */
    const char *text;      /* valid until the next change of an option */
};

/* Set `count` options; pairs holds a name and a value for each. local: the client that asks is on this machine. False
 * with *error: nothing has changed. O(count * options). */
bool config_set(const struct slice *pairs, int count, bool local, struct config_error *error);

/* The error of an option or a directive that is OPTION_PROTECTIVE. */
extern const char config_refused[];

/* Set one option at start-up, whatever its flags forbid at run time. False with *error, valid until the next change. */
bool config_set_at_start(const struct option *o, const char *const *words, int count, const char **error);
/* End start-up. Logs each missing option that was given. */
void config_started(void);
bool config_is_starting(void);

/* The absolute path of the configuration file; "" if there is none. Valid until config_set_path(), which copies. */
const char *config_path(void);
void config_set_path(const char *path);
