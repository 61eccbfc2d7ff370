#include "server/words.h"
#include "base/alloc.h"
#include "net/resp.h"

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
    int count = resp_split_line(line, &list, &list_cap, &storage, &storage_cap);
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
