/* Glob patterns as Redis matches them: * ? [a-z] [^a] and backslash escapes. Without recursion; O(pattern * text) in
 * the worst case. */
#pragma once
#include "base/slice.h"

bool glob_match(struct slice pattern, struct slice text);
bool glob_match_nocase(struct slice pattern, struct slice text);
/* True for the pattern "*", which matches every text that is not empty. */
bool glob_is_all(struct slice pattern);
