/* What the test programs share: growable bytes, commands as lists of words, quoting, and random numbers. They share
 * nothing with src/ on purpose: a bug there must not hide itself here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bytes {
    char *data;
    size_t len, cap;
};

void bytes_add(struct bytes *b, const void *p, size_t n);
void bytes_printf(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bytes_drop(struct bytes *b, size_t n); /* the first n */
void bytes_print_quoted(FILE *to, const char *p, size_t n);
/* The word at *at, which may be quoted as redis-cli does ("..." with escapes, '...'); moves *at behind it. */
bool bytes_unquote(struct bytes *to, const char **at);

#define COMMAND_WORDS 256

/* A command: its words one after another in `text`. */
struct command {
    struct bytes text;
    struct {
        size_t at, len;
    } word[COMMAND_WORDS];
    int count;
};

void command_clear(struct command *c);
void command_add(struct command *c, const char *p, size_t n); /* words beyond COMMAND_WORDS are dropped */
bool command_parse(struct command *c, const char *line);      /* its words, quoted as for bytes_unquote() */
void command_copy(struct command *to, const struct command *from);
void command_encode(const struct command *c, struct bytes *to); /* as RESP */
void command_print(const struct command *c, FILE *to);
static inline const char *command_word(const struct command *c, int i) {
    return c->text.data + c->word[i].at;
}
bool command_word_is(const struct command *c, int i, const char *text, size_t n); /* without regard to case */

void random_seed(uint64_t seed);
uint64_t random_below(uint64_t limit); /* limit > 0 */
int64_t random_between(int64_t low, int64_t high);
