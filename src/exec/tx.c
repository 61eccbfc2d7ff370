#include "exec/tx.h"
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_stats.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/watch.h"
#include "session/client.h"
#include "session/reply.h"

#define CHUNK_MIN 1024
#define CHUNK_MAX 65536 /* but for a larger request, which has a chunk of its own */
#define AHEAD 64        /* requests whose keys are fetched together */

/* A queued request; the copy of its arguments follows. */
struct queued {
    const struct command *command;
    struct command_stats *stats;
    uint64_t hash; /* of the first key */
    size_t size;   /* of all of it, a multiple of 8 */
    struct slice raw;
    int argc;
    struct slice argv[];
};

/* A queue is a list of chunks: it grows without moving what it has. */
struct chunk {
    struct chunk *next;
    size_t len, cap;
    char data[];
};

struct queue {
    struct chunk *first, *last;
    size_t bytes, memory; /* used, and allocated */
};

struct tx {
    struct queue queue;
    int count;
    unsigned any, lacking; /* see tx_flags() */
    bool spoilt;           /* a request could not be queued */
    struct watching watching;
};

static struct chunk *spare; /* one of CHUNK_MIN, for the next transaction of any client */

static struct tx *tx_of(struct client *c) {
    if (c->tx == NULL) c->tx = alloc_zero(sizeof *c->tx);
    return c->tx;
}

/* --- the queue ------------------------------------------------------------------------------- */

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
    *to = (struct queued){r->command, r->stats, r->key.hash, size, .argc = r->argc};
    to->raw = request_copy_args(to->argv, r->argv, r->argc, r->raw);
}

/* The request as it was before it was queued. Its slices point into the queue. */
static struct request queue_request(struct client *c, struct queued *q) {
    struct request r = {
        .client = c, .command = q->command, .stats = q->stats, .argv = q->argv, .argc = q->argc, .raw = q->raw};
    int first = q->command->first_key;
    if (first > 0 && first < q->argc) r.key = (struct key){q->argv[first], q->hash};
    return r;
}

/* --- its end --------------------------------------------------------------------------------- */

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
    if (strncmp(error, "ERR ", 4) == 0) error += 4; /* any other code of an error stays */
    reply_errorf(r->client, "EXECABORT Transaction discarded because of: %s", error);
}

/* --- the commands ---------------------------------------------------------------------------- */

void tx_multi(struct client *c) {
    if (c->flags & CLIENT_MULTI) {
        reply_error(c, "ERR MULTI calls can not be nested");
        return;
    }
    tx_of(c);
    c->flags |= CLIENT_MULTI;
    reply_ok(c);
}

void tx_queue(struct request *r) {
    struct client *c = r->client;
    struct tx *tx = c->tx;
    if (r->command->flags & CMD_NO_MULTI) {
        r->stats->rejected++;
        tx_refuse(r, "ERR Command not allowed inside a transaction");
        return;
    }
    if (!tx->spoilt && !tx->watching.touched) { /* else it will never run, and is not kept */
        queue_add(&tx->queue, r);
        tx->any |= r->command->flags;
        tx->lacking |= ~r->command->flags;
        tx->count++;
    }
    reply_status(c, "QUEUED");
}

void tx_discard(struct client *c) {
    if (!(c->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR DISCARD without MULTI");
        return;
    }
    tx_forget(c);
    reply_ok(c);
}

/* Some requests at a time: their keys are fetched together, as in a wave. */
static void run_chunk(struct client *c, struct chunk *chunk) {
    static struct request ahead[AHEAD];
    for (size_t at = 0; at < chunk->len;) {
        int n = 0;
        for (; n < AHEAD && at < chunk->len; n++) {
            struct queued *queued = (struct queued *)(chunk->data + at);
            at += queued->size;
            ahead[n] = queue_request(c, queued);
            if (ahead[n].key.name.ptr) db_prefetch_line(c->db, ahead[n].key.hash);
        }
        for (int i = 0; i < n; i++)
            if (ahead[i].key.name.ptr) db_prefetch_entry(c->db, ahead[i].key.hash);
        for (int i = 0; i < n; i++)
            call_nested(&ahead[i]);
    }
}

/* The queue is taken from the client first: should it be closed by what it runs, that must not free it. */
static void run(struct client *c) {
    struct tx *tx = c->tx;
    struct queue queue = tx->queue;
    tx->queue = (struct queue){.first = NULL};
    watch_drop_all(&tx->watching);
    size_t mark = conn_mark();
    reply_array(c, (size_t)tx->count);
    call_mute(c, mark);
    uint64_t began = call_nest();
    for (struct chunk *chunk = queue.first; chunk; chunk = chunk->next)
        run_chunk(c, chunk);
    call_unnest(began);
    queue_free(&queue);
    propagate_nothing(); /* its commands have spoken for themselves */
}

void tx_exec(struct request *r) {
    struct client *c = r->client;
    struct tx *tx = c->tx;
    size_t mark = conn_mark();
    if (!(c->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR EXEC without MULTI");
    } else if (tx->spoilt) {
        reply_error(c, "EXECABORT Transaction discarded because of previous errors.");
    } else if (tx->watching.touched || watch_any_due(&tx->watching)) {
        reply_null_array(c);
    } else {
        run(c);
        tx_forget(c);
        return;
    }
    call_mute(c, mark);
    if (c->flags & CLIENT_MULTI) tx_forget(c);
}

void tx_watch(struct request *r) {
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

/* Inside EXEC the transaction still stands, and what was watched is not any more. */
void tx_unwatch(struct client *c) {
    if (!(c->flags & CLIENT_MULTI)) tx_forget(c);
    reply_ok(c);
}

/* --- what it says of itself ------------------------------------------------------------------ */

void tx_flags(const struct client *c, unsigned *any, unsigned *lacking) {
    *any = c->tx ? c->tx->any : 0;
    *lacking = c->tx ? c->tx->lacking : 0;
}

size_t tx_queue_bytes(const struct client *c) {
    return c->tx ? c->tx->queue.bytes : 0;
}

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

const struct module tx_module = {.part = &tx_part};
