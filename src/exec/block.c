/* Waiting for keys.
 *
 *     client -> waiter -> wait, wait, ...     one for each key
 *     table  -> awaited -> wait, wait, ...    one for each client, first come first
 *
 * While anybody waits, this module hears of every change. One that may have made an awaited key ready puts the key at
 * the end of a list, where it stays until the command, with all that it entails, is over. Whether there is something
 * to be had is asked only then: LPUSH and DEL in one transaction wake nobody. Serving may make further keys ready
 * (BLMOVE), which join the end of the list.
 *
 * A key that nobody waits for costs nothing, a client that waits costs nothing until it is served: deadlines are in the
 * loop's heap of timers.
 *
 * Anything can end a wait at any time, also while its key is being served: unlink() is the one place where a wait
 * leaves its key, and moves the key's cursor along. */
#include "exec/block.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "exec/call.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/ready.h"
#include "session/reply.h"
#include "store/changes.h"
#include <assert.h>

/* A copy of a request, in one allocation: the copy of its arguments follows. */
struct held_request {
    struct held_request *next;
    size_t bytes;
    struct request request;
    struct slice argv[];
};

/* A key that somebody waits for. */
struct awaited {
    struct wait *first, *last;
    struct wait *cursor; /* while it is served: who is next */
    struct awaited *next_ready;
    uint64_t hash; /* of the key and the database */
    struct db *db;
    size_t waits;
    bool ready;  /* in the list of those */
    bool served; /* right now: it stays, even if nobody waits any more */
    struct key key;
    char name[];
};

/* One client's place in the queue of one key. */
struct wait {
    struct waiter *waiter;
    struct awaited *on;
    struct wait *prev, *next;
};

struct waiter {
    struct client *client;
    struct held_request *first, *last; /* the first is what it waits with, while it waits */
    struct waiter *prev, *next;        /* of the postponed */
    struct loop_timer timer;
    block_reply_fn timed_out;
    enum entry_type type;
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
static bool all_ready; /* a database was swapped: look at every key */
static struct waiter *postponed_first, *postponed_last;
static bool serving;
static struct again {
    struct client *client; /* whose request is being run again, and when its time is over */
    int64_t due_us;
} again;

/* --- Held requests --------------------------------------------------------------------------- */

static struct held_request *hold(const struct request *r) {
    size_t bytes = sizeof(struct held_request) + request_args_size(r->argv, r->argc, r->raw);
    struct held_request *held = alloc_get(bytes);
    *held = (struct held_request){.bytes = bytes, .request = *r};
    held->request.argv = held->argv;
    held->request.raw = request_copy_args(held->argv, r->argv, r->argc, r->raw);
    if (held->request.argc) request_prepare(&held->request); /* the key's name is elsewhere now */
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

static void append(struct waiter *w, struct held_request *held) {
    if (w->last) {
        w->last->next = held;
    } else {
        w->first = held;
    }
    w->last = held;
}

static struct held_request *take_first(struct waiter *w) {
    struct held_request *held = w->first;
    w->first = held->next;
    if (!w->first) w->last = NULL;
    return held;
}

/* What it waits with goes before what was held. */
static void prepend(struct waiter *w, struct held_request *held) {
    held->next = w->first;
    w->first = held;
    if (!w->last) w->last = held;
}

void block_hold(struct request *r) {
    append(waiter_of(r->client), hold(r));
}

static void drop_if_empty(struct client *c) {
    struct waiter *w = c->waiter;
    if (!w || w->first || w->state != IDLE) return;
    alloc_put(w, sizeof *w);
    c->waiter = NULL;
}

struct held_request *block_next(struct client *c) {
    struct waiter *w = c->waiter;
    if (!w || w->state != IDLE) return NULL;
    struct held_request *held = w->first ? take_first(w) : NULL;
    drop_if_empty(c);
    return held;
}

/* --- Keys ------------------------------------------------------------------------------------ */

/* The tables want the top bits of a hash well mixed, and a name may be awaited in every database. */
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

static struct awaited *find(const struct db *db, const struct key *key) {
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

/* Anything that may leave a value there: a new key has its own event; what replaces another value has the event of its
 * type, or a generic one (RENAME, RESTORE). */
static void key_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)event;
    if (!(class & (DB_NEW | DB_GENERIC | DB_LIST | DB_ZSET | DB_STREAM | DB_MODULE))) return;
    struct awaited *a = find(db, key);
    if (a) make_ready(a);
}

static void db_flushed(struct db *db) {
    (void)db;
    all_ready = block_ready = true;
}

static const struct db_hooks hooks = {.changed = key_changed, .flushed = db_flushed};

static struct awaited *await_key(struct db *db, const struct key *key) {
    struct awaited *a = find(db, key);
    if (a) return a;
    if (block_metrics.keys++ == 0) changes_listen(CHANGES_BLOCK, &hooks);
    a = alloc_get(sizeof *a + key->name.len);
    *a = (struct awaited){.hash = hash_in(db, key), .db = db};
    memcpy(a->name, key->name.ptr, key->name.len);
    a->key = (struct key){slice_of(a->name, key->name.len), key->hash};
    table_insert(&awaited_keys, a->hash, a);
    return a;
}

/* One that is in the list of the ready goes when it comes up there. */
static void forget_if_unwanted(struct awaited *a) {
    if (a->first || a->ready || a->served) return;
    table_remove(&awaited_keys, a->hash, a);
    alloc_put(a, sizeof *a + a->key.name.len);
    if (--block_metrics.keys == 0) changes_listen(CHANGES_BLOCK, NULL);
}

static void link_last(struct wait *wait, struct awaited *a) {
    wait->on = a;
    wait->prev = a->last;
    wait->next = NULL;
    if (a->last) {
        a->last->next = wait;
    } else {
        a->first = wait;
    }
    a->last = wait;
    a->waits++;
}

static void unlink_wait(struct wait *wait) {
    struct awaited *a = wait->on;
    if (a->cursor == wait) a->cursor = wait->next;
    *(wait->prev ? &wait->prev->next : &a->first) = wait->next;
    *(wait->next ? &wait->next->prev : &a->last) = wait->prev;
    a->waits--;
    forget_if_unwanted(a);
}

/* --- Beginning and end of a wait ------------------------------------------------------------- */

/* Most clients say nothing while they wait: only when one does, the loop is told to look out for its end alone. */
void block_heard(struct client *c, uint32_t events) {
    enum conn_read what = events & LOOP_READ ? conn_peek(&c->conn) : CONN_READ_CLOSED;
    if (what == CONN_READ_SOME)
        loop_set_events(&c->conn.source, (c->conn.source.events & LOOP_WRITE) | LOOP_HANGUP);
    else if (what == CONN_READ_CLOSED)
        client_close(c);
}

/* Go on with what came behind: this client gets a place in the wave, in the order in which waits ended. */
static void go_on(struct client *c) {
    if (c->flags & CLIENT_CLOSE_NOW) return;
    drop_if_empty(c);
    if (c->waiter && c->waiter->state != IDLE) return; /* it waits again */
    bool heard = c->conn.source.events & LOOP_HANGUP;
    if (heard) loop_set_events(&c->conn.source, (c->conn.source.events & LOOP_WRITE) | LOOP_READ);
    if (heard || c->waiter || c->flags & CLIENT_UNPARSED) ready_add(c);
}

/* The wait is over; what it waited with is still the first of the held requests. */
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

/* End the wait with a reply instead of the call. */
static void finish(struct client *c, block_reply_fn reply) {
    struct waiter *w = c->waiter;
    stop_waiting(w);
    struct held_request *held = take_first(w);
    size_t mark = conn_open();
    call_end(&held->request, reply);
    conn_push(&c->conn, mark);
    block_release(held);
    go_on(c);
}

static void time_is_over(struct loop_timer *timer) {
    struct waiter *w = (struct waiter *)((char *)timer - offsetof(struct waiter, timer));
    block_metrics.deadlines--;
    finish(w->client, w->timed_out);
}

static void wait_for_keys(struct waiter *w, struct db *db, const struct slice *keys, int n) {
    w->wait_room = n;
    w->waits = alloc_get((size_t)n * sizeof *w->waits);
    for (int i = 0; i < n; i++) {
        struct key key = key_of(keys[i]);
        struct awaited *a = await_key(db, &key);
        if (a->last && a->last->waiter == w) continue; /* the same key again */
        w->waits[w->wait_count].waiter = w;
        link_last(&w->waits[w->wait_count++], a);
    }
}

/* Of a length that the clock cannot reach: for ever. */
#define TIMEOUT_MAX_MS (INT64_MAX / 4000)

static void start_timer(struct waiter *w, int64_t timeout_ms) {
    loop_timer_init(&w->timer, time_is_over);
    if (timeout_ms == BLOCK_FOR_EVER || timeout_ms > TIMEOUT_MAX_MS) return;
    int64_t delay_us = timeout_ms * 1000;
    if (again.client == w->client) delay_us = again.due_us - clock_mono_us();
    loop_timer_start(&w->timer, delay_us);
    block_metrics.deadlines++;
}

void block_on(struct request *r, enum entry_type type, const struct slice *keys, int n, int64_t timeout_ms,
              block_reply_fn timed_out) {
    struct client *c = r->client;
    if (call_is_nested) {
        timed_out(c);
        return;
    }
    struct waiter *w = waiter_of(c);
    assert(w->state == IDLE && n > 0);
    prepend(w, hold(r));
    w->state = WAITING;
    c->flags |= CLIENT_WAITS;
    w->type = type;
    w->timed_out = timed_out;
    wait_for_keys(w, c->db, keys, n);
    start_timer(w, timeout_ms);
    block_metrics.clients++;
}

bool block_end(struct client *c, block_reply_fn error) {
    if (!c->waiter || c->waiter->state != WAITING) return false;
    finish(c, error ? error : c->waiter->timed_out);
    return true;
}

static void waiter_forget(struct client *c) {
    struct waiter *w = c->waiter;
    if (!w) return;
    stop_waiting(w);
    while (w->first)
        block_release(take_first(w));
    drop_if_empty(c);
}

/* --- Postponing ------------------------------------------------------------------------------ */

void block_postpone(struct request *r) {
    struct waiter *w = waiter_of(r->client);
    assert(w->state == IDLE);
    prepend(w, hold(r));
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
        go_on(c);
    }
}

/* --- Serving --------------------------------------------------------------------------------- */

/* Run its request again. */
static void serve(struct waiter *w, void (*run)(struct request *r)) {
    struct client *c = w->client, *current = client_current;
    again = (struct again){c, w->timer.due_us};
    stop_waiting(w);
    struct held_request *held = take_first(w);
    size_t mark = conn_open();
    client_current = c;
    run(&held->request);
    client_current = current;
    conn_push(&c->conn, mark);
    again.client = NULL;
    block_release(held);
    go_on(c);
}

/* Serve the clients that wait for the key now, until nothing is left for them. Those that wait for another type are
 * passed over. */
static void serve_key(struct awaited *a, void (*run)(struct request *r)) {
    size_t left = a->waits;
    a->served = true;
    a->cursor = a->first;
    while (left-- > 0 && a->cursor) {
        struct wait *wait = a->cursor;
        a->cursor = wait->next;
        const struct entry *e = db_look(a->db, &a->key);
        if (!e) break;
        if (entry_type(e) == wait->waiter->type) serve(wait->waiter, run);
    }
    a->cursor = NULL;
    a->served = false;
    forget_if_unwanted(a);
}

/* A database has other contents now: whatever is there may be waited for. */
static void find_ready(void) {
    struct table_iter it;
    table_iter_init(&it, &awaited_keys);
    for (struct awaited *a; (a = table_iter_next(&it));) {
        if (db_peek(a->db, &a->key)) make_ready(a);
    }
    all_ready = false;
}

void block_serve(void (*run)(struct request *r)) {
    if (serving) return;
    serving = true;
    for (;;) {
        if (all_ready) find_ready();
        struct awaited *a = ready_first;
        if (!a) break;
        ready_first = a->next_ready;
        if (!ready_first) ready_last = NULL;
        a->ready = false;
        serve_key(a, run);
    }
    serving = block_ready = false;
}

/* --- What others ask ------------------------------------------------------------------------- */

static size_t waiter_memory(const struct client *c) {
    const struct waiter *w = c->waiter;
    if (!w) return 0;
    size_t bytes = sizeof *w + (size_t)w->wait_room * sizeof *w->waits;
    for (const struct held_request *held = w->first; held; held = held->next)
        bytes += held->bytes;
    return bytes;
}

static void waiter_describe(const struct client *c, struct client_line *line) {
    if (c->flags & CLIENT_WAITS) client_line_flag(line, 'b');
}

static const struct client_part block_part = {waiter_forget, NULL, waiter_memory, waiter_describe};

const struct module block_module = {.part = &block_part};
