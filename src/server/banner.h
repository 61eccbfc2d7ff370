/* What the server says about itself when it starts: log lines and a picture that people's tools wait for. */
#pragma once
#include "base/option.h"
#include <stdbool.h>

extern const struct option banner_rows[]; /* always-show-logo */

void banner_starting(const char *program, bool configured);
/* The picture, or one line in its place. */
void banner_show(void);
