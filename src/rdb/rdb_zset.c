/* Reading sorted sets. A big one is built from an array of its records, so that no record needs a search for its place.
 * Records mostly come in order (Redis and kura write the greatest first); if not, they are sorted. */
#include "base/alloc.h"
#include "base/num.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_format.h"
#include "rdb/rdb_gather.h"
#include "store/zset.h"
#include <stdlib.h>

#define MEMBER_BYTES 2 /* bytes of the input that a member takes at least */

struct members {
    struct rdb_in *in;
    struct zset *z;
    struct member **all;
    size_t n, room;
    struct rdb_gather gather;
};

static void begin_members(struct members *m, struct rdb_in *in, uint64_t expected) {
    uint64_t bound = reader_left(in->reader) / MEMBER_BYTES;
    *m = (struct members){.in = in, .z = zset_new()};
    table_reserve(&m->z->members, expected < bound ? expected : bound);
    rdb_gather_begin(&m->gather, &m->z->members, &rdb_zset_records);
}

static void add_member(struct members *m, struct slice name, double score) {
    if (m->n == m->room) m->all = alloc_grow(m->all, &m->room, sizeof *m->all, 64);
    struct member *record = member_new(name, score);
    m->all[m->n++] = record;
    rdb_gather_add(&m->gather, hash_bytes(name.ptr, name.len), record);
}

static int compare_records(const struct member *a, const struct member *b) {
    double x = member_score(a), y = member_score(b);
    if (x != y) return x < y ? -1 : 1;
    return slice_compare(member_slice(a), member_slice(b));
}

static int compare_pointers(const void *a, const void *b) {
    return compare_records(*(struct member *const *)a, *(struct member *const *)b);
}

static bool is_ascending(const struct members *m) {
    for (size_t i = 1; i < m->n; i++) {
        if (compare_records(m->all[i - 1], m->all[i]) >= 0) return false;
    }
    return true;
}

static void sort_members(struct members *m) {
    if (m->n > 1 && compare_records(m->all[0], m->all[1]) > 0) {
        for (size_t i = 0; i < m->n / 2; i++) {
            struct member *other = m->all[m->n - 1 - i];
            m->all[m->n - 1 - i] = m->all[i];
            m->all[i] = other;
        }
    }
    if (!is_ascending(m)) qsort(m->all, m->n, sizeof *m->all, compare_pointers);
}

static void free_record(void *ctx, void *record) {
    (void)ctx;
    member_free(record);
}

/* Make z the value, as a pack in in->name if it is short enough. Takes over z. */
static void become_value(struct rdb_in *in, struct zset *z, struct rdb_value *v) {
    size_t room, used;
    uint8_t *pack = zset_pack(z, &room, &used);
    if (!pack) {
        rdb_value_pointer(v, ENTRY_ZSET, ZSET_SKIPLIST, z);
        return;
    }
    uint8_t *copy = rdb_room(&in->name, used, 0);
    memcpy(copy, pack, used);
    alloc_put(pack, room);
    zset_free(z);
    rdb_value_inline(v, ENTRY_ZSET, ZSET_LISTPACK, copy, used);
}

static bool finish_members(struct members *m, bool ok, struct rdb_value *v) {
    if (!rdb_gather_end(&m->gather)) ok = rdb_refuse(m->in, RDB_CORRUPT, "a member that is there twice");
    if (ok && m->n > 0) {
        sort_members(m);
        skiplist_build(&m->z->order, m->all, m->n);
        become_value(m->in, m->z, v);
    } else { /* empty or broken; the records are only in the table yet */
        table_clear(&m->z->members, free_record, NULL);
        zset_free(m->z);
        rdb_value_empty(v);
    }
    alloc_put(m->all, m->room * sizeof *m->all);
    return ok;
}

/* --- Member by member ------------------------------------------------------------------------ */

/* A score as text, with a length of one byte. */
static bool get_text_score(struct rdb_in *in, double *score) {
    uint8_t len;
    char text[256];
    if (!rdb_get_bytes(in, &len, 1)) return false;
    switch (len) {
    case RDB_SCORE_INF: *score = INFINITY; return true;
    case RDB_SCORE_MINUS_INF: *score = -INFINITY; return true;
    case RDB_SCORE_NAN: return rdb_refuse(in, RDB_CORRUPT, "a score that is not a number");
    }
    if (!rdb_get_bytes(in, text, len)) return false;
    return num_parse_f64(slice_of(text, len), score) || rdb_refuse(in, RDB_CORRUPT, "a score that is not a number");
}

static bool get_score(struct rdb_in *in, unsigned type, double *score) {
    if (type == RDB_TYPE_ZSET) return get_text_score(in, score);
    if (!rdb_get_bytes(in, score, sizeof *score)) return false;
    return !isnan(*score) || rdb_refuse(in, RDB_CORRUPT, "a score that is not a number");
}

static bool get_members(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    struct members m;
    struct slice name;
    uint64_t count;
    double score;
    if (!rdb_get_count(in, &count, type == RDB_TYPE_ZSET ? 2 : 1 + sizeof score)) return false;
    begin_members(&m, in, count);
    bool ok = true;
    while (ok && count-- > 0) {
        ok = rdb_get_kept(in, &in->name, &name) && get_score(in, type, &score);
        if (ok) add_member(&m, name, score);
    }
    return finish_members(&m, ok, v);
}

/* --- In one string --------------------------------------------------------------------------- */

static bool score_at(const uint8_t *at, double *score) {
    struct listpack_value value = listpack_get(at);
    if (value.ptr) return num_parse_f64(slice_of(value.ptr, value.len), score);
    *score = (double)value.number;
    return true;
}

/* True if the members are in strict order and all scores are numbers; else refuses. */
static bool in_order(struct rdb_in *in, const uint8_t *lp) {
    char scratch[2][NUM_I64_MAX];
    struct slice before = {NULL, 0};
    double score, last = -INFINITY;
    for (const uint8_t *at = listpack_first(lp), *next; !listpack_at_end(at); at = listpack_next(next)) {
        next = listpack_next(at);
        if (!score_at(next, &score)) return rdb_refuse(in, RDB_CORRUPT, "a score that is not a number");
        struct slice name = listpack_text(at, scratch[before.ptr == scratch[0]]);
        if (score < last || (score == last && before.ptr && slice_compare(before, name) >= 0)) {
            return rdb_refuse(in, RDB_CORRUPT, "a sorted set that is not sorted");
        }
        before = name;
        last = score;
    }
    return true;
}

static bool zset_of_listpack(struct rdb_in *in, const uint8_t *lp, struct rdb_value *v) {
    size_t count = listpack_count(lp);
    if (count % 2 != 0) return rdb_refuse(in, RDB_CORRUPT, "a sorted set with a member that has no score");
    if (count == 0) return rdb_value_empty(v);
    if (!in_order(in, lp)) return false;
    if (zset_keeps_listpack(count / 2, listpack_bytes(lp))) {
        if (rdb_has_twins(lp, 2)) return rdb_refuse(in, RDB_CORRUPT, "a member that is there twice");
        rdb_value_pack(in, v, ENTRY_ZSET, ZSET_LISTPACK, lp);
        return true;
    }
    struct members m;
    char scratch[NUM_I64_MAX];
    double score = 0;
    begin_members(&m, in, count / 2);
    for (const uint8_t *at = listpack_first(lp), *next; !listpack_at_end(at); at = listpack_next(next)) {
        next = listpack_next(at);
        score_at(next, &score);
        add_member(&m, listpack_text(at, scratch), score);
    }
    return finish_members(&m, true, v);
}

bool rdb_get_zset(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    uint8_t *block;
    size_t n;
    switch (type) {
    case RDB_TYPE_ZSET:
    case RDB_TYPE_ZSET_2: return get_members(in, type, v);
    case RDB_TYPE_ZSET_LISTPACK: return rdb_get_listpack(in, &block) && zset_of_listpack(in, block, v);
    default:
        return rdb_get_block(in, &in->text, &block, &n) && rdb_ziplist_to_pack(in, block, n) &&
               zset_of_listpack(in, in->pack.bytes, v);
    }
}
