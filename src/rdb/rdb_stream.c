/* Streams. The format:
 *
 *     count, (16 bytes of the node's id, listpack) ...; the number of entries; last id (milliseconds, sequence);
 *     from the second version on: first id, greatest deleted id, number of entries ever added; then the groups:
 *         count, (name, last id, from the second version on: entries read,
 *                 count, (16 bytes of id, 8 of time, deliveries) ...,
 *                 count of consumers, (name, 8 bytes of time, from the third version on: 8 more,
 *                                      count, 16 bytes of id ...) ...) ...
 *
 * A stream is valid if and only if
 *     (1) each node is sound (stream_node_check()), and its id is above all living entries before it,
 *     (2) the number of entries is that of the living ones, and the last id is not below them,
 *     (3) no two groups have the same name, and no two consumers of a group,
 *     (4) no id occurs twice among a group's pending entries, and each of them belongs to exactly one consumer.
 * A node without living entries, which some versions of Redis leave behind, is left out. The first id is not used: it
 * follows from the nodes. */
#include "base/alloc.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_encode.h"
#include "rdb/rdb_format.h"
#include "store/stream_find.h"

#define TIME_BYTES 8
#define CONSUMERS_SORTED 8                               /* from so many consumers on */
#define PENDING_BYTES (STREAM_ID_BYTES + TIME_BYTES + 1) /* of a pending entry, at least */

/* --- Ids ------------------------------------------------------------------------------------- */

static void id_to_bytes(struct stream_id id, uint8_t bytes[STREAM_ID_BYTES]) {
    uint64_t halves[2] = {__builtin_bswap64(id.ms), __builtin_bswap64(id.seq)};
    memcpy(bytes, halves, STREAM_ID_BYTES);
}

static struct stream_id id_from_bytes(const void *bytes) {
    uint64_t halves[2];
    memcpy(halves, bytes, STREAM_ID_BYTES);
    return (struct stream_id){__builtin_bswap64(halves[0]), __builtin_bswap64(halves[1])};
}

static void put_id(struct writer *w, struct stream_id id) {
    rdb_put_length(w, id.ms);
    rdb_put_length(w, id.seq);
}

static bool get_id(struct rdb_in *in, struct stream_id *id) {
    return rdb_get_length(in, &id->ms) && rdb_get_length(in, &id->seq);
}

static void put_raw_id(struct writer *w, struct stream_id id) {
    uint8_t bytes[STREAM_ID_BYTES];
    id_to_bytes(id, bytes);
    writer_put(w, bytes, sizeof bytes);
}

static bool get_raw_id(struct rdb_in *in, struct stream_id *id) {
    uint8_t bytes[STREAM_ID_BYTES];
    if (!rdb_get_bytes(in, bytes, sizeof bytes)) return false;
    *id = id_from_bytes(bytes);
    return true;
}

/* --- Writing --------------------------------------------------------------------------------- */

static void put_nodes(struct rdb_out *out, const struct stream *s) {
    uint8_t id[STREAM_ID_BYTES];
    rdb_put_length(out->w, s->used);
    for (size_t i = 0; i < s->used; i++) {
        const struct stream_node *n = stream_node_at(s, i);
        id_to_bytes(n->id, id);
        rdb_put_string(out, slice_of((const char *)id, sizeof id));
        rdb_put_string(out, slice_of((const char *)n->block, listpack_bytes(n->block)));
    }
}

static void put_pending(struct writer *w, struct stream_group *g) {
    struct stream_group_walk walk;
    rdb_put_length(w, stream_group_pending(g));
    stream_group_walk(&walk, g, NULL, STREAM_ID_MIN);
    while (stream_group_walk_next(&walk)) {
        put_raw_id(w, walk.nack.id);
        writer_put(w, &walk.nack.time_ms, TIME_BYTES);
        rdb_put_length(w, walk.nack.deliveries);
    }
}

/* The ids of the pending entries in their binary form, sorted by the indexes of their consumers: one walk, instead of
 * one for each consumer. */
struct owned {
    uint8_t *ids;  /* NULL: there are few consumers, or there is no memory */
    size_t *begin; /* by index: where the consumer's begin */
    size_t bytes, slots;
};

static struct owned sort_pending(struct stream_group *g) {
    struct stream_group_walk walk;
    struct owned o = {.bytes = stream_group_pending(g) * STREAM_ID_BYTES, .slots = g->consumers->used};
    if (o.slots < CONSUMERS_SORTED || o.bytes == 0) return o;
    o.ids = alloc_try(o.bytes);
    if (!o.ids) return o;
    o.begin = alloc_get(o.slots * sizeof *o.begin);
    size_t *end = alloc_get(o.slots * sizeof *end), at = 0;
    for (uint32_t i = 0; i < o.slots; i++) {
        const struct stream_consumer *c = roster_at(g->consumers, i);
        o.begin[i] = end[i] = at;
        if (c) at += c->pending * STREAM_ID_BYTES;
    }
    stream_group_walk(&walk, g, NULL, STREAM_ID_MIN);
    while (stream_group_walk_next(&walk)) {
        uint32_t i = walk.nack.consumer->named.index;
        id_to_bytes(walk.nack.id, o.ids + end[i]);
        end[i] += STREAM_ID_BYTES;
    }
    alloc_put(end, o.slots * sizeof *end);
    return o;
}

static void free_owned(struct owned *o) {
    if (!o->ids) return;
    alloc_put(o->ids, o->bytes);
    alloc_put(o->begin, o->slots * sizeof *o->begin);
}

static void put_pending_of(struct writer *w, struct stream_group *g, struct stream_consumer *c, const struct owned *o) {
    struct stream_group_walk walk;
    rdb_put_length(w, c->pending);
    if (o->ids) {
        writer_put(w, o->ids + o->begin[c->named.index], c->pending * STREAM_ID_BYTES);
        return;
    }
    stream_group_walk(&walk, g, c, STREAM_ID_MIN);
    while (stream_group_walk_next(&walk))
        put_raw_id(w, walk.nack.id);
}

static void put_consumers(struct rdb_out *out, struct stream_group *g) {
    uint32_t n = stream_group_consumers(g);
    rdb_put_length(out->w, n);
    if (n == 0) return;
    size_t bytes;
    struct stream_consumer **sorted = stream_group_sorted_consumers(g, &bytes);
    struct owned owned = sort_pending(g);
    for (uint32_t i = 0; i < n; i++) {
        rdb_put_string(out, stream_group_consumer_name(sorted[i]));
        writer_put(out->w, &sorted[i]->seen_ms, TIME_BYTES);
        put_pending_of(out->w, g, sorted[i], &owned);
    }
    free_owned(&owned);
    alloc_put(sorted, bytes);
}

static void put_groups(struct rdb_out *out, const struct stream *s) {
    uint32_t n = stream_groups(s);
    size_t bytes;
    struct stream_group **sorted = stream_sorted_groups(s, &bytes);
    rdb_put_length(out->w, n);
    for (uint32_t i = 0; i < n; i++) {
        rdb_put_string(out, stream_group_name(sorted[i]));
        put_id(out->w, sorted[i]->last_id);
        rdb_put_length(out->w, (uint64_t)sorted[i]->entries_read);
        put_pending(out->w, sorted[i]);
        put_consumers(out, sorted[i]);
    }
    alloc_put(sorted, bytes);
}

void rdb_put_stream(struct rdb_out *out, const struct entry *e) {
    const struct stream *s = stream_of(e);
    put_nodes(out, s);
    rdb_put_length(out->w, s->length);
    put_id(out->w, s->last_id);
    put_id(out->w, stream_first_id(s));
    put_id(out->w, s->max_deleted);
    rdb_put_length(out->w, s->entries_added);
    put_groups(out, s);
}

/* --- Reading: entries ------------------------------------------------------------------------ */

struct reading {
    struct rdb_in *in;
    struct stream *stream;
    unsigned type;
    struct stream_node_facts last; /* of the last node that was kept */
};

/* No living entry is above this id. Deleted ones may be, after an XSETID in Redis: they go. */
static bool is_above(struct reading *r, struct stream_id id, bool or_equal) {
    if (r->stream->used == 0) return true;
    int to_live = stream_id_compare(id, r->last.last_live), to_last = stream_id_compare(id, r->last.last);
    if (to_live < 0 || (to_live == 0 && !or_equal)) return false;
    if (to_last < 0 || (to_last == 0 && !or_equal)) {
        stream_strip_last(r->stream);
        r->last.last = r->last.last_live;
    }
    return true;
}

static bool get_node(struct reading *r) {
    struct rdb_in *in = r->in;
    struct stream_node_facts facts;
    struct slice bytes;
    uint8_t *lp;
    if (!rdb_get_string(in, &in->name, &bytes)) return false;
    if (bytes.len != STREAM_ID_BYTES)
        return rdb_refuse(in, RDB_CORRUPT, "a stream's node whose id has %zu bytes", bytes.len);
    struct stream_id id = id_from_bytes(bytes.ptr);
    if (!rdb_get_listpack(in, &lp)) return false;
    if (!stream_node_check(lp, id, &facts)) return rdb_refuse(in, RDB_CORRUPT, "a broken node in a stream");
    if (facts.live == 0) return true;
    if (!is_above(r, id, false)) return rdb_refuse(in, RDB_CORRUPT, "a stream's node that begins before the last ends");
    stream_add_node(r->stream, id, lp, facts.ordered);
    r->last = facts;
    if (!facts.ordered) r->last.last = facts.last_live;
    return true;
}

static bool get_nodes(struct reading *r) {
    uint64_t count;
    if (!rdb_get_count(r->in, &count, 2)) return false;
    while (count-- > 0)
        if (!get_node(r)) return false;
    return true;
}

static bool get_counters(struct reading *r) {
    struct stream *s = r->stream;
    struct stream_id last_id, first_id, max_deleted = STREAM_ID_MIN;
    uint64_t length, added = s->length;
    if (!rdb_get_length(r->in, &length) || !get_id(r->in, &last_id)) return false;
    if (r->type != RDB_TYPE_STREAM_1) {
        if (!get_id(r->in, &first_id) || !get_id(r->in, &max_deleted) || !rdb_get_length(r->in, &added)) return false;
    }
    if (length != s->length)
        return rdb_refuse(r->in, RDB_CORRUPT, "a stream of %llu entries that has %llu", (unsigned long long)length,
                          (unsigned long long)s->length);
    if (!is_above(r, last_id, true)) return rdb_refuse(r->in, RDB_CORRUPT, "a stream's last id is below its entries");
    if (added < length) added = length;
    if (stream_id_compare(max_deleted, last_id) > 0) max_deleted = last_id;
    stream_set_id(s, last_id, &added, &max_deleted);
    return true;
}

/* --- Reading: groups ------------------------------------------------------------------------- */

static bool get_pending(struct reading *r, struct stream_group *g) {
    uint64_t count;
    if (!rdb_get_count(r->in, &count, PENDING_BYTES)) return false;
    while (count-- > 0) {
        struct stream_nack nack = {.consumer = NULL};
        if (!get_raw_id(r->in, &nack.id) || !rdb_get_bytes(r->in, &nack.time_ms, TIME_BYTES)) return false;
        if (!rdb_get_length(r->in, &nack.deliveries)) return false;
        if (!stream_group_expect(g, &nack)) return rdb_refuse(r->in, RDB_CORRUPT, "a pending entry occurs twice");
    }
    return true;
}

static bool get_pending_of(struct reading *r, struct stream_group *g, struct stream_consumer *c) {
    uint64_t count;
    if (!rdb_get_count(r->in, &count, STREAM_ID_BYTES)) return false;
    while (count-- > 0) {
        struct stream_id id;
        if (!get_raw_id(r->in, &id)) return false;
        if (!stream_group_own(g, c, id))
            return rdb_refuse(r->in, RDB_CORRUPT, "a consumer's pending entry that is not free in its group");
    }
    return true;
}

static bool get_consumer(struct reading *r, struct stream_group *g) {
    struct slice name;
    int64_t active_ms;
    if (!rdb_get_kept(r->in, &r->in->name, &name)) return false;
    if (stream_group_consumer(g, name)) return rdb_refuse(r->in, RDB_CORRUPT, "a consumer occurs twice");
    struct stream_consumer *c = stream_group_add_consumer(g, name, 0);
    if (!rdb_get_bytes(r->in, &c->seen_ms, TIME_BYTES)) return false;
    active_ms = c->seen_ms;
    if (r->type == RDB_TYPE_STREAM_3 && !rdb_get_bytes(r->in, &active_ms, TIME_BYTES)) return false;
    c->active_ms = active_ms;
    return get_pending_of(r, g, c);
}

static bool get_consumers(struct reading *r, struct stream_group *g) {
    uint64_t count;
    if (!rdb_get_count(r->in, &count, 2 + TIME_BYTES)) return false;
    while (count-- > 0)
        if (!get_consumer(r, g)) return false;
    return stream_group_all_owned(g) || rdb_refuse(r->in, RDB_CORRUPT, "a pending entry without a consumer");
}

static bool get_group(struct reading *r) {
    struct slice name;
    struct stream_id last_id;
    uint64_t entries_read = 0;
    if (!rdb_get_kept(r->in, &r->in->name, &name) || !get_id(r->in, &last_id)) return false;
    if (r->type == RDB_TYPE_STREAM_1)
        entries_read = (uint64_t)stream_entries_up_to(r->stream, last_id);
    else if (!rdb_get_length(r->in, &entries_read))
        return false;
    if (stream_group(r->stream, name)) return rdb_refuse(r->in, RDB_CORRUPT, "a group occurs twice in a stream");
    int64_t read = entries_read <= INT64_MAX ? (int64_t)entries_read : STREAM_UNREAD;
    struct stream_group *g = stream_add_group(r->stream, name, last_id, read);
    return get_pending(r, g) && get_consumers(r, g);
}

static bool get_groups(struct reading *r) {
    uint64_t count;
    if (!rdb_get_count(r->in, &count, 5)) return false;
    while (count-- > 0)
        if (!get_group(r)) return false;
    return true;
}

bool rdb_get_stream(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    struct reading r = {.in = in, .stream = stream_new(), .type = type};
    if (!get_nodes(&r) || !get_counters(&r) || !get_groups(&r)) {
        stream_free(r.stream);
        return false;
    }
    rdb_value_pointer(v, ENTRY_STREAM, STREAM_NODES, r.stream);
    return true;
}
