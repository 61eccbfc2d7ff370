/* See stream_pending.h for the layout.
 *
 * The slots of a block are sorted by id, dead ones included, so that a look-up is a binary search over all of them; the
 * last one lives. A new id that falls between others takes a dead slot beside its place, if there is one; else a full
 * block is split. A block joins its neighbour when that leaves no more than half a block. */
#include "store/stream_pending.h"
#include "base/alloc.h"
#include <assert.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SLOT_BYTES 32
#define ROOM_FIRST 4  /* slots of a new block, which doubles */
#define ROW_FIRST 1   /* blocks of a new row */
#define FETCH_AHEAD 8 /* blocks */

/* --- Columns --------------------------------------------------------------------------------- */

static struct stream_id *ids_of(const struct stream_pending_block *b) {
    return (struct stream_id *)b->columns;
}
static int64_t *times_of(const struct stream_pending_block *b) {
    return (int64_t *)(b->columns + sizeof(struct stream_id) * b->room);
}
static uint32_t *consumers_of(const struct stream_pending_block *b) {
    return (uint32_t *)(b->columns + (sizeof(struct stream_id) + sizeof(int64_t)) * b->room);
}
static uint32_t *deliveries_of(const struct stream_pending_block *b) {
    return consumers_of(b) + b->room;
}

static uint64_t bit(unsigned slot) {
    return (uint64_t)1 << slot;
}
static uint64_t bits_from(unsigned slot) { /* this slot and all behind it */
    return slot < STREAM_PENDING_BLOCK ? ~(uint64_t)0 << slot : 0;
}
static unsigned count_bits(uint64_t mask) {
    return (unsigned)__builtin_popcountll(mask);
}
static uint32_t consumer_bit(uint32_t consumer) {
    return (uint32_t)1 << consumer % 32;
}

static struct stream_pending_entry read_slot(const struct stream_pending_block *b, unsigned slot) {
    return (struct stream_pending_entry){ids_of(b)[slot], times_of(b)[slot], consumers_of(b)[slot],
                                         deliveries_of(b)[slot]};
}

static void write_slot(struct stream_pending_block *b, unsigned slot, const struct stream_pending_entry *e) {
    ids_of(b)[slot] = e->id;
    times_of(b)[slot] = e->time_ms;
    consumers_of(b)[slot] = e->consumer;
    deliveries_of(b)[slot] = e->deliveries;
    b->mask |= bit(slot);
    b->consumers |= consumer_bit(e->consumer);
}

/* Move n slots within a block or to another one. */
static void move_slots(struct stream_pending_block *to, unsigned at, const struct stream_pending_block *from,
                       unsigned slot, unsigned n) {
    memmove(ids_of(to) + at, ids_of(from) + slot, n * sizeof(struct stream_id));
    memmove(times_of(to) + at, times_of(from) + slot, n * sizeof(int64_t));
    memmove(consumers_of(to) + at, consumers_of(from) + slot, n * sizeof(uint32_t));
    memmove(deliveries_of(to) + at, deliveries_of(from) + slot, n * sizeof(uint32_t));
}

static void new_columns(struct stream_pending_block *b, unsigned room) {
    b->columns = alloc_get(room * SLOT_BYTES);
    b->room = (uint8_t)room;
}

static void free_columns(struct stream_pending_block *b) {
    alloc_put(b->columns, (size_t)b->room * SLOT_BYTES);
}

static void set_room(struct stream_pending_block *b, unsigned room) {
    struct stream_pending_block old = *b;
    new_columns(b, room);
    move_slots(b, 0, &old, 0, old.used);
    free_columns(&old);
}

/* The first slot whose id is at least this; `used` if there is none. */
static unsigned slot_from(const struct stream_pending_block *b, struct stream_id id) {
    const struct stream_id *ids = ids_of(b);
    unsigned low = 0, high = b->used;
    if (high > 0 && stream_id_compare(ids[high - 1], id) < 0) return high;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (stream_id_compare(ids[middle], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The slots whose consumer is this one, dead ones included. */
static uint64_t slots_of_consumer(const struct stream_pending_block *b, uint32_t consumer) {
    const uint32_t *column = consumers_of(b);
    uint64_t found = 0;
    unsigned slot = 0;
#ifdef __SSE2__
    __m128i wanted = _mm_set1_epi32((int)consumer);
    for (; slot + 16 <= b->room; slot += 16) {
        const __m128i *four = (const __m128i *)(column + slot);
        __m128i a = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(four), wanted),
                                    _mm_cmpeq_epi32(_mm_loadu_si128(four + 1), wanted));
        __m128i z = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(four + 2), wanted),
                                    _mm_cmpeq_epi32(_mm_loadu_si128(four + 3), wanted));
        found |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_packs_epi16(a, z)) << slot;
    }
#endif
    for (; slot < b->used; slot++)
        found |= (uint64_t)(column[slot] == consumer) << slot;
    return found;
}

/* Take the dead slots out. */
static void squeeze_block(struct stream_pending_block *b) {
    unsigned n = 0;
    b->consumers = 0;
    for (uint64_t left = b->mask; left; left &= left - 1, n++) {
        unsigned slot = (unsigned)__builtin_ctzll(left);
        if (slot != n) move_slots(b, n, b, slot, 1);
        b->consumers |= consumer_bit(consumers_of(b)[n]);
    }
    b->used = (uint8_t)n;
    b->mask = ~bits_from(n);
}

/* --- The row --------------------------------------------------------------------------------- */

static struct stream_pending_block *block_at(const struct stream_pending *p, size_t i) {
    return &p->blocks[p->first + i];
}

static void set_row(struct stream_pending *p, size_t room) {
    struct stream_pending_block *row = NULL;
    if (room > 0) {
        row = alloc_get(room * sizeof *row);
        if (p->used > 0) memcpy(row, block_at(p, 0), p->used * sizeof *row);
    }
    alloc_put(p->blocks, p->room * sizeof *row);
    p->blocks = row;
    p->room = (uint32_t)room;
    p->first = 0;
}

/* Make room for one block more at the end. */
static void make_row_room(struct stream_pending *p) {
    if (p->first + p->used < p->room) return;
    if (p->first > p->room / 2) {
        memmove(p->blocks, block_at(p, 0), p->used * sizeof *p->blocks);
        p->first = 0;
    } else {
        assert(p->room < UINT32_MAX / 2);
        set_row(p, p->room ? 2 * (size_t)p->room : ROW_FIRST);
    }
}

/* A new empty block with this index. */
static struct stream_pending_block *open_block(struct stream_pending *p, size_t i, struct stream_id first,
                                               unsigned room) {
    make_row_room(p);
    struct stream_pending_block *b = block_at(p, i);
    memmove(b + 1, b, (p->used - i) * sizeof *b);
    p->used++;
    *b = (struct stream_pending_block){.first = first};
    new_columns(b, room);
    return b;
}

static void close_block(struct stream_pending *p, size_t i) {
    free_columns(block_at(p, i));
    if (i < p->used / 2) {
        memmove(block_at(p, 1), block_at(p, 0), i * sizeof *p->blocks);
        p->first++;
    } else {
        memmove(block_at(p, i), block_at(p, i + 1), (p->used - i - 1) * sizeof *p->blocks);
    }
    p->used--;
    if (p->used == 0)
        set_row(p, 0);
    else if (p->used < p->room / 8)
        set_row(p, p->room / 2);
}

/* The last block whose first id is at most this; 0 if there is none. What is acknowledged is usually in the first. */
static size_t find_block(const struct stream_pending *p, struct stream_id id) {
    if (p->used < 2 || stream_id_compare(id, block_at(p, 1)->first) < 0) return 0;
    return stream_id_search(block_at(p, 0), sizeof *p->blocks, p->used, id);
}

/* Join block i with the next one, if that leaves no more than half a block. */
static void join_thin(struct stream_pending *p, size_t i) {
    struct stream_pending_block *b = block_at(p, i), *next = b + 1;
    if (i + 1 >= p->used || count_bits(b->mask) + count_bits(next->mask) > STREAM_PENDING_BLOCK / 2) return;
    squeeze_block(b);
    squeeze_block(next);
    unsigned room = b->room, wanted = b->used + next->used;
    while (room < wanted)
        room *= 2;
    if (room > b->room) set_room(b, room);
    move_slots(b, b->used, next, 0, next->used);
    b->consumers |= next->consumers;
    b->used = (uint8_t)wanted;
    b->mask = ~bits_from(wanted);
    close_block(p, i + 1);
}

/* Slots of block i were cleared. */
static bool drop_dead(struct stream_pending *p, size_t i) {
    struct stream_pending_block *b = block_at(p, i);
    if (b->mask) {
        b->used = (uint8_t)(STREAM_PENDING_BLOCK - __builtin_clzll(b->mask));
        return false;
    }
    close_block(p, i);
    return true;
}

static void split_block(struct stream_pending *p, size_t i) {
    enum { HALF = STREAM_PENDING_BLOCK / 2 };
    struct stream_id middle = ids_of(block_at(p, i))[HALF];
    struct stream_pending_block *upper = open_block(p, i + 1, middle, STREAM_PENDING_BLOCK);
    struct stream_pending_block *lower = block_at(p, i);
    move_slots(upper, 0, lower, HALF, HALF);
    upper->consumers = lower->consumers;
    upper->used = lower->used = HALF;
    upper->mask = lower->mask = ~bits_from(HALF);
}

/* --- Entries --------------------------------------------------------------------------------- */

/* The place of an entry. False: it is not pending. */
static bool locate(const struct stream_pending *p, struct stream_id id, size_t *block, unsigned *slot) {
    if (p->used == 0) return false;
    *block = find_block(p, id);
    const struct stream_pending_block *b = block_at(p, *block);
    *slot = slot_from(b, id);
    return *slot < b->used && stream_id_equal(ids_of(b)[*slot], id) && b->mask & bit(*slot);
}

bool stream_pending_find(const struct stream_pending *p, struct stream_id id, struct stream_pending_entry *e) {
    size_t i;
    unsigned slot;
    if (!locate(p, id, &i, &slot)) return false;
    *e = read_slot(block_at(p, i), slot);
    return true;
}

/* A slot for an id that belongs before `slot`: a dead one beside it, or a new one. False: the block is full. */
static bool open_slot(struct stream_pending_block *b, unsigned *slot) {
    unsigned at = *slot;
    if (at < b->used && !(b->mask & bit(at))) return true;
    if (at > 0 && !(b->mask & bit(at - 1))) {
        *slot = at - 1;
        return true;
    }
    if (b->used == STREAM_PENDING_BLOCK) return false;
    if (b->used == b->room) set_room(b, 2u * b->room);
    move_slots(b, at + 1, b, at, b->used - at);
    uint64_t behind = b->mask & bits_from(at);
    b->mask = (b->mask & ~bits_from(at)) | behind << 1;
    b->used++;
    return true;
}

/* Add an id that is not there. */
static void insert_entry(struct stream_pending *p, const struct stream_pending_entry *e) {
    if (p->used == 0) open_block(p, 0, e->id, ROOM_FIRST);
    size_t i = find_block(p, e->id);
    struct stream_pending_block *b = block_at(p, i);
    unsigned slot = slot_from(b, e->id);
    while (!open_slot(b, &slot)) {
        if (slot == b->used && i + 1 == p->used)
            open_block(p, ++i, e->id, ROOM_FIRST);
        else if (~b->mask)
            squeeze_block(b);
        else
            split_block(p, i);
        i = find_block(p, e->id);
        b = block_at(p, i);
        slot = slot_from(b, e->id);
    }
    write_slot(b, slot, e);
    if (stream_id_compare(e->id, b->first) < 0) b->first = e->id;
    p->count++;
}

bool stream_pending_put(struct stream_pending *p, const struct stream_pending_entry *e,
                        struct stream_pending_entry *old) {
    size_t i;
    unsigned slot;
    if (!locate(p, e->id, &i, &slot)) {
        insert_entry(p, e);
        return false;
    }
    if (old) *old = read_slot(block_at(p, i), slot);
    write_slot(block_at(p, i), slot, e);
    return true;
}

bool stream_pending_remove(struct stream_pending *p, struct stream_id id, struct stream_pending_entry *old) {
    size_t i;
    unsigned slot;
    if (!locate(p, id, &i, &slot)) return false;
    struct stream_pending_block *b = block_at(p, i);
    *old = read_slot(b, slot);
    b->mask &= ~bit(slot);
    p->count--;
    if (drop_dead(p, i)) return true;
    join_thin(p, i);
    if (i > 0) join_thin(p, i - 1);
    return true;
}

struct stream_id stream_pending_min(const struct stream_pending *p) {
    const struct stream_pending_block *b = block_at(p, 0);
    return ids_of(b)[__builtin_ctzll(b->mask)];
}

struct stream_id stream_pending_max(const struct stream_pending *p) {
    const struct stream_pending_block *b = block_at(p, p->used - 1);
    return ids_of(b)[b->used - 1];
}

/* --- The cursor ------------------------------------------------------------------------------ */

static uint64_t slots_to_visit(const struct stream_pending_block *b, uint32_t consumer) {
    if (consumer == STREAM_PENDING_ANY) return b->mask;
    return b->consumers & consumer_bit(consumer) ? b->mask & slots_of_consumer(b, consumer) : 0;
}

/* Fetch the column that a walk will look at soon: the blocks lie far from each other. */
static void fetch_ahead(const struct stream_pending *p, size_t i, uint32_t consumer) {
    if (consumer == STREAM_PENDING_ANY || i + FETCH_AHEAD >= p->used) return;
    const struct stream_pending_block *b = block_at(p, i + FETCH_AHEAD);
    if (!(b->consumers & consumer_bit(consumer))) return;
    const char *column = (const char *)consumers_of(b);
    for (unsigned byte = 0; byte < STREAM_PENDING_BLOCK * sizeof(uint32_t); byte += 64)
        __builtin_prefetch(column + byte);
}

void stream_pending_start(struct stream_pending_cursor *c, struct stream_pending *p, uint32_t consumer,
                          struct stream_id from) {
    *c = (struct stream_pending_cursor){.pending = p, .consumer = consumer};
    if (p->used == 0) return;
    c->block = (uint32_t)find_block(p, from);
    const struct stream_pending_block *b = block_at(p, c->block);
    c->left = slots_to_visit(b, consumer) & bits_from(slot_from(b, from));
}

bool stream_pending_next(struct stream_pending_cursor *c) {
    const struct stream_pending *p = c->pending;
    while (c->left == 0) {
        if (c->block + 1 >= p->used) return false;
        c->left = slots_to_visit(block_at(p, ++c->block), c->consumer);
        fetch_ahead(p, c->block, c->consumer);
    }
    c->slot = (unsigned)__builtin_ctzll(c->left);
    c->left &= c->left - 1;
    c->entry = read_slot(block_at(p, c->block), c->slot);
    return true;
}

void stream_pending_assign(struct stream_pending_cursor *c) {
    write_slot(block_at(c->pending, c->block), c->slot, &c->entry);
}

void stream_pending_drop(struct stream_pending_cursor *c) {
    block_at(c->pending, c->block)->mask &= ~bit(c->slot);
    c->pending->count--;
    if (drop_dead(c->pending, c->block)) c->block--; /* next() goes to the block that has taken this place */
}

/* --- The whole ------------------------------------------------------------------------------- */

void stream_pending_free(struct stream_pending *p) {
    for (size_t i = 0; i < p->used; i++)
        free_columns(block_at(p, i));
    alloc_put(p->blocks, p->room * sizeof *p->blocks);
    *p = (struct stream_pending){0};
}

void stream_pending_copy(struct stream_pending *to, const struct stream_pending *from) {
    *to = (struct stream_pending){.count = from->count, .used = from->used, .room = from->used};
    if (from->used == 0) return;
    to->blocks = alloc_get(from->used * sizeof *to->blocks);
    for (size_t i = 0; i < from->used; i++) {
        const struct stream_pending_block *b = block_at(from, i);
        to->blocks[i] = *b;
        new_columns(&to->blocks[i], b->room);
        move_slots(&to->blocks[i], 0, b, 0, b->used);
    }
}

size_t stream_pending_memory(const struct stream_pending *p) {
    size_t bytes = p->room ? alloc_class(p->room * sizeof *p->blocks) : 0;
    for (size_t i = 0; i < p->used; i++)
        bytes += alloc_class((size_t)block_at(p, i)->room * SLOT_BYTES);
    return bytes;
}

static void check_block(const struct stream_pending_block *b) {
    assert(b->mask != 0 && b->used <= b->room && b->room <= STREAM_PENDING_BLOCK);
    assert(b->used == STREAM_PENDING_BLOCK - (unsigned)__builtin_clzll(b->mask));
    assert(stream_id_compare(b->first, ids_of(b)[0]) <= 0);
    for (unsigned slot = 0; slot < b->used; slot++) {
        assert(slot == 0 || stream_id_compare(ids_of(b)[slot - 1], ids_of(b)[slot]) < 0);
        assert(!(b->mask & bit(slot)) || b->consumers & consumer_bit(consumers_of(b)[slot]));
    }
}

void stream_pending_check(const struct stream_pending *p) {
    size_t count = 0;
    assert(p->first + p->used <= p->room && (p->used > 0 || p->blocks == NULL));
    for (size_t i = 0; i < p->used; i++) {
        const struct stream_pending_block *b = block_at(p, i);
        check_block(b);
        count += count_bits(b->mask);
        assert(i == 0 || stream_id_compare(ids_of(b - 1)[b[-1].used - 1], b->first) < 0);
    }
    assert(count == p->count);
}
