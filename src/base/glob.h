/* Glob patterns as Redis matches them: * ? [a-z] [^a] and backslash escapes.
 * O(pattern * text) at the very worst and no recursion, whatever the pattern. */
#pragma once
#include "base/slice.h"

bool glob_match(struct slice pattern, struct slice text);
bool glob_match_nocase(struct slice pattern, struct slice text);
/* The pattern matches everything ("*" only). */
bool glob_is_all(struct slice pattern);
