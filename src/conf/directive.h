/* The value of one option as text: read, printed, compared. This module knows the types of options; config knows which
 * options there are and when they may be set. The row must have an address, unless it is OPTION_CUSTOM. */
#pragma once
#include "base/buf.h"
#include "base/option.h"

/* Read words into the row's address; apply() is not called. The words come from the functions of base/words.h, since a
 * word of these knows its length. False with *error, valid until the next call: nothing has changed. */
bool directive_read(const struct option *o, const char *const *words, int count, const char **error);
/* Set the row to its default, if it has one. Asserts that the default is valid. */
void directive_reset(const struct option *o);

/* The form of CONFIG GET: memory in bytes, nothing quoted. */
void directive_print(const struct option *o, struct buf *out);
/* The form of the file, behind the name: memory with a unit, strings quoted. */
void directive_print_file(const struct option *o, struct buf *out);

/* Bytes in the form of the file: with the largest unit that loses nothing, "64mb". */
void directive_print_memory(int64_t n, struct buf *out);

/* The value equals the default. A row without a default: false. */
bool directive_is_initial(const struct option *o);
/* One argument of CONFIG SET is several words for this row. */
bool directive_takes_words(const struct option *o);
