/* Connections: how bytes get in and out with as few copies and system calls as can be.
 *
 * Input. A read goes to the tail of one arena that all connections of a wave share; slices of it live
 * until conn_input_reset(). What is left of an incomplete request goes to a conn_input of its own, sized
 * to fit. At the next read it is copied back to the arena and the new bytes follow it, unless it is
 * already large: then it grows in its own buffer, so that a long request that comes in many pieces costs
 * linear time. A bulk of BLOB_MIN bytes or more, once its length is known, is read straight into a blob.
 *
 * Output. See the header: ranges of the arena, then chunks. Chunks are copies or references to blobs. */
#include "net/conn.h"
#include "base/alloc.h"
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define INPUT_ARENA (1 << 20)    /* bytes of input a wave can hold */
#define INPUT_OWN_MIN 16384      /* unfinished bytes from which a connection reads into its own buffer */
#define BULK_READ_MAX (1 << 18)  /* bytes of a large bulk read in one turn */
#define BULK_EAGER_MIN (1 << 16) /* a bulk up to here gets its memory at once, a larger one as it comes */
#define BULK_EAGER_MAX (1 << 20) /* the same, once a sixteenth has come */
#define ARENA_KEEP (4 << 20)     /* an output arena larger than this is given back after use */
#define CHUNK_BYTES 16384        /* the least that a chunk of copied output takes */
#define CHUNK_SMALL 256          /* the same between references to blobs, where only headers go */
#define SEND_TURN_MAX (1 << 20)  /* chunk bytes sent to one connection in one go */
#define SEND_VECTORS 64

struct held_blob {
    struct held_blob *next;
    struct blob *blob;
};

struct conn_input {
    struct resp_parser parser;
    char *data; /* from parser.start on; NULL while the region is in the arena */
    size_t len, cap;
    struct blob *bulk;       /* being received, line end included; NULL if none */
    size_t bulk_target;      /* its bytes when complete */
    struct held_blob *blobs; /* received, part of a request that waits or runs, in order: MSET takes them so */
    struct held_blob **blobs_end;
    size_t held_bytes;       /* memory of those */
    struct held_blob *taken; /* values by now, which may be overwritten before the request is done with */
};

struct conn_chunk {
    struct conn_chunk *next;
    struct blob *blob; /* NULL: bytes of its own */
    size_t start, len, cap;
    char data[];
};

struct conn_metrics conn_metrics;
struct conn_arena conn_arena;

static struct {
    char *data;
    size_t len;
    struct resp_parser parser; /* of connections without an input of their own */
} in;

/* Blobs that the output arena refers to, in order of their places. A reference takes no bytes there. */
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

void conn_init(struct conn *c, int fd, void (*ready)(struct loop_source *, uint32_t)) {
    *c = (struct conn){.source = {.fd = fd, .ready = ready}};
}

/* --- input ----------------------------------------------------------------------------------- */

static void input_set_data(struct conn_input *input, char *data, size_t len, size_t cap) {
    conn_metrics.input_bytes += cap;
    conn_metrics.input_bytes -= input->cap;
    alloc_put(input->data, input->cap);
    input->data = data;
    input->len = len;
    input->cap = cap;
}

static void hold_blob(struct conn_input *input, struct blob *blob) {
    struct held_blob *held = alloc_get(sizeof *held);
    *held = (struct held_blob){.blob = blob};
    *input->blobs_end = held;
    input->blobs_end = &held->next;
    input->held_bytes += sizeof *held + blob_size(blob);
    conn_metrics.input_bytes += sizeof *held + blob_size(blob);
}

/* Moves what *link is to the list of those taken. */
static struct blob *take_blob(struct conn_input *input, struct held_blob **link) {
    struct held_blob *held = *link;
    *link = held->next;
    if (held->next == NULL) input->blobs_end = link;
    input->held_bytes -= sizeof *held + blob_size(held->blob);
    conn_metrics.input_bytes -= sizeof *held + blob_size(held->blob);
    held->next = input->taken;
    input->taken = held;
    return held->blob;
}

static void drop_taken(struct conn_input *input) {
    for (struct held_blob *held; (held = input->taken);) {
        input->taken = held->next;
        blob_drop(held->blob);
        alloc_put(held, sizeof *held);
    }
}

static void drop_blobs(struct conn_input *input) {
    while (input->blobs)
        take_blob(input, &input->blobs);
    drop_taken(input);
}

static void input_free(struct conn *c) {
    struct conn_input *input = c->input;
    if (input == NULL) return;
    drop_blobs(input);
    if (input->bulk) {
        conn_metrics.input_bytes -= input->bulk->cap;
        blob_drop(input->bulk);
    }
    input_set_data(input, NULL, 0, 0);
    resp_free(&input->parser);
    alloc_put(input, sizeof *input);
    conn_metrics.input_bytes -= sizeof *input;
    c->input = NULL;
}

static struct conn_input *input_of(struct conn *c) {
    if (c->input) return c->input;
    c->input = alloc_zero(sizeof *c->input);
    resp_init(&c->input->parser);
    c->input->blobs_end = &c->input->blobs;
    conn_metrics.input_bytes += sizeof *c->input;
    return c->input;
}

/* One read(2). Returns the bytes read, or 0 with *result set to what that means. */
static size_t receive(struct conn *c, char *to, size_t room, enum conn_read *result) {
    ssize_t n = read(c->source.fd, to, room);
    if (n > 0) {
        conn_metrics.reads++;
        conn_metrics.bytes_in += (size_t)n;
        return (size_t)n;
    }
    *result = n < 0 && (errno == EAGAIN || errno == EINTR) ? CONN_READ_NOTHING : CONN_READ_CLOSED;
    if (*result == CONN_READ_CLOSED) c->flags |= CONN_BROKEN;
    return 0;
}

/* Room for more of the bulk being received: doubling, so that nobody gets memory by announcing a length. */
static void grow_bulk(struct conn_input *input) {
    struct blob *bulk = input->bulk;
    if (bulk->len < bulk->cap) return;
    size_t cap = bulk->cap > input->bulk_target / 2 ? input->bulk_target : bulk->cap * 2;
    conn_metrics.input_bytes -= bulk->cap;
    input->bulk = blob_resize(bulk, cap);
    conn_metrics.input_bytes += input->bulk->cap; /* a blob takes what its size class gives */
}

static void begin_bulk(struct conn_input *input, const char *have, size_t len) {
    size_t target = (size_t)input->parser.bulk_len + 2, cap = BULK_EAGER_MIN;
    if (len > BULK_EAGER_MIN / 16) cap = len < BULK_EAGER_MAX / 16 ? len * 16 : BULK_EAGER_MAX;
    if (cap > target) cap = target;
    if (cap < len) cap = len;
    input->bulk_target = target;
    input->bulk = blob_new(cap);
    conn_metrics.input_bytes += input->bulk->cap;
    memcpy(input->bulk->data, have, len);
    input->bulk->len = len;
}

/* The bulk is complete: it becomes an argument. */
static void end_bulk(struct conn_input *input) {
    struct blob *bulk = input->bulk;
    conn_metrics.input_bytes -= bulk->cap;
    input->bulk = NULL;
    bulk->len = input->bulk_target - 2;
    resp_supply_bulk(&input->parser, blob_slice(bulk));
    hold_blob(input, bulk);
}

static enum conn_read read_bulk(struct conn *c, const char **end) {
    struct conn_input *input = c->input;
    grow_bulk(input);
    struct blob *bulk = input->bulk;
    size_t room = (bulk->cap < input->bulk_target ? bulk->cap : input->bulk_target) - bulk->len;
    enum conn_read result;
    size_t n = receive(c, bulk->data + bulk->len, room < BULK_READ_MAX ? room : BULK_READ_MAX, &result);
    if (n == 0) return result;
    bulk->len += n;
    if (bulk->len < input->bulk_target) return CONN_READ_NOTHING;
    end_bulk(input);
    *end = input->parser.next;
    return CONN_READ_SOME;
}

/* Behind unfinished bytes that are too many to copy at each read. */
static enum conn_read read_own(struct conn *c, const char **end) {
    struct conn_input *input = c->input;
    if (input->cap - input->len < CONN_READ_MAX / 2) {
        size_t cap = alloc_class(input->cap * 2 + CONN_READ_MAX);
        char *data = alloc_get(cap);
        memcpy(data, input->data, input->len);
        resp_rebase(&input->parser, data);
        input_set_data(input, data, input->len, cap);
    }
    enum conn_read result;
    size_t room = input->cap - input->len;
    size_t n = receive(c, input->data + input->len, room < BULK_READ_MAX ? room : BULK_READ_MAX, &result);
    if (n == 0) return result;
    input->len += n;
    *end = input->data + input->len;
    return CONN_READ_SOME;
}

static enum conn_read read_arena(struct conn *c, struct resp_parser *parser, const char **end) {
    if (in.data == NULL) in.data = alloc_get(INPUT_ARENA);
    size_t old = c->input ? c->input->len : 0;
    if (INPUT_ARENA - in.len < CONN_READ_MAX + old) return CONN_READ_FULL;
    char *base = in.data + in.len;
    enum conn_read result;
    size_t n = receive(c, base + old, CONN_READ_MAX, &result);
    if (n == 0) return result;
    if (old) {
        memcpy(base, c->input->data, old);
        resp_rebase(parser, base);
        input_set_data(c->input, NULL, 0, 0);
    } else {
        resp_begin(parser, base);
    }
    in.len += old + n;
    *end = base + old + n;
    return CONN_READ_SOME;
}

enum conn_read conn_read(struct conn *c, struct resp_parser **parser, const char **end) {
    struct conn_input *input = c->input;
    *parser = input ? &input->parser : &in.parser;
    if (input && input->bulk) return read_bulk(c, end);
    if (input && input->len >= INPUT_OWN_MIN) return read_own(c, end);
    return read_arena(c, *parser, end);
}

/* A bulk that came in a blob counts too: conn_stash() drops it with the request that it belonged to. */
bool conn_region_is_own(const struct conn *c) {
    return c->input && (c->input->data || c->input->blobs);
}

void conn_stash(struct conn *c, struct resp_parser *parser, const char *end) {
    size_t left = (size_t)(end - parser->start);
    if (left == 0) {
        if (c->input) input_set_data(c->input, NULL, 0, 0); /* whatever was there has been executed: see wave.c */
        conn_release(c);
        return;
    }
    struct conn_input *input = input_of(c);
    drop_taken(input);
    if (parser != &input->parser) resp_move(&input->parser, parser);
    parser = &input->parser;
    size_t keep = left;
    if (parser->args_left > 0 && parser->bulk_len >= BLOB_MIN) {
        begin_bulk(input, parser->next, (size_t)(end - parser->next));
        keep = (size_t)(parser->next - parser->start);
    }
    const char *from = parser->start;
    if (input->data && keep >= INPUT_OWN_MIN) { /* large and in its own buffer: make room at the end */
        memmove(input->data, from, keep);
        resp_rebase(parser, input->data);
        input->len = keep;
        return;
    }
    size_t cap = alloc_class(keep);
    char *data = alloc_get(cap);
    memcpy(data, from, keep);
    resp_rebase(parser, data);
    input_set_data(input, data, keep, cap);
}

void conn_release(struct conn *c) {
    struct conn_input *input = c->input;
    if (input == NULL) return;
    drop_blobs(input);
    if (input->bulk == NULL && input->len == 0 && input->parser.args_left < 0) input_free(c);
}

size_t conn_arena_bytes(void) {
    return conn_arena.cap + (in.data ? INPUT_ARENA : 0);
}

void conn_input_reset(void) {
    in.len = 0;
}

struct blob *conn_take_blob(struct conn *c, const char *ptr) {
    if (c->input == NULL) return NULL;
    for (struct held_blob **link = &c->input->blobs; *link; link = &(*link)->next)
        if ((*link)->blob->data == ptr) return blob_share(take_blob(c->input, link));
    return NULL;
}

size_t conn_input_bytes(const struct conn *c) {
    if (c->input == NULL) return 0;
    return c->input->len + (c->input->bulk ? c->input->bulk->len : 0);
}

size_t conn_input_memory(const struct conn *c) {
    if (c->input == NULL) return 0;
    return sizeof *c->input + c->input->cap + c->input->parser.argv_cap * sizeof(struct slice) + c->input->held_bytes +
           (c->input->bulk ? blob_size(c->input->bulk) : 0);
}

/* --- the output arena ------------------------------------------------------------------------ */

char *conn_arena_grow(size_t n) {
    size_t cap = conn_arena.cap ? conn_arena.cap : CHUNK_BYTES * 4;
    while (cap - conn_arena.len < n)
        cap *= 2;
    conn_arena.data = alloc_resize(conn_arena.data, conn_arena.cap, cap);
    conn_arena.cap = cap;
    return conn_arena.data + conn_arena.len;
}

void conn_write_blob(struct blob *blob) {
    if (refs.count == refs.cap) {
        size_t cap = refs.cap ? refs.cap * 2 : 16;
        refs.items = alloc_resize(refs.items, refs.cap * sizeof *refs.items, cap * sizeof *refs.items);
        refs.cap = cap;
    }
    refs.items[refs.count++] = (struct arena_ref){.at = conn_arena.len, .blob = blob_share(blob)};
}

/* The first reference at or behind a place. */
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

/* --- chunks ---------------------------------------------------------------------------------- */

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
    size_t least = last && last->blob ? CHUNK_SMALL : CHUNK_BYTES;
    size_t whole = alloc_class(sizeof *last + (n > least ? n : least));
    struct conn_chunk *chunk = alloc_get(whole);
    *chunk = (struct conn_chunk){.len = n, .cap = whole - sizeof *chunk};
    memcpy(chunk->data, bytes, n);
    chunk_add(c, chunk);
}

/* Takes over one hold of the blob. */
static void chunk_refer(struct conn *c, struct blob *blob, size_t start) {
    struct conn_chunk *chunk = alloc_get(sizeof *chunk);
    *chunk = (struct conn_chunk){.blob = blob, .start = start, .len = blob->len - start};
    chunk_add(c, chunk);
}

/* Walks the pieces of a range of the arena: its bytes, cut where it refers to a blob.
 * References stand strictly inside a range, since a bulk has a header and a line end. */
struct range_walk {
    size_t at, end, ref;
};

struct piece {
    struct slice bytes;
    struct blob *blob; /* where the bytes are; NULL: in the arena */
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

/* Move a range to the connection's chunks, but for its first `skip` bytes, which were sent. */
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

/* --- ranges ---------------------------------------------------------------------------------- */

static void enqueue(struct conn *c) {
    if (c->flags & CONN_QUEUED) return;
    if (queue.count == queue.cap) {
        size_t cap = queue.cap ? queue.cap * 2 : 64;
        queue.items = alloc_resize(queue.items, queue.cap * sizeof *queue.items, cap * sizeof *queue.items);
        queue.cap = cap;
    }
    c->flags |= CONN_QUEUED;
    queue.items[queue.count++] = c;
}

size_t conn_open(void) {
    return conn_arena.len;
}

void conn_push(struct conn *c, size_t mark) {
    if (conn_arena.len == mark) return;
    if (!(c->flags & CONN_BROKEN)) {
        move_range(c, mark, conn_arena.len, 0);
        enqueue(c);
    }
    conn_truncate(mark);
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
    enqueue(c);
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

/* --- sending --------------------------------------------------------------------------------- */

/* What a send(2) returned: bytes sent. An error other than a full socket breaks the connection. */
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
        /* Chunks behind the range (pushes) must stay behind what is left of it. */
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

/* Send from the chunks; false if the socket took less than was offered. */
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

static void reset_arena(void) {
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
    reset_arena();
}

/* --- the end --------------------------------------------------------------------------------- */

static void dequeue(struct conn *c) {
    if (!(c->flags & CONN_QUEUED)) return;
    for (size_t i = 0; i < queue.count; i++)
        if (queue.items[i] == c) queue.items[i] = NULL;
    c->flags &= ~(unsigned)CONN_QUEUED;
}

void conn_close(struct conn *c) {
    dequeue(c);
    c->range_len = 0;
    input_free(c);
    while (c->out_first)
        chunk_drop_first(c);
    c->out_bytes = 0;
    if (c->source.fd < 0) return;
    loop_remove(&c->source);
    close(c->source.fd);
    c->source.fd = -1;
    c->flags |= CONN_BROKEN;
}
