#include "bytes.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void bytes_add(struct bytes *b, const void *p, size_t n) {
    if (b->len + n + 1 > b->cap) {
        b->cap = (b->len + n + 1) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data) abort();
    }
    if (n) memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void bytes_printf(struct bytes *b, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    bytes_add(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void bytes_drop(struct bytes *b, size_t n) {
    if (n) memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void bytes_print_quoted(FILE *to, const char *p, size_t n) {
    fputc('"', to);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (i == 400) {
            fprintf(to, "...(%zu bytes)", n);
            break;
        }
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c == '\r')
            fputs("\\r", to);
        else if (c == '\n')
            fputs("\\n", to);
        else if (isprint(c))
            fputc(c, to);
        else
            fprintf(to, "\\x%02x", c);
    }
    fputc('"', to);
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads one escape; *at is at the character behind the backslash. */
static void unescape(struct bytes *to, const char **at) {
    char c = *(*at)++;
    if (c == 'x' && hex((*at)[0]) >= 0 && hex((*at)[1]) >= 0) {
        c = (char)(hex((*at)[0]) * 16 + hex((*at)[1]));
        *at += 2;
    } else {
        const char *from = "nrtba", *values = "\n\r\t\b\a", *found = strchr(from, c);
        if (found) c = values[found - from];
    }
    bytes_add(to, &c, 1);
}

bool bytes_unquote(struct bytes *to, const char **at) {
    char quote = **at;
    if (quote != '"' && quote != '\'') {
        size_t n = strcspn(*at, " \t\r\n");
        bytes_add(to, *at, n);
        *at += n;
        return true;
    }
    for ((*at)++; **at != quote;) {
        if (**at == '\0') return false;
        if (**at == '\\' && (quote == '"' || (*at)[1] == '\'')) {
            (*at)++;
            if (**at == '\0') return false;
            unescape(to, at);
        } else {
            bytes_add(to, (*at)++, 1);
        }
    }
    (*at)++;
    return true;
}

void command_clear(struct command *c) {
    c->text.len = 0;
    c->count = 0;
}

void command_add(struct command *c, const char *p, size_t n) {
    if (c->count == COMMAND_WORDS) return;
    c->word[c->count].at = c->text.len;
    c->word[c->count++].len = n;
    bytes_add(&c->text, p, n);
}

bool command_parse(struct command *c, const char *line) {
    command_clear(c);
    for (line += strspn(line, " \t\r\n"); *line; line += strspn(line, " \t\r\n")) {
        struct bytes word = {0};
        bytes_add(&word, "", 0);
        bool ok = bytes_unquote(&word, &line);
        command_add(c, word.data, word.len);
        free(word.data);
        if (!ok) return false;
    }
    return c->count > 0;
}

void command_copy(struct command *to, const struct command *from) {
    command_clear(to);
    for (int i = 0; i < from->count; i++)
        command_add(to, command_word(from, i), from->word[i].len);
}

void command_encode(const struct command *c, struct bytes *to) {
    bytes_printf(to, "*%d\r\n", c->count);
    for (int i = 0; i < c->count; i++) {
        bytes_printf(to, "$%zu\r\n", c->word[i].len);
        bytes_add(to, command_word(c, i), c->word[i].len);
        bytes_add(to, "\r\n", 2);
    }
}

void command_print(const struct command *c, FILE *to) {
    for (int i = 0; i < c->count; i++) {
        if (i) fputc(' ', to);
        const char *p = command_word(c, i);
        bool plain = c->word[i].len > 0;
        for (size_t k = 0; k < c->word[i].len; k++)
            plain = plain && isgraph((unsigned char)p[k]) && !strchr("\"'\\", p[k]);
        if (plain && c->word[i].len < 400)
            fwrite(p, 1, c->word[i].len, to);
        else
            bytes_print_quoted(to, p, c->word[i].len);
    }
    fputc('\n', to);
}

bool command_word_is(const struct command *c, int i, const char *text, size_t n) {
    return i < c->count && c->word[i].len == n && strncasecmp(command_word(c, i), text, n) == 0;
}

/* splitmix64 (Steele, Lea, Flood): any seed is a good one. */
static uint64_t state;

void random_seed(uint64_t seed) {
    state = seed;
}

static uint64_t next(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t random_below(uint64_t limit) {
    return next() % limit;
}

int64_t random_between(int64_t low, int64_t high) {
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    return (int64_t)((uint64_t)low + (span ? next() % span : next()));
}
