/* Reading streams. A deleted entry is stepped over; those before a node's first living one are not even seen. */
#include "store/stream_find.h"

static const struct stream_node *node_of(const struct stream_iter *it) {
    return stream_node_at(it->stream, it->node);
}

static bool is_over(const struct stream_iter *it) {
    return it->node >= it->stream->used;
}

/* --- Pairs ----------------------------------------------------------------------------------- */

void stream_iter_rewind(struct stream_iter *it) {
    it->piece = it->entry.pieces;
    it->left = it->entry.pairs;
    it->name = it->entry.names;
}

bool stream_iter_pair(struct stream_iter *it, struct listpack_value *name, struct listpack_value *value) {
    if (it->left == 0) return false;
    it->left--;
    const uint8_t **names = it->name ? &it->name : &it->piece;
    *name = listpack_get(*names);
    *names = listpack_next(*names);
    *value = listpack_get(it->piece);
    it->piece = listpack_next(it->piece);
    return true;
}

/* The place behind the entry, from the pairs on that were not read. */
static const uint8_t *behind_entry(const struct stream_iter *it) {
    const uint8_t *at = it->piece;
    for (size_t left = it->name ? it->left : 2 * it->left; left > 0; left--)
        at = listpack_next(at);
    return listpack_next(at);
}

uint32_t stream_iter_behind(const struct stream_iter *it) {
    return (uint32_t)(behind_entry(it) - node_of(it)->block);
}

/* Show the decoded entry. */
static void show_entry(struct stream_iter *it) {
    it->id = it->entry.id;
    it->pairs = it->entry.pairs;
    stream_iter_rewind(it);
}

/* --- Walks ----------------------------------------------------------------------------------- */

static bool end_walk(struct stream_iter *it) {
    it->node = it->stream->used;
    it->piece = NULL;
    return false;
}

static void start_forward(struct stream_iter *it) {
    struct stream_entry e;
    it->node = stream_find_node(it->stream, it->from);
    if (is_over(it)) {
        it->node = 0; /* the id is before all nodes */
    } else if (stream_node_seek(node_of(it), NULL, it->from, &e)) {
        it->at = e.at;
    } else {
        it->node++;
    }
}

static void start_backward(struct stream_iter *it) {
    struct stream_id above = it->to;
    struct stream_entry e;
    it->node = stream_find_node(it->stream, it->to);
    if (!is_over(it) && stream_id_up(&above) && stream_node_seek(node_of(it), NULL, above, &e)) it->at = e.at;
}

void stream_iter_start(struct stream_iter *it, const struct stream *s, struct stream_id from, struct stream_id to,
                       bool backwards) {
    *it = (struct stream_iter){.stream = s, .from = from, .to = to, .backwards = backwards};
    if (stream_id_compare(from, to) > 0)
        end_walk(it);
    else if (backwards)
        start_backward(it);
    else
        start_forward(it);
}

void stream_iter_start_unread(struct stream_iter *it, const struct stream *s, const struct stream_group *g) {
    struct stream_id from = g->last_id;
    bool slot_is_there = g->place.node >= s->first && g->place.node - s->first < s->used;
    if (g->place.edits == s->edits && slot_is_there) {
        *it = (struct stream_iter){.stream = s, .to = STREAM_ID_MAX, .node = g->place.node - s->first};
        it->at = node_of(it)->block + g->place.offset;
    } else if (stream_id_up(&from)) {
        stream_iter_start(it, s, from, STREAM_ID_MAX, false);
    } else {
        *it = (struct stream_iter){.stream = s};
        end_walk(it);
    }
}

/* The place behind the present entry; at the end of a node the beginning of the next one. NULL: the last node ends. */
static const uint8_t *place_ahead(struct stream_iter *it) {
    const uint8_t *at = it->piece ? behind_entry(it) : it->at;
    if (at && !listpack_at_end(at)) return at;
    if (at) it->node++;
    return is_over(it) ? NULL : node_of(it)->block + node_of(it)->first_live;
}

static bool next_forward(struct stream_iter *it) {
    while (!is_over(it)) {
        const uint8_t *at = place_ahead(it);
        if (!at) break;
        stream_node_read(node_of(it), at, &it->entry);
        if (stream_id_compare(it->entry.id, it->to) > 0) break;
        show_entry(it);
        if (!(it->entry.flags & STREAM_DELETED)) return true;
    }
    return end_walk(it);
}

/* The entry before the present one. NULL: the first node begins. */
static const uint8_t *place_back(struct stream_iter *it) {
    const struct stream_node *n = node_of(it);
    const uint8_t *at = it->piece ? it->entry.at : it->at ? it->at : listpack_end(n->block);
    while (at <= n->block + n->first_live) {
        if (it->node == 0) return NULL;
        it->node--;
        n = node_of(it);
        at = listpack_end(n->block);
    }
    return stream_node_before(n, at);
}

static bool next_backward(struct stream_iter *it) {
    while (!is_over(it)) {
        const uint8_t *at = place_back(it);
        if (!at) break;
        stream_node_read(node_of(it), at, &it->entry);
        if (stream_id_compare(it->entry.id, it->from) < 0) break;
        show_entry(it);
        if (!(it->entry.flags & STREAM_DELETED)) return true;
    }
    return end_walk(it);
}

bool stream_iter_next(struct stream_iter *it) {
    return it->backwards ? next_backward(it) : next_forward(it);
}

/* --- Look-ups -------------------------------------------------------------------------------- */

void stream_iter_open(struct stream_iter *it, const struct stream *s) {
    *it = (struct stream_iter){.stream = s};
}

/* True if the id, which is not before the present entry, belongs to the same node. */
static bool is_in_node(const struct stream_iter *it, struct stream_id id) {
    return it->node + 1 == it->stream->used || stream_id_compare(id, node_of(it)[1].id) < 0;
}

/* Decode the first entry from this id on in the node where it would be. */
static bool seek_entry(struct stream_iter *it, struct stream_id id) {
    if (it->entry.at && stream_id_compare(id, it->entry.id) >= 0 && is_in_node(it, id))
        return stream_node_seek(node_of(it), it->entry.at, id, &it->entry);
    it->node = stream_find_node(it->stream, id);
    return !is_over(it) && stream_node_seek(node_of(it), NULL, id, &it->entry);
}

bool stream_iter_find(struct stream_iter *it, struct stream_id id) {
    bool is_gap = it->entry.at && stream_id_compare(id, it->from) >= 0 && stream_id_compare(id, it->entry.id) < 0;
    it->from = id;
    if (is_gap) return false;
    if (!seek_entry(it, id)) {
        it->entry.at = NULL;
        return false;
    }
    if (!stream_id_equal(it->entry.id, id) || it->entry.flags & STREAM_DELETED) return false;
    show_entry(it);
    return true;
}

bool stream_has(const struct stream *s, struct stream_id id) {
    struct stream_iter it;
    stream_iter_open(&it, s);
    return stream_iter_find(&it, id);
}
