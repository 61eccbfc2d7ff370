/* Configuration: the register of option rows, and changing them at run time.
 *
 * A module hands its rows over once; from then on the file, the command line, CONFIG
 * GET, SET and REWRITE know them. A CONFIG SET of several options is all or nothing:
 * every value is read first, then whatever has to follow a change (`apply`) runs
 * once, and if anything fails the former values come back, and are applied again. */
#pragma once
#include "base/option.h"
#include "base/slice.h"

extern const struct option config_rows[]; /* enable-protected-configs */

/* Make rows known (they end with a row whose name is NULL) and bring them to their
 * initial values. Asserts unique names. */
void config_register(const struct option *rows);
size_t config_count(void);
const struct option *config_at(size_t i); /* in the order they were registered */
/* By name or alias, in any case; NULL if there is none. */
const struct option *config_find(struct slice name);

struct config_error {
    bool unknown;          /* no such option: the text is empty */
    struct slice argument; /* the name as it was given */
    const char *text;      /* valid until the next change */
};

/* Set count options, named and valued in turn. `local` says that the one who asks is
 * on this machine. On failure nothing has changed, and *error says why. */
bool config_set(const struct slice *pairs, int count, bool local, struct config_error *error);

/* Read words into a row at start-up: no permission is asked. */
bool config_set_at_start(const struct option *o, const char *const *words, int count, const char **error);
/* Start-up is over. Values that ask for what this version cannot do are named in the log. */
void config_started(void);
bool config_is_starting(void);
/* A directive that has no row was accepted and will be named in the log too. The name is copied. */
void config_note_unsupported(const char *name);

/* The absolute path of the configuration file; "" if there is none. */
const char *config_path(void);
void config_set_path(const char *path);
