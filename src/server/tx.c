#include "server/tx.h"
#include "base/alloc.h"
#include "server/client.h"
#include "server/command_stats.h"
#include "server/propagate.h"
#include "server/reply.h"
#include "server/watch.h"

#define QUEUE_MIN 1024
#define SPARE_MAX 65536 /* bytes of a queue that is kept for the next transaction, whosever */
#define AHEAD 64        /* requests whose keys are fetched together */

/* A queued request: this, its arguments, then the bytes they lie in (the raw request where there
 * is one), padded so that the next one is aligned. Arguments say their offset in those bytes until
 * EXEC makes pointers of them, since the queue moves as it grows. */
struct queued {
    const struct command *command;
    struct command_stats *stats;
    uint64_t hash;  /* of the first key */
    size_t size;    /* of all of it */
    size_t raw_len; /* 0: the bytes are the arguments' only */
    int argc;
    struct slice argv[];
};

struct queue {
    char *data;
    size_t len, cap;
};

struct tx {
    struct queue queue;
    int count;
    unsigned any, lacking; /* see tx_flags() */
    bool spoilt;           /* a request could not be queued */
    struct watching watching;
};

static struct queue spare;

static struct tx *tx_of(struct client *c) {
    if (c->tx == NULL) c->tx = alloc_zero(sizeof *c->tx);
    return c->tx;
}

/* --- the queue ------------------------------------------------------------------------------- */

static char *queue_grow(struct queue *q, size_t n) {
    if (q->data == NULL && spare.data) {
        *q = spare;
        spare = (struct queue){.data = NULL};
    }
    if (q->cap - q->len < n) {
        size_t cap = q->cap ? q->cap : QUEUE_MIN;
        while (cap - q->len < n)
            cap *= 2;
        q->data = alloc_resize(q->data, q->cap, cap);
        q->cap = cap;
    }
    char *room = q->data + q->len;
    q->len += n;
    return room;
}

static void queue_free(struct queue *q) {
    if (q->data && spare.data == NULL && q->cap <= SPARE_MAX) {
        spare = (struct queue){.data = q->data, .cap = q->cap};
    } else {
        alloc_put(q->data, q->cap);
    }
    *q = (struct queue){.data = NULL};
}

static void queue_add(struct queue *q, const struct request *r) {
    size_t slices = (size_t)r->argc * sizeof(struct slice), bytes = r->raw.len;
    for (int i = 0; r->raw.len == 0 && i < r->argc; i++)
        bytes += r->argv[i].len;
    size_t size = (sizeof(struct queued) + slices + bytes + 7) & ~(size_t)7;
    struct queued *to = (struct queued *)queue_grow(q, size);
    *to = (struct queued){r->command, r->stats, r->key.hash, size, r->raw.len, r->argc};
    char *base = (char *)(to->argv + r->argc);
    if (r->raw.len) memcpy(base, r->raw.ptr, r->raw.len);
    size_t at = 0;
    for (int i = 0; i < r->argc; i++) {
        const struct slice *arg = &r->argv[i];
        if (r->raw.len) {
            at = (size_t)(arg->ptr - r->raw.ptr);
        } else {
            memcpy(base + at, arg->ptr, arg->len);
        }
        to->argv[i] = slice_of((const char *)(uintptr_t)at, arg->len);
        at += arg->len;
    }
}

/* The request as it was before it was queued; its slices point into the queue. */
static struct request queue_request(struct client *c, struct queued *q) {
    char *base = (char *)(q->argv + q->argc);
    for (int i = 0; i < q->argc; i++)
        q->argv[i].ptr = base + (uintptr_t)q->argv[i].ptr;
    struct request r = {.client = c, .command = q->command, .stats = q->stats, .argv = q->argv, .argc = q->argc};
    r.raw = slice_of(base, q->raw_len);
    int first = q->command->first_key;
    if (first > 0 && first < q->argc) r.key = (struct key){q->argv[first], q->hash};
    return r;
}

/* --- its end --------------------------------------------------------------------------------- */

void tx_forget(struct client *c) {
    struct tx *tx = c->tx;
    if (tx == NULL) return;
    c->tx = NULL;
    c->flags &= ~(unsigned)CLIENT_MULTI;
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

/* Some of the queue at a time: short loops of independent loads, as prefetch_batch() in wave.c. */
static void run_queue(struct client *c, const struct queue *q) {
    static struct request ahead[AHEAD];
    for (size_t at = 0; at < q->len;) {
        int n = 0;
        for (; n < AHEAD && at < q->len; n++) {
            struct queued *queued = (struct queued *)(q->data + at);
            at += queued->size;
            ahead[n] = queue_request(c, queued);
            if (ahead[n].key.name.ptr) db_prefetch_line(c->db, ahead[n].key.hash);
        }
        for (int i = 0; i < n; i++)
            if (ahead[i].key.name.ptr) db_prefetch_entry(c->db, ahead[i].key.hash);
        for (int i = 0; i < n; i++)
            exec_run_nested(&ahead[i]);
    }
}

/* The queue is taken from the client first: should it be closed by what it runs, that must not free it. */
static void run(struct client *c) {
    struct tx *tx = c->tx;
    struct queue queue = tx->queue;
    tx->queue = (struct queue){.data = NULL};
    watch_drop_all(&tx->watching);
    size_t mark = conn_mark();
    reply_array(c, (size_t)tx->count);
    exec_mute(c, mark);
    uint64_t began = exec_nest();
    run_queue(c, &queue);
    exec_unnest(began);
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
    exec_mute(c, mark);
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

bool tx_is_doomed(const struct client *c) {
    return c->tx && c->tx->watching.touched;
}

int tx_queued(const struct client *c) {
    return c->flags & CLIENT_MULTI ? c->tx->count : -1;
}

size_t tx_queue_bytes(const struct client *c) {
    return c->tx ? c->tx->queue.len : 0;
}

size_t tx_memory(const struct client *c) {
    return c->tx ? sizeof *c->tx + c->tx->queue.cap + watch_memory(&c->tx->watching) : 0;
}
