/* The result of SUNIONSTORE, SINTERSTORE or SDIFFSTORE, before it has a key.
 *
 * It is a table of records from the start, since members come in any order and number, and each must be looked up. The
 * table of a large result becomes the value; a small result is written into the entry. */
#include "ds/intset.h"
#include "ds/pack.h"
#include "store/set.h"
#include "store/set_record.h"

void set_draft_init(struct set_draft *d) {
    *d = (struct set_draft){.integers = true};
    table_init(&d->members, &set_record_table);
}

bool set_draft_add(struct set_draft *d, struct slice member) {
    int64_t number;
    if (!set_record_add(&d->members, member, hash_bytes(member.ptr, member.len))) return false;
    if (d->integers) d->integers = num_parse_i64(member, &number);
    if (d->longest < member.len) d->longest = member.len;
    d->bytes += member.len;
    return true;
}

bool set_draft_has(const struct set_draft *d, struct slice member) {
    return set_record_find(&d->members, member, hash_bytes(member.ptr, member.len)) != NULL;
}

void set_draft_each(const struct set_draft *d, set_visit_fn visit, void *ctx) {
    struct table_iter it;
    const struct set_record *r;
    table_iter_init(&it, &d->members);
    while ((r = table_iter_next(&it))) {
        struct slice member = set_record_slice(r);
        visit(ctx, (struct listpack_value){member.ptr, member.len, 0});
    }
}

void set_draft_drop(struct set_draft *d) {
    set_record_clear(&d->members);
}

void set_draft_held(struct set_draft *d, const struct entry *e) {
    struct set_iter it;
    struct listpack_value value;
    char scratch[NUM_I64_MAX];
    int64_t number;
    d->most = set_count(e);
    if (d->most > (uint64_t)set_options.max_intset_entries && d->most > (uint64_t)set_options.max_listpack_entries)
        return;
    set_iter_init(&it, e);
    while (set_iter_next(&it, &value)) {
        struct slice member = listpack_value_text(value, scratch);
        if (d->integers) d->integers = num_parse_i64(member, &number);
        if (d->longest < member.len) d->longest = member.len;
    }
}

static void store_table(struct db *db, const struct key *key, struct entry *old, struct set_draft *d) {
    struct table *t = alloc_get(sizeof *t);
    *t = d->members;
    table_init(&d->members, &set_record_table);
    db_put(db, key, old, ENTRY_SET, SET_HASHTABLE, &t, sizeof t, ENTRY_NO_TTL);
}

/* Add the members one by one, so that only set_add() writes the small encodings. */
static void store_small(struct db *db, const struct key *key, struct entry *old, struct set_draft *d) {
    uint8_t block[INTSET_HEAD];
    size_t bytes = INTSET_HEAD;
    enum set_encoding encoding = SET_INTSET;
    if (d->integers) {
        intset_init(block);
    } else {
        encoding = SET_LISTPACK;
        bytes = PACK_EMPTY;
        pack_init(block);
    }
    struct entry *e = db_put(db, key, old, ENTRY_SET, encoding, block, bytes, ENTRY_NO_TTL);
    struct table_iter it;
    const struct set_record *r;
    table_iter_init(&it, &d->members);
    while ((r = table_iter_next(&it))) {
        struct slice member = set_record_slice(r);
        int64_t added;
        e = set_add(db, key, e, &member, 1, &added);
    }
    set_draft_drop(d);
}

void set_draft_store(struct db *db, const struct key *key, struct entry *old, struct set_draft *d) {
    enum { INTEGER_BYTES = 8, OVERHEAD = 10 }; /* of one member at most */
    uint64_t count = d->members.count, most = d->most > count ? d->most : count;
    assert(count > 0);
    bool small = d->integers ? most <= (uint64_t)set_options.max_intset_entries && count * INTEGER_BYTES < PACK_MAX
                             : most <= (uint64_t)set_options.max_listpack_entries &&
                                   d->longest <= (uint64_t)set_options.max_listpack_value &&
                                   d->bytes + count * OVERHEAD < PACK_MAX;
    if (small) {
        store_small(db, key, old, d);
    } else {
        store_table(db, key, old, d);
    }
}
