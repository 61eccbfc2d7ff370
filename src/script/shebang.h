/* The first line of a script or of a library, if it begins with "#!": "#!lua flags=no-writes,allow-oom" or
 * "#!lua name=queue". All are O(length of the line). The errors are Redis's texts, without their code ("ERR"). */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct buf;

/* The names of the flags that scripts and functions have ("no-writes"); ends with NULL. */
struct shebang_flag_name {
    const char *name;
    unsigned flag; /* enum script_flag */
};
extern const struct shebang_flag_name shebang_flag_names[];
unsigned shebang_flag(struct slice name); /* 0: there is no flag of this name */

/* May a library have this name? The functions of libraries obey the same rule. */
bool shebang_is_name(struct slice name);
#define SHEBANG_NAME_RULE \
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

/* *flags: enum script_flag; SCRIPT_OLD_RULES if there is no such line. *code: the text from the end of the line on, so
 * that Lua's line numbers are those of the text. False: the reason was appended to *error. */
bool shebang_read_script(struct slice text, unsigned *flags, struct slice *code, struct buf *error);
/* The same for a library, which must have the line, with a name in it and an engine that exists. The name is appended
 * to *name. */
bool shebang_read_library(struct slice text, struct buf *name, struct slice *code, struct buf *error);
