/* See digest.h. Bytes enter a digest in two ways. digest_add() takes the exclusive or with their SHA-1: the order of
 * additions does not count. digest_mix() adds them and then replaces the digest by its own SHA-1: from there on the
 * order counts. */
#include "admin/digest.h"
#include "base/num.h"
#include "base/sha1.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/stream.h"
#include "store/string.h"
#include "store/zset.h"
#include <arpa/inet.h>
#include <stdio.h>

static void digest_add(struct digest *d, struct slice s) {
    struct digest other;
    sha1_digest(s, other.bytes);
    for (int i = 0; i < DIGEST_BYTES; i++)
        d->bytes[i] ^= other.bytes[i];
}

static void add_digest(struct digest *d, const struct digest *other) {
    digest_add(d, slice_of((const char *)other->bytes, DIGEST_BYTES));
}

static void digest_mix(struct digest *d, struct slice s) {
    digest_add(d, s);
    sha1_digest(slice_of((const char *)d->bytes, DIGEST_BYTES), d->bytes);
}

static void mix_number(struct digest *d, uint32_t number) {
    number = htonl(number);
    digest_mix(d, slice_of((const char *)&number, sizeof number));
}

static void mix_list(struct digest *d, const struct entry *e) {
    struct list_view view;
    struct quicklist_iter it;
    char digits[NUM_I64_MAX];
    for (bool ok = quicklist_start(&it, list_read(e, &view), 0); ok; ok = quicklist_next(&it))
        digest_mix(d, listpack_value_text(quicklist_get(&it), digits));
    quicklist_stop(&it);
}

static void add_set(struct digest *d, const struct entry *e) {
    struct set_iter it;
    struct listpack_value member;
    char digits[NUM_I64_MAX];
    set_iter_init(&it, e);
    while (set_iter_next(&it, &member))
        digest_add(d, listpack_value_text(member, digits));
}

static void add_pair(struct digest *d, struct slice one, struct slice other) {
    struct digest pair = {{0}};
    digest_mix(&pair, one);
    digest_mix(&pair, other);
    add_digest(d, &pair);
}

static void add_zset(struct digest *d, const struct entry *e) {
    struct zset_walk walk;
    char score[NUM_F64_MAX];
    zset_walk_from(&walk, e, 0);
    while (zset_walk_next(&walk)) {
        int len = snprintf(score, sizeof score, "%.17g", walk.score);
        add_pair(d, walk.member, slice_of(score, (size_t)len));
    }
}

static void add_hash(struct digest *d, const struct entry *e) {
    struct fieldmap_iter it;
    struct field_pair pair;
    fieldmap_iter_init(&it, e);
    while (fieldmap_iter_next(&it, &pair))
        add_pair(d, pair.name, pair.value);
}

static void mix_stream(struct digest *d, const struct entry *e) {
    struct stream_iter it;
    struct listpack_value name, value;
    char id[2 * NUM_I64_MAX], digits[NUM_I64_MAX];
    stream_iter_start(&it, stream_of(e), STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_iter_next(&it)) {
        int len = snprintf(id, sizeof id, "%llu.%llu", (unsigned long long)it.id.ms, (unsigned long long)it.id.seq);
        digest_mix(d, slice_of(id, (size_t)len));
        while (stream_iter_pair(&it, &name, &value)) {
            digest_mix(d, listpack_value_text(name, digits));
            digest_mix(d, listpack_value_text(value, digits));
        }
    }
}

/* Continue a digest with a value. The numbers of the types are Redis's. */
static void digest_entry(struct digest *d, const struct entry *e) {
    static const uint8_t numbers[ENTRY_TYPES] = {
        [ENTRY_STRING] = 0, [ENTRY_LIST] = 1, [ENTRY_SET] = 2, [ENTRY_ZSET] = 3, [ENTRY_HASH] = 4, [ENTRY_STREAM] = 6};
    char digits[NUM_I64_MAX];
    mix_number(d, numbers[entry_type(e)]);
    switch (entry_type(e)) {
    case ENTRY_STRING: digest_mix(d, string_bytes(e, digits)); break;
    case ENTRY_LIST: mix_list(d, e); break;
    case ENTRY_SET: add_set(d, e); break;
    case ENTRY_ZSET: add_zset(d, e); break;
    case ENTRY_HASH: add_hash(d, e); break;
    case ENTRY_STREAM: mix_stream(d, e); break;
    default: break;
    }
    if (entry_has_ttl(e)) digest_add(d, SLICE("!!expire!!"));
}

struct digest digest_value(const struct entry *e) {
    struct digest d = {{0}};
    if (e) digest_entry(&d, e);
    return d;
}

struct digest digest_everything(void) {
    struct digest all = {{0}};
    for (int i = 0; i < db_count(); i++) {
        struct db *db = db_at(i);
        struct table_iter it;
        const struct entry *e;
        if (db_size(db) == 0) continue;
        mix_number(&all, (uint32_t)i);
        table_iter_init(&it, &db->keys);
        while ((e = table_iter_next(&it))) {
            struct digest d = {{0}};
            digest_mix(&d, entry_key(e));
            digest_entry(&d, e);
            add_digest(&all, &d);
        }
    }
    return all;
}
