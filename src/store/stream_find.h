/* The nodes of a stream, for the files that know them: store/stream*.c and rdb/rdb_stream.c. */
#pragma once
#include "store/stream.h"

static inline struct stream_node *stream_node_at(const struct stream *s, size_t i) {
    return &s->nodes[s->first + i];
}
/* The index of the node that has this id if any has: the last whose own id is at most this. `used` if there is none. */
size_t stream_find_node(const struct stream *s, struct stream_id id);
/* Append a node with a copy of this listpack, which stream_node_check() accepts, in which entries live, and whose id is
 * above all others. If its ids are not ordered, it is rewritten. last_id and entries_added stay. */
void stream_add_node(struct stream *s, struct stream_id id, const uint8_t *lp, bool ordered);
/* Cut the deleted entries out of the last node. */
void stream_strip_last(struct stream *s);
/* The offset of the place behind the entry that the iterator shows. */
uint32_t stream_iter_behind(const struct stream_iter *it);
