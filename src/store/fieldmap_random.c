/* Random fields of a hash. All draws are uniform: table_random() rejects until it hits a record, and a pack is read
 * once to find where its fields begin. */
#include "base/rand.h"
#include "ds/pack.h"
#include "store/fieldmap.h"

static void visit_field_at(const uint8_t *at, fieldmap_visit_fn visit, void *ctx) {
    char name[NUM_I64_MAX], value[NUM_I64_MAX];
    struct field_pair pair = {listpack_text(at, name), listpack_text(pack_next(at), value)};
    visit(ctx, &pair);
}

static void visit_field(const struct field *f, fieldmap_visit_fn visit, void *ctx) {
    struct field_pair pair = field_pair(f);
    visit(ctx, &pair);
}

static void draw_from_pack(const uint8_t *pack, size_t n, fieldmap_visit_fn visit, void *ctx) {
    size_t count = pack_count(pack) / 2;
    if (n == 1) {
        visit_field_at(pack_seek(pack, 2 * (int64_t)rand_below(count)), visit, ctx);
        return;
    }
    uint16_t *offsets = alloc_get(count * sizeof *offsets); /* 16 bits are enough: a pack has at most 64 KB */
    const uint8_t *at = pack_first(pack);
    for (size_t i = 0; i < count; i++) {
        offsets[i] = (uint16_t)(at - pack);
        at = pack_next(pack_next(at));
    }
    while (n-- > 0)
        visit_field_at(pack + offsets[rand_below(count)], visit, ctx);
    alloc_put(offsets, count * sizeof *offsets);
}

void fieldmap_draw(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx) {
    if (!entry_owns_memory(e)) {
        draw_from_pack((const uint8_t *)entry_value(e), n, visit, ctx);
        return;
    }
    while (n-- > 0)
        visit_field(table_random(entry_pointer(e)), visit, ctx);
}

/* Take each field with probability (still wanted) / (still to come): Knuth's algorithm S. */
static void sample_by_walk(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx) {
    struct fieldmap_iter it;
    struct field_pair pair;
    size_t left = fieldmap_count(e);
    fieldmap_iter_init(&it, e);
    for (; n > 0 && fieldmap_iter_next(&it, &pair); left--) {
        if (rand_below(left) >= n) continue;
        visit(ctx, &pair);
        n--;
    }
}

static uint64_t address_hash(const void *record) {
    return hash_bytes((const char *)&record, sizeof record);
}
static bool is_record(const void *record, const void *other) {
    return record == other;
}

/* For few out of many: draw until there are n different ones. A table remembers the addresses of their records. */
static void sample_by_draw(const struct table *t, size_t n, fieldmap_visit_fn visit, void *ctx) {
    static const struct table_type addresses = {address_hash};
    struct table seen;
    table_init(&seen, &addresses);
    while (seen.count < n) {
        void *record = table_random(t);
        uint64_t hash = address_hash(record);
        if (table_find(&seen, hash, is_record, record)) continue;
        table_insert(&seen, hash, record);
        visit_field(record, visit, ctx);
    }
    table_clear(&seen, NULL, NULL);
}

void fieldmap_sample(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx) {
    if (entry_owns_memory(e) && n <= fieldmap_count(e) / 4) {
        sample_by_draw(entry_pointer(e), n, visit, ctx);
    } else {
        sample_by_walk(e, n, visit, ctx);
    }
}
