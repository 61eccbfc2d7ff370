/* See tracked.h. Invariant: `ids` of the table is the sum of the ids that its keys have, closed clients included. */
#include "publish/tracked.h"
#include "base/alloc.h"
#include "base/likely.h"
#include "base/worker.h"

#define SET_FLAG ((uint64_t)1 << 63) /* in `holders`: the rest is the address of a set, not an id */
#define SET_MIN 4                    /* slots of the smallest set; a power of two */
#define CLEAR_AT_ONCE 1000           /* tables with more keys are freed by the background thread */

#define SAMPLES 32 /* keys from which the bytes of such a table are estimated */

struct tracked {
    uint64_t holders; /* an id, or a set with SET_FLAG */
    uint32_t len;
    char name[];
};

/* Linear probing, at most three quarters full; 0 is an empty slot. */
struct id_set {
    uint32_t count, slots;
    uint64_t ids[];
};

static uint64_t tracked_hash(const void *record) {
    const struct tracked *k = record;
    return hash_bytes(k->name, k->len);
}

const struct table_type tracked_type = {tracked_hash};

/* --- The ids of a key ------------------------------------------------------------------------ */

static struct id_set *set_of(const struct tracked *k) {
    return k->holders & SET_FLAG ? (struct id_set *)(uintptr_t)(k->holders & ~SET_FLAG) : NULL;
}

static size_t set_bytes(uint32_t slots) {
    return sizeof(struct id_set) + slots * sizeof(uint64_t);
}

static uint64_t *set_slot(struct id_set *s, uint64_t id) {
    uint32_t i = (uint32_t)(id * 0x9e3779b97f4a7c15u >> 32);
    while (s->ids[i & (s->slots - 1)] && s->ids[i & (s->slots - 1)] != id)
        i++;
    return &s->ids[i & (s->slots - 1)];
}

static struct id_set *set_new(uint32_t slots) {
    struct id_set *s = alloc_zero(set_bytes(slots));
    s->slots = slots;
    return s;
}

static void set_free(struct id_set *s) {
    alloc_put(s, set_bytes(s->slots));
}

static void set_put(struct id_set *s, uint64_t id) {
    *set_slot(s, id) = id;
    s->count++;
}

/* Replace a set by one with room for another id. Ids of closed clients are left out. */
static struct id_set *set_grown(struct id_set *s, bool (*is_alive)(uint64_t id)) {
    uint32_t alive = 0, slots = SET_MIN;
    for (uint32_t i = 0; i < s->slots; i++) {
        if (s->ids[i] && !is_alive(s->ids[i])) s->ids[i] = 0;
        alive += s->ids[i] != 0;
    }
    while (alive + 1 > slots / 2)
        slots *= 2;
    struct id_set *to = set_new(slots);
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->ids[i]) set_put(to, s->ids[i]);
    set_free(s);
    return to;
}

static size_t id_count(const struct tracked *k) {
    const struct id_set *s = set_of(k);
    return s ? s->count : 1;
}

/* The key has another id already. Out of line, so that the usual case, which needs no memory, stays small. */
static __attribute__((noinline)) void add_further(struct tracked_table *t, struct tracked *k, uint64_t id,
                                                  bool (*is_alive)(uint64_t id)) {
    struct id_set *s = set_of(k);
    if (s && *set_slot(s, id)) return;
    if (s == NULL && !is_alive(k->holders)) {
        k->holders = id;
        return;
    }
    t->ids -= id_count(k);
    if (s == NULL) {
        s = set_new(SET_MIN);
        set_put(s, k->holders);
    } else if ((s->count + 1) * 4 > s->slots * 3) {
        s = set_grown(s, is_alive);
    }
    set_put(s, id);
    k->holders = (uintptr_t)s | SET_FLAG;
    t->ids += s->count;
}

/* --- Keys ------------------------------------------------------------------------------------ */

static size_t key_bytes(size_t len) {
    size_t bytes = offsetof(struct tracked, name) + len;
    return bytes < sizeof(struct tracked) ? sizeof(struct tracked) : bytes;
}

static bool key_is(const void *record, const void *name) {
    return slice_eq(tracked_name(record), *(const struct slice *)name);
}

void tracked_add(struct tracked_table *t, const struct key *key, uint64_t id, bool (*is_alive)(uint64_t id)) {
    struct tracked *k = table_find(&t->keys, key->hash, key_is, &key->name);
    if (k) {
        if (unlikely(k->holders != id)) add_further(t, k, id, is_alive);
        return;
    }
    k = alloc_get(key_bytes(key->name.len));
    k->holders = id;
    k->len = (uint32_t)key->name.len;
    memcpy(k->name, key->name.ptr, key->name.len);
    table_insert(&t->keys, key->hash, k);
    t->ids++;
}

struct tracked *tracked_take(struct tracked_table *t, const struct key *key) {
    if (t->keys.count == 0) return NULL;
    struct tracked *k = table_find(&t->keys, key->hash, key_is, &key->name);
    if (k == NULL) return NULL;
    table_remove(&t->keys, key->hash, k);
    t->ids -= id_count(k);
    return k;
}

struct tracked *tracked_take_any(struct tracked_table *t) {
    struct tracked *k = table_random(&t->keys);
    if (k == NULL) return NULL;
    table_remove(&t->keys, tracked_hash(k), k);
    t->ids -= id_count(k);
    return k;
}

void tracked_free(struct tracked *k) {
    struct id_set *s = set_of(k);
    if (s) set_free(s);
    alloc_put(k, key_bytes(k->len));
}

struct slice tracked_name(const struct tracked *k) {
    return slice_of(k->name, k->len);
}

void tracked_each(const struct tracked *k, void (*visit)(void *ctx, uint64_t id), void *ctx) {
    const struct id_set *s = set_of(k);
    if (s == NULL) {
        visit(ctx, k->holders);
        return;
    }
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->ids[i]) visit(ctx, s->ids[i]);
}

static void tracked_drop(void *ctx, void *record) {
    (void)ctx;
    tracked_free(record);
}

static void tracked_free_table(void *arg) {
    struct table *keys = arg;
    table_clear(keys, tracked_drop, NULL);
    alloc_put(keys, sizeof *keys);
}

/* Estimated from some keys: most have one id. */
static size_t table_bytes(const struct table *keys) {
    size_t bytes = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const struct tracked *k = table_random(keys);
        const struct id_set *s = set_of(k);
        bytes += key_bytes(k->len) + (s ? set_bytes(s->slots) : 0);
    }
    return sizeof *keys + table_memory(keys) + bytes / SAMPLES * keys->count;
}

void tracked_clear(struct tracked_table *t) {
    if (t->keys.count > CLEAR_AT_ONCE) {
        struct table *keys = alloc_get(sizeof *keys);
        *keys = t->keys;
        table_init(&t->keys, &tracked_type);
        worker_submit_free(tracked_free_table, keys, table_bytes(keys));
    } else {
        table_clear(&t->keys, tracked_drop, NULL);
    }
    t->ids = 0;
}
