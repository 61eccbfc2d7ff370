/* See stream_group.h. */
#include "store/stream_group.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <assert.h>

static uint64_t group_hash(const void *group) {
    struct slice name = stream_group_name(group);
    return hash_bytes(name.ptr, name.len);
}

static uint64_t consumer_hash(const void *consumer) {
    struct slice name = stream_group_consumer_name(consumer);
    return hash_bytes(name.ptr, name.len);
}

const struct roster_kind stream_group_kind = {{group_hash}, sizeof(struct stream_group)};
const struct roster_kind stream_group_consumer_kind = {{consumer_hash}, sizeof(struct stream_consumer)};
#define CONSUMERS (&stream_group_consumer_kind)

/* --- Groups ---------------------------------------------------------------------------------- */

struct slice stream_group_name(const struct stream_group *g) {
    return roster_name(&stream_group_kind, g);
}

struct stream_group *stream_group_new(struct slice name, struct stream_id last_id, int64_t entries_read) {
    struct stream_group *g = roster_record(&stream_group_kind, name);
    g->last_id = last_id;
    g->entries_read = entries_read;
    return g;
}

void stream_group_free(struct stream_group *g) {
    for (uint32_t i = 0; g->consumers && i < g->consumers->used; i++) {
        void *c = roster_at(g->consumers, i);
        if (c) roster_free_record(CONSUMERS, c);
    }
    roster_free(g->consumers);
    if (g->pending) {
        stream_pending_free(g->pending);
        alloc_put(g->pending, sizeof *g->pending);
    }
    roster_free_record(&stream_group_kind, g);
}

static void *copy_consumer(const void *record) {
    const struct stream_consumer *from = record;
    struct stream_consumer *to = roster_record(CONSUMERS, stream_group_consumer_name(from));
    *to = *from;
    return to;
}

struct stream_group *stream_group_copy(const struct stream_group *g) {
    struct stream_group *copy = stream_group_new(stream_group_name(g), g->last_id, g->entries_read);
    copy->named.index = g->named.index;
    copy->consumers = roster_copy(g->consumers, CONSUMERS, copy_consumer);
    if (g->pending) {
        copy->pending = alloc_get(sizeof *copy->pending);
        stream_pending_copy(copy->pending, g->pending);
    }
    return copy;
}

size_t stream_group_memory(const struct stream_group *g) {
    size_t bytes = roster_record_memory(&stream_group_kind, g) + roster_memory(g->consumers);
    for (uint32_t i = 0; g->consumers && i < g->consumers->used; i++) {
        const void *c = roster_at(g->consumers, i);
        if (c) bytes += roster_record_memory(CONSUMERS, c);
    }
    if (g->pending) bytes += alloc_class(sizeof *g->pending) + stream_pending_memory(g->pending);
    return bytes;
}

void stream_group_set_id(struct stream_group *g, struct stream_id last_id, int64_t entries_read) {
    g->last_id = last_id;
    g->entries_read = entries_read;
    g->place.edits = 0;
}

/* --- Consumers ------------------------------------------------------------------------------- */

struct slice stream_group_consumer_name(const struct stream_consumer *c) {
    return roster_name(CONSUMERS, c);
}

struct stream_consumer *stream_group_consumer(const struct stream_group *g, struct slice name) {
    return roster_find(g->consumers, CONSUMERS, name);
}

struct stream_consumer *stream_group_add_consumer(struct stream_group *g, struct slice name, int64_t now_ms) {
    struct stream_consumer *c = roster_record(CONSUMERS, name);
    c->seen_ms = now_ms;
    c->active_ms = STREAM_NEVER;
    roster_add(&g->consumers, CONSUMERS, c);
    return c;
}

size_t stream_group_remove_consumer(struct stream_group *g, struct stream_consumer *c) {
    size_t pending = c->pending;
    if (pending > 0) {
        struct stream_group_walk w;
        stream_group_walk(&w, g, c, STREAM_ID_MIN);
        while (stream_group_walk_next(&w))
            stream_group_walk_drop(&w);
    }
    assert(c->pending == 0);
    roster_remove(g->consumers, CONSUMERS, c);
    roster_free_record(CONSUMERS, c);
    return pending;
}

struct stream_consumer **stream_group_sorted_consumers(const struct stream_group *g, size_t *bytes) {
    return (struct stream_consumer **)roster_sorted(g->consumers, CONSUMERS, bytes);
}

static struct stream_consumer *consumer_at(const struct stream_group *g, uint32_t index) {
    return roster_at(g->consumers, index);
}

/* --- Pending entries ------------------------------------------------------------------------- */

static void consumer_gains(struct stream_consumer *c, struct stream_id id) {
    if (c->pending == 0 || stream_id_compare(id, c->from) < 0) c->from = id;
    c->pending++;
}

static struct stream_nack nack_of(const struct stream_group *g, const struct stream_pending_entry *e) {
    return (struct stream_nack){e->id, consumer_at(g, e->consumer), e->time_ms, e->deliveries};
}

static uint32_t short_count(uint64_t deliveries) {
    return deliveries < UINT32_MAX ? (uint32_t)deliveries : UINT32_MAX;
}

static struct stream_pending_entry entry_of(const struct stream_nack *nack) {
    return (struct stream_pending_entry){nack->id, nack->time_ms, nack->consumer->named.index,
                                         short_count(nack->deliveries)};
}

static struct stream_pending *pending_of(struct stream_group *g) {
    if (!g->pending) g->pending = alloc_zero(sizeof *g->pending);
    return g->pending;
}

bool stream_group_edges(const struct stream_group *g, struct stream_id *min, struct stream_id *max) {
    if (stream_group_pending(g) == 0) return false;
    *min = stream_pending_min(g->pending);
    *max = stream_pending_max(g->pending);
    return true;
}

bool stream_group_nack(const struct stream_group *g, struct stream_id id, struct stream_nack *nack) {
    struct stream_pending_entry e;
    if (!g->pending || !stream_pending_find(g->pending, id, &e)) return false;
    *nack = nack_of(g, &e);
    return true;
}

bool stream_group_deliver(struct stream_group *g, const struct stream_nack *nack) {
    struct stream_pending_entry e = entry_of(nack), old;
    bool was_there = stream_pending_put(pending_of(g), &e, &old);
    if (was_there) consumer_at(g, old.consumer)->pending--;
    consumer_gains(nack->consumer, nack->id);
    return !was_there;
}

bool stream_group_ack(struct stream_group *g, struct stream_id id) {
    struct stream_pending_entry old;
    if (!g->pending || !stream_pending_remove(g->pending, id, &old)) return false;
    consumer_at(g, old.consumer)->pending--;
    return true;
}

/* --- Snapshots ------------------------------------------------------------------------------- */

#define NOBODY (STREAM_PENDING_ANY - 1) /* instead of a consumer's index */

bool stream_group_expect(struct stream_group *g, const struct stream_nack *nack) {
    struct stream_pending_entry e = {nack->id, nack->time_ms, NOBODY, short_count(nack->deliveries)};
    return !stream_pending_put(pending_of(g), &e, NULL);
}

bool stream_group_own(struct stream_group *g, struct stream_consumer *c, struct stream_id id) {
    struct stream_pending_cursor cursor;
    stream_pending_start(&cursor, pending_of(g), STREAM_PENDING_ANY, id);
    if (!stream_pending_next(&cursor) || !stream_id_equal(cursor.entry.id, id)) return false;
    if (cursor.entry.consumer != NOBODY) return false;
    cursor.entry.consumer = c->named.index;
    stream_pending_assign(&cursor);
    consumer_gains(c, id);
    return true;
}

bool stream_group_all_owned(const struct stream_group *g) {
    size_t owned = 0;
    for (uint32_t i = 0; g->consumers && i < g->consumers->used; i++) {
        const struct stream_consumer *c = consumer_at(g, i);
        if (c) owned += c->pending;
    }
    return owned == stream_group_pending(g);
}

/* --- Walks ----------------------------------------------------------------------------------- */

void stream_group_walk(struct stream_group_walk *w, struct stream_group *g, struct stream_consumer *of,
                       struct stream_id from) {
    *w = (struct stream_group_walk){.group = g, .of = of, .left = of ? of->pending : stream_group_pending(g)};
    if (w->left == 0) return;
    if (of && stream_id_compare(from, of->from) <= 0) {
        from = of->from;
        w->from_start = true;
    }
    stream_pending_start(&w->cursor, g->pending, of ? of->named.index : STREAM_PENDING_ANY, from);
}

/* The first entry that a walk from the start finds is the consumer's first one. */
static void note_first(struct stream_group_walk *w) {
    if (w->from_start) w->of->from = w->nack.id;
    w->from_start = false;
}

bool stream_group_walk_next(struct stream_group_walk *w) {
    if (w->left == 0 || !stream_pending_next(&w->cursor)) return false;
    w->left--;
    w->nack = nack_of(w->group, &w->cursor.entry);
    note_first(w);
    return true;
}

void stream_group_walk_assign(struct stream_group_walk *w) {
    consumer_at(w->group, w->cursor.entry.consumer)->pending--;
    consumer_gains(w->nack.consumer, w->nack.id);
    w->cursor.entry = entry_of(&w->nack);
    stream_pending_assign(&w->cursor);
}

void stream_group_walk_drop(struct stream_group_walk *w) {
    consumer_at(w->group, w->cursor.entry.consumer)->pending--;
    stream_pending_drop(&w->cursor);
}

/* --- Checks ---------------------------------------------------------------------------------- */

void stream_group_check(const struct stream_group *g) {
    size_t pending = 0;
    for (uint32_t i = 0; g->consumers && i < g->consumers->used; i++) {
        struct stream_consumer *c = roster_at(g->consumers, i);
        struct stream_group_walk w;
        size_t found = 0;
        if (!c) continue;
        assert(c->named.index == i && stream_group_consumer(g, stream_group_consumer_name(c)) == c);
        stream_group_walk(&w, (struct stream_group *)g, c, STREAM_ID_MIN);
        while (stream_group_walk_next(&w))
            found++;
        assert(found == c->pending && (found == 0 || !stream_pending_next(&w.cursor)));
        pending += found;
    }
    assert(pending == stream_group_pending(g));
    if (g->pending) stream_pending_check(g->pending);
}
