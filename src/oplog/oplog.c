/* The blocks lie in a ring, in the order of their offsets, so a binary search finds a place. A block is a part of a
 * chunk, or refers to a large value that the dataset may hold, too; both are blobs, whose holders are counted. So a
 * large value costs no copy, and what is written behind it goes on in the chunk from before:
 *
 *     ring    block 7            block 8        block 9
 *     bytes   [chunk 3, begin]   [a value]      [chunk 3, the rest   ]
 *
 * Invariant: all blocks from `first` to `next` are there, each begins where the one before ends, and only the last one
 * grows. Its bytes end at `tail`, with `room` bytes to come, and then the offset is `full`. */
#include "oplog/oplog.h"
#include "base/alloc.h"
#include "base/blob.h"
#include "base/likely.h"
#include "net/resp_out.h"
#include <assert.h>
#include <string.h>

#define CHUNK_BYTES 16384 /* of memory; more for what is longer */
#define CHUNK_ROOM (CHUNK_BYTES - sizeof(struct blob))
#define CHUNKS_A_BACKLOG 16 /* a chunk is at most this part of the backlog */
#define SPARES 16           /* chunks that are kept for the next blocks */
#define TRIM_BLOCKS 64      /* dropped in a call, besides as many as came since the last one */
#define RING_MIN 16
#define WORD_MAX(len) ((len) + RESP_OUT_HEADER_MAX + 2) /* bytes of an encoded argument, at most */

struct oplog_block {
    int64_t start;     /* the offset of its first byte */
    uint64_t number;   /* its place is ring[number % cap] */
    size_t len;        /* bytes, except of the last block */
    size_t pins;       /* cursors that are placed in it */
    const char *data;  /* in the blob */
    struct blob *blob; /* a hold */
    bool is_value;     /* the blob is a value, not a chunk */
};

unsigned oplog_is_kept;
const char *oplog_id;
struct oplog_former oplog_former;

static struct {
    struct oplog_block **ring;
    size_t cap; /* of the ring: a power of 2 */
    uint64_t first, next;
    struct oplog_block *last; /* NULL: none */
    char *tail;
    size_t room;
    int64_t full;
    struct blob *chunk; /* the one that `tail` points into */
    int64_t unit_end;
    int unit_db, db;
    int end_db; /* in which a reader of all bytes is; -1: unknown */
    size_t keep;
    size_t pins;                     /* of all blocks */
    size_t opened;                   /* blocks since the last oplog_trim() */
    size_t chunk_bytes, value_bytes; /* memory */
    struct blob *spares[SPARES];
    int n_spares;
} oplog = {.db = -1, .unit_db = -1, .end_db = -1};

/* --- Chunks ---------------------------------------------------------------------------------- */

/* Bytes that the next chunk takes, if so many are to be written. */
static size_t fit_chunk(size_t bytes) {
    size_t most = oplog.keep / CHUNKS_A_BACKLOG;
    if (bytes <= CHUNK_ROOM || most <= CHUNK_ROOM) return CHUNK_ROOM;
    return bytes < most ? bytes : most;
}

static struct blob *get_chunk(size_t bytes) {
    size_t room = fit_chunk(bytes);
    if (room == CHUNK_ROOM && oplog.n_spares) return oplog.spares[--oplog.n_spares];
    struct blob *chunk = blob_new(room);
    oplog.chunk_bytes += blob_size(chunk);
    return chunk;
}

static void free_chunk(struct blob *chunk) {
    oplog.chunk_bytes -= blob_size(chunk);
    blob_drop(chunk);
}

/* The chunk loses a holder. Chunks belong to the log alone, so their holders are its blocks. */
static void drop_chunk(struct blob *chunk) {
    if (chunk->holders > 1) {
        blob_drop(chunk);
    } else if (blob_size(chunk) == CHUNK_BYTES && oplog.n_spares < SPARES) {
        oplog.spares[oplog.n_spares++] = chunk;
    } else {
        free_chunk(chunk);
    }
}

static void free_spares(void) {
    while (oplog.n_spares)
        free_chunk(oplog.spares[--oplog.n_spares]);
}

/* --- Blocks ---------------------------------------------------------------------------------- */

static inline struct oplog_block *block_at(uint64_t number) {
    return oplog.ring[number & (oplog.cap - 1)];
}

static size_t block_len(const struct oplog_block *b) {
    return b == oplog.last ? (size_t)(oplog_end() - b->start) : b->len;
}

static void grow_ring(void) {
    size_t cap = oplog.cap ? oplog.cap * 2 : RING_MIN;
    struct oplog_block **ring = alloc_get(cap * sizeof(struct oplog_block *));
    for (uint64_t n = oplog.first; n < oplog.next; n++)
        ring[n & (cap - 1)] = block_at(n);
    alloc_put(oplog.ring, oplog.cap * sizeof(struct oplog_block *));
    oplog.ring = ring;
    oplog.cap = cap;
}

/* Append a block, which takes over the hold of the blob. It has no room yet. */
static struct oplog_block *add_block(struct blob *blob, const char *data, bool is_value) {
    int64_t end = oplog_end();
    if (oplog.last) oplog.last->len = block_len(oplog.last);
    if (oplog.next - oplog.first == oplog.cap) grow_ring();
    struct oplog_block *b = alloc_get(sizeof *b);
    *b = (struct oplog_block){.start = end, .number = oplog.next, .data = data, .blob = blob, .is_value = is_value};
    oplog.ring[oplog.next++ & (oplog.cap - 1)] = b;
    oplog.last = b;
    oplog.opened++;
    oplog.full = end;
    oplog.room = 0;
    return b;
}

static void set_room(char *tail, size_t room) {
    oplog.tail = tail;
    oplog.full = oplog_end() + (int64_t)room;
    oplog.room = room;
}

/* The last block is full, or there is none. Begin one, for so many bytes or the first of them. */
static void open_block(size_t bytes) {
    assert(oplog_is_kept);
    struct blob *chunk = get_chunk(bytes);
    add_block(chunk, chunk->data, false);
    oplog.chunk = chunk;
    set_room(chunk->data, chunk->cap);
}

static void drop_first(void) {
    struct oplog_block *b = block_at(oplog.first++);
    assert(b->pins == 0);
    if (b == oplog.last) {
        int64_t end = oplog_end();
        oplog.last = NULL;
        oplog.room = 0;
        oplog.full = end;
    }
    if (b->is_value) {
        oplog.value_bytes -= blob_size(b->blob);
        blob_drop(b->blob);
    } else {
        drop_chunk(b->blob);
    }
    alloc_put(b, sizeof *b);
}

static void drop_all(void) {
    assert(oplog.pins == 0);
    while (oplog.first < oplog.next)
        drop_first();
}

void oplog_want(enum oplog_keeper keeper, bool wanted) {
    oplog_is_kept = wanted ? oplog_is_kept | keeper : oplog_is_kept & ~(unsigned)keeper;
    if (oplog_is_kept) return;
    drop_all();
    free_spares();
}

void oplog_restart(int64_t offset, int db_id) {
    drop_all();
    oplog.full = oplog.unit_end = offset;
    oplog.db = oplog.unit_db = oplog.end_db = db_id;
}

/* --- Writing --------------------------------------------------------------------------------- */

static void put(const char *bytes, size_t n) {
    while (n > oplog.room) {
        size_t some = oplog.room;
        if (some) memcpy(oplog.tail, bytes, some);
        oplog.room = 0;
        bytes += some;
        n -= some;
        open_block(n);
    }
    if (n) memcpy(oplog.tail, bytes, n);
    oplog.tail += n;
    oplog.room -= n;
}

static void put_header(char type, int64_t value) {
    char header[RESP_OUT_HEADER_MAX];
    put(header, (size_t)(resp_out_put_header(header, type, value) - header));
}

static size_t encoded_max(const struct slice *argv, int argc) {
    size_t bytes = RESP_OUT_HEADER_MAX;
    for (int i = 0; i < argc; i++)
        bytes += WORD_MAX(argv[i].len);
    return bytes;
}

/* There is room for all of it. */
static void put_args_here(const struct slice *argv, int argc) {
    char *p = resp_out_put_header(oplog.tail, '*', argc);
    for (int i = 0; i < argc; i++) {
        p = resp_out_put_header(p, '$', (int64_t)argv[i].len);
        p = resp_out_put_bytes(p, argv[i]);
        *p++ = '\r';
        *p++ = '\n';
    }
    oplog.room -= (size_t)(p - oplog.tail);
    oplog.tail = p;
}

static void put_args(const struct slice *argv, int argc) {
    if (encoded_max(argv, argc) <= oplog.room) {
        put_args_here(argv, argc);
        return;
    }
    put_header('*', argc);
    for (int i = 0; i < argc; i++) {
        put_header('$', (int64_t)argv[i].len);
        put(argv[i].ptr, argv[i].len);
        put("\r\n", 2);
    }
}

static __attribute__((noinline)) void put_select(int db_id) {
    char digits[NUM_I64_MAX];
    struct slice argv[] = {SLICE("SELECT"), slice_of(digits, (size_t)num_print_i64(digits, db_id))};
    put_args(argv, 2);
    oplog.db = oplog.end_db = db_id;
}

void oplog_append(int db_id, const struct slice *argv, int argc, struct slice raw) {
    if (unlikely(db_id != oplog.db) && db_id >= 0) put_select(db_id);
    if (likely(raw.len - 1 < oplog.room)) { /* not if it is empty */
        memcpy(oplog.tail, raw.ptr, raw.len);
        oplog.tail += raw.len;
        oplog.room -= raw.len;
    } else if (raw.len) {
        put(raw.ptr, raw.len);
    } else {
        put_args(argv, argc);
    }
}

/* The value gets a block of its own; behind that, the present chunk goes on. */
static void put_value(struct blob *blob, size_t len) {
    char *tail = oplog.tail;
    size_t room = oplog.room;
    struct oplog_block *b = add_block(blob_share(blob), blob->data, true);
    b->len = len;
    oplog.full += (int64_t)len;
    oplog.value_bytes += blob_size(blob);
    if (room == 0) return;
    add_block(blob_share(oplog.chunk), tail, false);
    set_room(tail, room);
}

void oplog_append_large(int db_id, const struct slice *argv, int argc, struct blob *const *blobs) {
    if (db_id != oplog.db && db_id >= 0) put_select(db_id);
    put_header('*', argc);
    for (int i = 0; i < argc; i++) {
        put_header('$', (int64_t)argv[i].len);
        if (blobs[i])
            put_value(blobs[i], argv[i].len);
        else
            put(argv[i].ptr, argv[i].len);
        put("\r\n", 2);
    }
}

void oplog_pass_on(struct slice bytes, int db_id) {
    put(bytes.ptr, bytes.len);
    oplog.db = oplog.end_db = db_id;
}

void oplog_end_unit(void) {
    oplog.unit_end = oplog_end();
    oplog.unit_db = oplog.db;
}

int64_t oplog_end(void) {
    return oplog.full - (int64_t)oplog.room;
}

int64_t oplog_unit_end(void) {
    return oplog.unit_end;
}

int oplog_db(void) {
    return oplog.db;
}

int oplog_unit_db(void) {
    return oplog.unit_db;
}

void oplog_forget_db(void) {
    oplog.db = oplog.unit_db = -1;
}

void oplog_recall_db(void) {
    oplog.db = oplog.unit_db = oplog.end_db;
}

/* --- Reading --------------------------------------------------------------------------------- */

static void place_cursor(struct oplog_cursor *cursor, struct oplog_block *block, size_t at) {
    block->pins++;
    oplog.pins++;
    *cursor = (struct oplog_cursor){.block = block, .at = at};
}

void oplog_leave(struct oplog_cursor *cursor) {
    if (cursor->block == NULL) return;
    cursor->block->pins--;
    oplog.pins--;
    *cursor = (struct oplog_cursor){.block = NULL};
}

/* The last block that begins at this offset or before it. */
static struct oplog_block *find_block(int64_t offset) {
    uint64_t low = oplog.first, high = oplog.next;
    if (oplog.last && oplog.last->start <= offset) return oplog.last;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (block_at(middle)->start <= offset)
            low = middle;
        else
            high = middle;
    }
    return block_at(low);
}

bool oplog_seek(struct oplog_cursor *cursor, int64_t offset) {
    oplog_leave(cursor);
    if (offset < oplog_first() || offset > oplog_end()) return false;
    if (oplog.last == NULL) open_block(0);
    struct oplog_block *block = find_block(offset);
    place_cursor(cursor, block, (size_t)(offset - block->start));
    return true;
}

int oplog_peek(const struct oplog_cursor *cursor, struct iovec *pieces, int max, size_t bytes) {
    struct oplog_block *block = cursor->block;
    size_t at = cursor->at;
    int n = 0;
    while (n < max && bytes > 0) {
        size_t len = block_len(block) - at;
        if (len > bytes) len = bytes;
        if (len) pieces[n++] = (struct iovec){.iov_base = (char *)block->data + at, .iov_len = len};
        bytes -= len;
        if (block == oplog.last) break;
        block = block_at(block->number + 1);
        at = 0;
    }
    return n;
}

void oplog_advance(struct oplog_cursor *cursor, size_t bytes) {
    struct oplog_block *block = cursor->block;
    size_t at = cursor->at + bytes;
    while (block != oplog.last && at >= block->len) {
        at -= block->len;
        block = block_at(block->number + 1);
    }
    assert(at <= block_len(block));
    if (block != cursor->block) {
        cursor->block->pins--;
        block->pins++;
    }
    *cursor = (struct oplog_cursor){.block = block, .at = at};
}

int64_t oplog_at(const struct oplog_cursor *cursor) {
    return cursor->block->start + (int64_t)cursor->at;
}

size_t oplog_behind(const struct oplog_cursor *cursor) {
    return (size_t)(oplog_end() - oplog_at(cursor));
}

/* --- The backlog ----------------------------------------------------------------------------- */

void oplog_keep(size_t bytes) {
    oplog.keep = bytes;
}

int64_t oplog_first(void) {
    return oplog.last ? block_at(oplog.first)->start : oplog_end();
}

/* The last block stays, so that a server that writes little does not free and allocate it again and again. */
void oplog_trim(void) {
    size_t most = TRIM_BLOCKS + oplog.opened;
    oplog.opened = 0;
    for (size_t n = 0; n < most && oplog.next - oplog.first > 1; n++) {
        const struct oplog_block *b = block_at(oplog.first);
        if (b->pins || (size_t)(oplog_end() - b->start) - b->len < oplog.keep) return;
        drop_first();
    }
}

struct oplog_metrics oplog_metrics(void) {
    size_t memory = oplog.chunk_bytes + oplog.value_bytes;
    return (struct oplog_metrics){.bytes = (size_t)(oplog_end() - oplog_first()),
                                  .memory = memory,
                                  .referred = oplog.value_bytes,
                                  .excess = memory > oplog.keep ? memory - oplog.keep : 0};
}
