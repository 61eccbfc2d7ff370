/* The output of a connection: ranges of one arena, then chunks of its own.
 *
 * A range that stays in the arena is sent from there. What the socket does not take, and what must wait behind older
 * output, moves to chunks: copies of bytes, or references to blobs. A reference to a blob takes no bytes of the arena.
 *
 * Invariants: references are in the order of their places, and each is strictly inside a range, since a bulk has a
 * header before it and a line end behind it. A connection's range is sent before its chunks. */
#include "base/alloc.h"
#include "base/buf.h"
#include "net/conn.h"
#include "net/conn_private.h"
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ARENA_KEEP (4 << 20)    /* an arena larger than this is freed after use */
#define CHUNK_BYTES 16384       /* the smallest chunk of copied output behind another one */
#define CHUNK_SMALL 256         /* the same between references to blobs: it holds only headers */
#define CHUNK_FIRST 512         /* and the same for the first chunk: 10,000 subscribers may get one message each */
#define SEND_TURN_MAX (1 << 20) /* the most bytes of chunks sent to one connection in one turn */
#define SEND_VECTORS 64

struct conn_chunk {
    struct conn_chunk *next;
    struct blob *blob; /* NULL: bytes of its own */
    size_t start, len, cap;
    char data[];
};

struct conn_arena conn_arena;

/* Blobs to which the output arena refers, in the order of their places. */
static struct {
    struct arena_ref {
        size_t at;
        struct blob *blob;
    } * items;
    size_t count, cap;
} refs;

static struct {
    struct conn **items;
    size_t count, cap;
} queue;

/* --- The output arena ------------------------------------------------------------------------ */

char *conn_arena_grow(size_t n) {
    size_t cap = conn_arena.cap ? conn_arena.cap : CHUNK_BYTES * 4;
    while (cap - conn_arena.len < n)
        cap *= 2;
    conn_arena.data = alloc_resize(conn_arena.data, conn_arena.cap, cap);
    conn_arena.cap = cap;
    return conn_arena.data + conn_arena.len;
}

void conn_write_blob(struct blob *blob) {
    if (refs.count == refs.cap) refs.items = alloc_grow(refs.items, &refs.cap, sizeof *refs.items, 16);
    refs.items[refs.count++] = (struct arena_ref){.at = conn_arena.len, .blob = blob_share(blob)};
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

size_t conn_mark(void) {
    return conn_arena.len;
}

void conn_truncate(size_t mark) {
    assert(mark <= conn_arena.len);
    while (refs.count && refs.items[refs.count - 1].at >= mark)
        blob_drop(refs.items[--refs.count].blob);
    conn_arena.len = mark;
}

void conn_insert(size_t mark, const void *bytes, size_t n) {
    assert(mark <= conn_arena.len);
    conn_reserve(n);
    memmove(conn_arena.data + mark + n, conn_arena.data + mark, conn_arena.len - mark);
    memcpy(conn_arena.data + mark, bytes, n);
    conn_arena.len += n;
    for (size_t i = refs.count; i > 0 && refs.items[i - 1].at >= mark; i--)
        refs.items[i - 1].at += n;
}

/* --- Chunks ---------------------------------------------------------------------------------- */

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
}

static void chunk_drop_first(struct conn *c) {
    struct conn_chunk *chunk = c->out_first;
    c->out_first = chunk->next;
    if (c->out_first == NULL) c->out_last = NULL;
    c->out_chunks--;
    conn_metrics.output_bytes -= sizeof *chunk + chunk->cap;
    if (chunk->blob) blob_drop(chunk->blob);
    alloc_put(chunk, sizeof *chunk + chunk->cap);
}

static void chunk_copy(struct conn *c, const char *bytes, size_t n) {
    struct conn_chunk *last = c->out_last;
    if (last && last->blob == NULL) {
        size_t room = last->cap - (last->start + last->len), part = n < room ? n : room;
        memcpy(last->data + last->start + last->len, bytes, part);
        last->len += part;
        c->out_bytes += part;
        bytes += part;
        n -= part;
    }
    if (n == 0) return;
    size_t least = last == NULL ? CHUNK_FIRST : last->blob ? CHUNK_SMALL : CHUNK_BYTES;
    size_t whole = alloc_class(sizeof *last + (n > least ? n : least));
    struct conn_chunk *chunk = alloc_get(whole);
    *chunk = (struct conn_chunk){.len = n, .cap = whole - sizeof *chunk};
    memcpy(chunk->data, bytes, n);
    chunk_add(c, chunk);
}

/* The chunk becomes the holder instead of the caller. */
static void chunk_refer(struct conn *c, struct blob *blob, size_t start) {
    struct conn_chunk *chunk = alloc_get(sizeof *chunk);
    *chunk = (struct conn_chunk){.blob = blob, .start = start, .len = blob->len - start};
    chunk_add(c, chunk);
}

/* Walks over the pieces of a range of the arena: its bytes, cut at each reference to a blob. */
struct range_walk {
    size_t at, end, ref;
};

struct piece {
    struct slice bytes;
    struct blob *blob; /* holds the bytes; NULL: they are in the arena */
};

static struct range_walk range_begin(size_t start, size_t end) {
    return (struct range_walk){.at = start, .end = end, .ref = refs.count ? first_ref(start) : 0};
}

static bool range_next(struct range_walk *walk, struct piece *piece) {
    if (walk->at == walk->end) return false;
    const struct arena_ref *ref = walk->ref < refs.count ? &refs.items[walk->ref] : NULL;
    if (ref && ref->at == walk->at) {
        *piece = (struct piece){blob_slice(ref->blob), ref->blob};
        walk->ref++;
        return true;
    }
    size_t stop = ref && ref->at < walk->end ? ref->at : walk->end;
    *piece = (struct piece){slice_of(conn_arena.data + walk->at, stop - walk->at), NULL};
    walk->at = stop;
    return true;
}

/* Move a range, except its first `skip` bytes, which were sent, to the connection's chunks. */
static void move_range(struct conn *c, size_t start, size_t end, size_t skip) {
    struct range_walk walk = range_begin(start, end);
    for (struct piece piece; range_next(&walk, &piece);) {
        if (skip >= piece.bytes.len) {
            skip -= piece.bytes.len;
            continue;
        }
        if (piece.blob)
            chunk_refer(c, blob_share(piece.blob), skip);
        else
            chunk_copy(c, piece.bytes.ptr + skip, piece.bytes.len - skip);
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

size_t conn_open(void) {
    return conn_arena.len;
}

void conn_push_copy(struct conn *c, size_t start, size_t end) {
    if (start == end || (c->flags & CONN_BROKEN)) return;
    move_range(c, start, end, 0);
    queue_add(c);
}

void conn_push(struct conn *c, size_t mark) {
    conn_push_copy(c, mark, conn_arena.len);
    conn_truncate(mark);
}

void conn_copy(size_t start, size_t end, struct buf *to) {
    struct range_walk walk = range_begin(start, end);
    for (struct piece piece; range_next(&walk, &piece);)
        buf_append_slice(to, piece.bytes);
}

void conn_keep(struct conn *c, size_t mark) {
    size_t len = conn_arena.len - mark;
    if (len == 0) return;
    bool extends = c->range_len && (size_t)c->range_start + c->range_len == mark;
    if (c->out_first || (c->range_len && !extends) || conn_arena.len > UINT32_MAX || (c->flags & CONN_BROKEN)) {
        conn_push(c, mark);
        return;
    }
    if (c->range_len == 0) c->range_start = (uint32_t)mark;
    c->range_len += (uint32_t)len;
    queue_add(c);
}

size_t conn_unsent(const struct conn *c) {
    return c->range_len + c->out_bytes;
}

size_t conn_unsent_referred(const struct conn *c) {
    size_t bytes = 0, end = (size_t)c->range_start + c->range_len;
    if (c->range_len == 0 || refs.count == 0) return 0;
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
    struct range_walk walk = range_begin(start, end);
    if (walk.ref == refs.count || refs.items[walk.ref].at > end) {
        sent = sent_bytes(c, send(c->source.fd, conn_arena.data + start, end - start, MSG_NOSIGNAL));
        if (sent == end - start) {
            c->range_len = 0;
            return;
        }
    } else {
        struct iovec vectors[SEND_VECTORS];
        size_t count = 0;
        for (struct piece piece; count < SEND_VECTORS && range_next(&walk, &piece); count++)
            vectors[count] = (struct iovec){(void *)piece.bytes.ptr, piece.bytes.len};
        sent = send_vectors(c, vectors, count);
    }
    c->range_len = 0;
    if (!(c->flags & CONN_BROKEN)) {
        /* Chunks behind the range (pushes) must stay behind the rest of it. */
        struct conn_chunk *first = c->out_first, *last = c->out_last;
        c->out_first = c->out_last = NULL;
        move_range(c, start, end, sent);
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

static void send_some(struct conn *c) {
    uint64_t before = conn_metrics.bytes_out;
    while (c->out_first && !(c->flags & CONN_BROKEN)) {
        if (!send_chunks(c) || conn_metrics.bytes_out - before >= SEND_TURN_MAX) break;
    }
    bool waits = c->out_first && !(c->flags & CONN_BROKEN);
    if (waits == !!(c->flags & CONN_WAITS_WRITE)) return;
    c->flags ^= CONN_WAITS_WRITE;
    uint32_t events = c->source.events & ~(uint32_t)LOOP_WRITE;
    loop_set_events(&c->source, waits ? events | LOOP_WRITE : events);
}

void conn_writable(struct conn *c) {
    send_some(c);
}

static void arena_reset(void) {
    conn_truncate(0);
    if (conn_arena.cap <= ARENA_KEEP) return;
    alloc_put(conn_arena.data, conn_arena.cap);
    conn_arena.data = NULL;
    conn_arena.cap = 0;
}

void conn_flush(void (*sent)(struct conn *c)) {
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
    arena_reset();
}

bool conn_flush_wanted(void) {
    return queue.count > 0;
}

/* --- Closing --------------------------------------------------------------------------------- */

static void queue_drop(struct conn *c) {
    if (!(c->flags & CONN_QUEUED)) return;
    for (size_t i = 0; i < queue.count; i++)
        if (queue.items[i] == c) queue.items[i] = NULL;
    c->flags &= ~(unsigned)CONN_QUEUED;
}

void conn_drop_output(struct conn *c) {
    queue_drop(c);
    c->range_len = 0;
    while (c->out_first)
        chunk_drop_first(c);
    c->out_bytes = 0;
}
