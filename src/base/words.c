/* A word as a C string has its length in the bytes before it, where words_slice() finds it. */
#include "base/words.h"
#include "base/alloc.h"
#include "base/num.h"
#include <assert.h>

/* --- Cutting a line -------------------------------------------------------------------------- */

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The byte that an escape inside double quotes stands for; *p points behind the backslash and moves on. */
static char unescape(const char **p, const char *end) {
    const char *s = *p;
    if (*s == 'x' && end - s >= 3 && num_hex_digit(s[1]) >= 0 && num_hex_digit(s[2]) >= 0) {
        *p = s + 3;
        return (char)(num_hex_digit(s[1]) * 16 + num_hex_digit(s[2]));
    }
    *p = s + 1;
    switch (*s) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return *s;
    }
}

/* Copy the word at *p to *to without its quotes; both move on. False for unbalanced quotes. */
static bool unquote(const char **p, const char *end, char **to) {
    const char *s = *p;
    char *out = *to, quote = '\0';
    for (;;) {
        if (s == end) {
            if (quote) return false;
            break;
        }
        if (quote == '\0' && is_blank(*s)) break;
        if (quote == '\0' && (*s == '"' || *s == '\'')) {
            quote = *s++;
        } else if (quote && *s == quote) {
            s++;
            if (s < end && !is_blank(*s)) return false; /* a closing quote must end the word */
            break;
        } else if (quote == '"' && *s == '\\' && s + 1 < end) {
            s++;
            *out++ = unescape(&s, end);
        } else if (quote == '\'' && *s == '\\' && s + 1 < end && s[1] == '\'') {
            *out++ = '\'';
            s += 2;
        } else {
            *out++ = *s++;
        }
    }
    *p = s;
    *to = out;
    return true;
}

static void grow_list(struct slice **list, uint32_t *cap) {
    uint32_t grown = *cap ? *cap * 2 : 16;
    assert(grown > *cap);
    *list = alloc_resize(*list, *cap * sizeof **list, grown * sizeof **list);
    *cap = grown;
}

int words_cut(struct slice line, struct slice **list, uint32_t *cap, char **storage, size_t *storage_cap) {
    const char *nul = memchr(line.ptr, '\0', line.len);
    if (nul) line.len = (size_t)(nul - line.ptr);
    if (*storage_cap < line.len) {
        alloc_put(*storage, *storage_cap);
        *storage_cap = line.len < 256 ? 256 : line.len; /* words are never longer than the line */
        *storage = alloc_get(*storage_cap);
    }
    const char *p = line.ptr, *end = line.ptr + line.len;
    char *to = *storage;
    uint32_t count = 0;
    for (;;) {
        while (p < end && is_blank(*p))
            p++;
        if (p == end) return (int)count;
        char *word = to;
        if (!unquote(&p, end, &to)) return -1;
        if (count == *cap) grow_list(list, cap);
        (*list)[count++] = slice_of(word, (size_t)(to - word));
    }
}

/* --- Words as C strings ---------------------------------------------------------------------- */

/* One allocation: the pointers, then for each word its length, its bytes and a NUL. */
static void copy_words(struct words *w, const struct slice *list, int count) {
    size_t text = 0, pointers = ((size_t)count + 1) * sizeof(char *);
    for (int i = 0; i < count; i++)
        text += sizeof(size_t) + list[i].len + 1;
    w->bytes = pointers + text;
    w->at = alloc_get(w->bytes);
    w->count = count;
    char *to = (char *)w->at + pointers;
    for (int i = 0; i < count; i++) {
        memcpy(to, &list[i].len, sizeof(size_t));
        to += sizeof(size_t);
        w->at[i] = memcpy(to, list[i].ptr, list[i].len);
        to[list[i].len] = '\0';
        to += list[i].len + 1;
    }
    w->at[count] = NULL;
}

struct slice words_slice(const char *word) {
    size_t len;
    memcpy(&len, word - sizeof len, sizeof len);
    return slice_of(word, len);
}

bool words_hold_nul(const char *const *words, int count) {
    for (int i = 0; i < count; i++) {
        if (strlen(words[i]) != words_slice(words[i]).len) return true;
    }
    return false;
}

bool words_split(struct words *w, struct slice line) {
    struct slice *list = NULL;
    uint32_t list_cap = 0;
    char *storage = NULL;
    size_t storage_cap = 0;
    *w = (struct words){0};
    int count = words_cut(line, &list, &list_cap, &storage, &storage_cap);
    if (count >= 0) copy_words(w, list, count);
    if (list) alloc_put(list, list_cap * sizeof *list);
    if (storage) alloc_put(storage, storage_cap);
    return count >= 0;
}

void words_split_blanks(struct words *w, struct slice text) {
    *w = (struct words){0};
    size_t cap = text.len + 1;
    struct slice *list = alloc_get(cap * sizeof *list);
    int count = 0;
    for (size_t at = 0; text.len > 0 && at <= text.len;) {
        size_t end = at;
        while (end < text.len && text.ptr[end] != ' ')
            end++;
        list[count++] = slice_of(text.ptr + at, end - at);
        at = end + 1;
    }
    copy_words(w, list, count);
    alloc_put(list, cap * sizeof *list);
}

void words_single(struct words *w, struct slice text) {
    *w = (struct words){0};
    copy_words(w, &text, 1);
}

void words_free(struct words *w) {
    if (w->at) alloc_put(w->at, w->bytes);
    *w = (struct words){0};
}
