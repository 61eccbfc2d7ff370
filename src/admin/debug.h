/* The option of DEBUG; its command is in families.h. */
#pragma once
#include "base/option.h"

extern const struct option debug_rows[]; /* enable-debug-command */
