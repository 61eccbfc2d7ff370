/* See sort_pattern.h. Invariant: the names of a batch lie in one buffer, which moves while it grows. So a slot notes
 * the place of its name, and keys are made of the names only when the batch is complete. */
#include "cmd/sort_pattern.h"
#include "base/num.h"
#include "store/fieldmap.h"
#include "store/string.h"

/* As in Redis, no asterisk and no arrow is looked for behind a zero byte of the text. */
struct sort_pattern sort_pattern_of(struct slice text) {
    if (slice_eq(text, SLICE("#"))) return (struct sort_pattern){.what = SORT_ELEMENT};
    size_t visible = strnlen(text.ptr, text.len);
    const char *star = memchr(text.ptr, '*', visible), *end = text.ptr + text.len;
    if (!star) return (struct sort_pattern){.what = SORT_NOTHING};
    struct sort_pattern p = {.what = SORT_KEY, .before = slice_of(text.ptr, (size_t)(star - text.ptr))};
    const char *behind = star + 1;
    const char *arrow = memmem(behind, (size_t)(text.ptr + visible - behind), "->", 2);
    if (arrow && arrow + 2 < text.ptr + visible) {
        p.field = slice_of(arrow + 2, (size_t)(end - arrow - 2));
        end = arrow;
    }
    p.behind = slice_of(behind, (size_t)(end - behind));
    return p;
}

void sort_batch_add(struct sort_batch *b, const struct sort_pattern *p, struct listpack_value element) {
    int i = b->count++;
    b->slots[i].pattern = p;
    b->slots[i].element = element;
    if (p->what != SORT_KEY) return;
    char digits[NUM_I64_MAX];
    b->slots[i].name_at = b->names.len;
    buf_append_slice(&b->names, p->before);
    buf_append_slice(&b->names, listpack_value_text(element, digits));
    buf_append_slice(&b->names, p->behind);
    b->slots[i].name_len = b->names.len - b->slots[i].name_at;
}

static struct slice find_value(struct db *db, const struct key *key, const struct sort_pattern *p, char *digits) {
    struct slice found = {NULL, 0};
    const struct entry *e = db_read(db, key);
    if (!e) return found;
    if (!p->field.ptr) {
        if (entry_type(e) == ENTRY_STRING) found = string_bytes(e, digits);
    } else if (entry_type(e) == ENTRY_HASH && !fieldmap_get(e, p->field, digits, &found)) {
        found.ptr = NULL;
    }
    return found;
}

void sort_batch_run(struct sort_batch *b) {
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (int i = 0; i < b->count; i++) {
        if (b->slots[i].pattern->what != SORT_KEY) continue;
        b->slots[i].key = key_of(slice_of(b->names.data + b->slots[i].name_at, b->slots[i].name_len));
        prefetch_key(&ahead, b->db, b->slots[i].key.hash);
    }
    prefetch_records(&ahead);
    for (int i = 0; i < b->count; i++) {
        const struct sort_pattern *p = b->slots[i].pattern;
        struct slice *found = &b->slots[i].found;
        char *digits = b->slots[i].digits;
        if (p->what == SORT_KEY) {
            *found = find_value(b->db, &b->slots[i].key, p, digits);
        } else if (p->what == SORT_ELEMENT) {
            *found = listpack_value_text(b->slots[i].element, digits);
        } else {
            *found = slice_of(NULL, 0);
        }
    }
}
