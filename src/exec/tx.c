/* See tx.h. Invariants: a client with CLIENT_MULTI has a struct tx. Once a transaction is bound to fail, since a
 * request was refused or a watched key was touched, requests are still answered with QUEUED, but not kept. */
#include "exec/tx.h"
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_metrics.h"
#include "catalog/command_row.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/watch.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/reply.h"
#include "store/prefetch.h"

#define CHUNK_MIN 1024
#define CHUNK_MAX 65536 /* a larger request has a chunk of its own, of its size */

/* A queued request, and the copy of its arguments (request_copy_args()). */
struct queued {
    const struct command *command;
    struct command_metrics *metrics;
    uint64_t hash; /* of the first key */
    size_t size;   /* in the chunk, its arguments included: a multiple of 8 */
    struct slice raw;
    int argc;
    struct slice argv[];
};

/* A queue is a list of chunks, so it grows without moving what it has. A request lies in one chunk. */
struct chunk {
    struct chunk *next;
    size_t len, cap; /* bytes of data */
    char data[];
};

struct queue {
    struct chunk *first, *last;
    size_t bytes, memory; /* of the requests; of the chunks */
};

struct tx {
    struct queue queue;
    int count;             /* of the queued requests */
    unsigned any, lacking; /* tx_flags() */
    bool spoilt;           /* a request was refused: EXEC will fail */
    struct watching watching;
};

static struct chunk *spare; /* a chunk of CHUNK_MIN bytes, for the next transaction of any client; or NULL */

static struct tx *tx_of(struct client *c) {
    if (c->tx == NULL) c->tx = alloc_zero(sizeof *c->tx);
    return c->tx;
}

/* --- The queue ------------------------------------------------------------------------------- */

static struct chunk *chunk_new(size_t cap) {
    struct chunk *chunk = spare;
    if (spare && cap == CHUNK_MIN) {
        spare = NULL;
    } else {
        chunk = alloc_get(sizeof *chunk + cap);
    }
    *chunk = (struct chunk){.cap = cap};
    return chunk;
}

static void chunk_free(struct chunk *chunk) {
    if (spare == NULL && chunk->cap == CHUNK_MIN) {
        spare = chunk;
    } else {
        alloc_put(chunk, sizeof *chunk + chunk->cap);
    }
}

static void queue_extend(struct queue *q, size_t n) {
    size_t cap = q->last ? q->last->cap * 2 : CHUNK_MIN;
    if (cap > CHUNK_MAX) cap = CHUNK_MAX;
    if (cap < n) cap = n;
    struct chunk *chunk = chunk_new(cap);
    *(q->last ? &q->last->next : &q->first) = chunk;
    q->last = chunk;
    q->memory += sizeof *chunk + cap;
}

static void queue_free(struct queue *q) {
    while (q->first) {
        struct chunk *chunk = q->first;
        q->first = chunk->next;
        chunk_free(chunk);
    }
    *q = (struct queue){.first = NULL};
}

static void queue_add(struct queue *q, const struct request *r) {
    size_t size = (sizeof(struct queued) + request_args_size(r->argv, r->argc, r->raw) + 7) & ~(size_t)7;
    if (q->last == NULL || q->last->cap - q->last->len < size) queue_extend(q, size);
    struct queued *to = (struct queued *)(q->last->data + q->last->len);
    q->last->len += size;
    q->bytes += size;
    *to = (struct queued){r->command, r->metrics, r->key.hash, size, .argc = r->argc};
    to->raw = request_copy_args(to->argv, r->argv, r->argc, r->raw);
}

/* The request as it was before it was queued. Its slices point into the queue. */
static struct request queue_request(struct client *c, struct queued *q) {
    struct request r = {
        .client = c, .command = q->command, .metrics = q->metrics, .argv = q->argv, .argc = q->argc, .raw = q->raw};
    int first = request_first_key(&r);
    if (first) r.key = (struct key){q->argv[first], q->hash};
    return r;
}

/* --- The end --------------------------------------------------------------------------------- */

/* End the transaction, and watch nothing any more. */
static void tx_forget(struct client *c) {
    struct tx *tx = c->tx;
    if (tx == NULL) return;
    c->tx = NULL;
    client_clear(c, CLIENT_MULTI);
    queue_free(&tx->queue);
    watch_drop_all(&tx->watching);
    alloc_put(tx, sizeof *tx);
}

void tx_spoil(struct client *c) {
    if (c->flags & CLIENT_MULTI) c->tx->spoilt = true;
}

void tx_refuse(struct request *r, const char *error) {
    if (!(r->command->flags & CMD_EXEC)) {
        reply_error(r->client, error);
        tx_spoil(r->client);
        return;
    }
    tx_forget(r->client);
    if (strncmp(error, "ERR ", 4) == 0) error += 4; /* any other code is part of the text */
    reply_errorf(r->client, "EXECABORT Transaction discarded because of: %s", error);
}

/* --- Between MULTI and EXEC ------------------------------------------------------------------ */

void tx_queue(struct request *r) {
    struct client *c = r->client;
    struct tx *tx = c->tx;
    if (r->command->flags & CMD_NO_MULTI) {
        r->metrics->rejected++;
        tx_refuse(r, "ERR Command not allowed inside a transaction");
        return;
    }
    if (!tx->spoilt && !tx->watching.touched) {
        queue_add(&tx->queue, r);
        unsigned flags = gates_flags_of(r);
        tx->any |= flags;
        tx->lacking |= ~flags;
        tx->count++;
    }
    reply_status(c, "QUEUED");
}

void tx_flags(const struct client *c, unsigned *any, unsigned *lacking) {
    *any = c->tx ? c->tx->any : 0;
    *lacking = c->tx ? c->tx->lacking : 0;
}

size_t tx_queue_bytes(const struct client *c) {
    return c->tx ? c->tx->queue.bytes : 0;
}

/* --- EXEC ------------------------------------------------------------------------------------ */

/* PREFETCH_MAX requests at a time: their keys are fetched, then they run. */
static void run_chunk(struct client *c, struct chunk *chunk) {
    static struct request ahead[PREFETCH_MAX];
    for (size_t at = 0; at < chunk->len;) {
        struct prefetch keys;
        int n = 0;
        prefetch_begin(&keys);
        for (; n < PREFETCH_MAX && at < chunk->len; n++) {
            struct queued *queued = (struct queued *)(chunk->data + at);
            at += queued->size;
            ahead[n] = queue_request(c, queued);
            if (ahead[n].key.name.ptr) prefetch_key(&keys, c->db, ahead[n].key.hash);
        }
        prefetch_records(&keys);
        for (int i = 0; i < n; i++)
            call_nested(&ahead[i]);
    }
}

/* The queue is taken from the client first: if a queued request closes the client, the queue stays until it has run. */
static void run_queue(struct client *c) {
    struct tx *tx = c->tx;
    struct queue queue = tx->queue;
    tx->queue = (struct queue){.first = NULL};
    watch_drop_all(&tx->watching);
    size_t mark = call_mark();
    reply_array(c, (size_t)tx->count);
    call_mute(c, mark);
    struct call_outer outer = call_nest();
    for (struct chunk *chunk = queue.first; chunk; chunk = chunk->next)
        run_chunk(c, chunk);
    call_unnest(outer);
    queue_free(&queue);
    propagate_nothing(); /* each queued command was propagated by its own call */
}

static void exec(struct request *r) {
    struct client *c = r->client;
    struct tx *tx = c->tx;
    size_t mark = call_mark();
    if (!(c->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR EXEC without MULTI");
    } else if (tx->spoilt) {
        reply_error(c, "EXECABORT Transaction discarded because of previous errors.");
    } else if (tx->watching.touched || watch_any_due(&tx->watching)) {
        reply_null_array(c);
    } else {
        run_queue(c);
        tx_forget(c);
        return;
    }
    call_mute(c, mark);
    if (c->flags & CLIENT_MULTI) tx_forget(c);
}

/* --- The other commands ---------------------------------------------------------------------- */

static void multi(struct request *r) {
    struct client *c = r->client;
    if (c->flags & CLIENT_MULTI) {
        reply_error(c, "ERR MULTI calls can not be nested");
        return;
    }
    tx_of(c);
    c->flags |= CLIENT_MULTI;
    reply_ok(c);
}

static void discard(struct request *r) {
    struct client *c = r->client;
    if (!(c->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR DISCARD without MULTI");
        return;
    }
    tx_forget(c);
    reply_ok(c);
}

static void watch(struct request *r) {
    struct client *c = r->client;
    if (c->flags & CLIENT_MULTI) {
        reply_error(c, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    struct watching *watching = &tx_of(c)->watching;
    for (int i = 1; i < r->argc && !watching->touched; i++) {
        struct key key = i == 1 ? r->key : key_of(r->argv[i]);
        watch_add(watching, c->db, &key);
    }
    reply_ok(c);
}

/* Inside EXEC it changes nothing: the transaction is running, and EXEC has dropped the watched keys. */
static void unwatch(struct request *r) {
    struct client *c = r->client;
    if (!(c->flags & CLIENT_MULTI)) tx_forget(c);
    reply_ok(c);
}

/* --- A part of the client -------------------------------------------------------------------- */

static size_t tx_memory(const struct client *c) {
    return c->tx ? sizeof *c->tx + c->tx->queue.memory + watch_memory(&c->tx->watching) : 0;
}

static void tx_describe(const struct client *c, struct client_line *line) {
    if (c->tx == NULL) return;
    if (c->flags & CLIENT_MULTI) {
        client_line_flag(line, 'x');
        line->queued = c->tx->count;
    }
    if (c->tx->watching.touched) client_line_flag(line, 'd');
    line->queue_bytes = tx_memory(c);
}

static const struct client_part tx_part = {tx_forget, tx_forget, tx_memory, tx_describe};

static const struct command tx_commands[] = {
    {"multi", multi, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .group = GROUP_TRANSACTIONS, .since = "1.2.0", .summary = "Begin a transaction: requests are queued until EXEC."},
    {"exec", exec, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG | CMD_UNQUEUED | CMD_EXEC,
     .group = GROUP_TRANSACTIONS, .since = "1.2.0",
     .summary = "Run the queued requests, with no other client's between them.",
     .complexity = "The sum of the queued requests"},
    {"discard", discard, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .group = GROUP_TRANSACTIONS, .since = "2.0.0", .summary = "End a transaction without running what is queued.",
     .complexity = "O(n) for n queued requests and watched keys"},
    {"watch", watch, -2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .first_key = 1, .last_key = -1, .group = GROUP_TRANSACTIONS, .since = "2.2.0",
     .summary = "Let the next EXEC fail if one of these keys has changed by then.", .complexity = "O(n) for n keys",
     .syntax = "key:key...", .key_flags = "RO"},
    {"unwatch", unwatch, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .group = GROUP_TRANSACTIONS, .since = "2.2.0", .summary = "Stop watching keys.",
     .complexity = "O(n) for n watched keys"},
    {NULL},
};

const struct module tx_module = {.commands = tx_commands, .part = &tx_part};
