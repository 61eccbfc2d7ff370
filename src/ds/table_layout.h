/* How to read the words of a table's directory and the slots of its segments, for table.c and table_walk.c alone.
 * table.h describes the layout. */
#pragma once
#include "ds/table.h"
#include <stdbool.h>

#define TABLE_MAX_LINES 56 /* lines of the largest segment: the last of table_sizes */

/* A word: the directory's data on a segment. 0 while the table has no segment. */
static inline unsigned word_depth(uint64_t word) {
    return (unsigned)(word >> 58);
}
static inline unsigned word_used(uint64_t word) {
    return (unsigned)(word >> 48) & 1023;
}
static inline unsigned word_lines(uint64_t word) {
    return table_sizes[word & 63];
}
static inline uint64_t *word_slots(uint64_t word) {
    return (uint64_t *)(uintptr_t)(word & TABLE_SEGMENT);
}

/* The directory: 2^depth words. A segment with a smaller depth has several of them. */
static inline size_t word_count(const struct table *t) {
    return (size_t)1 << t->depth;
}
static inline uint64_t *words_of(const struct table *t) {
    return t->depth ? t->dir : (uint64_t *)(uintptr_t)&t->root;
}
static inline uint64_t word_of(const struct table *t, uint64_t hash) {
    return t->depth ? t->dir[hash >> (64 - t->depth)] : t->root;
}

static inline bool slot_empty(uint64_t slot) {
    return !(slot & TABLE_ADDRESS);
}
static inline unsigned slot_tag(uint64_t slot) {
    return (unsigned)(slot >> 48);
}
/* The home line, in a segment, of a record with this tag. */
static inline unsigned home_of(unsigned tag, unsigned lines) {
    return tag * lines >> 16;
}
