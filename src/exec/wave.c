/* See wave.h. A batch is what is prefetched together: up to BATCH_REQUESTS requests, of several clients or of one. A
 * wave is what is answered together: some batches, until a limit below is reached or no client is ready any more.
 *
 * Invariants: the requests of a client are executed in their order, since they enter batches in order. The replies of a
 * client in a batch are one range of the output arena. The input that the requests of a batch point into stays until
 * the batch has run.
 *
 * Parsing runs ahead of execution by at most a batch, so what parsing depends on must not change meanwhile: while a
 * client has still to authenticate, each of its requests is executed before the next one is parsed.
 *
 * When a request has to wait (block.h), its client's requests that were parsed already are held by its waiter, and the
 * rest of its input is stashed. When the wait is over, the client gets another place in the wave, which runs the held
 * requests, then parses the stashed input. */
#include "exec/wave.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "exec/propagate.h"
#include "exec/tx.h"
#include "net/conn.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/client_evict.h"
#include "session/limits.h"
#include "session/push.h"
#include "session/ready.h"
#include "session/reply.h"
#include "session/request.h"
#include "session/server_metrics.h"
#include "session/stranger.h"
#include "store/prefetch.h"
#include <assert.h>

#define BATCH_REQUESTS PREFETCH_MAX
#define BATCH_ARGS (BATCH_REQUESTS * 8)
#define ARGS_COPIED (BATCH_ARGS / 8) /* a request with more arguments is run before its parser goes on */
#define WAVE_CLIENTS 32
#define WAVE_REQUESTS 512
#define WAVE_REPLY_BYTES (1 << 18) /* replies of this size are sent at once */

int wave_width = 1;

struct batch {
    struct request requests[BATCH_REQUESTS];
    struct slice args[BATCH_ARGS];
    int count, args_used;
    int next; /* behind the request that is executed */
};

/* Waves are nested while a command is busy: wave_enter(). */
struct wave {
    struct batch batch;
    int clients, requests;   /* served, executed */
    struct client *parsing;  /* its parser is in use, so its input must not be released; or NULL */
    struct client *resuming; /* its held requests are being executed; or NULL */
    struct wave *outer;      /* the wave in which the busy command is, or NULL */
    /* Of a wave with an outer one: */
    struct client *current, *writing; /* client_current and client_writing outside */
    struct client **kept;             /* ready clients that the waves around it hold */
    size_t kept_count, kept_cap;
};

static struct wave outermost, *wave = &outermost;

/* --- Listeners ------------------------------------------------------------------------------- */

static const struct wave_hooks *listeners[WAVE_LISTENERS];
static const struct table *listener_keys; /* the table of the listener that has one, or NULL */

void wave_listen(enum wave_listener listener, const struct wave_hooks *hooks) {
    listeners[listener] = hooks;
    listener_keys = NULL;
    for (int i = 0; i < WAVE_LISTENERS; i++) {
        if (listeners[i] == NULL || listeners[i]->keys == NULL) continue;
        assert(listener_keys == NULL);
        listener_keys = listeners[i]->keys;
    }
}

bool wave_is_unsettled(void) {
    for (int i = 0; i < WAVE_LISTENERS; i++)
        if (listeners[i] && listeners[i]->is_unsettled && listeners[i]->is_unsettled()) return true;
    return false;
}

static void client_was_served(struct conn *conn) {
    client_sent(conn);
    client_evict_weigh((struct client *)conn);
}

static void send_inside(void);

void wave_send(void) {
    if (unlikely(wave->outer != NULL)) {
        send_inside();
        return;
    }
    for (int i = 0; i < WAVE_LISTENERS; i++)
        if (listeners[i] && listeners[i]->before_send) listeners[i]->before_send();
    conn_flush(client_was_served);
    client_evict_run();
}

/* --- A batch --------------------------------------------------------------------------------- */

/* The client's requests of this batch were executed: its range of replies is complete. */
static void close_range(struct client *c, struct conn_range *range) {
    if (unlikely(push_kept)) push_settle(c);
    client_keep_replies(c, range);
    if ((c->flags & CLIENT_CLOSE_AFTER_REPLY) && conn_unsent(&c->conn) == 0) client_close(c);
    client_evict_weigh(c);
}

/* Redis lets no replica use keys, and disconnects one that gets a reply: the error that this would be. */
static bool is_refused_as_replica(const struct request *r) {
    struct client *c = r->client;
    unsigned keys = CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE;
    if (!(c->flags & CLIENT_REPLICA) || r->command == NULL || !(r->command->flags & keys)) return false;
    struct slice peer = client_peer(c);
    log_warning("Replica can't interact with the keyspace: '%s' of %.*s, which is disconnected",
                catalog_full_name(r->command), (int)peer.len, peer.ptr);
    client_close(c);
    return true;
}

static void run_requests(void) {
    struct client *open = NULL; /* the client whose range of replies is open */
    struct conn_range range;
    call_start_clock();
    for (struct batch *b = &wave->batch; b->next < b->count;) {
        struct request *r = &b->requests[b->next++];
        struct client *c = r->client;
        if (unlikely(c->flags & (CLIENT_CLOSE_NOW | CLIENT_CLOSE_AFTER_REPLY | CLIENT_REPLICA))) {
            if (client_is_leaving(c) || is_refused_as_replica(r)) continue;
        }
        if (unlikely(c->waiter != NULL) && (c != wave->resuming || (c->flags & CLIENT_WAITS))) {
            block_hold(r);
            continue;
        }
        if (c != open) {
            if (open) close_range(open, &range);
            client_open_replies(c, &range);
            open = client_writing = c;
        }
        client_current = c;
        exec_run(r);
    }
    client_current = client_writing = NULL;
    if (open) close_range(open, &range);
}

/* Fetch the entries of the keys that the requests name first. */
static void prefetch_keys(void) {
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (int i = 0; i < wave->batch.count; i++) {
        const struct request *r = &wave->batch.requests[i];
        if (r->key.name.ptr) prefetch_key(&ahead, r->client->db, r->key.hash);
    }
    prefetch_records(&ahead);
}

/* Fetch what a listener has for the same keys. */
static void prefetch_for_listener(void) {
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (int i = 0; i < wave->batch.count; i++) {
        const struct request *r = &wave->batch.requests[i];
        if (r->key.name.ptr) prefetch_member(&ahead, listener_keys, r->key.hash);
    }
    prefetch_records(&ahead);
}

/* Fetch the members that commands will look up in big collections (hget, sismember, zscore). Many requests in a row may
 * name the same key, whose table is looked up once. */
static void prefetch_members(void) {
    struct prefetch ahead;
    const struct table *members = NULL;
    const struct request *last = NULL; /* the request whose key has these members */
    prefetch_begin(&ahead);
    for (int i = 0; i < wave->batch.count; i++) {
        const struct request *r = &wave->batch.requests[i];
        if (!r->command || r->command->member == 0 || r->command->member >= r->argc) continue;
        if (!last || last->key.hash != r->key.hash || last->client->db != r->client->db)
            members = db_members(r->client->db, &r->key);
        last = r;
        if (!members) continue;
        struct slice member = r->argv[r->command->member];
        prefetch_member(&ahead, members, hash_bytes(member.ptr, member.len));
    }
    prefetch_records(&ahead);
}

/* Its parser is in use, in this wave or in one around it. */
static bool is_parsed(const struct client *c) {
    return c == wave->parsing || (wave->outer && c == wave->outer->parsing);
}

static void run_batch(void) {
    if (wave->batch.count == 0) return;
    prefetch_keys();
    if (unlikely(listener_keys != NULL)) prefetch_for_listener();
    if (wave->batch.count > 1) prefetch_members();
    run_requests();
    for (int i = 0; i < wave->batch.count; i++) {
        struct client *c = wave->batch.requests[i].client;
        if (c->conn.input && !is_parsed(c)) conn_release(&c->conn);
    }
    wave->requests += wave->batch.count;
    wave->batch.count = wave->batch.args_used = wave->batch.next = 0;
}

/* Put the parsed request into the batch. True: the batch must run before the parser goes on, since it is full, or since
 * the request uses the parser's own memory: that of its many slices, or of the unquoted words of an inline request. */
static bool add_request(struct client *c, const struct resp_parser *parser) {
    bool at_once = parser->argc > ARGS_COPIED || parser->start[0] != '*';
    if (wave->batch.args_used + parser->argc > BATCH_ARGS && !at_once) {
        run_batch();
        if (client_is_leaving(c)) return true; /* its parser may be gone */
    }
    struct request *r = &wave->batch.requests[wave->batch.count++];
    r->client = c;
    r->argc = (int)parser->argc;
    r->argv = parser->argv;
    r->raw = slice_of(parser->start, 0);
    if (!at_once) {
        r->argv = wave->batch.args + wave->batch.args_used;
        for (uint32_t i = 0; i < parser->argc; i++)
            r->argv[i] = parser->argv[i];
        wave->batch.args_used += r->argc;
    }
    /* A bulk of a request that came in pieces may be elsewhere: then the raw bytes are not in one place. */
    if (c->conn.input == NULL && parser->start[0] == '*') r->raw.len = (size_t)(parser->next - parser->start);
    request_prepare(r);
    return at_once || wave->batch.count == BATCH_REQUESTS;
}

/* --- A client -------------------------------------------------------------------------------- */

static void refuse_protocol(struct client *c, const struct resp_parser *parser) {
    server_metrics.protocol_disconnects++;
    log_verbose("%s from client id=%llu", parser->error, (unsigned long long)c->id);
    struct conn_range range;
    client_open_replies(c, &range);
    reply_errorf(c, "ERR %s", parser->error);
    c->flags |= CLIENT_CLOSE_AFTER_REPLY;
    client_keep_replies(c, &range);
}

/* The client has to wait: its input from `from` on is to be stashed, and parsed when the wait is over. If the parser
 * stopped at a protocol error, it starts over there and finds the error again. True unless the client is leaving. */
static bool stop_parsing(struct client *c, struct resp_parser *parser, const char *from) {
    if (client_is_leaving(c)) return false;
    resp_begin(parser, from);
    c->flags |= CLIENT_UNPARSED;
    return true;
}

/* Parse and batch what a region holds. Replies leave before they grow large: 64 KB of GETs can ask for 150 MB. True:
 * the rest of the region is to be stashed. False: the client is leaving, and may have been closed. */
static bool parse_region(struct client *c, struct resp_parser *parser, const char *end) {
    struct resp_limits limits = {.max_bulk = limits_max_bulk()};
    for (;;) {
        limits.authenticated = (c->flags & CLIENT_AUTHENTICATED) || !client_needs_password;
        switch (resp_parse(parser, end, &limits)) {
        case RESP_MORE: return true;
        case RESP_ERROR:
            run_batch();
            if (c->waiter) return stop_parsing(c, parser, parser->start);
            if (!client_is_leaving(c)) refuse_protocol(c, parser);
            return false;
        case RESP_TLS:
            run_batch();
            stranger_refuse(c, STRANGER_TLS);
            return false;
        case RESP_REQUEST: break;
        }
        if (parser->argc == 0) continue;
        if (add_request(c, parser) || !limits.authenticated) {
            run_batch();
            if (conn_mark() >= WAVE_REPLY_BYTES) wave_send();
            if (c->waiter) return stop_parsing(c, parser, parser->next);
        }
        if (client_is_leaving(c)) return false;
    }
}

/* Close a client that has too many bytes of requests that were not executed: of unfinished input, and of a
 * transaction's queue. */
static void enforce_query_limit(struct client *c) {
    if (c->conn.input == NULL && c->tx == NULL) return;
    if (conn_input_bytes(&c->conn) + tx_queue_bytes(c) <= (size_t)limits_options.query_buffer_limit) return;
    log_warning("Closing client that reached max query buffer length: id=%llu", (unsigned long long)c->id);
    server_metrics.query_limit_disconnects++;
    client_close(c);
}

static void finish_wave(void) {
    run_batch();
    wave_send();
    conn_input_reset();
    wave->clients = wave->requests = 0;
}

/* Execute the requests that were held while the client waited. False: it waits again, or it is leaving. */
static bool run_held(struct client *c) {
    struct held_request *held;
    run_batch();
    wave->resuming = c;
    while ((held = block_next(c))) {
        wave->batch.requests[wave->batch.count++] = *block_request(held);
        run_batch();
        block_release(held);
    }
    wave->resuming = NULL;
    return !c->waiter && !client_is_leaving(c);
}

static enum conn_read next_region(struct client *c, struct resp_parser **parser, const char **end) {
    if (!(c->flags & CLIENT_UNPARSED)) return conn_read(&c->conn, parser, end);
    client_clear(c, CLIENT_UNPARSED);
    return conn_reread(&c->conn, parser, end);
}

/* Read the client, once, and batch its requests. */
static void serve_client(struct client *c) {
    struct resp_parser *parser;
    const char *end;
    if (c->waiter && !run_held(c)) return;
    enum conn_read result = next_region(c, &parser, &end);
    if (result == CONN_READ_FULL) {
        finish_wave();
        if (c->flags & CLIENT_CLOSE_NOW) return;
        result = conn_read(&c->conn, &parser, &end);
    }
    if (result == CONN_READ_CLOSED) {
        client_close(c);
        return;
    }
    c->active_ms = clock_steady_ms();
    if (result == CONN_READ_NOTHING) {
        enforce_query_limit(c);
        return;
    }
    wave->clients++;
    wave->parsing = c;
    bool goes_on = parse_region(c, parser, end);
    if (goes_on && conn_region_is_own(&c->conn)) {
        run_batch();
        goes_on = !client_is_leaving(c);
    }
    wave->parsing = NULL;
    if (!goes_on) return;
    conn_stash(&c->conn, parser, end);
    enforce_query_limit(c);
}

/* --- All clients ----------------------------------------------------------------------------- */

void wave_ready(struct loop_source *source, uint32_t events) {
    struct client *c = (struct client *)source;
    if (events & LOOP_WRITE) {
        c->active_ms = clock_steady_ms(); /* a slow reader is not idle */
        conn_writable(&c->conn);
        client_was_served(&c->conn);
        if (c->flags & CLIENT_CLOSE_NOW) return;
    }
    if (!(events & ~(uint32_t)LOOP_WRITE)) return;
    if (c->flags & CLIENT_WAITS)
        block_heard(c, events);
    else if ((c->flags & CLIENT_CLOSE_AFTER_REPLY) && !(events & LOOP_READ))
        client_close(c); /* a hang-up, which epoll would report for ever: the peer is gone, unsent output is dropped */
    else
        ready_add(c);
}

static bool wave_is_full(void) {
    return wave->clients >= WAVE_CLIENTS * wave_width || wave->requests >= WAVE_REQUESTS * wave_width ||
           conn_mark() >= WAVE_REPLY_BYTES;
}

/* Keep a ready client that is not to be read here for the wave that holds it. */
static bool is_kept(struct client *c) {
    if (!wave_holds(c)) return false;
    if (wave->kept_count == wave->kept_cap)
        wave->kept = alloc_grow(wave->kept, &wave->kept_cap, sizeof *wave->kept, 16);
    wave->kept[wave->kept_count++] = c;
    return true;
}

/* The last requests of a wave may end the waits of further clients, which are ready then. */
void wave_run(void) {
    struct client *c = ready_take();
    do {
        for (; c; c = ready_take()) {
            if (client_is_leaving(c) || (unlikely(wave->outer != NULL) && is_kept(c))) continue;
            serve_client(c);
            client_evict_weigh(c);
            if (wave_is_full()) finish_wave();
        }
        finish_wave();
    } while ((c = ready_take()));
}

void wave_serve_waiting(void) {
    if (likely(!block_ready)) return;
    block_serve(exec_run);
    wave_run();
}

/* --- A wave inside of a command -------------------------------------------------------------- */

/* In the place of the client of a request that was executed elsewhere. */
static struct client nobody = {.flags = CLIENT_CLOSE_NOW};

bool wave_holds(const struct client *c) {
    return wave->outer && (c == wave->current || c == wave->writing || is_parsed(c) || c == wave->outer->resuming);
}

/* A client that the waves around this one hold must not be closed here. If it has to be, they will hear of it. */
static void was_served_inside(struct conn *conn) {
    if (!wave_holds((struct client *)conn)) client_was_served(conn);
}

/* Nothing is evicted: the waves around this one hold some clients. */
static void send_inside(void) {
    conn_flush(was_served_inside);
}

/* Send what was complete before the command: all of it, or nothing if the log has, or is to get, a part of what the
 * command changes, since that must not be written before the rest of it. */
static void send_complete(void) {
    if (propagate_call.pending || !conn_flush_wanted()) return;
    for (int i = WAVE_DURABILITY; i < WAVE_LISTENERS; i++)
        if (listeners[i] && listeners[i]->before_send) listeners[i]->before_send();
    conn_send_queued(was_served_inside);
}

/* Requests of the outer batch that come behind the busy command are executed now, lest the one that would end it waits
 * for its end. */
static void take_over(struct batch *outer) {
    for (int i = outer->next; i < outer->count; i++) {
        struct request *r = &outer->requests[i];
        struct client *c = r->client;
        if (c == wave->current || c == wave->writing || c == wave->outer->resuming) continue;
        if (c->flags & CLIENT_CLOSE_NOW) continue; /* as nobody has */
        wave->batch.requests[wave->batch.count++] = *r;
        r->client = &nobody;
    }
    run_batch();
}

void wave_enter(void) {
    struct wave *inner = alloc_zero(sizeof *inner);
    assert(wave->outer == NULL);
    inner->outer = wave;
    inner->current = client_current;
    inner->writing = client_writing;
    wave = inner;
    send_complete();
    conn_set_aside();
    take_over(&inner->outer->batch);
}

/* What was not done in was_served_inside() is for the outer flush. */
static void pass_on_end(struct client *c) {
    if (c == NULL || (c->flags & CLIENT_CLOSE_NOW)) return;
    if ((c->conn.flags & CONN_BROKEN) || (c->flags & CLIENT_CLOSE_AFTER_REPLY)) conn_requeue(&c->conn);
}

void wave_leave(void) {
    struct wave *inner = wave;
    finish_wave();
    conn_put_back();
    wave = inner->outer;
    client_current = inner->current;
    client_writing = inner->writing;
    struct client *held[] = {client_current, client_writing, wave->parsing, wave->resuming};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        pass_on_end(held[i]);
    for (size_t i = 0; i < inner->kept_count; i++)
        ready_add(inner->kept[i]);
    if (inner->kept) alloc_put(inner->kept, inner->kept_cap * sizeof *inner->kept);
    alloc_put(inner, sizeof *inner);
}
