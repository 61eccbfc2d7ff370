/* Sorted sets in their two encodings.
 *
 * In a pack, scores are text as num_print_f64() prints it, and whole numbers are integers. So minus zero loses its
 * sign, as in Redis. All operations on a pack scan it: it has a few hundred bytes.
 *
 * In the big encoding the table and the skiplist share each record: every record is in both. Its address changes only
 * when a new score does not fit its form (ds/member.h). */
#include "store/zset.h"
#include "base/module.h"
#include "base/option.h"
#include "ds/pack.h"
#include "store/prefetch.h"
#include "store/value.h"
#include <math.h>

#define WHOLE_MAX 0x1p62 /* smaller whole scores are integers in the pack */
#define AHEAD 16         /* members that zset_prefetch() takes */

static int64_t max_entries = 128, max_value = 64;

static const struct option zset_rows[] = {
    {"zset-max-listpack-entries", .alias = "zset-max-ziplist-entries", .type = OPTION_I64, .address = &max_entries,
     .initial = "128"},
    {"zset-max-listpack-value", .alias = "zset-max-ziplist-value", .type = OPTION_MEMORY, .address = &max_value,
     .initial = "64"},
    {NULL},
};

static const struct table_type members_type = {member_hash};

static bool is_packed(const struct entry *e) {
    assert(entry_type(e) == ENTRY_ZSET);
    return entry_encoding(e) == ZSET_LISTPACK;
}

/* --- The pack -------------------------------------------------------------------------------- */

static uint8_t *pack_of(const struct entry *e) {
    return (uint8_t *)entry_value(e);
}
static uint8_t *end_of(const struct entry *e) {
    return pack_of(e) + e->value_len;
}

static double score_at(const uint8_t *at) {
    struct listpack_value v = listpack_get(at);
    if (!v.ptr) return (double)v.number;
    double score = 0;
    num_parse_f64(slice_of(v.ptr, v.len), &score);
    return score;
}

/* The pack's element for a score; `text` may hold its bytes. */
static struct listpack_item score_item(double score, char text[NUM_F64_MAX]) {
    if (fabs(score) < WHOLE_MAX && score == (double)(int64_t)score) return listpack_item_int((int64_t)score);
    return listpack_item(slice_of(text, (size_t)num_print_f64(text, score)));
}

/* The element of this member; NULL: there is none. */
static uint8_t *find_in_pack(const struct entry *e, struct slice member) {
    struct listpack_item item = listpack_item(member);
    return pack_find(pack_first(pack_of(e)), end_of(e), &item, 2);
}

/* The place of (score, member): the first member that sorts behind it, or the end. */
static uint8_t *place_in_pack(const struct entry *e, struct slice member, double score) {
    char digits[NUM_I64_MAX];
    uint8_t *at = pack_first(pack_of(e));
    while (at < end_of(e)) {
        uint8_t *value = pack_next(at);
        double other = score_at(value);
        if (other > score || (other == score && slice_compare(listpack_text(at, digits), member) > 0)) break;
        at = pack_next(value);
    }
    return at;
}

static struct entry *insert_in_pack(struct db *db, struct entry *e, struct slice member, double score) {
    char text[NUM_F64_MAX];
    struct listpack_item name = listpack_item(member), number = score_item(score, text);
    size_t used = e->value_len, at = (size_t)(place_in_pack(e, member, score) - pack_of(e));
    e = db_resize_value(db, e, ZSET_LISTPACK, used + pack_item_bytes(&name) + pack_item_bytes(&number));
    used = pack_insert(pack_of(e), used, pack_of(e) + at, &name);
    pack_insert(pack_of(e), used, pack_of(e) + at + pack_item_bytes(&name), &number);
    return e;
}

/* Remove elements and shorten the entry. */
static struct entry *remove_from_pack(struct db *db, struct entry *e, uint8_t *at, size_t elements) {
    return db_resize_value(db, e, ZSET_LISTPACK, pack_remove(pack_of(e), e->value_len, at, elements));
}

/* --- The table and the skiplist -------------------------------------------------------------- */

static struct zset *zset_of(const struct entry *e) {
    return entry_pointer(e);
}

struct zset *zset_new(void) {
    struct zset *z = alloc_get(sizeof *z);
    table_init(&z->members, &members_type);
    skiplist_init(&z->order);
    return z;
}

static void free_zset_record(void *ctx, struct member *m) {
    (void)ctx;
    member_free(m);
}

void zset_free(struct zset *z) {
    table_clear(&z->members, NULL, NULL);
    skiplist_clear(&z->order, free_zset_record, NULL);
    alloc_put(z, sizeof *z);
}

static struct member *find_hashed(const struct zset *z, struct slice member, uint64_t hash) {
    return table_find(&z->members, hash, member_equal, &member);
}

struct member *zset_find(const struct zset *z, struct slice member) {
    return find_hashed(z, member, hash_bytes(member.ptr, member.len));
}

static void insert_hashed(struct zset *z, struct slice member, uint64_t hash, double score) {
    struct member *m = member_new(member, score);
    table_insert(&z->members, hash, m);
    skiplist_insert(&z->order, m);
}

void zset_insert(struct zset *z, struct slice member, double score) {
    insert_hashed(z, member, hash_bytes(member.ptr, member.len), score);
}

void zset_set_score(struct zset *z, struct member *m, double score) {
    if (member_fits(m, score)) {
        skiplist_update(&z->order, m, score);
        return;
    }
    struct member *to = member_new(member_slice(m), score);
    skiplist_remove(&z->order, m);
    table_replace(&z->members, member_hash(m), m, to);
    skiplist_insert(&z->order, to);
    member_free(m);
}

static void remove_zset_record(struct zset *z, struct member *m, uint64_t hash) {
    table_remove(&z->members, hash, m);
    skiplist_remove(&z->order, m);
    member_free(m);
}

/* --- Changing the encoding ------------------------------------------------------------------- */

static struct entry *enlarge_zset(struct db *db, const struct key *key, struct entry *e) {
    struct zset *z = zset_new();
    struct zset_walk w;
    zset_walk_from(&w, e, 0);
    while (zset_walk_next(&w))
        zset_insert(z, w.member, w.score);
    return db_put(db, key, e, ENTRY_ZSET, ZSET_SKIPLIST, &z, sizeof z, DB_KEEP_TTL);
}

static bool fits_pack(size_t count, size_t longest) {
    return (uint64_t)count <= (uint64_t)max_entries && (uint64_t)longest <= (uint64_t)max_value;
}

bool zset_keeps_listpack(size_t count, size_t bytes) {
    return fits_pack(count, 0) && bytes <= PACK_MAX;
}

static struct entry *create_zset(struct db *db, const struct key *key, struct slice member) {
    if (max_entries > 0 && fits_pack(0, member.len)) {
        uint8_t pack[PACK_EMPTY];
        pack_init(pack);
        return db_put(db, key, NULL, ENTRY_ZSET, ZSET_LISTPACK, pack, sizeof pack, ENTRY_NO_TTL);
    }
    struct zset *z = zset_new();
    return db_put(db, key, NULL, ENTRY_ZSET, ZSET_SKIPLIST, &z, sizeof z, ENTRY_NO_TTL);
}

uint8_t *zset_pack(const struct zset *z, size_t *room, size_t *used) {
    struct skiplist_place from = skiplist_at(&z->order, 0);
    struct member *m;
    size_t longest = 0, bytes = PACK_EMPTY;
    if (!fits_pack(z->order.count, 0)) return NULL;
    while ((m = skiplist_next(&from))) {
        size_t len = member_slice(m).len;
        if (len > longest) longest = len;
        bytes += len + 2 * 5 + NUM_F64_MAX;
    }
    if (!fits_pack(z->order.count, longest) || bytes > PACK_MAX) return NULL;
    uint8_t *pack = alloc_get(bytes);
    pack_init(pack);
    *room = bytes;
    *used = PACK_EMPTY;
    char text[NUM_F64_MAX];
    from = skiplist_at(&z->order, 0);
    while ((m = skiplist_next(&from))) {
        struct listpack_item name = listpack_item(member_slice(m)), number = score_item(member_score(m), text);
        *used = pack_append(pack, *used, &name);
        *used = pack_append(pack, *used, &number);
    }
    return pack;
}

struct entry *zset_store(struct db *db, const struct key *key, struct entry *old, struct zset *z) {
    size_t room, used;
    uint8_t *pack = zset_pack(z, &room, &used);
    if (!pack) return db_put(db, key, old, ENTRY_ZSET, ZSET_SKIPLIST, &z, sizeof z, ENTRY_NO_TTL);
    struct entry *e = db_put(db, key, old, ENTRY_ZSET, ZSET_LISTPACK, pack, used, ENTRY_NO_TTL);
    alloc_put(pack, room);
    zset_free(z);
    return e;
}

/* --- Members --------------------------------------------------------------------------------- */

size_t zset_count(const struct entry *e) {
    return is_packed(e) ? pack_count(pack_of(e)) / 2 : zset_of(e)->order.count;
}

bool zset_score(const struct entry *e, struct slice member, double *score) {
    if (is_packed(e)) {
        const uint8_t *at = find_in_pack(e, member);
        if (at) *score = score_at(pack_next(at));
        return at;
    }
    const struct member *m = zset_find(zset_of(e), member);
    if (m) *score = member_score(m);
    return m;
}

bool zset_rank(const struct entry *e, struct slice member, size_t *rank, double *score) {
    if (is_packed(e)) {
        const uint8_t *at = find_in_pack(e, member);
        if (!at) return false;
        *score = score_at(pack_next(at));
        *rank = 0;
        for (const uint8_t *p = pack_first(pack_of(e)); p != at; p = pack_next(pack_next(p)))
            ++*rank;
        return true;
    }
    const struct member *m = zset_find(zset_of(e), member);
    if (!m) return false;
    *score = member_score(m);
    *rank = skiplist_rank(&zset_of(e)->order, m);
    return true;
}

void zset_prefetch(const struct entry *e, const struct slice *members, int n, int step) {
    struct prefetch ahead;
    if (is_packed(e)) return;
    prefetch_begin(&ahead);
    for (int i = 0; i < n && i < AHEAD; i++)
        prefetch_member(&ahead, &zset_of(e)->members, hash_bytes(members[i * step].ptr, members[i * step].len));
    prefetch_records(&ahead);
}

/* The outcome for a member with the score `old`. *score is the requested score, and becomes the new one. */
static enum zset_outcome decide_outcome(double old, double *score, unsigned conditions) {
    if (conditions & ZSET_NX) return ZSET_NOTHING;
    double new = conditions &ZSET_INCR ? old + *score : *score;
    if (isnan(new)) return ZSET_NAN;
    if ((conditions & ZSET_GT && new <= old) || (conditions & ZSET_LT && new >= old)) return ZSET_NOTHING;
    *score = new;
    return new == old ? ZSET_SAME : ZSET_UPDATED;
}

static enum zset_outcome add_big(struct zset *z, struct slice member, double *score, unsigned conditions) {
    uint64_t hash = hash_bytes(member.ptr, member.len);
    struct member *m = find_hashed(z, member, hash);
    if (m) {
        enum zset_outcome outcome = decide_outcome(member_score(m), score, conditions);
        if (outcome == ZSET_UPDATED) zset_set_score(z, m, *score);
        return outcome;
    }
    if (conditions & ZSET_XX) return ZSET_NOTHING;
    insert_hashed(z, member, hash, *score);
    return ZSET_ADDED;
}

static enum zset_outcome add_small(struct db *db, const struct key *key, struct entry **e, struct slice member,
                                   double *score, unsigned conditions) {
    uint8_t *at = find_in_pack(*e, member);
    if (at) {
        enum zset_outcome outcome = decide_outcome(score_at(pack_next(at)), score, conditions);
        if (outcome != ZSET_UPDATED) return outcome;
        *e = remove_from_pack(db, *e, at, 2);
    } else {
        if (conditions & ZSET_XX) return ZSET_NOTHING;
        if (!fits_pack(zset_count(*e) + 1, member.len) || (*e)->value_len + member.len + 64 > PACK_MAX) {
            *e = enlarge_zset(db, key, *e);
            return add_big(zset_of(*e), member, score, conditions);
        }
    }
    *e = insert_in_pack(db, *e, member, *score);
    return at ? ZSET_UPDATED : ZSET_ADDED;
}

enum zset_outcome zset_add(struct db *db, const struct key *key, struct entry **e, struct slice member, double *score,
                           unsigned conditions) {
    if (!*e) {
        if (conditions & ZSET_XX) return ZSET_NOTHING;
        *e = create_zset(db, key, member);
    }
    if (is_packed(*e)) return add_small(db, key, e, member, score, conditions);
    return add_big(zset_of(*e), member, score, conditions);
}

bool zset_remove(struct db *db, struct entry **e, struct slice member) {
    if (is_packed(*e)) {
        uint8_t *at = find_in_pack(*e, member);
        if (at) *e = remove_from_pack(db, *e, at, 2);
        return at;
    }
    uint64_t hash = hash_bytes(member.ptr, member.len);
    struct member *m = find_hashed(zset_of(*e), member, hash);
    if (m) remove_zset_record(zset_of(*e), m, hash);
    return m;
}

void zset_remove_span(struct db *db, struct entry **e, size_t first, size_t n) {
    if (n == 0) return;
    if (is_packed(*e)) {
        *e = remove_from_pack(db, *e, pack_seek(pack_of(*e), (int64_t)(2 * first)), 2 * n);
    } else {
        entry_set_pointer(*e, zset_cut(zset_of(*e), first, n));
    }
}

/* --- Ranges ---------------------------------------------------------------------------------- */

static bool above_min(double score, const struct zset_score_range *r) {
    return r->min_open ? score > r->min : score >= r->min;
}

static bool below_max(double score, const struct zset_score_range *r) {
    return r->max_open ? score < r->max : score <= r->max;
}

struct zset_span zset_span_by_score(const struct entry *e, const struct zset_score_range *r) {
    struct zset_span none = {0, 0};
    if (r->min > r->max || (r->min == r->max && (r->min_open || r->max_open))) return none;
    if (!is_packed(e)) {
        size_t first = skiplist_at_score(&zset_of(e)->order, r->min, r->min_open).rank;
        size_t end = skiplist_at_score(&zset_of(e)->order, r->max, !r->max_open).rank;
        return (struct zset_span){first, end - first};
    }
    struct zset_span span = none;
    const uint8_t *at = pack_first(pack_of(e));
    for (; at < end_of(e); at = pack_next(at)) {
        at = pack_next(at);
        double score = score_at(at);
        if (!below_max(score, r)) break;
        if (above_min(score, r)) {
            span.n++;
        } else {
            span.first++;
        }
    }
    return span;
}

static bool behind_min(struct slice member, const struct zset_lex_range *r) {
    if (r->min_infinite) return r->min_infinite < 0;
    int order = slice_compare(member, r->min);
    return r->min_open ? order > 0 : order >= 0;
}

static bool before_max(struct slice member, const struct zset_lex_range *r) {
    if (r->max_infinite) return r->max_infinite > 0;
    int order = slice_compare(member, r->max);
    return r->max_open ? order < 0 : order <= 0;
}

/* Redis leaves the result unspecified if the members have different scores. */
static struct zset_span big_span_by_lex(const struct skiplist *s, const struct zset_lex_range *r) {
    struct skiplist_place from = skiplist_at(s, 0);
    const struct member *first_member = skiplist_next(&from);
    double score = first_member ? member_score(first_member) : 0;
    size_t first = r->min_infinite < 0   ? 0
                   : r->min_infinite > 0 ? s->count
                                         : skiplist_at_member(s, score, r->min, r->min_open).rank;
    size_t end = r->max_infinite < 0   ? 0
                 : r->max_infinite > 0 ? s->count
                                       : skiplist_at_member(s, score, r->max, !r->max_open).rank;
    return (struct zset_span){first, end > first ? end - first : 0};
}

struct zset_span zset_span_by_lex(const struct entry *e, const struct zset_lex_range *r) {
    if (!is_packed(e)) return big_span_by_lex(&zset_of(e)->order, r);
    struct zset_span span = {0, 0};
    struct zset_walk w;
    zset_walk_from(&w, e, zset_count(e));
    if (!zset_walk_prev(&w) || !behind_min(w.member, r)) return span;
    zset_walk_from(&w, e, 0);
    while (zset_walk_next(&w)) {
        if (span.n == 0 && !behind_min(w.member, r)) {
            span.first++;
        } else if (before_max(w.member, r)) {
            span.n++;
        } else {
            break;
        }
    }
    return span;
}

void zset_walk_from(struct zset_walk *w, const struct entry *e, size_t rank) {
    if (is_packed(e)) {
        w->pack = pack_of(e);
        w->end = end_of(e);
        w->behind = 0;
        const uint8_t *at = pack_seek(w->pack, (int64_t)(2 * rank));
        w->at = at ? at : w->end;
    } else {
        w->pack = NULL;
        w->run_at = w->run_end = 0;
        w->place = skiplist_at(&zset_of(e)->order, rank);
    }
}

/* A pack is read forward only, so note where the members before this place begin: the last ZSET_WALK_BACK of them. */
static void look_back(struct zset_walk *w) {
    size_t n = 0;
    for (const uint8_t *at = pack_first(w->pack); at < w->at; at = pack_next(pack_next(at)))
        w->offsets[n++ % ZSET_WALK_BACK] = (uint16_t)(at - w->pack);
    w->behind = (uint16_t)(n < ZSET_WALK_BACK ? n : ZSET_WALK_BACK);
    w->last = (uint16_t)n;
}

static void read_pair(struct zset_walk *w, const uint8_t *at) {
    w->member = listpack_text(at, w->digits);
    w->score = score_at(pack_next(at));
}

static inline void read_record(struct zset_walk *w, const struct member *m) {
    w->member = member_slice(m);
    w->score = member_score(m);
}

static bool big_next(struct zset_walk *w) {
    if (w->run_at == w->run_end) {
        w->run_at = 0;
        w->run_end = (uint8_t)skiplist_run(&w->place, w->run, ZSET_WALK_RUN);
        if (w->run_end == 0) return false;
    }
    read_record(w, w->run[w->run_at++]);
    return true;
}

static bool big_prev(struct zset_walk *w) {
    if (w->run_at < w->run_end) w->place = skiplist_at(w->place.list, w->place.rank - (w->run_end - w->run_at));
    w->run_at = w->run_end = 0;
    const struct member *m = skiplist_prev(&w->place);
    if (m) read_record(w, m);
    return m != NULL;
}

bool zset_walk_next(struct zset_walk *w) {
    if (!w->pack) return big_next(w);
    if (w->at == w->end) return false;
    read_pair(w, w->at);
    w->at = pack_next(pack_next(w->at));
    w->behind = 0;
    return true;
}

bool zset_walk_prev(struct zset_walk *w) {
    if (!w->pack) return big_prev(w);
    if (w->at == pack_first(w->pack)) return false;
    if (w->behind == 0) look_back(w);
    w->behind--;
    w->at = w->pack + w->offsets[--w->last % ZSET_WALK_BACK];
    read_pair(w, w->at);
    return true;
}

struct visitor {
    zset_visit_fn visit;
    void *ctx;
};

static void visit_zset_record(void *ctx, void *record) {
    const struct visitor *v = ctx;
    v->visit(v->ctx, member_slice(record), member_score(record));
}

uint64_t zset_scan(const struct entry *e, uint64_t cursor, zset_visit_fn visit, void *ctx) {
    if (!is_packed(e))
        return table_scan(&zset_of(e)->members, cursor, visit_zset_record, &(struct visitor){visit, ctx});
    struct zset_walk w;
    zset_walk_from(&w, e, 0);
    while (zset_walk_next(&w))
        visit(ctx, w.member, w.score);
    return 0;
}

/* --- The type -------------------------------------------------------------------------------- */

static const char *zset_encoding_name(unsigned encoding) {
    return encoding == ZSET_LISTPACK ? "listpack" : "skiplist";
}

static void drop_zset(void *value, unsigned encoding) {
    (void)encoding;
    zset_free(value);
}

static bool zset_is_heavy(const void *value, unsigned encoding) {
    (void)encoding;
    return ((const struct zset *)value)->order.count > VALUE_HEAVY_PARTS;
}

static size_t zset_memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    const struct zset *z = value;
    size_t count = z->order.count, records = 0, n = samples && samples < count ? samples : count;
    struct skiplist_place p = skiplist_at(&z->order, 0);
    for (size_t i = 0; i < n; i++)
        records += member_memory(skiplist_next(&p));
    if (n) records = (size_t)((double)records / (double)n * (double)count);
    return alloc_class(sizeof *z) + table_memory(&z->members) + skiplist_memory(&z->order) + records;
}

static void *copy_zset(const void *value, unsigned encoding) {
    (void)encoding;
    const struct zset *from = value;
    struct zset *z = zset_new();
    size_t n = from->order.count;
    if (n == 0) return z;
    struct member **sorted = alloc_get(n * sizeof *sorted);
    table_reserve(&z->members, n);
    struct skiplist_place p = skiplist_at(&from->order, 0);
    for (size_t i = 0; i < n; i++) {
        const struct member *m = skiplist_next(&p);
        sorted[i] = member_new(member_slice(m), member_score(m));
        table_insert(&z->members, member_hash(m), sorted[i]);
    }
    skiplist_build(&z->order, sorted, n);
    alloc_put(sorted, n * sizeof *sorted);
    return z;
}

static const struct table *zset_members(const void *value) {
    return &((const struct zset *)value)->members;
}

const struct value_ops zset_ops = {.encoding_name = zset_encoding_name,
                                   .drop = drop_zset,
                                   .is_heavy = zset_is_heavy,
                                   .memory = zset_memory,
                                   .copy = copy_zset,
                                   .members = zset_members};

const struct module zset_module = {.options = zset_rows};
