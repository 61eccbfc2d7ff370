/* Sets in their three encodings.
 *
 * An intset or a pack lies in the entry. A change happens in place, and the entry is resized to the new length, which
 * moves it only if its size class changes. A set that would exceed INLINE_MAX bytes becomes a table whatever the
 * options say, since an entry holds at most 65535 bytes.
 *
 * A table's records are small allocations all over the heap. Where several members are looked up at once their cache
 * misses overlap: the lines of a batch are fetched first, then its records, and only then is anything compared. */
#include "store/set.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "base/worker.h"
#include "ds/intset.h"
#include "ds/pack.h"
#include "store/prefetch.h"
#include "store/set_record.h"
#include "store/value.h"
#include "store/value_table.h"

#define INLINE_MAX PACK_MAX /* bytes of an inline value: a little less than an entry can hold */
#define INTEGER_MAX 9       /* bytes of an integer in a pack at most */
#define AHEAD 16            /* members whose cache misses overlap: about as many as a core can have under way */

struct set_options set_options = {512, 128, 64};

static const struct option set_rows[] = {
    {"set-max-intset-entries", .type = OPTION_I64, .address = &set_options.max_intset_entries, .initial = "512"},
    {"set-max-listpack-entries", .type = OPTION_I64, .address = &set_options.max_listpack_entries, .initial = "128"},
    {"set-max-listpack-value", .type = OPTION_I64, .address = &set_options.max_listpack_value, .initial = "64"},
    {NULL},
};

const struct table_type set_record_table = {set_record_hash};

static void free_set_record(void *ctx, void *record) {
    (void)ctx;
    set_record_free(record);
}

void set_record_clear(struct table *t) {
    table_clear(t, free_set_record, NULL);
}

static enum set_encoding encoding_of(const struct entry *e) {
    assert(entry_type(e) == ENTRY_SET);
    return (enum set_encoding)entry_encoding(e);
}

static uint8_t *block_of(const struct entry *e) {
    return (uint8_t *)entry_value(e);
}

/* --- Reading --------------------------------------------------------------------------------- */

size_t set_count(const struct entry *e) {
    switch (encoding_of(e)) {
    case SET_INTSET: return intset_count(block_of(e));
    case SET_LISTPACK: return pack_count(block_of(e));
    default: return ((const struct table *)entry_pointer(e))->count;
    }
}

static uint8_t *end_of(const struct entry *e) {
    return block_of(e) + e->value_len;
}

static uint8_t *find_member_in_pack(const struct entry *e, size_t used, struct slice member) {
    struct listpack_item item = listpack_item(member);
    return pack_find(pack_first(block_of(e)), block_of(e) + used, &item, 1);
}

bool set_has(const struct entry *e, struct slice member) {
    int64_t number;
    switch (encoding_of(e)) {
    case SET_INTSET: return num_parse_i64(member, &number) && intset_has(block_of(e), number);
    case SET_LISTPACK: return find_member_in_pack(e, e->value_len, member) != NULL;
    default: return set_record_find(entry_pointer(e), member, hash_bytes(member.ptr, member.len)) != NULL;
    }
}

bool set_has_value(const struct entry *e, struct listpack_value member) {
    if (!member.ptr && encoding_of(e) == SET_INTSET) return intset_has(block_of(e), member.number);
    char scratch[NUM_I64_MAX];
    return set_has(e, listpack_value_text(member, scratch));
}

static void fetch_batch(const struct table *t, const struct slice *members, int n, uint64_t hashes[AHEAD]) {
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (int i = 0; i < n; i++) {
        hashes[i] = hash_bytes(members[i].ptr, members[i].len);
        prefetch_member(&ahead, t, hashes[i]);
    }
    if (n > 1) prefetch_records(&ahead);
}

void set_prefetch(const struct entry *e, const struct slice *members, int n) {
    uint64_t hashes[AHEAD];
    if (encoding_of(e) == SET_HASHTABLE) fetch_batch(entry_pointer(e), members, n < AHEAD ? n : AHEAD, hashes);
}

void set_iter_init(struct set_iter *it, const struct entry *e) {
    it->encoding = encoding_of(e);
    it->index = 0;
    it->block = NULL;
    if (it->encoding == SET_HASHTABLE) {
        table_iter_init(&it->records, entry_pointer(e));
    } else {
        it->block = it->encoding == SET_INTSET ? block_of(e) : pack_first(block_of(e));
        it->end = end_of(e);
    }
}

static struct listpack_value value_of_record(const struct set_record *r) {
    struct slice s = set_record_slice(r);
    return (struct listpack_value){s.ptr, s.len, 0};
}

static struct listpack_value value_of_int(int64_t number) {
    return (struct listpack_value){NULL, 0, number};
}

bool set_iter_next(struct set_iter *it, struct listpack_value *member) {
    const struct set_record *r;
    switch ((enum set_encoding)it->encoding) {
    case SET_INTSET:
        if (it->index == intset_count(it->block)) return false;
        *member = value_of_int(intset_get(it->block, it->index++));
        return true;
    case SET_LISTPACK:
        if (it->block == it->end) return false;
        *member = listpack_get(it->block);
        it->block = pack_next(it->block);
        return true;
    default:
        r = table_iter_next(&it->records);
        if (r) *member = value_of_record(r);
        return r != NULL;
    }
}

struct visitor {
    set_visit_fn visit;
    void *ctx;
};

static void visit_set_record(void *ctx, void *record) {
    struct visitor *v = ctx;
    v->visit(v->ctx, value_of_record(record));
}

static void visit_members(const struct entry *e, set_visit_fn visit, void *ctx) {
    struct set_iter it;
    struct listpack_value member;
    set_iter_init(&it, e);
    while (set_iter_next(&it, &member))
        visit(ctx, member);
}

uint64_t set_scan(const struct entry *e, uint64_t cursor, set_visit_fn visit, void *ctx) {
    if (encoding_of(e) == SET_HASHTABLE) {
        return table_scan(entry_pointer(e), cursor, visit_set_record, &(struct visitor){visit, ctx});
    }
    visit_members(e, visit, ctx);
    return 0;
}

/* --- Random members -------------------------------------------------------------------------- */

struct set_pick set_random(const struct entry *e) {
    if (encoding_of(e) == SET_HASHTABLE) {
        struct set_record *r = table_random(entry_pointer(e));
        return (struct set_pick){value_of_record(r), r, 0};
    }
    size_t index = rand_below(set_count(e));
    if (encoding_of(e) == SET_INTSET) {
        return (struct set_pick){value_of_int(intset_get(block_of(e), index)), NULL, index};
    }
    return (struct set_pick){listpack_get(pack_seek(block_of(e), (int64_t)index)), NULL, index};
}

/* For few out of many: draw until there are enough different ones. */
static void sample_by_drawing(const struct table *t, size_t wanted, set_visit_fn visit, void *ctx) {
    struct table drawn;
    table_init(&drawn, &set_record_table);
    while (drawn.count < wanted) {
        struct set_record *r = table_random(t);
        struct slice member = set_record_slice(r);
        uint64_t hash = set_record_hash(r);
        if (set_record_find(&drawn, member, hash)) continue;
        table_insert(&drawn, hash, r);
        visit(ctx, value_of_record(r));
    }
    table_clear(&drawn, NULL, NULL);
}

void set_sample(const struct entry *e, size_t wanted, set_visit_fn visit, void *ctx) {
    enum { FEW = 3 };
    size_t left = set_count(e);
    if (encoding_of(e) == SET_HASHTABLE && wanted < left / FEW) {
        sample_by_drawing(entry_pointer(e), wanted, visit, ctx);
        return;
    }
    struct set_iter it;
    struct listpack_value member;
    set_iter_init(&it, e);
    for (; wanted > 0 && set_iter_next(&it, &member); left--) {
        if (rand_below(left) >= wanted) continue; /* visit with probability wanted / left */
        visit(ctx, member);
        wanted--;
    }
}

/* --- Changing encodings ---------------------------------------------------------------------- */

static void add_text(void *ctx, struct listpack_value member) {
    char scratch[NUM_I64_MAX];
    struct slice text = listpack_value_text(member, scratch);
    table_insert(ctx, hash_bytes(text.ptr, text.len), set_record_new(text));
}

static struct entry *set_to_table(struct db *db, struct entry *e) {
    struct table *t = value_table_new(&set_record_table, set_count(e) + 1);
    visit_members(e, add_text, t);
    e = db_resize_value(db, e, SET_HASHTABLE, sizeof t);
    entry_set_pointer(e, t);
    return e;
}

static struct entry *set_to_pack(struct db *db, struct entry *e) {
    size_t room = PACK_EMPTY + set_count(e) * sizeof(struct listpack_item), used = PACK_EMPTY;
    uint8_t *pack = alloc_get(room);
    struct set_iter it;
    struct listpack_value member;
    pack_init(pack);
    set_iter_init(&it, e);
    while (set_iter_next(&it, &member)) {
        struct listpack_item item = listpack_item_int(member.number);
        used = pack_append(pack, used, &item);
    }
    e = db_resize_value(db, e, SET_LISTPACK, used);
    memcpy(entry_value(e), pack, used);
    alloc_put(pack, room);
    return e;
}

/* The length of the longest member of an intset as text. It is the smallest or the largest member. */
static int64_t longest_in_intset(const uint8_t *set) {
    size_t count = intset_count(set);
    char scratch[NUM_I64_MAX];
    if (count == 0) return 0;
    int first = num_print_i64(scratch, intset_get(set, 0)), last = num_print_i64(scratch, intset_get(set, count - 1));
    return first > last ? first : last;
}

static bool fits_pack(size_t others, struct slice member) {
    return others < (uint64_t)set_options.max_listpack_entries &&
           member.len <= (uint64_t)set_options.max_listpack_value;
}

/* --- Adding ---------------------------------------------------------------------------------- */

static struct entry *add_to_table(struct entry *e, struct slice member, bool *added) {
    *added = set_record_add(entry_pointer(e), member, hash_bytes(member.ptr, member.len));
    return e;
}

static struct entry *add_to_pack(struct db *db, struct entry *e, struct slice member, bool *added) {
    struct listpack_item item = listpack_item(member);
    if (pack_find(pack_first(block_of(e)), end_of(e), &item, 1)) {
        *added = false;
        return e;
    }
    size_t used = e->value_len, bytes = used + pack_item_bytes(&item);
    if (!fits_pack(pack_count(block_of(e)), member) || bytes > INLINE_MAX) {
        return add_to_table(set_to_table(db, e), member, added);
    }
    *added = true;
    e = db_resize_value(db, e, SET_LISTPACK, bytes);
    pack_append(block_of(e), used, &item);
    return e;
}

static struct entry *add_number(struct db *db, struct entry *e, int64_t number, struct slice member, bool *added) {
    const uint8_t *set = block_of(e);
    *added = !intset_has(set, number);
    if (!*added) return e;
    size_t bytes = intset_bytes_with(set, number);
    if (intset_count(set) >= (uint64_t)set_options.max_intset_entries || bytes > INLINE_MAX) {
        return add_to_table(set_to_table(db, e), member, added);
    }
    e = db_resize_value(db, e, SET_INTSET, bytes);
    intset_insert(block_of(e), number);
    return e;
}

static struct entry *add_to_intset(struct db *db, struct entry *e, struct slice member, bool *added) {
    int64_t number;
    if (num_parse_i64(member, &number)) return add_number(db, e, number, member, added);
    const uint8_t *set = block_of(e);
    if (!fits_pack(intset_count(set), member) || longest_in_intset(set) > set_options.max_listpack_value ||
        intset_count(set) * INTEGER_MAX > INLINE_MAX) {
        return add_to_table(set_to_table(db, e), member, added);
    }
    return add_to_pack(db, set_to_pack(db, e), member, added);
}

/* In batches, whose cache misses overlap. */
static int64_t add_all_to_table(struct table *t, const struct slice *members, int n) {
    uint64_t hashes[AHEAD];
    int64_t added = 0;
    for (int i = 0, batch; i < n; i += batch) {
        batch = n - i < AHEAD ? n - i : AHEAD;
        fetch_batch(t, members + i, batch, hashes);
        for (int k = 0; k < batch; k++)
            added += set_record_add(t, members[i + k], hashes[k]);
    }
    return added;
}

/* An empty set that will get n members, in the encoding for that many. */
static struct entry *create_set(struct db *db, const struct key *key, struct slice first, int n) {
    int64_t number;
    uint8_t block[INTSET_HEAD];
    if (n <= set_options.max_intset_entries && num_parse_i64(first, &number)) {
        intset_init(block);
        return db_put(db, key, NULL, ENTRY_SET, SET_INTSET, block, INTSET_HEAD, ENTRY_NO_TTL);
    }
    if (n <= set_options.max_listpack_entries) {
        pack_init(block);
        return db_put(db, key, NULL, ENTRY_SET, SET_LISTPACK, block, PACK_EMPTY, ENTRY_NO_TTL);
    }
    struct table *t = value_table_new(&set_record_table, (size_t)n);
    return db_put(db, key, NULL, ENTRY_SET, SET_HASHTABLE, &t, sizeof t, ENTRY_NO_TTL);
}

struct entry *set_add(struct db *db, const struct key *key, struct entry *e, const struct slice *members, int n,
                      int64_t *added) {
    enum set_encoding encoding = e ? encoding_of(e) : SET_HASHTABLE;
    *added = 0;
    if (!e) {
        e = create_set(db, key, members[0], n);
    } else if ((encoding == SET_LISTPACK && n > set_options.max_listpack_entries) ||
               (encoding == SET_INTSET && n > set_options.max_intset_entries)) {
        e = set_to_table(db, e);
    }
    for (int i = 0; i < n; i++) {
        bool is_new;
        switch (encoding_of(e)) {
        case SET_INTSET: e = add_to_intset(db, e, members[i], &is_new); break;
        case SET_LISTPACK: e = add_to_pack(db, e, members[i], &is_new); break;
        default: *added += add_all_to_table(entry_pointer(e), members + i, n - i); return e;
        }
        *added += is_new;
    }
    return e;
}

/* --- Removing -------------------------------------------------------------------------------- */

static void remove_set_record(struct table *t, uint64_t hash, struct set_record *r) {
    table_remove(t, hash, r);
    set_record_free(r);
}

static int64_t remove_members_from_table(struct table *t, const struct slice *members, int n) {
    uint64_t hashes[AHEAD];
    int64_t removed = 0;
    for (int i = 0, batch; i < n && t->count; i += batch) {
        batch = n - i < AHEAD ? n - i : AHEAD;
        fetch_batch(t, members + i, batch, hashes);
        for (int k = 0; k < batch; k++) {
            struct set_record *r = set_record_find(t, members[i + k], hashes[k]);
            if (!r) continue;
            remove_set_record(t, hashes[k], r);
            removed++;
        }
    }
    return removed;
}

struct entry *set_remove(struct db *db, struct entry *e, const struct slice *members, int n, int64_t *removed) {
    *removed = 0;
    if (encoding_of(e) == SET_HASHTABLE) {
        *removed = remove_members_from_table(entry_pointer(e), members, n);
        return e;
    }
    size_t used = e->value_len;
    for (int i = 0; i < n; i++) {
        int64_t number;
        uint8_t *at;
        if (encoding_of(e) == SET_INTSET) {
            *removed += num_parse_i64(members[i], &number) && intset_remove(block_of(e), number);
            used = intset_bytes(block_of(e));
        } else if ((at = find_member_in_pack(e, used, members[i]))) {
            used = pack_remove(block_of(e), used, at, 1);
            ++*removed;
        }
    }
    return *removed ? db_resize_value(db, e, encoding_of(e), used) : e;
}

struct entry *set_remove_pick(struct db *db, struct entry *e, struct set_pick pick) {
    uint8_t *block = block_of(e);
    switch (encoding_of(e)) {
    case SET_INTSET:
        intset_remove_at(block, pick.index, 1);
        return db_resize_value(db, e, SET_INTSET, intset_bytes(block));
    case SET_LISTPACK:
        return db_resize_value(db, e, SET_LISTPACK,
                               pack_remove(block, e->value_len, pack_seek(block, (int64_t)pick.index), 1));
    default: remove_set_record(entry_pointer(e), set_record_hash(pick.record), pick.record); return e;
    }
}

/* A table, and the records to be freed with it; its other records have moved. */
struct remains {
    struct table table;
    size_t n, room;
    struct set_record *records[];
};

static void free_remains(void *arg) {
    struct remains *rest = arg;
    for (size_t i = 0; i < rest->n; i++) {
        if (i + AHEAD < rest->n) __builtin_prefetch(rest->records[i + AHEAD]);
        set_record_free(rest->records[i]);
    }
    table_clear(&rest->table, NULL, NULL);
    alloc_put(rest, sizeof *rest + rest->room * sizeof *rest->records);
}

static size_t set_record_memory(const void *record) {
    return set_record_class(set_record_slice(record).len);
}

/* Estimated from the first records. */
static size_t remains_memory(const struct remains *rest) {
    size_t bytes = 0, n = rest->n < VALUE_SAMPLES ? rest->n : VALUE_SAMPLES;
    for (size_t i = 0; i < n; i++)
        bytes += set_record_memory(rest->records[i]);
    if (n > 0) bytes = (size_t)((double)bytes / (double)n * (double)rest->n);
    return sizeof *rest + rest->room * sizeof *rest->records + table_memory(&rest->table) + bytes;
}

/* One walk, which keeps each member with probability (still to keep) / (still to come). The kept records move to a new
 * table, in the order of their hashes; the worker frees the others and the old table. */
static void keep_in_table(struct table *t, size_t keep, set_visit_fn gone, void *ctx) {
    size_t left = t->count, room = left - keep;
    struct remains *rest = alloc_get(sizeof *rest + room * sizeof *rest->records);
    *rest = (struct remains){.table = *t, .room = room};
    table_init(t, &set_record_table);
    table_reserve(t, keep);
    struct table_iter it;
    struct set_record *r;
    table_iter_init(&it, &rest->table);
    for (; (r = table_iter_next(&it)); left--) {
        if (rand_below(left) < keep) {
            table_insert(t, set_record_hash(r), r);
            keep--;
        } else {
            gone(ctx, value_of_record(r));
            rest->records[rest->n++] = r;
        }
    }
    worker_submit_free(free_remains, rest, remains_memory(rest));
}

struct entry *set_keep_random(struct db *db, struct entry *e, size_t keep, set_visit_fn gone, void *ctx) {
    enum { FEW = 8, MANY = 1000 };
    size_t count = set_count(e);
    assert(keep > 0 && keep < count);
    if (encoding_of(e) == SET_HASHTABLE && count > MANY && count - keep > count / FEW) {
        keep_in_table(entry_pointer(e), keep, gone, ctx);
        return e;
    }
    for (; count > keep; count--) {
        struct set_pick pick = set_random(e);
        gone(ctx, pick.member);
        e = set_remove_pick(db, e, pick);
    }
    return e;
}

/* --- The type -------------------------------------------------------------------------------- */

static const char *set_encoding_name(unsigned encoding) {
    switch ((enum set_encoding)encoding) {
    case SET_INTSET: return "intset";
    case SET_LISTPACK: return "listpack";
    case SET_HASHTABLE: return "hashtable";
    }
    return "unknown";
}

static void drop_set(void *value, unsigned encoding) {
    (void)encoding;
    value_table_free(value, free_set_record);
}

static size_t set_memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    return value_table_memory(value, samples, set_record_memory);
}

static void *copy_set_record(const void *record) {
    return set_record_new(set_record_slice(record));
}

static void *copy_set(const void *value, unsigned encoding) {
    (void)encoding;
    return value_table_copy(value, copy_set_record);
}

const struct value_ops set_ops = {.encoding_name = set_encoding_name,
                                  .drop = drop_set,
                                  .is_heavy = value_table_is_heavy,
                                  .memory = set_memory,
                                  .copy = copy_set,
                                  .members = value_table_members};

const struct module set_module = {.options = set_rows};
