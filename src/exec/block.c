/* See block.h.
 *
 *     client -> waiter -> wait, wait, ...              one for each key
 *     table  -> awaited -> queue -> wait, wait, ...    one for each client, first come first
 *
 * The waits of a key are queues: one for each kind of wait, and for each subject (a consumer group). So one look at the
 * first wait tells that a thousand consumers of a group need not run.
 *
 * While a client waits, this module hears of every change. A change that may have made an awaited key ready puts the
 * key at the end of the ready list, where it stays until the outermost command is over. Only then the key's value is
 * looked at: LPUSH and DEL in one transaction wake no client. Serving may make further keys ready (BLMOVE), which join
 * the end of the list.
 *
 * A key that no client waits for costs nothing, and a client that waits costs nothing until it is served: deadlines are
 * in the loop's heap of timers.
 *
 * Invariants: an awaited key is in the table while it has a wait, is in the ready list or is being served. A client has
 * CLIENT_WAITS exactly while its waiter is not IDLE, and then the first held request is the one that waits. A wait can
 * end at any time, also while its key is being served: unlink_wait() is the one place where a wait leaves its key, and
 * it moves the key's cursor on. */
#include "exec/block.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "exec/call.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/ready.h"
#include "store/changes.h"
#include <assert.h>

/* A copy of a request, and of its arguments (request_copy_args()), in one allocation. */
struct held_request {
    struct held_request *next;
    size_t bytes;
    struct request request;
    struct slice argv[];
};

/* A key that clients wait for. */
struct awaited {
    struct queue *queues;
    struct queue *cursor; /* while the key is served: the queue that is next */
    struct awaited *next_ready;
    uint64_t hash; /* of the key and the database */
    struct db *db;
    size_t gone_queues; /* those whose kind has also_gone */
    bool ready;         /* it is in the ready list */
    bool served;        /* serve_key() is using it: it must not be freed */
    struct key key;
    char name[];
};

/* Clients that wait for the same at a key. */
struct queue {
    struct awaited *on;
    struct queue *next;
    const struct block_kind *kind;
    struct wait *first, *last;
    struct wait *cursor; /* while the queue is served: the wait that is next */
    size_t waits;
    bool served; /* serve_queue() is using it: it must not be freed */
    size_t subject_len;
    char subject[];
};

/* One client's place in a queue. */
struct wait {
    struct waiter *waiter;
    struct queue *in;
    struct wait *prev, *next;
    struct block_mark mark;
};

struct waiter {
    struct client *client;
    struct held_request *first, *last; /* while it waits, the first is the request that waits */
    struct waiter *prev, *next;        /* in the list of the postponed */
    struct loop_timer timer;
    block_reply_fn timed_out;
    const struct block_event *event; /* what it waits for, with `context`; NULL: for keys, or nothing */
    void *context;
    enum { IDLE, WAITING, POSTPONED } state;
    int wait_count, wait_room;
    struct wait *waits;
};

bool block_ready;
struct block_metrics block_metrics;

static uint64_t awaited_hash(const void *record) {
    return ((const struct awaited *)record)->hash;
}

static const struct table_type awaited_type = {awaited_hash};
static struct table awaited_keys = {.type = &awaited_type};
static struct awaited *ready_first, *ready_last;
static bool all_ready; /* a database was flushed or swapped: any awaited key may be ready */
static struct waiter *postponed_first, *postponed_last;
static bool serving;
/* The client whose request is being run again, and the deadline of its wait. */
static struct again {
    struct client *client;
    int64_t due_us; /* monotonic */
} again;

/* The client that is being answered, and the context of its event. */
static struct answered {
    const struct client *client;
    void *context;
} answered;

/* --- Held requests --------------------------------------------------------------------------- */

static struct held_request *hold_request(const struct request *r) {
    size_t bytes = sizeof(struct held_request) + request_args_size(r->argv, r->argc, r->raw);
    struct held_request *held = alloc_get(bytes);
    *held = (struct held_request){.bytes = bytes, .request = *r};
    held->request.argv = held->argv;
    held->request.raw = request_copy_args(held->argv, r->argv, r->argc, r->raw);
    if (held->request.argc) request_prepare(&held->request); /* the key has its name in the copy */
    return held;
}

struct request *block_request(struct held_request *held) {
    return &held->request;
}

void block_release(struct held_request *held) {
    alloc_put(held, held->bytes);
}

static struct waiter *waiter_of(struct client *c) {
    if (c->waiter) return c->waiter;
    c->waiter = alloc_zero(sizeof *c->waiter);
    c->waiter->client = c;
    return c->waiter;
}

static void append_held(struct waiter *w, struct held_request *held) {
    if (w->last) {
        w->last->next = held;
    } else {
        w->first = held;
    }
    w->last = held;
}

static struct held_request *take_first_held(struct waiter *w) {
    struct held_request *held = w->first;
    w->first = held->next;
    if (!w->first) w->last = NULL;
    return held;
}

/* The request that waits goes before those that are held. */
static void prepend_held(struct waiter *w, struct held_request *held) {
    held->next = w->first;
    w->first = held;
    if (!w->last) w->last = held;
}

void block_hold(struct request *r) {
    append_held(waiter_of(r->client), hold_request(r));
}

static void drop_idle_waiter(struct client *c) {
    struct waiter *w = c->waiter;
    if (!w || w->first || w->state != IDLE) return;
    alloc_put(w, sizeof *w);
    c->waiter = NULL;
}

struct held_request *block_next(struct client *c) {
    struct waiter *w = c->waiter;
    if (!w || w->state != IDLE) return NULL;
    struct held_request *held = w->first ? take_first_held(w) : NULL;
    drop_idle_waiter(c);
    return held;
}

/* --- Keys ------------------------------------------------------------------------------------ */

/* The same name may be awaited in every database: the table needs hashes whose top bits differ. */
static uint64_t hash_in(const struct db *db, const struct key *key) {
    return key->hash ^ (uint64_t)db->id * 0x9e3779b97f4a7c15u;
}

struct wanted {
    const struct db *db;
    const struct key *key;
};

static bool is_wanted(const void *record, const void *arg) {
    const struct awaited *a = record;
    const struct wanted *w = arg;
    return a->db == w->db && slice_eq(a->key.name, w->key->name);
}

static struct awaited *find_awaited(const struct db *db, const struct key *key) {
    struct wanted wanted = {db, key};
    return table_find(&awaited_keys, hash_in(db, key), is_wanted, &wanted);
}

static void make_ready(struct awaited *a) {
    if (a->ready) return;
    a->ready = true;
    a->next_ready = NULL;
    if (ready_last) {
        ready_last->next_ready = a;
    } else {
        ready_first = a;
    }
    ready_last = a;
    block_ready = true;
}

/* Events that may leave a value at the key: a new key has an event of its own; a value that replaces another has the
 * event of its type, or a generic one (RENAME, RESTORE). Any change may remove a value, or replace it. */
#define MAY_BRING (DB_NEW | DB_GENERIC | DB_LIST | DB_ZSET | DB_STREAM | DB_MODULE)

static void block_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)event;
    if (!(class & MAY_BRING) && block_metrics.keys_gone == 0) return;
    struct awaited *a = find_awaited(db, key);
    if (a) make_ready(a);
}

static void block_flushed(struct db *db) {
    (void)db;
    all_ready = block_ready = true;
}

static const struct db_hooks hooks = {.changed = block_changed, .flushed = block_flushed};

static struct awaited *await_key(struct db *db, const struct key *key) {
    struct awaited *a = find_awaited(db, key);
    if (a) return a;
    if (block_metrics.keys++ == 0) changes_listen(CHANGES_BLOCK, &hooks);
    a = alloc_get(sizeof *a + key->name.len);
    *a = (struct awaited){.hash = hash_in(db, key), .db = db};
    memcpy(a->name, key->name.ptr, key->name.len);
    a->key = (struct key){slice_of(a->name, key->name.len), key->hash};
    table_insert(&awaited_keys, a->hash, a);
    return a;
}

/* A key in the ready list is forgotten when its turn comes. */
static void drop_unwanted(struct awaited *a) {
    if (a->queues || a->ready || a->served) return;
    table_remove(&awaited_keys, a->hash, a);
    alloc_put(a, sizeof *a + a->key.name.len);
    if (--block_metrics.keys == 0) changes_listen(CHANGES_BLOCK, NULL);
}

/* --- Queues ---------------------------------------------------------------------------------- */

static struct slice queue_subject(const struct queue *q) {
    return slice_of(q->subject, q->subject_len);
}

static struct queue *find_queue(struct awaited *a, const struct block_kind *kind, struct slice subject) {
    struct queue **link = &a->queues, *q;
    for (; (q = *link); link = &q->next)
        if (q->kind == kind && slice_compare(queue_subject(q), subject) == 0) return q;
    q = *link = alloc_get(sizeof *q + subject.len);
    *q = (struct queue){.on = a, .kind = kind, .subject_len = subject.len};
    if (subject.len) memcpy(q->subject, subject.ptr, subject.len);
    if (kind->also_gone && a->gone_queues++ == 0) block_metrics.keys_gone++;
    return q;
}

static void drop_empty(struct queue *q) {
    struct awaited *a = q->on;
    if (q->first || q->served) return;
    struct queue **link = &a->queues;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    if (a->cursor == q) a->cursor = q->next;
    if (q->kind->also_gone && --a->gone_queues == 0) block_metrics.keys_gone--;
    alloc_put(q, sizeof *q + q->subject_len);
    drop_unwanted(a);
}

/* Before this wait, or at the end. */
static void link_before(struct wait *wait, struct queue *q, struct wait *next) {
    wait->in = q;
    wait->prev = next ? next->prev : q->last;
    wait->next = next;
    *(wait->prev ? &wait->prev->next : &q->first) = wait;
    *(next ? &next->prev : &q->last) = wait;
    q->waits++;
}

static void unlink_wait(struct wait *wait) {
    struct queue *q = wait->in;
    if (q->cursor == wait) q->cursor = wait->next;
    *(wait->prev ? &wait->prev->next : &q->first) = wait->next;
    *(wait->next ? &wait->next->prev : &q->last) = wait->prev;
    q->waits--;
    drop_empty(q);
}

/* --- Beginning and end of a wait ------------------------------------------------------------- */

/* Most clients send nothing while they wait. When one does, the loop is told to report only its hang-up from then
 * on. */
void block_heard(struct client *c, uint32_t events) {
    enum conn_read what = events & LOOP_READ ? conn_peek(&c->conn) : CONN_READ_CLOSED;
    if (what == CONN_READ_SOME)
        loop_set_events(&c->conn.source, (c->conn.source.events & LOOP_WRITE) | LOOP_HANGUP);
    else if (what == CONN_READ_CLOSED)
        client_close(c);
}

/* The wait is over: if there are requests behind it, the client is ready, behind those whose waits ended before. */
static void resume_client(struct client *c) {
    if (c->flags & CLIENT_CLOSE_NOW) return;
    drop_idle_waiter(c);
    if (c->waiter && c->waiter->state != IDLE) return; /* it waits again */
    bool heard = c->conn.source.events & LOOP_HANGUP;
    if (heard) loop_set_events(&c->conn.source, (c->conn.source.events & LOOP_WRITE) | LOOP_READ);
    if (heard || c->waiter || c->flags & CLIENT_UNPARSED) ready_add(c);
}

/* End the wait; its request is still the first of the held ones. */
static void stop_waiting(struct waiter *w) {
    if (w->state == POSTPONED) {
        *(w->prev ? &w->prev->next : &postponed_first) = w->next;
        *(w->next ? &w->next->prev : &postponed_last) = w->prev;
        w->prev = w->next = NULL;
        block_metrics.postponed--;
    } else if (w->state == WAITING) {
        if (w->timer.heap_index >= 0) block_metrics.deadlines--;
        loop_timer_stop(&w->timer);
        for (int i = 0; i < w->wait_count; i++)
            unlink_wait(&w->waits[i]);
        alloc_put(w->waits, (size_t)w->wait_room * sizeof *w->waits);
        w->waits = NULL;
        w->wait_count = w->wait_room = 0;
        block_metrics.clients--;
    }
    w->state = IDLE;
    client_clear(w->client, CLIENT_WAITS);
}

/* An event is over: reply, then its owner forgets it. The client may be closed meanwhile. */
static void end_event(struct client *c, const struct block_event *event, void *context, block_reply_fn reply,
                      struct request *r) {
    struct answered outer = answered;
    answered = (struct answered){c, context};
    if (r)
        call_end(r, reply);
    else
        reply(c);
    answered = outer;
    if (event) event->ended(c, context);
}

/* End the wait with a reply, without running the request again. */
static void finish_wait(struct client *c, block_reply_fn reply) {
    struct waiter *w = c->waiter;
    const struct block_event *event = w->event;
    w->event = NULL;
    stop_waiting(w);
    struct held_request *held = take_first_held(w);
    struct conn_range range;
    client_open_replies(c, &range);
    end_event(c, event, w->context, reply, &held->request);
    client_push_replies(c, &range);
    block_release(held);
    resume_client(c);
}

static void wait_is_over(struct loop_timer *timer) {
    struct waiter *w = (struct waiter *)((char *)timer - offsetof(struct waiter, timer));
    block_metrics.deadlines--;
    finish_wait(w->client, w->timed_out);
}

/* Wait at a key. A client that was run in vain gets back its place, which is before the next that would be served. */
static void wait_for_key(struct waiter *w, struct awaited *a, const struct block_wish *wish, int i) {
    struct queue *q = find_queue(a, wish->kind, wish->subject);
    struct wait *next = again.client == w->client && q->served ? q->cursor : NULL;
    struct wait *before = next ? next->prev : q->last;
    if (before && before->waiter == w && !wish->marks) return; /* a key that is repeated */
    struct wait *wait = &w->waits[w->wait_count++];
    wait->waiter = w;
    wait->mark = wish->marks ? wish->marks[i] : (struct block_mark){0, 0};
    link_before(wait, q, next);
}

static void wait_for_keys(struct waiter *w, struct db *db, const struct block_wish *wish, const struct slice *keys,
                          int n) {
    w->wait_room = n;
    w->waits = alloc_get((size_t)n * sizeof *w->waits);
    for (int i = 0; i < n; i++) {
        struct key key = key_of(keys[i]);
        wait_for_key(w, await_key(db, &key), wish, i);
    }
}

/* A longer timeout, which the clock cannot reach, is none. */
#define TIMEOUT_MAX_MS (INT64_MAX / 4000)

static void start_timer(struct waiter *w, int64_t timeout_ms) {
    loop_timer_init(&w->timer, wait_is_over);
    if (timeout_ms == BLOCK_FOR_EVER || timeout_ms > TIMEOUT_MAX_MS) return;
    int64_t delay_us = timeout_ms * 1000;
    if (again.client == w->client) delay_us = again.due_us - clock_mono_us();
    loop_timer_start(&w->timer, delay_us);
    block_metrics.deadlines++;
}

/* The request waits from now on; what for is the caller's. */
static struct waiter *begin_to_wait(struct request *r, int64_t timeout_ms, block_reply_fn timed_out) {
    struct client *c = r->client;
    struct waiter *w = waiter_of(c);
    assert(w->state == IDLE);
    prepend_held(w, hold_request(r));
    w->state = WAITING;
    c->flags |= CLIENT_WAITS;
    w->timed_out = timed_out;
    start_timer(w, timeout_ms);
    block_metrics.clients++;
    return w;
}

void block_for(struct request *r, const struct block_wish *wish, const struct slice *keys, int n, int64_t timeout_ms,
               block_reply_fn timed_out) {
    if (call_is_nested) {
        timed_out(r->client);
        return;
    }
    assert(n > 0);
    struct waiter *w = begin_to_wait(r, timeout_ms, timed_out);
    wait_for_keys(w, r->client->db, wish, keys, n);
}

/* For any value of a type. */
static const struct block_kind plain_kinds[ENTRY_TYPES] = {
    {.type = ENTRY_STRING}, {.type = ENTRY_LIST}, {.type = ENTRY_SET},
    {.type = ENTRY_ZSET},   {.type = ENTRY_HASH}, {.type = ENTRY_STREAM},
};

void block_on(struct request *r, enum entry_type type, const struct slice *keys, int n, int64_t timeout_ms,
              block_reply_fn timed_out) {
    assert(plain_kinds[type].type == type);
    block_for(r, &(struct block_wish){.kind = &plain_kinds[type]}, keys, n, timeout_ms, timed_out);
}

void block_wait(struct request *r, const struct block_event *event, void *ctx, int64_t timeout_ms,
                block_reply_fn timed_out) {
    if (call_is_nested) {
        end_event(r->client, event, ctx, timed_out, NULL);
        return;
    }
    struct waiter *w = begin_to_wait(r, timeout_ms, timed_out);
    w->event = event;
    w->context = ctx;
}

void *block_context(const struct client *c) {
    if (answered.client == c) return answered.context;
    return c->waiter && c->waiter->event ? c->waiter->context : NULL;
}

bool block_finish(struct client *c, block_reply_fn reply) {
    if (!c->waiter || !c->waiter->event) return false;
    finish_wait(c, reply);
    return true;
}

bool block_end(struct client *c, block_reply_fn error) {
    if (!c->waiter || c->waiter->state != WAITING) return false;
    finish_wait(c, error ? error : c->waiter->timed_out);
    return true;
}

static bool ends_with_the_role(const struct waiter *w) {
    return w && w->state == WAITING && !(w->event && w->event->stays);
}

/* A client that wants no replies is not sent anything, so nothing would close it later. */
void block_end_all(block_reply_fn error) {
    for (struct client *c = client_first, *next; c; c = next) {
        next = c->next;
        if (!ends_with_the_role(c->waiter)) continue;
        c->flags |= CLIENT_CLOSE_AFTER_REPLY;
        finish_wait(c, error);
        if (conn_unsent(&c->conn) == 0) client_close(c);
    }
}

static void waiter_forget(struct client *c) {
    struct waiter *w = c->waiter;
    if (!w) return;
    const struct block_event *event = w->event;
    w->event = NULL;
    stop_waiting(w);
    if (event) event->ended(c, w->context);
    while (w->first)
        block_release(take_first_held(w));
    drop_idle_waiter(c);
}

/* --- Postponing ------------------------------------------------------------------------------ */

void block_postpone(struct request *r) {
    struct waiter *w = waiter_of(r->client);
    assert(w->state == IDLE);
    prepend_held(w, hold_request(r));
    w->state = POSTPONED;
    r->client->flags |= CLIENT_WAITS;
    w->prev = postponed_last;
    *(w->prev ? &w->prev->next : &postponed_first) = w;
    postponed_last = w;
    block_metrics.postponed++;
}

void block_resume_all(void) {
    while (postponed_first) {
        struct client *c = postponed_first->client;
        stop_waiting(c->waiter);
        resume_client(c);
    }
}

bool block_answer(struct client *c, block_reply_fn reply) {
    if (!c->waiter || c->waiter->state != POSTPONED) return false;
    finish_wait(c, reply);
    return true;
}

/* --- Serving --------------------------------------------------------------------------------- */

/* Run the request that waits again. */
static void serve_waiter(struct waiter *w, void (*run)(struct request *r)) {
    struct client *c = w->client, *current = client_current;
    again = (struct again){c, w->timer.due_us};
    stop_waiting(w);
    struct held_request *held = take_first_held(w);
    struct conn_range range;
    client_open_replies(c, &range);
    client_current = c;
    run(&held->request);
    client_current = current;
    client_push_replies(c, &range);
    again.client = NULL;
    block_release(held);
    resume_client(c);
}

/* Is it worth to run the request of this wait? */
static enum block_verdict judge_wait(const struct wait *wait) {
    const struct queue *q = wait->in;
    const struct entry *e = db_look(q->on->db, &q->on->key);
    if (!e || entry_type(e) != q->kind->type) return q->kind->also_gone ? BLOCK_SERVE : BLOCK_SERVE_NOBODY;
    return q->kind->judge ? q->kind->judge(e, queue_subject(q), &wait->mark) : BLOCK_SERVE;
}

/* Serve the clients that are in the queue now. Those that begin to wait meanwhile are not served. */
static void serve_queue(struct queue *q, void (*run)(struct request *r)) {
    size_t left = q->waits;
    q->served = true;
    q->cursor = q->first;
    while (left-- > 0 && q->cursor) {
        struct wait *wait = q->cursor;
        q->cursor = wait->next;
        enum block_verdict verdict = judge_wait(wait);
        if (verdict == BLOCK_SERVE_NOBODY) break;
        if (verdict == BLOCK_SERVE) serve_waiter(wait->waiter, run);
    }
    q->cursor = NULL;
    q->served = false;
    drop_empty(q);
}

/* No queue is new meanwhile: a request that is run in vain waits where it did. */
static void serve_key(struct awaited *a, void (*run)(struct request *r)) {
    a->served = true;
    a->cursor = a->queues;
    while (a->cursor) {
        struct queue *q = a->cursor;
        a->cursor = q->next;
        serve_queue(q, run);
    }
    a->served = false;
    drop_unwanted(a);
}

/* A database has other contents now: every awaited key that exists is ready, and those whose end is awaited. */
static void find_ready_keys(void) {
    struct table_iter it;
    table_iter_init(&it, &awaited_keys);
    for (struct awaited *a; (a = table_iter_next(&it));) {
        if (db_peek(a->db, &a->key) || a->gone_queues) make_ready(a);
    }
    all_ready = false;
}

void block_serve(void (*run)(struct request *r)) {
    if (serving) return;
    serving = true;
    for (;;) {
        if (all_ready) find_ready_keys();
        struct awaited *a = ready_first;
        if (!a) break;
        ready_first = a->next_ready;
        if (!ready_first) ready_last = NULL;
        a->ready = false;
        serve_key(a, run);
    }
    serving = block_ready = false;
}

/* --- A part of the client -------------------------------------------------------------------- */

static size_t held_memory(const struct waiter *w) {
    size_t bytes = 0;
    for (const struct held_request *held = w->first; held; held = held->next)
        bytes += held->bytes;
    return bytes;
}

static size_t waiter_memory(const struct client *c) {
    const struct waiter *w = c->waiter;
    return w ? sizeof *w + (size_t)w->wait_room * sizeof *w->waits + held_memory(w) : 0;
}

static void waiter_describe(const struct client *c, struct client_line *line) {
    if (c->flags & CLIENT_WAITS) client_line_flag(line, 'b');
    if (c->waiter) line->held_bytes = held_memory(c->waiter);
}

static const struct client_part block_part = {waiter_forget, NULL, waiter_memory, waiter_describe};

const struct module block_module = {.part = &block_part};
