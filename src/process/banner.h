/* What the server logs about itself when it starts: its version, and a picture or a line in its place. */
#pragma once
#include "base/option.h"
#include <stdbool.h>

extern const struct option banner_rows[]; /* always-show-logo */

/* program: argv[0]. configured: a file or options were given. */
void banner_starting(const char *program, bool configured);
/* Log the picture if the log goes to a terminal or always-show-logo is set, else one line. */
void banner_show(void);
