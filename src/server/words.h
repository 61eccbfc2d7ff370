/* A line cut into words, by the quoting rules of inline requests and configuration files, as
 * C strings. A word may hold NULs: its length is kept beside it for those who take them. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

struct words {
    char **at; /* count C strings, then NULL */
    int count;
    size_t bytes; /* of the allocation behind `at` */
};

/* False for unbalanced quotes; *w is empty then. */
bool words_split(struct words *w, struct slice line);
/* Cut at every single blank: how the value of a CONFIG SET is read where an option takes
 * several words. Two blanks have an empty word between them; an empty text has no word. */
void words_split_blanks(struct words *w, struct slice text);
/* The text as a single word. */
void words_single(struct words *w, struct slice text);
/* All of a word that one of the above has made. */
struct slice words_slice(const char *word);
bool words_hold_nul(const char *const *words, int count);
void words_free(struct words *w);
