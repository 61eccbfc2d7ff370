/* How far groups have read. `entries_added` counts all entries that ever were, and the first of those that live is
 * number entries_added - length + 1, if XDEL has removed none behind it. So a group that has read all up to an id knows
 * the number of that one, until an entry is deleted behind it. Trimming does no harm: it takes from the front. */
#include "store/stream_find.h"

#define NODES_COUNTED 64 /* for a lag that no number tells */

/* True if an entry may have been deleted behind this id, which is not below the first living one. */
static bool has_hole_behind(const struct stream *s, struct stream_id id) {
    return stream_id_compare(s->max_deleted, id) > 0;
}

int64_t stream_entries_up_to(const struct stream *s, struct stream_id id) {
    int to_last = stream_id_compare(id, s->last_id);
    if (to_last > 0) return STREAM_UNREAD;
    if (to_last == 0 || s->length == 0) return (int64_t)s->entries_added;
    struct stream_id first = stream_first_id(s);
    if (stream_id_compare(s->max_deleted, first) >= 0) return STREAM_UNREAD;
    int to_first = stream_id_compare(id, first);
    if (to_first > 0) return STREAM_UNREAD;
    return (int64_t)(s->entries_added - s->length) + (to_first == 0);
}

void stream_advance(struct stream *s, struct stream_group *g, const struct stream_iter *it) {
    bool knows = g->entries_read != STREAM_UNREAD && stream_id_compare(g->last_id, stream_first_id(s)) >= 0 &&
                 !has_hole_behind(s, g->last_id);
    g->entries_read = knows ? g->entries_read + 1 : stream_entries_up_to(s, it->id);
    g->last_id = it->id;
    g->place.edits = s->edits;
    g->place.node = s->first + (uint32_t)it->node;
    g->place.offset = stream_iter_behind(it);
}

/* The entries of this node that live and are behind the id. */
static uint64_t count_behind(const struct stream_node *n, struct stream_id id) {
    struct stream_entry e;
    uint64_t count = 0;
    if (!stream_id_up(&id) || !stream_node_seek(n, NULL, id, &e)) return 0;
    for (const uint8_t *at = e.at; !listpack_at_end(at); at = stream_node_behind(&e)) {
        stream_node_read(n, at, &e);
        count += !(e.flags & STREAM_DELETED);
    }
    return count;
}

/* Count the entries behind an id that is in the range of the nodes, from the nearer end. */
static bool count_lag(const struct stream *s, struct stream_id id, uint64_t *lag) {
    size_t i = stream_find_node(s, id);
    uint64_t count = count_behind(stream_node_at(s, i), id);
    if (s->used - i <= NODES_COUNTED) {
        for (size_t j = i + 1; j < s->used; j++)
            count += stream_node_live(stream_node_at(s, j));
        *lag = count;
        return true;
    }
    if (i > NODES_COUNTED) return false;
    for (size_t j = 0; j <= i; j++)
        count -= stream_node_live(stream_node_at(s, j));
    *lag = s->length + count;
    return true;
}

bool stream_lag(const struct stream *s, const struct stream_group *g, uint64_t *lag) {
    *lag = 0;
    if (s->length == 0 || stream_id_compare(g->last_id, s->last_id) >= 0) return true;
    *lag = s->length;
    if (stream_id_compare(g->last_id, stream_first_id(s)) < 0) return true;
    *lag = s->entries_added - (uint64_t)g->entries_read;
    if (g->entries_read != STREAM_UNREAD && !has_hole_behind(s, g->last_id) && *lag <= s->length) return true;
    return count_lag(s, g->last_id, lag);
}
