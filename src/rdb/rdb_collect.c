/* Reading sets and hashes. A collection that comes element by element is gathered in a listpack, as long as its
 * encoding may be small. One that comes as a listpack, or in an old format that can be converted to one, is checked and
 * copied into the entry. A table is made when the options demand it. */
#include "base/alloc.h"
#include "base/num.h"
#include "ds/field.h"
#include "ds/intset.h"
#include "ds/pack.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_format.h"
#include "rdb/rdb_gather.h"
#include "store/fieldmap.h"
#include "store/set.h"
#include "store/set_record.h"
#include "store/value_table.h"
#include <stdlib.h>

#define TABLE_BYTES 2 /* bytes of the input that a member takes at least: they bound the room of a table */

struct build {
    struct rdb_in *in;
    struct table *table; /* NULL: all elements are in in->pack */
    size_t count;        /* elements or pairs so far */
    size_t longest;      /* bytes of the longest element of a set */
    bool integers;       /* all elements of a set are integers */
    uint64_t expected;   /* elements or pairs in all */
    struct rdb_gather gather;
};

static void begin_build(struct build *b, struct rdb_in *in, uint64_t expected) {
    *b = (struct build){.in = in, .integers = true, .expected = expected};
    rdb_pack_begin(in);
}

static bool came_twice(struct rdb_in *in) {
    return rdb_refuse(in, RDB_CORRUPT, "an element that is there twice");
}

static uint64_t hash_of(struct slice s) {
    return hash_bytes(s.ptr, s.len);
}

/* True if in->pack with this many more bytes fits into an entry. */
static bool fits_entry(const struct build *b, size_t more) {
    return listpack_bytes(b->in->pack.bytes) + more <= PACK_MAX;
}

/* The table is complete, or the input is broken (ok is false). */
static bool finish_table(struct build *b, bool ok, struct rdb_value *v, enum entry_type type, unsigned encoding) {
    if (!rdb_gather_end(&b->gather)) ok = came_twice(b->in);
    rdb_value_pointer(v, type, encoding, b->table);
    if (!ok) rdb_value_drop(v);
    return ok;
}

/* --- Sets ------------------------------------------------------------------------------------ */

static void add_set_record(struct build *b, struct slice member) {
    rdb_gather_add(&b->gather, hash_of(member), set_record_new(member));
    b->count++;
}

static void set_to_table(struct build *b, const uint8_t *lp) {
    char scratch[NUM_I64_MAX];
    uint64_t bound = reader_left(b->in->reader) / TABLE_BYTES + listpack_count(lp);
    b->table = value_table_new(&set_record_table, b->expected < bound ? b->expected : bound);
    b->count = 0;
    rdb_gather_begin(&b->gather, b->table, &rdb_member_records);
    for (const uint8_t *at = listpack_first(lp); !listpack_at_end(at); at = listpack_next(at))
        add_set_record(b, listpack_text(at, scratch));
}

static bool add_member(struct build *b, struct slice member) {
    if (!b->table) {
        struct listpack_item item = listpack_item(member);
        if (fits_entry(b, listpack_item_bytes(&item))) {
            b->count++;
            if (item.data_len > 0 || member.len == 0) b->integers = false;
            if (b->longest < member.len) b->longest = member.len;
            return rdb_pack_append(b->in, &item);
        }
        set_to_table(b, b->in->pack.bytes);
    }
    add_set_record(b, member);
    return true;
}

static int by_size(const void *a, const void *b) {
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Convert the integers in in->pack to an intset in in->name. */
static bool finish_intset(struct build *b, struct rdb_value *v) {
    int64_t *numbers = alloc_get(b->count * sizeof *numbers);
    uint8_t *block = rdb_room(&b->in->name, INTSET_HEAD + b->count * sizeof *numbers, 0);
    size_t n = 0;
    bool ok = true;
    for (const uint8_t *at = listpack_first(b->in->pack.bytes); !listpack_at_end(at); at = listpack_next(at))
        numbers[n++] = listpack_get(at).number;
    qsort(numbers, n, sizeof *numbers, by_size);
    intset_init(block);
    for (size_t i = 0; i < n && ok; i++)
        ok = intset_insert(block, numbers[i]);
    alloc_put(numbers, b->count * sizeof *numbers);
    if (!ok) return came_twice(b->in);
    rdb_value_inline(v, ENTRY_SET, SET_INTSET, block, intset_bytes(block));
    return true;
}

static bool finish_set(struct build *b, bool ok, struct rdb_value *v) {
    uint64_t listpack_max = (uint64_t)set_options.max_listpack_entries;
    uint64_t intset_max = (uint64_t)set_options.max_intset_entries;
    if (!ok && !b->table) return false;
    if (!b->table && b->count == 0) return rdb_value_empty(v);
    bool small = !b->table && b->count <= intset_max; /* Redis begins with an intset or with a table */
    if (small && b->integers && b->count * sizeof(int64_t) <= PACK_MAX) return finish_intset(b, v);
    if (small && b->count <= listpack_max && b->longest <= (uint64_t)set_options.max_listpack_value) {
        const uint8_t *lp = b->in->pack.bytes;
        if (rdb_has_twins(lp, 1)) return came_twice(b->in);
        rdb_value_pack(b->in, v, ENTRY_SET, SET_LISTPACK, lp);
        return true;
    }
    if (!b->table) set_to_table(b, b->in->pack.bytes);
    return finish_table(b, ok, v, ENTRY_SET, SET_HASHTABLE);
}

static bool get_members(struct rdb_in *in, struct rdb_value *v) {
    struct build b;
    struct slice s;
    uint64_t count;
    if (!rdb_get_count(in, &count, 1)) return false;
    begin_build(&b, in, count);
    if (count > (uint64_t)set_options.max_intset_entries) set_to_table(&b, in->pack.bytes);
    bool ok = true;
    while (ok && count-- > 0)
        ok = rdb_get_string(in, &in->text, &s) && add_member(&b, s);
    return finish_set(&b, ok, v);
}

static bool get_intset(struct rdb_in *in, struct rdb_value *v) {
    uint8_t *block;
    size_t n;
    if (!rdb_get_block(in, &in->text, &block, &n)) return false;
    if (!intset_check(block, n)) return rdb_refuse(in, RDB_CORRUPT, "a broken intset");
    size_t count = intset_count(block);
    if (count == 0) return rdb_value_empty(v);
    if (count <= (uint64_t)set_options.max_intset_entries && n <= PACK_MAX) {
        rdb_value_inline(v, ENTRY_SET, SET_INTSET, block, n);
        return true;
    }
    struct build b;
    char digits[NUM_I64_MAX];
    begin_build(&b, in, count);
    set_to_table(&b, in->pack.bytes);
    for (size_t i = 0; i < count; i++)
        add_set_record(&b, slice_of(digits, (size_t)num_print_i64(digits, intset_get(block, i))));
    return finish_table(&b, true, v, ENTRY_SET, SET_HASHTABLE);
}

static bool get_set_listpack(struct rdb_in *in, struct rdb_value *v) {
    uint8_t *lp;
    if (!rdb_get_listpack(in, &lp)) return false;
    size_t count = listpack_count(lp);
    if (count == 0) return rdb_value_empty(v);
    if (count <= (uint64_t)set_options.max_listpack_entries && listpack_bytes(lp) <= PACK_MAX) {
        if (rdb_has_twins(lp, 1)) return came_twice(in);
        rdb_value_pack(in, v, ENTRY_SET, SET_LISTPACK, lp);
        return true;
    }
    struct build b;
    begin_build(&b, in, count);
    set_to_table(&b, lp);
    return finish_table(&b, true, v, ENTRY_SET, SET_HASHTABLE);
}

bool rdb_get_set(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    switch (type) {
    case RDB_TYPE_SET: return get_members(in, v);
    case RDB_TYPE_SET_INTSET: return get_intset(in, v);
    default: return get_set_listpack(in, v);
    }
}

/* --- Hashes ---------------------------------------------------------------------------------- */

static void add_field(struct build *b, struct slice name, struct slice value) {
    rdb_gather_add(&b->gather, hash_of(name), field_new(name, value));
    b->count++;
}

static void hash_to_table(struct build *b, const uint8_t *lp) {
    char name[NUM_I64_MAX], value[NUM_I64_MAX];
    uint64_t bound = reader_left(b->in->reader) / TABLE_BYTES + listpack_count(lp) / 2;
    b->table = value_table_new(&fieldmap_table, b->expected < bound ? b->expected : bound);
    b->count = 0;
    rdb_gather_begin(&b->gather, b->table, &rdb_field_records);
    for (const uint8_t *at = listpack_first(lp), *next; !listpack_at_end(at); at = listpack_next(next)) {
        next = listpack_next(at);
        add_field(b, listpack_text(at, name), listpack_text(next, value));
    }
}

static bool add_pair(struct build *b, struct slice name, struct slice value) {
    uint64_t max = (uint64_t)fieldmap_options.max_value;
    if (!b->table) {
        struct listpack_item one = listpack_item(name), other = listpack_item(value);
        if (name.len <= max && value.len <= max &&
            fits_entry(b, listpack_item_bytes(&one) + listpack_item_bytes(&other))) {
            b->count++;
            return rdb_pack_append(b->in, &one) && rdb_pack_append(b->in, &other);
        }
        hash_to_table(b, b->in->pack.bytes);
    }
    add_field(b, name, value);
    return true;
}

static bool get_pairs(struct rdb_in *in, struct rdb_value *v) {
    struct build b;
    struct slice name, value;
    uint64_t count;
    if (!rdb_get_count(in, &count, 2)) return false;
    begin_build(&b, in, count);
    if (count > (uint64_t)fieldmap_options.max_entries) hash_to_table(&b, in->pack.bytes);
    bool ok = true;
    while (ok && count-- > 0)
        ok = rdb_get_kept(in, &in->name, &name) && rdb_get_string(in, &in->text, &value) && add_pair(&b, name, value);
    if (b.table) return finish_table(&b, ok, v, ENTRY_HASH, FIELDMAP_TABLE);
    if (!ok) return false;
    if (b.count == 0) return rdb_value_empty(v);
    if (rdb_has_twins(in->pack.bytes, 2)) return came_twice(in);
    rdb_value_pack(in, v, ENTRY_HASH, FIELDMAP_LISTPACK, in->pack.bytes);
    return true;
}

/* A hash in a listpack, which may be in->pack. As in Redis, only the number of fields is compared with the options. */
static bool hash_of_listpack(struct rdb_in *in, const uint8_t *lp, struct rdb_value *v) {
    size_t count = listpack_count(lp);
    if (count % 2 != 0) return rdb_refuse(in, RDB_CORRUPT, "a hash with a field that has no value");
    if (count == 0) return rdb_value_empty(v);
    if (count / 2 <= (uint64_t)fieldmap_options.max_entries && listpack_bytes(lp) <= PACK_MAX) {
        if (rdb_has_twins(lp, 2)) return came_twice(in);
        rdb_value_pack(in, v, ENTRY_HASH, FIELDMAP_LISTPACK, lp);
        return true;
    }
    struct build b = {.in = in, .expected = count / 2};
    hash_to_table(&b, lp);
    return finish_table(&b, true, v, ENTRY_HASH, FIELDMAP_TABLE);
}

static bool longer_than(const uint8_t *lp, uint64_t max) {
    char digits[NUM_I64_MAX];
    for (const uint8_t *at = listpack_first(lp); !listpack_at_end(at); at = listpack_next(at)) {
        if (listpack_text(at, digits).len > max) return true;
    }
    return false;
}

/* The values of a zipmap may be too long for a listpack. Those of a ziplist obeyed the options of their time. */
static bool get_old_hash(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    uint8_t *block;
    size_t n;
    if (!rdb_get_block(in, &in->text, &block, &n)) return false;
    if (type == RDB_TYPE_HASH_ZIPLIST) {
        return rdb_ziplist_to_pack(in, block, n) && hash_of_listpack(in, in->pack.bytes, v);
    }
    if (!rdb_zipmap_to_pack(in, block, n)) return false;
    if (!longer_than(in->pack.bytes, (uint64_t)fieldmap_options.max_value)) {
        return hash_of_listpack(in, in->pack.bytes, v);
    }
    struct build b = {.in = in, .expected = listpack_count(in->pack.bytes) / 2};
    hash_to_table(&b, in->pack.bytes);
    return finish_table(&b, true, v, ENTRY_HASH, FIELDMAP_TABLE);
}

bool rdb_get_hash(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    uint8_t *lp;
    switch (type) {
    case RDB_TYPE_HASH: return get_pairs(in, v);
    case RDB_TYPE_HASH_LISTPACK: return rdb_get_listpack(in, &lp) && hash_of_listpack(in, lp, v);
    default: return get_old_hash(in, type, v);
    }
}
