/* The output of a connection: ranges of one arena, then chunks of its own.
 *
 * A range that stays in the arena is sent from there. What the socket does not take, and what must wait behind older
 * output, moves to chunks: copies of bytes, or references to blobs. A reference to a blob takes no bytes of the arena.
 * The arena is a blob itself: a large part of it is not copied, but referred to, and the arena begins anew after the
 * flush. Where memory ends, the arena does not grow, or a connection breaks, but the server goes on.
 *
 * Invariants: references are in the order of their places, and each is strictly inside a range, since a bulk has a
 * header before it and a line end behind it. A connection's range is sent before its chunks. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/conn_private.h"
#include <assert.h>
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ARENA_FIRST 65536       /* bytes of a new arena */
#define ARENA_KEEP (4 << 20)    /* an arena larger than this is freed after use */
#define REFS_KEEP (1 << 16)     /* room for more references than this is freed after use */
#define ARENA_REFER (1 << 20)   /* from this many bytes on a chunk refers to a part of the arena, if it is ... */
#define ARENA_REFER_PART 4      /* ... at least a quarter: else a slow reader would keep the output of the others */
#define CHUNK_BYTES 16384       /* the smallest chunk of copied output behind another one */
#define CHUNK_SMALL 256         /* the same between references to blobs: it holds only headers */
#define CHUNK_FIRST 512         /* and the same for the first chunk: 10,000 subscribers may get one message each */
#define SEND_TURN_MAX (1 << 20) /* the most bytes of chunks sent to one connection in one turn */
#define SEND_VECTORS 64

struct conn_chunk {
    struct conn_chunk *next;
    struct blob *blob;      /* holds the bytes; NULL: they are in data */
    size_t start, len, cap; /* cap: memory for the bytes, of data or of a part of an arena */
    char data[];
};

struct conn_arena conn_arena;
static struct blob *arena;           /* where conn_arena.data is; NULL at first, and after a large one */
static struct conn_range *innermost; /* the open range that is written to */

/* Blobs to which the output arena refers, in the order of their places. */
static struct refs {
    struct arena_ref {
        size_t at;
        struct blob *blob;
    } * items;
    size_t count, cap;
} refs;

static struct queue {
    struct conn **items;
    size_t count, cap;
} queue;

/* All of the above, while other output is written: conn_set_aside(). */
static struct {
    struct conn_arena state;
    struct blob *arena;
    struct conn_range *innermost;
    struct refs refs;
    struct queue queue;
} aside;

/* --- The output arena ------------------------------------------------------------------------ */

/* The arena or the open range has changed: how far may writers go? A range without a limit, outside of all others,
 * changes nothing. */
static void fit_arena(void) {
    const struct conn_range *r = innermost;
    size_t cap = arena ? arena->cap : 0;
    if (r && r->limit - r->referred < cap - r->start) cap = r->start + (r->limit - r->referred);
    conn_arena.data = arena ? arena->data : NULL;
    conn_arena.refuses = r && r->refusal;
    conn_arena.cap = conn_arena.refuses ? conn_arena.len : cap;
}

void conn_refuse(enum conn_refusal why) {
    if (innermost) innermost->refusal = why;
    fit_arena();
}

static bool refuse_rest(enum conn_refusal why) {
    conn_refuse(why);
    return false;
}

size_t conn_room(void) {
    const struct conn_range *r = innermost;
    return r ? r->limit - r->referred - (conn_arena.len - r->start) : CONN_NO_LIMIT;
}

/* An arena of this capacity with the bytes of the present one, or NULL. What chunks refer to must not move. */
static struct blob *larger_arena(size_t cap) {
    if (arena && arena->holders == 1) return blob_try_resize(arena, cap);
    struct blob *larger = blob_try_new(cap);
    if (larger && arena) {
        memcpy(larger->data, arena->data, conn_arena.len);
        blob_drop(arena);
    }
    return larger;
}

bool conn_arena_grow(size_t n) {
    if (conn_arena.refuses) return false;
    if (n > conn_room()) return refuse_rest(CONN_OVER_LIMIT);
    size_t size = arena ? blob_size(arena) : ARENA_FIRST;
    while (size - sizeof *arena - conn_arena.len < n)
        size *= 2;
    struct blob *larger = larger_arena(size - sizeof *arena);
    if (larger == NULL) return refuse_rest(CONN_NO_MEMORY);
    arena = larger;
    fit_arena();
    return true;
}

void conn_arena_shrink(void) {
    if (arena == NULL || arena->holders > 1 || conn_arena.len > 0 || blob_size(arena) <= ARENA_FIRST) return;
    struct blob *smaller = blob_try_resize(arena, ARENA_FIRST - sizeof *arena);
    if (smaller) arena = smaller;
    fit_arena();
}

static bool refs_grow(void) {
    size_t cap = refs.cap ? refs.cap * 2 : 16;
    struct arena_ref *items = alloc_try_resize(refs.items, refs.cap * sizeof *items, cap * sizeof *items);
    if (items == NULL) return false;
    refs.items = items;
    refs.cap = cap;
    return true;
}

void conn_write_blob(struct blob *blob) {
    if (conn_arena.refuses) return;
    if (blob->len > conn_room()) {
        conn_refuse(CONN_OVER_LIMIT);
        return;
    }
    if (refs.count == refs.cap && !refs_grow()) {
        conn_refuse(CONN_NO_MEMORY);
        return;
    }
    refs.items[refs.count++] = (struct arena_ref){.at = conn_arena.len, .blob = blob_share(blob)};
    conn_arena.refs_end = conn_arena.len + 1;
    if (innermost == NULL) return;
    innermost->referred += blob->len;
    fit_arena();
}

/* Index of the first reference at or behind a place. */
static size_t first_ref(size_t at) {
    size_t low = 0, high = refs.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (refs.items[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t conn_range_written(void) {
    return innermost ? conn_arena.len - innermost->start : 0;
}

size_t conn_mark(void) {
    return conn_arena.len;
}

static void note_last_ref(void) {
    conn_arena.refs_end = refs.count ? refs.items[refs.count - 1].at + 1 : 0;
}

void conn_truncate_slowly(size_t mark) {
    assert(mark <= conn_arena.len && (innermost == NULL || mark >= innermost->start));
    while (refs.count && refs.items[refs.count - 1].at >= mark) {
        struct blob *blob = refs.items[--refs.count].blob;
        if (innermost) innermost->referred -= blob->len;
        blob_drop(blob);
    }
    conn_arena.len = mark;
    if (unlikely(conn_arena.refs_end > mark)) note_last_ref();
    if (innermost == NULL) return;
    innermost->refusal = CONN_REFUSES_NOTHING;
    fit_arena();
}

void conn_insert(size_t mark, const void *bytes, size_t n) {
    assert(mark <= conn_arena.len);
    if (!conn_has_room(n)) return;
    memmove(conn_arena.data + mark + n, conn_arena.data + mark, conn_arena.len - mark);
    memcpy(conn_arena.data + mark, bytes, n);
    conn_arena.len += n;
    for (size_t i = refs.count; i > 0 && refs.items[i - 1].at >= mark; i--)
        refs.items[i - 1].at += n;
    note_last_ref();
}

void conn_prepare_output(void) {
    if (arena == NULL) conn_arena_grow(1);
}

size_t conn_output_arena_bytes(void) {
    return arena ? blob_size(arena) : 0;
}

/* --- Chunks ---------------------------------------------------------------------------------- */

void conn_note_output(const struct conn *c) {
    size_t bytes = c->out_bytes + c->out_chunks * sizeof(struct conn_chunk);
    if (bytes > conn_metrics.largest_output) conn_metrics.largest_output = bytes;
}

static void chunk_add(struct conn *c, struct conn_chunk *chunk) {
    chunk->next = NULL;
    if (c->out_last)
        c->out_last->next = chunk;
    else
        c->out_first = chunk;
    c->out_last = chunk;
    c->out_chunks++;
    c->out_bytes += chunk->len;
    conn_metrics.output_bytes += sizeof *chunk + chunk->cap;
    conn_note_output(c);
}

static void chunk_drop_first(struct conn *c) {
    struct conn_chunk *chunk = c->out_first;
    c->out_first = chunk->next;
    if (c->out_first == NULL) c->out_last = NULL;
    c->out_chunks--;
    conn_metrics.output_bytes -= sizeof *chunk + chunk->cap;
    size_t own = chunk->blob ? 0 : chunk->cap;
    if (chunk->blob) blob_drop(chunk->blob);
    alloc_put(chunk, sizeof *chunk + own);
}

/* False: there is no memory for it. */
static bool chunk_copy(struct conn *c, const char *bytes, size_t n) {
    struct conn_chunk *last = c->out_last;
    if (last && last->blob == NULL) {
        size_t room = last->cap - (last->start + last->len), part = n < room ? n : room;
        memcpy(last->data + last->start + last->len, bytes, part);
        last->len += part;
        c->out_bytes += part;
        bytes += part;
        n -= part;
    }
    if (n == 0) return true;
    size_t least = last == NULL ? CHUNK_FIRST : last->blob ? CHUNK_SMALL : CHUNK_BYTES;
    size_t whole = alloc_class(sizeof *last + (n > least ? n : least));
    struct conn_chunk *chunk = alloc_try(whole);
    if (chunk == NULL) return false;
    *chunk = (struct conn_chunk){.len = n, .cap = whole - sizeof *chunk};
    memcpy(chunk->data, bytes, n);
    chunk_add(c, chunk);
    return true;
}

/* A chunk of n bytes from `start` on, which becomes one more holder of the blob. */
static void chunk_refer(struct conn *c, struct blob *blob, size_t start, size_t n) {
    struct conn_chunk *chunk = alloc_get(sizeof *chunk);
    *chunk = (struct conn_chunk){.blob = blob_share(blob), .start = start, .len = n, .cap = blob == arena ? n : 0};
    chunk_add(c, chunk);
}

struct conn_walk conn_walk(size_t start, size_t end) {
    return (struct conn_walk){.at = start, .end = end, .ref = refs.count ? first_ref(start) : 0};
}

bool conn_walk_next(struct conn_walk *walk, struct conn_piece *piece) {
    if (walk->at == walk->end) return false;
    const struct arena_ref *ref = walk->ref < refs.count ? &refs.items[walk->ref] : NULL;
    if (ref && ref->at == walk->at) {
        *piece = (struct conn_piece){blob_slice(ref->blob), ref->blob};
        walk->ref++;
        return true;
    }
    size_t stop = ref && ref->at < walk->end ? ref->at : walk->end;
    *piece = (struct conn_piece){slice_of(conn_arena.data + walk->at, stop - walk->at), NULL};
    walk->at = stop;
    return true;
}

/* May bytes of the arena stay where they are, or will they be overwritten? */
enum move { MOVE_COPIES, MOVE_REFERS };

/* Put a piece, from `skip` on, behind the connection's chunks. False: there is no memory for it. */
static bool chunk_put(struct conn *c, const struct conn_piece *piece, size_t skip, enum move how) {
    const char *bytes = piece->bytes.ptr + skip;
    size_t n = piece->bytes.len - skip;
    if (piece->blob)
        chunk_refer(c, piece->blob, skip, n);
    else if (how == MOVE_REFERS && n >= ARENA_REFER && n >= conn_arena.len / ARENA_REFER_PART)
        chunk_refer(c, arena, (size_t)(bytes - arena->data), n);
    else
        return chunk_copy(c, bytes, n);
    return true;
}

/* Move a range, except its first `skip` bytes, which were sent, to the connection's chunks. */
static void move_range(struct conn *c, size_t start, size_t end, size_t skip, enum move how) {
    struct conn_walk walk = conn_walk(start, end);
    for (struct conn_piece piece; conn_walk_next(&walk, &piece);) {
        if (skip >= piece.bytes.len) {
            skip -= piece.bytes.len;
            continue;
        }
        if (!chunk_put(c, &piece, skip, how)) {
            log_warning("Closing a connection: there is no memory for %zu bytes of its output.", piece.bytes.len);
            c->flags |= CONN_BROKEN;
            return;
        }
        skip = 0;
    }
}

/* --- Ranges ---------------------------------------------------------------------------------- */

static void queue_add(struct conn *c) {
    if (c->flags & CONN_QUEUED) return;
    if (queue.count == queue.cap) queue.items = alloc_grow(queue.items, &queue.cap, sizeof *queue.items, 64);
    c->flags |= CONN_QUEUED;
    queue.items[queue.count++] = c;
}

void conn_requeue(struct conn *c) {
    queue_add(c);
}

void conn_break(struct conn *c) {
    c->flags |= CONN_BROKEN;
    queue_add(c);
}

void conn_open(struct conn_range *range, size_t limit) {
    *range = (struct conn_range){.start = conn_arena.len, .limit = limit, .outer = innermost};
    innermost = range;
    if (limit != CONN_NO_LIMIT || range->outer) fit_arena();
}

static void end_range(struct conn_range *range) {
    assert(innermost == range);
    innermost = range->outer;
    if (range->limit != CONN_NO_LIMIT || range->refusal || range->outer) fit_arena();
}

void conn_take_back(struct conn_range *range) {
    conn_truncate(range->start);
    end_range(range);
}

static void push_range(struct conn *c, size_t start, size_t end, enum move how) {
    if (start == end || (c->flags & CONN_BROKEN)) return;
    move_range(c, start, end, 0, how);
    queue_add(c);
}

void conn_push_copy(struct conn *c, size_t start, size_t end) {
    push_range(c, start, end, MOVE_COPIES);
}

/* If a chunk refers to bytes of the range, they stay, and belong to no range. */
void conn_push(struct conn *c, struct conn_range *range) {
    enum move how = range->outer ? MOVE_COPIES : MOVE_REFERS;
    if (range->refusal)
        conn_break(c);
    else
        push_range(c, range->start, conn_arena.len, how);
    if (arena && arena->holders > 1 && how == MOVE_REFERS)
        end_range(range);
    else
        conn_take_back(range);
}

void conn_copy(size_t start, size_t end, struct buf *to) {
    struct conn_walk walk = conn_walk(start, end);
    for (struct conn_piece piece; conn_walk_next(&walk, &piece);)
        buf_append_slice(to, piece.bytes);
}

size_t conn_range_bytes(size_t start, size_t end) {
    size_t bytes = 0;
    struct conn_walk walk = conn_walk(start, end);
    for (struct conn_piece piece; conn_walk_next(&walk, &piece);)
        bytes += piece.bytes.len;
    return bytes;
}

static bool can_keep(const struct conn *c, const struct conn_range *range) {
    bool extends = c->range_len && (size_t)c->range_start + c->range_len == range->start;
    if (c->out_first || (c->range_len && !extends)) return false;
    return conn_arena.len <= UINT32_MAX && !(c->flags & (CONN_BROKEN | CONN_ASIDE)) && !range->refusal;
}

void conn_keep(struct conn *c, struct conn_range *range) {
    size_t len = conn_arena.len - range->start;
    if (!can_keep(c, range)) {
        conn_push(c, range);
        return;
    }
    if (len > 0) {
        if (c->range_len == 0) c->range_start = (uint32_t)range->start;
        c->range_len += (uint32_t)len;
        queue_add(c);
    }
    end_range(range);
}

size_t conn_unsent(const struct conn *c) {
    return c->range_len + c->out_bytes;
}

size_t conn_unsent_referred(const struct conn *c) {
    size_t bytes = 0, end = (size_t)c->range_start + c->range_len;
    if (c->range_len == 0 || refs.count == 0 || c->flags & CONN_ASIDE) return 0;
    for (size_t i = first_ref(c->range_start); i < refs.count && refs.items[i].at < end; i++)
        bytes += refs.items[i].blob->len;
    return bytes;
}

/* --- Sending --------------------------------------------------------------------------------- */

/* Bytes sent, from what send(2) returned. An error other than a full socket breaks the connection. */
static size_t sent_bytes(struct conn *c, ssize_t n) {
    conn_metrics.writes++;
    if (n >= 0) {
        conn_metrics.bytes_out += (size_t)n;
        return (size_t)n;
    }
    if (errno != EAGAIN && errno != EINTR) c->flags |= CONN_BROKEN;
    return 0;
}

static size_t send_vectors(struct conn *c, struct iovec *vectors, size_t count) {
    if (count == 1) return sent_bytes(c, send(c->source.fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL));
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    return sent_bytes(c, sendmsg(c->source.fd, &message, MSG_NOSIGNAL));
}

static void send_range(struct conn *c) {
    size_t start = c->range_start, end = start + c->range_len, sent;
    struct conn_walk walk = conn_walk(start, end);
    if (walk.ref == refs.count || refs.items[walk.ref].at > end) {
        sent = sent_bytes(c, send(c->source.fd, conn_arena.data + start, end - start, MSG_NOSIGNAL));
        if (sent == end - start) {
            c->range_len = 0;
            return;
        }
    } else {
        struct iovec vectors[SEND_VECTORS];
        size_t count = 0;
        for (struct conn_piece piece; count < SEND_VECTORS && conn_walk_next(&walk, &piece); count++)
            vectors[count] = (struct iovec){(void *)piece.bytes.ptr, piece.bytes.len};
        sent = send_vectors(c, vectors, count);
    }
    c->range_len = 0;
    if (!(c->flags & CONN_BROKEN)) {
        /* Chunks behind the range (pushes) must stay behind the rest of it. */
        struct conn_chunk *first = c->out_first, *last = c->out_last;
        c->out_first = c->out_last = NULL;
        move_range(c, start, end, sent, MOVE_REFERS);
        if (c->out_last)
            c->out_last->next = first;
        else
            c->out_first = first;
        if (last) c->out_last = last;
    }
}

/* Send from the chunks; false if the socket took less than it was offered. */
static bool send_chunks(struct conn *c) {
    struct iovec vectors[SEND_VECTORS];
    size_t count = 0, offered = 0;
    for (struct conn_chunk *chunk = c->out_first; chunk && count < SEND_VECTORS; chunk = chunk->next) {
        char *data = chunk->blob ? chunk->blob->data : chunk->data;
        vectors[count++] = (struct iovec){data + chunk->start, chunk->len};
        offered += chunk->len;
    }
    size_t sent = send_vectors(c, vectors, count), left = sent;
    c->out_bytes -= sent;
    while (c->out_first && left >= c->out_first->len) {
        left -= c->out_first->len;
        chunk_drop_first(c);
    }
    if (left) {
        c->out_first->start += left;
        c->out_first->len -= left;
    }
    return sent == offered;
}

/* The socket is full, or it is not any more. */
static void set_full(struct conn *c, bool full) {
    if (full == !!(c->flags & CONN_WAITS_WRITE)) return;
    c->flags ^= CONN_WAITS_WRITE;
    uint32_t events = c->source.events & ~(uint32_t)LOOP_WRITE;
    loop_set_events(&c->source, full ? events | LOOP_WRITE : events);
}

static void send_some(struct conn *c) {
    uint64_t before = conn_metrics.bytes_out;
    while (c->out_first && !(c->flags & CONN_BROKEN)) {
        if (!send_chunks(c) || conn_metrics.bytes_out - before >= SEND_TURN_MAX) break;
    }
    set_full(c, c->out_first && !(c->flags & CONN_BROKEN));
}

size_t conn_send_pieces(struct conn *c, const struct iovec *pieces, int n) {
    struct iovec vectors[CONN_PIECES_MAX];
    size_t offered = 0;
    assert(n <= CONN_PIECES_MAX);
    if (conn_is_busy(c)) return 0;
    for (int i = 0; i < n; i++)
        offered += (vectors[i] = pieces[i]).iov_len;
    if (offered == 0) return 0;
    size_t sent = send_vectors(c, vectors, (size_t)n);
    set_full(c, sent < offered && !(c->flags & CONN_BROKEN));
    return sent;
}

size_t conn_send_file(struct conn *c, int fd, off_t *offset, size_t n) {
    if (conn_is_busy(c) || n == 0) return 0;
    ssize_t result = sendfile(c->source.fd, fd, offset, n);
    size_t sent = sent_bytes(c, result);
    if (result == 0) c->flags |= CONN_BROKEN;
    set_full(c, sent < n && !(c->flags & CONN_BROKEN));
    return sent;
}

void conn_writable(struct conn *c) {
    send_some(c);
}

static void arena_reset(void) {
    assert(innermost == NULL);
    conn_truncate(0);
    if (refs.cap > REFS_KEEP) {
        alloc_put(refs.items, refs.cap * sizeof *refs.items);
        refs.items = NULL;
        refs.cap = 0;
    }
    if (arena == NULL || (arena->holders == 1 && blob_size(arena) <= ARENA_KEEP)) return;
    blob_drop(arena);
    arena = NULL;
    fit_arena();
}

void conn_send_queued(void (*sent)(struct conn *c)) {
    for (size_t i = 0; i < queue.count; i++) { /* `sent` may close connections */
        struct conn *c = queue.items[i];
        if (c == NULL) continue;
        c->flags &= ~(unsigned)CONN_QUEUED;
        if (c->range_len) send_range(c);
        if (c->out_first && !(c->flags & CONN_WAITS_WRITE)) send_some(c);
        queue.items[i] = NULL;
        if (sent) sent(c);
    }
    queue.count = 0;
}

void conn_flush(void (*sent)(struct conn *c)) {
    if (queue.count == 0 && conn_arena.len == 0) return;
    conn_send_queued(sent);
    arena_reset();
}

bool conn_flush_wanted(void) {
    return queue.count > 0;
}

/* --- Arenas set aside ------------------------------------------------------------------------ */

static void mark_aside(const struct queue *q, bool on) {
    for (size_t i = 0; i < q->count; i++) {
        if (q->items[i] == NULL) continue;
        q->items[i]->flags &= ~(unsigned)CONN_ASIDE;
        if (on) q->items[i]->flags |= CONN_ASIDE;
    }
}

void conn_set_output_aside(void) {
    aside.state = conn_arena;
    aside.arena = arena;
    aside.innermost = innermost;
    aside.refs = refs;
    aside.queue = queue;
    mark_aside(&queue, true);
    arena = NULL;
    innermost = NULL;
    refs = (struct refs){.items = NULL};
    queue = (struct queue){.items = NULL};
    conn_arena = (struct conn_arena){.data = NULL};
}

/* What is here now was flushed: only memory is left of it. */
void conn_put_output_back(void) {
    assert(queue.count == 0 && refs.count == 0 && innermost == NULL);
    if (arena) blob_drop(arena);
    if (refs.items) alloc_put(refs.items, refs.cap * sizeof *refs.items);
    if (queue.items) alloc_put(queue.items, queue.cap * sizeof *queue.items);
    conn_arena = aside.state;
    arena = aside.arena;
    innermost = aside.innermost;
    refs = aside.refs;
    queue = aside.queue;
    mark_aside(&queue, false);
}

/* --- Closing --------------------------------------------------------------------------------- */

static void queue_drop(struct conn *c) {
    if (!(c->flags & CONN_QUEUED)) return;
    const struct queue *q = c->flags & CONN_ASIDE ? &aside.queue : &queue;
    for (size_t i = 0; i < q->count; i++)
        if (q->items[i] == c) q->items[i] = NULL;
    c->flags &= ~(unsigned)(CONN_QUEUED | CONN_ASIDE);
}

void conn_drop_output(struct conn *c) {
    queue_drop(c);
    c->range_len = 0;
    while (c->out_first)
        chunk_drop_first(c);
    c->out_bytes = 0;
}
