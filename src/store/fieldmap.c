/* Hashes in their two encodings.
 *
 * Invariant: between operations the inline value is exactly as long as its pack. During an operation it may be longer,
 * since a new hash gets room for all its fields at once; `used` is the length of the pack then. */
#include "store/fieldmap.h"
#include "base/module.h"
#include "base/option.h"
#include "ds/pack.h"
#include "store/value.h"
#include "store/value_table.h"

struct fieldmap_options fieldmap_options = {.max_entries = 512, .max_value = 64};

static const struct option fieldmap_rows[] = {
    {"hash-max-listpack-entries", .alias = "hash-max-ziplist-entries", .type = OPTION_I64,
     .address = &fieldmap_options.max_entries, .initial = "512"},
    {"hash-max-listpack-value", .alias = "hash-max-ziplist-value", .type = OPTION_MEMORY,
     .address = &fieldmap_options.max_value, .initial = "64"},
    {NULL},
};

const struct table_type fieldmap_table = {field_hash};

static bool is_table(const struct entry *e) {
    assert(entry_type(e) == ENTRY_HASH);
    return entry_owns_memory(e);
}
static uint8_t *pack_of(const struct entry *e) {
    return (uint8_t *)entry_value(e);
}

static uint64_t hash_of_name(struct slice name) {
    return hash_bytes(name.ptr, name.len);
}

size_t fieldmap_count(const struct entry *e) {
    if (is_table(e)) return ((const struct table *)entry_pointer(e))->count;
    return pack_count(pack_of(e)) / 2;
}

/* The name of the field in the pack; NULL: there is no such field. */
static uint8_t *find_field_in_pack(const struct entry *e, size_t used, struct slice name) {
    struct listpack_item item = listpack_item(name);
    return pack_find(pack_first(pack_of(e)), pack_of(e) + used, &item, 2);
}

bool fieldmap_get(const struct entry *e, struct slice name, char scratch[NUM_I64_MAX], struct slice *value) {
    if (is_table(e)) {
        const struct field *f = table_find(entry_pointer(e), hash_of_name(name), field_equal, &name);
        if (f) *value = field_pair(f).value;
        return f != NULL;
    }
    const uint8_t *at = find_field_in_pack(e, e->value_len, name);
    if (at) *value = listpack_text(pack_next(at), scratch);
    return at != NULL;
}

/* --- Changing -------------------------------------------------------------------------------- */

/* Make the pack a table with room for this many fields. */
static struct entry *fieldmap_to_table(struct db *db, struct entry *e, size_t room) {
    size_t count = fieldmap_count(e);
    struct table *t = value_table_new(&fieldmap_table, room > count ? room : count);
    struct fieldmap_iter it;
    struct field_pair pair;
    fieldmap_iter_init(&it, e);
    while (fieldmap_iter_next(&it, &pair))
        table_insert(t, hash_of_name(pair.name), field_new(pair.name, pair.value));
    e = db_resize_value(db, e, FIELDMAP_TABLE, sizeof t);
    entry_set_pointer(e, t);
    return e;
}

static bool set_field_in_table(struct table *t, struct slice name, struct slice value) {
    uint64_t hash = hash_of_name(name);
    struct field *f = table_find(t, hash, field_equal, &name);
    if (!f) {
        table_insert(t, hash, field_new(name, value));
    } else if (!field_assign(f, value)) {
        struct field *other = field_new(name, value);
        table_replace(t, hash, f, other);
        field_free(f);
    }
    return !f;
}

/* Make room for a pack of this length. False: an entry cannot hold it, so it must become a table. */
static bool make_room_in_pack(struct db *db, struct entry **e, size_t bytes) {
    if (bytes > PACK_MAX) return false;
    if (bytes > (*e)->value_len) *e = db_resize_value(db, *e, FIELDMAP_LISTPACK, bytes);
    return true;
}

/* Set one pair. False: an entry cannot hold it; nothing has changed. */
static bool set_field_in_pack(struct db *db, struct entry **e, size_t *used, const struct slice *pair,
                              size_t *created) {
    struct listpack_item name = listpack_item(pair[0]), value = listpack_item(pair[1]);
    uint8_t *pack = pack_of(*e), *at = find_field_in_pack(*e, *used, pair[0]);
    if (at) {
        at = pack_next(at);
        size_t offset = (size_t)(at - pack), old = listpack_width(at);
        if (!make_room_in_pack(db, e, *used - old + pack_item_bytes(&value))) return false;
        pack = pack_of(*e);
        *used = pack_replace(pack, *used, pack + offset, &value);
        return true;
    }
    if (!make_room_in_pack(db, e, *used + pack_item_bytes(&name) + pack_item_bytes(&value))) return false;
    pack = pack_of(*e);
    *used = pack_append(pack, *used, &name);
    *used = pack_append(pack, *used, &value);
    ++*created;
    return true;
}

/* True if these pairs are too many or too long for a pack. */
static bool is_big(const struct slice *pairs, size_t n) {
    if (n > (uint64_t)fieldmap_options.max_entries) return true;
    for (size_t i = 0; i < 2 * n; i++) {
        if (pairs[i].len > (uint64_t)fieldmap_options.max_value) return true;
    }
    return false;
}

/* A hash without fields, with room for these pairs. */
static struct entry *create_fieldmap(struct db *db, const struct key *key, const struct slice *pairs, size_t n,
                                     bool big) {
    if (big) {
        struct table *t = value_table_new(&fieldmap_table, n);
        return db_put(db, key, NULL, ENTRY_HASH, FIELDMAP_TABLE, &t, sizeof t, ENTRY_NO_TTL);
    }
    size_t room = PACK_EMPTY;
    for (size_t i = 0; i < 2 * n && room <= PACK_MAX; i++) {
        struct listpack_item item = listpack_item(pairs[i]);
        room += pack_item_bytes(&item);
    }
    if (room > PACK_MAX) room = PACK_EMPTY;
    struct entry *e = db_put(db, key, NULL, ENTRY_HASH, FIELDMAP_LISTPACK, NULL, room, ENTRY_NO_TTL);
    pack_init(pack_of(e));
    return e;
}

/* Shorten the value to the pack. */
static struct entry *trim_pack(struct db *db, struct entry *e, size_t used) {
    return used == e->value_len ? e : db_resize_value(db, e, FIELDMAP_LISTPACK, used);
}

struct entry *fieldmap_set(struct db *db, const struct key *key, struct entry *e, const struct slice *pairs, size_t n,
                           size_t *created) {
    bool is_new = !e;
    *created = 0;
    if (is_new) {
        e = create_fieldmap(db, key, pairs, n, is_big(pairs, n));
    } else if (!is_table(e) && is_big(pairs, n)) {
        e = fieldmap_to_table(db, e, n);
    }
    size_t i = 0, used = is_new ? PACK_EMPTY : e->value_len;
    for (; i < n && !is_table(e); i++) {
        if (!set_field_in_pack(db, &e, &used, pairs + 2 * i, created)) break;
        if (fieldmap_count(e) > (uint64_t)fieldmap_options.max_entries)
            e = fieldmap_to_table(db, trim_pack(db, e, used), 0);
    }
    if (!is_table(e)) {
        e = trim_pack(db, e, used);
        if (i == n) return e;
        e = fieldmap_to_table(db, e, 0);
    }
    struct table *t = entry_pointer(e);
    for (; i < n; i++)
        *created += set_field_in_table(t, pairs[2 * i], pairs[2 * i + 1]);
    return e;
}

static bool remove_field_from_table(struct table *t, struct slice name) {
    uint64_t hash = hash_of_name(name);
    struct field *f = table_find(t, hash, field_equal, &name);
    if (!f) return false;
    table_remove(t, hash, f);
    field_free(f);
    return true;
}

static bool remove_field_from_pack(struct entry *e, size_t *used, struct slice name) {
    uint8_t *at = find_field_in_pack(e, *used, name);
    if (at) *used = pack_remove(pack_of(e), *used, at, 2);
    return at != NULL;
}

struct entry *fieldmap_remove(struct db *db, struct entry *e, const struct slice *names, size_t n, size_t *removed) {
    *removed = 0;
    if (is_table(e)) {
        struct table *t = entry_pointer(e);
        for (size_t i = 0; i < n && t->count > 0; i++)
            *removed += remove_field_from_table(t, names[i]);
        return e;
    }
    size_t used = e->value_len;
    for (size_t i = 0; i < n && used > PACK_EMPTY; i++)
        *removed += remove_field_from_pack(e, &used, names[i]);
    return trim_pack(db, e, used);
}

/* --- Walking --------------------------------------------------------------------------------- */

void fieldmap_iter_init(struct fieldmap_iter *it, const struct entry *e) {
    it->at = NULL;
    if (is_table(e)) {
        table_iter_init(&it->records, entry_pointer(e));
    } else {
        it->at = pack_first(pack_of(e));
        it->end = pack_of(e) + e->value_len;
    }
}

bool fieldmap_iter_next(struct fieldmap_iter *it, struct field_pair *pair) {
    if (!it->at) {
        const struct field *f = table_iter_next(&it->records);
        if (f) *pair = field_pair(f);
        return f != NULL;
    }
    if (it->at == it->end) return false;
    pair->name = listpack_text(it->at, it->name_digits);
    it->at = pack_next(it->at);
    pair->value = listpack_text(it->at, it->value_digits);
    it->at = pack_next(it->at);
    return true;
}

uint64_t fieldmap_scan(const struct entry *e, uint64_t cursor, table_visit_fn visit, void *ctx) {
    assert(is_table(e));
    return table_scan(entry_pointer(e), cursor, visit, ctx);
}

/* --- The type -------------------------------------------------------------------------------- */

static const char *fieldmap_encoding_name(unsigned encoding) {
    return encoding == FIELDMAP_LISTPACK ? "listpack" : "hashtable";
}

static void free_field(void *ctx, void *record) {
    (void)ctx;
    field_free(record);
}

static void drop_fieldmap(void *value, unsigned encoding) {
    (void)encoding;
    value_table_free(value, free_field);
}

static size_t field_record_memory(const void *record) {
    return field_memory(record);
}

static size_t fieldmap_memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    return value_table_memory(value, samples, field_record_memory);
}

static void *copy_field(const void *record) {
    struct field_pair pair = field_pair(record);
    return field_new(pair.name, pair.value);
}

static void *copy_fieldmap(const void *value, unsigned encoding) {
    (void)encoding;
    return value_table_copy(value, copy_field);
}

const struct value_ops fieldmap_ops = {.encoding_name = fieldmap_encoding_name,
                                       .drop = drop_fieldmap,
                                       .is_heavy = value_table_is_heavy,
                                       .memory = fieldmap_memory,
                                       .copy = copy_fieldmap,
                                       .members = value_table_members};

const struct module fieldmap_module = {.options = fieldmap_rows};
