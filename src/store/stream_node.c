/* See stream_node.h for the format. An entry is written in one go: its size is known before the first byte, and the
 * listpack's header is written once. The counts in the master are integers of one to nine bytes. They seldom change
 * their width; then everything behind them moves. */
#include "store/stream_node.h"
#include "base/alloc.h"
#include <assert.h>

#define FIXED 3 /* pieces of each entry: flags, ms, seq */

static uint8_t *end_of(const struct stream_node *n) {
    return listpack_end(n->block);
}
static size_t int_bytes(int64_t number) {
    struct listpack_item item = listpack_item_int(number);
    return listpack_item_bytes(&item);
}
static uint8_t *put_int(uint8_t *to, int64_t number) {
    struct listpack_item item = listpack_item_int(number);
    return listpack_put(to, &item);
}
static size_t pieces_of(size_t pairs, bool same_names) {
    return same_names ? FIXED + pairs : FIXED + 1 + 2 * pairs;
}

/* --- Memory ---------------------------------------------------------------------------------- */

static void resize(struct stream_node *n, size_t room) {
    room = alloc_class(room);
    assert(room <= UINT32_MAX);
    if (room == n->room) return;
    n->block = alloc_resize(n->block, n->room, room);
    n->room = (uint32_t)room;
}

static void reserve(struct stream_node *n, size_t bytes, size_t limit) {
    if (bytes <= n->room) return;
    size_t room = n->room + (size_t)n->room / 2;
    if (room > limit) room = limit;
    resize(n, room < bytes ? bytes : room);
}

void stream_node_fit(struct stream_node *n) {
    resize(n, listpack_bytes(n->block));
}

void stream_node_free(struct stream_node *n) {
    alloc_put(n->block, n->room);
    n->block = NULL;
}

size_t stream_node_memory(const struct stream_node *n) {
    return n->room;
}

static void take_copy(struct stream_node *n, const uint8_t *lp) {
    size_t bytes = listpack_bytes(lp);
    n->room = (uint32_t)alloc_class(bytes);
    n->block = alloc_get(n->room);
    memcpy(n->block, lp, bytes);
}

void stream_node_copy(struct stream_node *to, const struct stream_node *from) {
    *to = *from;
    take_copy(to, from->block);
}

/* --- Reading --------------------------------------------------------------------------------- */

/* The names of the master. */
struct names {
    const uint8_t *first;
    size_t count;
};

static inline struct names names_of(const struct stream_node *n) {
    const uint8_t *at = listpack_next(listpack_next(listpack_first(n->block)));
    return (struct names){listpack_next(at), (size_t)listpack_get(at).number};
}

static const uint8_t *skip(const uint8_t *at, size_t elements) {
    while (elements-- > 0)
        at = listpack_next(at);
    return at;
}

const uint8_t *stream_node_first(const struct stream_node *n) {
    struct names names = names_of(n);
    return skip(names.first, names.count + 1);
}

static inline const uint8_t *read_number(const uint8_t *at, int64_t *number) {
    *number = listpack_get(at).number;
    return listpack_next(at);
}

static inline void read_entry(const struct stream_node *n, struct names names, const uint8_t *at,
                              struct stream_entry *e) {
    int64_t ms, seq, pairs = (int64_t)names.count;
    bool same_names = *at & STREAM_SAME_NAMES;
    e->at = at;
    e->flags = *at;
    at = read_number(read_number(at + 2, &ms), &seq); /* flags take one byte and its backlen */
    if (!same_names) at = read_number(at, &pairs);
    e->id = (struct stream_id){n->id.ms + (uint64_t)ms, n->id.seq + (uint64_t)seq};
    e->pairs = (size_t)pairs;
    e->pieces = at;
    e->names = same_names ? names.first : NULL;
}

void stream_node_read(const struct stream_node *n, const uint8_t *at, struct stream_entry *e) {
    read_entry(n, names_of(n), at, e);
}

const uint8_t *stream_node_behind(const struct stream_entry *e) {
    return skip(e->pieces, (e->names ? e->pairs : 2 * e->pairs) + 1);
}

/* Before the first entry is the 0 that ends the master; no entry has 0 pieces. */
const uint8_t *stream_node_before(const struct stream_node *n, const uint8_t *at) {
    at = listpack_prev(n->block, at);
    int64_t pieces = listpack_get(at).number;
    if (pieces == 0) return NULL;
    while (pieces-- > 0)
        at = listpack_prev(n->block, at);
    return at;
}

struct stream_id stream_node_last_id(const struct stream_node *n) {
    struct stream_entry e;
    stream_node_read(n, stream_node_before(n, end_of(n)), &e);
    return e.id;
}

static bool seek_forward(const struct stream_node *n, const uint8_t *at, struct stream_id id, struct stream_entry *e) {
    struct names names = names_of(n);
    for (; !listpack_at_end(at); at = stream_node_behind(e)) {
        read_entry(n, names, at, e);
        if (stream_id_compare(e->id, id) >= 0) return true;
    }
    return false;
}

/* *e is an entry at or behind the one that is looked for. */
static void seek_backward(const struct stream_node *n, struct stream_id id, struct stream_entry *e) {
    const uint8_t *first = n->block + n->first_live;
    struct names names = names_of(n);
    while (e->at > first) {
        struct stream_entry before;
        read_entry(n, names, stream_node_before(n, e->at), &before);
        if (stream_id_compare(before.id, id) < 0) return;
        *e = before;
    }
}

/* The walk begins at the end to which the id is nearer, if entries come at a steady pace. */
bool stream_node_seek(const struct stream_node *n, const uint8_t *at, struct stream_id id, struct stream_entry *e) {
    struct stream_entry first;
    if (at) return seek_forward(n, at, id, e);
    stream_node_read(n, n->block + n->first_live, e);
    if (stream_id_compare(e->id, id) >= 0) return true;
    first = *e;
    stream_node_read(n, stream_node_before(n, end_of(n)), e);
    if (stream_id_compare(e->id, id) < 0) return false;
    if (stream_id_guess(first.id, e->id, id, 2) == 0) return seek_forward(n, first.at, id, e);
    seek_backward(n, id, e);
    return true;
}

/* --- Adding ---------------------------------------------------------------------------------- */

static uint8_t *put_pairs(uint8_t *to, const struct stream_draft *d, bool same_names) {
    for (size_t i = same_names ? 1 : 0; i < 2 * d->pairs; i += same_names ? 2 : 1)
        to = listpack_put(to, &d->items[i]);
    return to;
}

/* What stands around the pairs of an entry, encoded once. */
struct frame {
    struct listpack_item flags, ms, seq, pairs, pieces;
    bool same_names;
    size_t bytes; /* of the whole entry */
};

static void make_frame(struct frame *f, const struct stream_node *n, const struct stream_draft *d, bool same_names) {
    f->same_names = same_names;
    f->flags = listpack_item_int(same_names ? STREAM_SAME_NAMES : 0);
    f->ms = listpack_item_int((int64_t)(d->id.ms - n->id.ms));
    f->seq = listpack_item_int((int64_t)(d->id.seq - n->id.seq));
    f->pieces = listpack_item_int((int64_t)pieces_of(d->pairs, same_names));
    f->bytes = listpack_item_bytes(&f->flags) + listpack_item_bytes(&f->ms) + listpack_item_bytes(&f->seq) +
               d->value_bytes + listpack_item_bytes(&f->pieces);
    if (same_names) return;
    f->pairs = listpack_item_int((int64_t)d->pairs);
    f->bytes += listpack_item_bytes(&f->pairs) + d->name_bytes;
}

static uint8_t *put_entry(uint8_t *to, const struct stream_draft *d, const struct frame *f) {
    to = listpack_put(to, &f->flags);
    to = listpack_put(to, &f->ms);
    to = listpack_put(to, &f->seq);
    if (!f->same_names) to = listpack_put(to, &f->pairs);
    to = put_pairs(to, d, f->same_names);
    return listpack_put(to, &f->pieces);
}

void stream_node_begin(struct stream_node *n, const struct stream_draft *d) {
    struct frame frame;
    *n = (struct stream_node){.id = d->id};
    make_frame(&frame, n, d, true);
    size_t master = 2 + 2 + int_bytes((int64_t)d->pairs) + d->name_bytes + 2;
    size_t room = alloc_class(LISTPACK_EMPTY + master + frame.bytes);
    assert(room <= UINT32_MAX);
    n->block = alloc_get(room);
    n->room = (uint32_t)room;
    uint8_t *to = put_int(put_int(listpack_first(n->block), 1), 0);
    to = put_int(to, (int64_t)d->pairs);
    for (size_t i = 0; i < d->pairs; i++)
        to = listpack_put(to, &d->items[2 * i]);
    to = put_int(to, 0);
    n->first_live = (uint32_t)(to - n->block);
    to = put_entry(to, d, &frame);
    listpack_close(n->block, to, 4 + d->pairs + pieces_of(d->pairs, true) + 1);
}

static bool names_are(const struct stream_node *n, const struct stream_draft *d) {
    struct names names = names_of(n);
    if (names.count != d->pairs) return false;
    for (size_t i = 0; i < names.count; i++, names.first = listpack_next(names.first)) {
        if (!listpack_equal(names.first, &d->items[2 * i])) return false;
    }
    return true;
}

enum count { LIVE, DELETED };

/* Write the master's first (LIVE) or second count, and make room for it and for `extra` further bytes. Returns by how
 * many bytes all that is behind the count has moved. */
static ptrdiff_t set_count(struct stream_node *n, enum count which, uint64_t count, size_t extra, size_t limit) {
    struct listpack_item item = listpack_item_int((int64_t)count);
    uint8_t *at = listpack_seek(n->block, which);
    ptrdiff_t moved = listpack_replace_growth(at, &item);
    reserve(n, listpack_bytes(n->block) + extra + (moved > 0 ? (size_t)moved : 0), limit);
    listpack_replace(n->block, listpack_seek(n->block, which), &item);
    n->first_live = (uint32_t)((ptrdiff_t)n->first_live + moved);
    return moved;
}

bool stream_node_append(struct stream_node *n, const struct stream_draft *d, size_t limit) {
    struct frame frame;
    make_frame(&frame, n, d, names_are(n, d));
    bool moved = set_count(n, LIVE, stream_node_live(n) + 1, frame.bytes, limit) != 0;
    uint8_t *end = end_of(n), *behind = put_entry(end, d, &frame);
    assert(behind == end + frame.bytes);
    listpack_extend(n->block, behind, pieces_of(d->pairs, frame.same_names) + 1);
    return moved;
}

/* --- Deleting -------------------------------------------------------------------------------- */

static void find_first_live(struct stream_node *n, const uint8_t *at) {
    struct stream_entry e;
    for (; !listpack_at_end(at); at = stream_node_behind(&e)) {
        stream_node_read(n, at, &e);
        if (!(e.flags & STREAM_DELETED)) break;
    }
    n->first_live = (uint32_t)(at - n->block);
}

/* Entries that live need no change: their ids are relative to the node's. */
void stream_node_rewrite(struct stream_node *n) {
    size_t before = listpack_bytes(n->block), elements = 4 + names_of(n).count;
    uint8_t *first = (uint8_t *)stream_node_first(n), *to = first;
    struct stream_entry e;
    for (const uint8_t *at = first, *next; !listpack_at_end(at); at = next) {
        stream_node_read(n, at, &e);
        next = stream_node_behind(&e);
        if (e.flags & STREAM_DELETED) continue;
        elements += pieces_of(e.pairs, e.flags & STREAM_SAME_NAMES) + 1;
        if (to != at) memmove(to, at, (size_t)(next - at));
        to += next - at;
    }
    listpack_close(n->block, to, elements);
    n->first_live = (uint32_t)(first - n->block);
    n->spent += (uint32_t)stream_node_deleted(n);
    n->spent_bytes += (uint32_t)(before - listpack_bytes(n->block));
    set_count(n, DELETED, 0, 0, 0);
    stream_node_fit(n);
}

bool stream_node_delete(struct stream_node *n, const struct stream_entry *e) {
    assert(!(e->flags & STREAM_DELETED));
    size_t offset = (size_t)(e->at - n->block);
    uint64_t live = stream_node_live(n) - 1, deleted = stream_node_deleted(n) + 1;
    n->block[offset] |= STREAM_DELETED;
    if (offset == n->first_live) find_first_live(n, stream_node_behind(e));
    ptrdiff_t narrower = set_count(n, LIVE, live, 0, 0), wider = set_count(n, DELETED, deleted, 0, 0);
    bool moved = narrower != 0 || wider != 0;
    if (live == 0 || live + deleted < STREAM_NODE_THIN || deleted <= live) return moved;
    stream_node_rewrite(n);
    return true;
}

/* --- Bytes from outside ---------------------------------------------------------------------- */

void stream_node_from(struct stream_node *n, struct stream_id id, const uint8_t *lp) {
    *n = (struct stream_node){.id = id};
    take_copy(n, lp);
    find_first_live(n, stream_node_first(n));
}

/* A sound listpack ends where at_end() says so. */
static bool take_number(const uint8_t **at, int64_t *number) {
    if (listpack_at_end(*at)) return false;
    struct listpack_value v = listpack_get(*at);
    *at = listpack_next(*at);
    *number = v.number;
    return v.ptr == NULL;
}

static bool take_pieces(const uint8_t **at, uint64_t count) {
    for (; count > 0; count--) {
        if (listpack_at_end(*at)) return false;
        *at = listpack_next(*at);
    }
    return true;
}

/* The id of an entry that was read, and whether it is deleted. */
struct found {
    struct stream_id id;
    bool deleted;
};

static bool check_entry(const uint8_t **at, struct stream_id node, int64_t names, struct found *found) {
    int64_t flags, ms, seq, pairs = names, pieces;
    if (!take_number(at, &flags) || flags < 0 || flags > (STREAM_DELETED | STREAM_SAME_NAMES)) return false;
    if (!take_number(at, &ms) || !take_number(at, &seq)) return false;
    bool same_names = flags & STREAM_SAME_NAMES;
    if (!same_names && !take_number(at, &pairs)) return false;
    if (pairs < 1 || !take_pieces(at, (uint64_t)pairs)) return false;
    if (!same_names && !take_pieces(at, (uint64_t)pairs)) return false;
    if (!take_number(at, &pieces) || pieces < 0 || (size_t)pieces != pieces_of((size_t)pairs, same_names)) return false;
    found->id = (struct stream_id){node.ms + (uint64_t)ms, node.seq + (uint64_t)seq};
    found->deleted = flags & STREAM_DELETED;
    return true;
}

static bool check_master(const uint8_t **at, int64_t *live, int64_t *deleted, int64_t *names) {
    int64_t zero;
    return take_number(at, live) && take_number(at, deleted) && take_number(at, names) && *names >= 0 &&
           take_pieces(at, (uint64_t)*names) && take_number(at, &zero) && zero == 0;
}

/* Note an entry. False: it lives, and its id is not where it should be. */
static bool note_entry(struct stream_node_facts *f, struct stream_id node, const struct found *found, bool is_first) {
    bool is_below = stream_id_compare(found->id, node) < 0;
    if (is_below || (!is_first && stream_id_compare(found->id, f->last) <= 0)) f->ordered = false;
    if (is_first || stream_id_compare(found->id, f->last) > 0) f->last = found->id;
    if (found->deleted) return true;
    if (is_below || (f->live > 0 && stream_id_compare(found->id, f->last_live) <= 0)) return false;
    f->last_live = found->id;
    f->live++;
    return true;
}

bool stream_node_check(const uint8_t *lp, struct stream_id id, struct stream_node_facts *facts) {
    const uint8_t *at = listpack_first(lp);
    int64_t live, deleted, names, found_deleted = 0;
    if (!check_master(&at, &live, &deleted, &names)) return false;
    *facts = (struct stream_node_facts){.last = id, .ordered = true};
    for (bool is_first = true; !listpack_at_end(at); is_first = false) {
        struct found found;
        if (!check_entry(&at, id, names, &found) || !note_entry(facts, id, &found, is_first)) return false;
        found_deleted += found.deleted;
    }
    return live == (int64_t)facts->live && deleted == found_deleted;
}
