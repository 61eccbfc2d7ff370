/* A map from byte strings to pointers that answers one question fast: which of its strings does this text begin
 * with? A radix tree: every node has a label of bytes, and what leads to a node is the labels on the way joined.
 * A question walks down along the text once, whatever the number of strings: it costs by the strings that fit and
 * by the length of the longest of them. The empty string fits every text. */
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
/* The string must not be there, the value not be NULL. O(length). */
void prefixes_insert(struct prefixes *p, struct slice string, void *value);
/* Take the string out; its value, or NULL if it was not there. O(length). */
void *prefixes_remove(struct prefixes *p, struct slice string);
/* Visit the values of the strings that the text begins with, the shortest first. visit must not change the map. */
void prefixes_visit(const struct prefixes *p, struct slice text, void (*visit)(void *ctx, void *value), void *ctx);
