/* Reading tables: by cursor, by a range of hashes, at random, as a whole. A cursor stays good while the table changes,
 * because it is a point in the range of hashes, and lines are in the order of hashes. */
#include "base/rand.h"
#include "ds/table_layout.h"
#include <assert.h>

/* Visit the records of a segment with tags in [low, high], including those pushed to later lines. */
static void visit_tags(uint64_t word, unsigned low, unsigned high, table_visit_fn visit, void *ctx) {
    const uint64_t *slots = word_slots(word);
    unsigned lines = word_lines(word), n = home_of(low, lines), homes = home_of(high, lines) - n;
    for (unsigned seen = 0; seen < lines; seen++) {
        const uint64_t *line = slots + 8 * (size_t)n;
        for (unsigned i = 0; i < 8; i++) {
            unsigned tag = slot_tag(line[i]);
            if (tag >= low && tag <= high && !slot_empty(line[i])) visit(ctx, table_record(line[i]));
        }
        if (seen >= homes && !table_pushed(line)) return;
        if (++n == lines) n = 0;
    }
}

/* For a point between two tags: a merge has taken the last bit of the tags since the cursor was returned. */
struct scan_filter {
    const struct table *table;
    uint64_t point;
    table_visit_fn visit;
    void *ctx;
};
static void visit_from_point(void *ctx, void *record) {
    struct scan_filter *f = ctx;
    if (f->table->type->hash(record) >= f->point) f->visit(f->ctx, record);
}

uint64_t table_scan(const struct table *t, uint64_t cursor, table_visit_fn visit, void *ctx) {
    uint64_t point = cursor << 16, word = word_of(t, point);
    if (!word) return 0;
    unsigned depth = word_depth(word), lines = word_lines(word), tag = (unsigned)(point << depth >> 48);
    /* The next line begins with the first tag for which (tag * lines) >> 16 is that line. */
    unsigned next = ((home_of(tag, lines) + 1) * 65536 + lines - 1) / lines;
    if (point << depth << 16) {
        struct scan_filter f = {t, point, visit, ctx};
        visit_tags(word, tag, next - 1, visit_from_point, &f);
    } else {
        visit_tags(word, tag, next - 1, visit, ctx);
    }
    uint64_t start = depth ? point >> (64 - depth) << (64 - depth) : 0;
    return (start + ((uint64_t)next << (48 - depth))) >> 16; /* wraps to 0 behind the last segment */
}

void table_visit_prefix(const struct table *t, uint64_t prefix, unsigned bits, table_visit_fn visit, void *ctx) {
    assert(bits >= 1 && bits <= 64);
    uint64_t rest = bits < 64 ? ~(uint64_t)0 >> bits : 0, low = prefix & ~rest, high = prefix | rest;
    for (;;) {
        uint64_t word = word_of(t, low);
        if (!word) return;
        unsigned depth = word_depth(word);
        uint64_t last = low | ~(uint64_t)0 >> depth; /* hash of the segment */
        uint64_t end = last < high ? last : high;
        visit_tags(word, (unsigned)(low << depth >> 48), (unsigned)(end << depth >> 48), visit, ctx);
        if (last >= high) return;
        low = last + 1;
    }
}

/* Some record near a random line: for a table so sparse that table_random() has given up being exact. */
static void *random_nearby(const struct table *t) {
    const uint64_t *words = words_of(t);
    size_t start = rand_below(word_count(t));
    for (size_t i = 0; i <= word_count(t); i++) {
        uint64_t word = words[(start + i) & (word_count(t) - 1)];
        unsigned end = 8 * word_lines(word), from = (unsigned)rand_below(end);
        for (unsigned k = 0; word_used(word) && k < end; k++) {
            uint64_t slot = word_slots(word)[(from + k) % end];
            if (!slot_empty(slot)) return table_record(slot);
        }
    }
    return NULL;
}

/* A random place: each slot, so each line too, is equally likely. False: it was refused, since a segment takes part by
 * its first word and its lines only. */
static bool draw_place(const struct table *t, size_t *at, size_t *slot) {
    *at = rand_below(word_count(t));
    uint64_t word = words_of(t)[*at];
    if (*at & (((size_t)1 << (t->depth - word_depth(word))) - 1)) return false;
    *slot = rand_below(8 * (t->depth ? TABLE_MAX_LINES : word_lines(word)));
    return *slot < 8 * word_lines(word);
}

void *table_random(const struct table *t) {
    enum { PATIENCE = 4096 };
    if (!t->count) return NULL;
    for (unsigned i = 0; i < PATIENCE; i++) {
        size_t at, slot;
        if (!draw_place(t, &at, &slot)) continue;
        uint64_t drawn = word_slots(words_of(t)[at])[slot];
        if (!slot_empty(drawn)) return table_record(drawn);
    }
    return random_nearby(t);
}

uint64_t table_draw(const struct table *t) {
    enum { PATIENCE = 4096 };
    size_t at = 0, slot = 0;
    for (unsigned i = 0; i < PATIENCE && !draw_place(t, &at, &slot); i++)
        slot = 0;
    /* The first tag of a line is the first for which (tag * lines) >> 16 is that line. */
    uint64_t lines = word_lines(words_of(t)[at]), tag = ((slot / 8 << 16) + lines - 1) / lines;
    uint64_t start = t->depth ? (uint64_t)at << (64 - t->depth) : 0;
    return start + (tag << 48 >> word_depth(words_of(t)[at]));
}

size_t table_line(const struct table *t, uint64_t hash, void *records[TABLE_LINE]) {
    struct table_place p = table_place(t, hash);
    size_t n = 0;
    if (!p.segment) return 0;
    for (unsigned i = 0; i < TABLE_LINE; i++) {
        uint64_t slot = p.segment[8 * (size_t)p.line + i];
        if (!slot_empty(slot)) records[n++] = table_record(slot);
    }
    return n;
}

size_t table_sample(const struct table *t, void **records, size_t max) {
    enum { LINES = 64 };
    size_t n = 0;
    for (unsigned i = 0; i < LINES && t->count && n + TABLE_LINE <= max; i++)
        n += table_line(t, table_draw(t), records + n);
    return n;
}

void table_iter_init(struct table_iter *it, const struct table *t) {
    *it = (struct table_iter){.table = t};
}

void *table_iter_next(struct table_iter *it) {
    enum { AHEAD = 12 };
    for (;;) {
        while (it->slot < it->end) {
            if (it->slot + AHEAD < it->end) __builtin_prefetch(table_record(it->slots[it->slot + AHEAD]));
            uint64_t slot = it->slots[it->slot++];
            if (!slot_empty(slot)) return table_record(slot);
        }
        if (!it->table->count || it->next >= word_count(it->table)) return NULL;
        uint64_t word = words_of(it->table)[it->next];
        it->next += (uint64_t)1 << (it->table->depth - word_depth(word));
        it->slots = word_slots(word);
        it->slot = 0;
        it->end = 8 * word_lines(word);
        for (unsigned i = 0; i < AHEAD && i < it->end; i++)
            __builtin_prefetch(table_record(it->slots[i]));
    }
}

void table_count_lines(const struct table *t, size_t counts[9]) {
    const uint64_t *words = words_of(t);
    for (size_t i = 0; t->count && i < word_count(t); i += (size_t)1 << (t->depth - word_depth(words[i]))) {
        for (unsigned line = 0; line < word_lines(words[i]); line++) {
            unsigned used = 0;
            for (unsigned k = 0; k < 8; k++)
                used += !slot_empty(word_slots(words[i])[8 * line + k]);
            counts[used]++;
        }
    }
}
