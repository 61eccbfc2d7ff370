/* The stream: entries of names and values that are appended under growing ids, and groups that read them.
 *
 * Entries lie in nodes, which are listpacks in the format that RDB has (stream_node.h). The nodes are a sorted row with
 * a gap at its front, without a tree above it, since ids only grow: appending and trimming are O(1), and an id is found
 * by a guess from its time. A stream without entries stays a key. */
#pragma once
#include "ds/listpack.h"
#include "store/db.h"
#include "store/stream_group.h"
#include "store/stream_id.h"
#include "store/stream_node.h"

struct stream_options {
    int64_t node_max_bytes;   /* stream-node-max-bytes; 0: as many as a listpack can have */
    int64_t node_max_entries; /* stream-node-max-entries; 0: any number */
};
extern struct stream_options stream_options;

/* The fields are for reading only. */
struct stream {
    struct stream_node *nodes; /* the block of the row; node i is nodes[first + i] */
    uint32_t room, first, used;
    uint64_t length;              /* entries that live */
    struct stream_id last_id;     /* the last that was added or set */
    struct stream_id max_deleted; /* the greatest that XDEL has removed; 0-0 */
    uint64_t entries_added;       /* ever */
    uint64_t edits;               /* grows whenever an entry's place in the nodes may have changed */
    struct roster *groups;
};

/* --- The value ------------------------------------------------------------------------------- */

#define STREAM_NODES 8 /* the encoding: struct stream *, out of line */

static inline struct stream *stream_of(const struct entry *e) {
    assert(entry_type(e) == ENTRY_STREAM);
    return (struct stream *)entry_pointer(e);
}
struct stream *stream_new(void);
void stream_free(struct stream *s);
struct stream *stream_copy(const struct stream *s); /* equal and independent */
/* Make an empty stream the value of a key that is absent. No event. */
struct entry *stream_create(struct db *db, const struct key *key);

/* The id of the first entry; 0-0 if there is none. O(1). */
struct stream_id stream_first_id(const struct stream *s);
/* XSETID. The caller has checked that no entry is above last_id; a NULL leaves what it stands for. */
void stream_set_id(struct stream *s, struct stream_id last_id, const uint64_t *entries_added,
                   const struct stream_id *max_deleted);

/* --- Adding and removing --------------------------------------------------------------------- */

/* The id that XADD gives: the time, or the last id plus one if the clock is behind it. False: ids are exhausted. */
bool stream_next_id(const struct stream *s, uint64_t now_ms, struct stream_id *id);
/* The same for `ms-*`. False: there is no greater id with this time. */
bool stream_next_seq(const struct stream *s, uint64_t ms, struct stream_id *id);
/* True if n pairs are not too large for an entry: 1 GB of text. */
bool stream_fits(const struct slice *pairs, size_t n);
/* Append an entry of n >= 1 pairs (name, value, name, value ...), which stream_fits() accepts and which do not lie in
 * the stream. The id is greater than last_id. O(bytes). */
void stream_append(struct stream *s, struct stream_id id, const struct slice *pairs, size_t n);

/* Remove an entry. False: there is none. O(log nodes + entries of a node). */
bool stream_delete(struct stream *s, struct stream_id id);

struct stream_trim {
    enum { STREAM_MAXLEN, STREAM_MINID } by;
    bool approximate;     /* ~: whole nodes only */
    uint64_t max_length;  /* STREAM_MAXLEN: entries to keep */
    struct stream_id min; /* STREAM_MINID: the least id to keep */
    uint64_t limit;       /* remove at most so many entries; 0: any number */
};
/* Remove entries from the front. Returns their number. O(removed nodes, and the entries of one node). */
uint64_t stream_trim(struct stream *s, const struct stream_trim *t);

/* --- Reading --------------------------------------------------------------------------------- */

/* Entries in order. After stream_iter_next() or stream_iter_find() the iterator shows one: its id, its number of pairs,
 * and the pairs one after the other by stream_iter_pair(), whose bytes are in the stream. Valid until the stream
 * changes; it owns nothing. */
struct stream_iter {
    struct stream_id id; /* of the entry */
    size_t pairs;
    const struct stream *stream;
    struct stream_id from, to; /* find(): `from` is the last id that was asked for */
    struct stream_entry entry; /* entry.at NULL: none yet */
    size_t node;               /* its index among the nodes; `used`: the walk is over */
    const uint8_t *at;         /* before there is an entry: where the first begins, or ends if backwards */
    const uint8_t *piece;      /* the next piece of the entry; NULL: it is not read */
    const uint8_t *name;       /* the next of the master's names, if the entry has those */
    size_t left;               /* pairs that were not read yet */
    bool backwards;
};

/* Start before the first entry from `from` to `to`, both included; or behind the last one, to walk backwards. */
void stream_iter_start(struct stream_iter *it, const struct stream *s, struct stream_id from, struct stream_id to,
                       bool backwards);
/* The same for what this group has not been delivered yet. It starts at the place of the last delivery. */
void stream_iter_start_unread(struct stream_iter *it, const struct stream *s, const struct stream_group *g);
bool stream_iter_next(struct stream_iter *it); /* false: there is no further one */
/* The next pair of the entry. False: it has no further one. */
bool stream_iter_pair(struct stream_iter *it, struct listpack_value *name, struct listpack_value *value);
void stream_iter_rewind(struct stream_iter *it); /* back to the first pair of the entry */

/* Start an iterator that is used with stream_iter_find() only. */
void stream_iter_open(struct stream_iter *it, const struct stream *s);
/* Go to the entry with this id. False: there is none. Ids may come in any order; growing ones are found by moving
 * forward: O(entries between them), or O(log nodes + entries of a node). */
bool stream_iter_find(struct stream_iter *it, struct stream_id id);
bool stream_has(const struct stream *s, struct stream_id id);

/* --- Groups ---------------------------------------------------------------------------------- */

static inline uint32_t stream_groups(const struct stream *s) { /* their number */
    return roster_count(s->groups);
}
struct stream_group *stream_group(const struct stream *s, struct slice name); /* NULL: there is none */
/* Add a group whose name is not there. */
struct stream_group *stream_add_group(struct stream *s, struct slice name, struct stream_id last_id,
                                      int64_t entries_read);
void stream_remove_group(struct stream *s, struct stream_group *g);
/* The groups in the order of their names, in an array of *bytes that the caller frees. NULL: there are none. */
struct stream_group **stream_sorted_groups(const struct stream *s, size_t *bytes);

/* The entry that the iterator shows was read by the group with `>`: last_id, entries_read and the place move on. It is
 * not made pending: stream_group_deliver(). O(1) if its pairs were read, else O(pairs). */
void stream_advance(struct stream *s, struct stream_group *g, const struct stream_iter *it);
/* How many entries were ever added up to this id; STREAM_UNREAD if that cannot be known: XGROUP CREATE and SETID
 * without ENTRIESREAD do not ask. O(1). */
int64_t stream_entries_up_to(const struct stream *s, struct stream_id id);
/* Entries behind the group's last id. False: they are too many to count. O(1), or 64 nodes. */
bool stream_lag(const struct stream *s, const struct stream_group *g, uint64_t *lag);

/* For tests: asserts every invariant. O(bytes). */
void stream_check(const struct stream *s);

extern const struct value_ops stream_ops;
