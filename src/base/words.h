/* A line cut into words, by the quoting rules of inline requests and configuration files.
 *
 * Words are separated by blanks. "..." and '...' quote blanks; inside double quotes \n, \r, \t, \b, \a, \xHH and \
 * before any other byte are escapes, inside single quotes only \' is. A closing quote must end its word. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

/* --- Slices: for callers that cut many lines and keep the memory between them ---------------- */

/* Cut a line, which ends at its first NUL if it has one. The words go to *list (*cap items, allocated), their bytes to
 * *storage (*storage_cap bytes, allocated); both grow as needed and belong to the caller, who starts with NULL and 0.
 * The words are valid until the next call with the same storage. Returns their number, or -1 for unbalanced quotes.
 * O(bytes). */
int words_cut(struct slice line, struct slice **list, uint32_t *cap, char **storage, size_t *storage_cap);

/* --- C strings: for options, which are mostly text ------------------------------------------- */

struct words {
    char **at; /* count C strings, then NULL; a word may hold NULs itself: see words_slice() */
    int count;
    size_t bytes; /* of the allocation behind `at` */
};

/* As words_cut(). False for unbalanced quotes; *w is empty then. words_free() frees what any of these makes. */
bool words_split(struct words *w, struct slice line);
/* Cut at every single blank, without quotes: the value that CONFIG SET gives to an option of several words. Between two
 * blanks is an empty word; an empty text has no words. */
void words_split_blanks(struct words *w, struct slice text);
/* The whole text as one word. */
void words_single(struct words *w, struct slice text);
void words_free(struct words *w);

/* All bytes of a word made by one of the functions above, NULs included. O(1). */
struct slice words_slice(const char *word);
bool words_hold_nul(const char *const *words, int count);
