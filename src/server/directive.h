/* The value of one option row in text: read, printed, compared. Which rows there are and who may set them is
 * server/config's business; this knows only the types. */
#pragma once
#include "base/buf.h"
#include "base/option.h"
#include "base/slice.h"

/* Read words into the row's address. False with *error, a text that is valid until
 * the next call; nothing changed then. */
bool directive_read(const struct option *o, const char *const *words, int count, const char **error);
/* Bring the address to the row's initial value. Asserts that the initial value is a valid one. */
void directive_reset(const struct option *o);

/* As CONFIG GET shows it: memory in bytes, nothing quoted. */
void directive_print(const struct option *o, struct buf *out);
/* As it stands behind the name in a file: memory with its unit, strings quoted. */
void directive_print_file(const struct option *o, struct buf *out);

/* A size as it stands in a file: "64mb". */
void directive_print_memory(int64_t n, struct buf *out);

/* The value is what the row's initial text means. */
bool directive_is_initial(const struct option *o);
/* The row takes several words where it takes one argument of CONFIG SET. */
bool directive_takes_words(const struct option *o);
