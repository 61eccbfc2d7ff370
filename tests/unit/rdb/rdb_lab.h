/* For the tests of RDB: a keyspace with values of all kinds, its digest, saving to memory and loading from it. */
#pragma once
#include "base/clock.h"
#include "base/rand.h"
#include "rdb/rdb.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/stream_lab.h"
#include "store/string.h"
#include "store/zset.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef LAB_DBS
#define LAB_DBS 4
#endif

static struct rdb_read lab_job; /* of the last lab_load() */

static inline void lab_start(void) {
    clock_init();
    hash_seed(rand_u64());
    list_options.max_listpack_size = -2;
    stream_options = (struct stream_options){4096, 100};
    db_init(LAB_DBS);
}

static inline void lab_empty(void) {
    for (int i = 0; i < LAB_DBS; i++)
        db_empty(db_at(i), false);
}

static inline enum rdb_result lab_load(struct slice bytes, unsigned flags) {
    int fd = memfd_create("rdb", MFD_CLOEXEC);
    if (write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len) abort();
    lseek(fd, 0, SEEK_SET);
    lab_job = (struct rdb_read){.fd = fd, .flags = flags};
    enum rdb_result result = rdb_read(&lab_job);
    close(fd);
    return result;
}

/* The caller frees the result. */
static inline struct slice lab_save(unsigned flags) {
    int fd = memfd_create("rdb", MFD_CLOEXEC);
    struct rdb_write job = {.fd = fd, .flags = flags};
    if (!rdb_write(&job)) abort();
    char *bytes = malloc(job.bytes);
    if (pread(fd, bytes, job.bytes, 0) != (ssize_t)job.bytes) abort();
    close(fd);
    return slice_of(bytes, job.bytes);
}

/* --- A digest of the keyspace; only the orders of lists and of sorted sets matter to it ------ */

static inline uint64_t lab_mix(uint64_t digest, struct slice s) {
    return hash_fold(digest ^ 0x9e3779b97f4a7c15u, hash_bytes(s.ptr, s.len) | 1);
}

/* The entries, and what is pending. */
static inline uint64_t lab_digest_stream(const struct stream *s) {
    char scratch[NUM_I64_MAX];
    struct stream_iter it;
    struct listpack_value name, value;
    uint64_t digest = s->last_id.ms * 31 + s->last_id.seq + s->entries_added;
    for (stream_iter_start(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false); stream_iter_next(&it);) {
        digest = lab_mix(digest, slice_of((char *)&it.id, sizeof it.id));
        while (stream_iter_pair(&it, &name, &value)) {
            digest = lab_mix(digest, listpack_value_text(name, scratch));
            digest = lab_mix(digest, listpack_value_text(value, scratch));
        }
    }
    for (uint32_t i = 0; s->groups && i < s->groups->used; i++) {
        struct stream_group *g = roster_at(s->groups, i);
        struct stream_group_walk w;
        uint64_t of_group = 3;
        if (!g) continue;
        for (stream_group_walk(&w, g, NULL, STREAM_ID_MIN); stream_group_walk_next(&w);) {
            of_group = lab_mix(of_group, slice_of((char *)&w.nack.id, sizeof w.nack.id));
            of_group = lab_mix(of_group + w.nack.deliveries, stream_group_consumer_name(w.nack.consumer));
        }
        digest += lab_mix(of_group, stream_group_name(g)); /* in any order */
    }
    return digest;
}

static inline uint64_t lab_digest_value(const struct entry *e) {
    char scratch[NUM_I64_MAX];
    uint64_t digest = entry_type(e);
    struct list_view view;
    struct quicklist_iter list;
    struct set_iter set;
    struct fieldmap_iter hash;
    struct zset_walk zset;
    struct listpack_value v;
    struct field_pair pair;
    switch (entry_type(e)) {
    case ENTRY_STRING: return lab_mix(digest, string_bytes(e, scratch));
    case ENTRY_LIST:
        for (bool ok = quicklist_start(&list, list_read(e, &view), 0); ok; ok = quicklist_next(&list))
            digest = lab_mix(digest, listpack_value_text(quicklist_get(&list), scratch));
        quicklist_stop(&list);
        return digest;
    case ENTRY_SET:
        for (set_iter_init(&set, e); set_iter_next(&set, &v);)
            digest += lab_mix(1, listpack_value_text(v, scratch));
        return digest;
    case ENTRY_HASH:
        for (fieldmap_iter_init(&hash, e); fieldmap_iter_next(&hash, &pair);)
            digest += lab_mix(lab_mix(2, pair.name), pair.value);
        return digest;
    case ENTRY_STREAM: return lab_digest_stream(stream_of(e));
    default:
        for (zset_walk_from(&zset, e, 0); zset_walk_next(&zset);)
            digest = lab_mix(lab_mix(digest, zset.member), slice_of((char *)&zset.score, sizeof zset.score));
        return digest;
    }
}

static inline uint64_t lab_digest_all(bool with_encodings) {
    uint64_t digest = 0;
    for (int i = 0; i < LAB_DBS; i++) {
        struct table_iter it;
        const struct entry *e;
        for (table_iter_init(&it, &db_at(i)->keys); (e = table_iter_next(&it));) {
            uint64_t one = lab_mix(lab_digest_value(e), entry_key(e)) + (uint64_t)entry_deadline_ms(e) * 31;
            digest += lab_mix(one + (uint64_t)i, slice_cstr(with_encodings ? entry_encoding_name(e) : ""));
        }
    }
    return digest;
}
static inline uint64_t lab_contents(void) { /* keys, values, deadlines */
    return lab_digest_all(false);
}
static inline uint64_t lab_digest(void) { /* these, and the encodings */
    return lab_digest_all(true);
}

/* --- Something of everything ----------------------------------------------------------------- */

static inline struct slice lab_text(char *to, size_t max) {
    size_t n = 0;
    switch (rand_below(6)) {
    case 0: return slice_of(to, (size_t)num_print_i64(to, (int64_t)rand_u64() >> rand_below(64)));
    case 1: n = rand_below(max < 20 ? max : 20); break;
    case 2: n = rand_below(max); break;
    default: n = (size_t)sprintf(to, "element:%d", (int)rand_below(100000)); return slice_of(to, n);
    }
    bool plain = rand_below(2);
    for (size_t i = 0; i < n; i++)
        to[i] = plain ? (char)('a' + i % 7) : (char)rand_u64();
    return slice_of(to, n);
}

static inline bool lab_exceeds(const struct entry *list) {
    struct list_view view;
    const struct quicklist *q = list_read(list, &view);
    size_t bytes = 0;
    for (size_t i = 0; i < q->used; i++)
        bytes += quicknode_bytes(quicklist_node(q, i));
    return quicklist_exceeds(list_options.max_listpack_size, bytes, q->count);
}

/* Pushes count the bytes of texts, as in Redis, without the heads of elements, and those of the digits of numbers. So
 * at the limit of a listpack, the encoding may be another one after the list was loaded. More elements lead away from
 * it. */
static inline struct entry *lab_leave_limit(struct db *db, const struct key *key, struct entry *e) {
    while ((entry_encoding(e) == LIST_QUICKLIST) != lab_exceeds(e))
        e = list_push(db, key, e, QUICKLIST_TAIL, &SLICE("more"), 1);
    return e;
}

/* A value that is too long for a listpack leaves a table behind when a shorter one replaces it, and the table does not
 * outlive a snapshot. So values are not replaced. */
static inline struct entry *lab_set_once(struct db *db, const struct key *key, struct entry *e, struct slice pair[2]) {
    char scratch[NUM_I64_MAX];
    struct slice value;
    size_t created;
    if (e && fieldmap_get(e, pair[0], scratch, &value)) return e;
    return fieldmap_set(db, key, e, pair, 1, &created);
}

static inline void lab_add(struct db *db, enum entry_type type, const struct key *key, size_t n, size_t longest) {
    static char one[100000], other[100000];
    struct entry *e = NULL;
    if (type == ENTRY_STREAM) {
        struct stream *s = stream_lab_new(n);
        e = db_put(db, key, NULL, type, STREAM_NODES, &s, sizeof s, ENTRY_NO_TTL);
    }
    for (size_t i = 0; i < n && type != ENTRY_STREAM; i++) {
        struct slice pair[2] = {lab_text(one, longest), lab_text(other, longest)};
        double score = (double)(int64_t)rand_below(1000) / (rand_below(2) ? 1 : 8);
        int64_t added;
        switch (type) {
        case ENTRY_STRING: e = db_set_string(db, key, db_peek(db, key), pair[0], ENTRY_NO_TTL); break;
        case ENTRY_LIST: e = list_push(db, key, e, rand_below(2) ? QUICKLIST_HEAD : QUICKLIST_TAIL, pair, 1); break;
        case ENTRY_SET:
            if (longest == 1)
                pair[0] = slice_of(one, (size_t)num_print_i64(one, (int64_t)rand_u64() >> rand_below(64)));
            e = set_add(db, key, e, pair, 1, &added);
            break;
        case ENTRY_HASH: e = lab_set_once(db, key, e, pair); break;
        default: zset_add(db, key, &e, pair[0], &score, 0);
        }
    }
    if (type == ENTRY_LIST) e = lab_leave_limit(db, key, e);
    if (rand_below(3) == 0) db_set_deadline(db, e, key->hash, clock_now_ms() + 1000000 + (int64_t)rand_below(1000000));
}

static inline void lab_fill(int keys) {
    static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_HASH, ENTRY_ZSET, ENTRY_STREAM};
    static const size_t sizes[] = {1, 2, 5, 50, 150, 700};
    static const size_t lengths[] = {1, 10, 60, 500, 5000, 50000};
    for (int i = 0; i < keys; i++) {
        char name[400];
        int n = sprintf(name, "key:%d", i);
        if (i % 20 == 3) n += sprintf(name + n, ":%0300d", i);
        struct key key = key_of(slice_of(name, (size_t)n));
        size_t count = sizes[rand_below(6)], longest = lengths[rand_below(6)];
        while (count * longest > 400000)
            longest /= 10;
        lab_add(db_at((int)rand_below(LAB_DBS - 1)), types[i % 6], &key, count, longest ? longest : 1);
    }
}

/* --- Damage ---------------------------------------------------------------------------------- */

/* Flip, cut out, copy or make up some bytes. Returns the new length. */
static inline size_t lab_damage(uint8_t *p, size_t n) {
    static const uint8_t odd[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xf0, 0xfe, 0xff};
    for (unsigned i = 0, changes = 1 + (unsigned)rand_below(4); i < changes && n > 0; i++) {
        size_t at = rand_below(n), len = rand_below(n - at < 16 ? n - at : 16);
        switch (rand_below(6)) {
        case 0: p[at] ^= (uint8_t)(1u << rand_below(8)); break;
        case 1: p[at] = (uint8_t)rand_u64(); break;
        case 2: p[at] = odd[rand_below(sizeof odd)]; break;
        case 3:
            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        case 4: memmove(p + at, p + rand_below(n - len), len); break;
        default: p[at] = (uint8_t)(p[at] + (rand_below(2) ? 1 : -1));
        }
    }
    if (rand_below(10) == 0) n = rand_below(n + 1);
    return n;
}
