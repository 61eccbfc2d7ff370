/* A map from byte strings to pointers that answers one question fast: which of its strings does a text begin with?
 *
 * It is a radix tree: every node has a label of bytes, and the string of a node is the labels on the way to it, joined.
 * A lookup descends once along the text, whatever the number of strings: O(matches + length of the longest match). The
 * empty string is a prefix of every text. The values belong to the caller. */
#pragma once
#include "base/slice.h"
#include <stddef.h>

struct prefixes_node;

struct prefixes {
    struct prefixes_node *root; /* NULL while the map is empty */
    size_t count;               /* strings */
    size_t bytes;               /* memory of the nodes */
};

/* The value of exactly this string; NULL if it is not there. O(length). */
void *prefixes_find(const struct prefixes *p, struct slice string);
/* The string must not be there yet, and value must not be NULL. O(length). */
void prefixes_insert(struct prefixes *p, struct slice string, void *value);
/* Remove the string. Returns its value, or NULL if it was not there. O(length). */
void *prefixes_remove(struct prefixes *p, struct slice string);
/* Visit the values of all strings that the text begins with, the shortest first. visit must not change the map. */
void prefixes_visit(const struct prefixes *p, struct slice text, void (*visit)(void *ctx, void *value), void *ctx);
