/* See feed.h. feed_stream.c sends, feed_limits.c knows how much may wait for a replica.
 *
 * Invariants: a feed is in the list exactly while its client has CLIENT_REPLICA and is open. acked never exceeds what
 * the replica was sent. */
#include "repl/feed.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "exec/wave.h"
#include "repl/backlog.h"
#include "repl/backoff.h"
#include "repl/link.h"
#include "session/client.h"
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

struct feed *feed_first;
struct feed_metrics feed_metrics = {.last_full_ms = -1};
void (*feed_acked)(void);

static struct feed *feed_last;
static size_t replicas; /* without second connections */

size_t feed_count(void) {
    return replicas;
}

/* One that is closed takes its other connection with it, which may be the next one in the list. */
void feed_each(void (*act)(struct feed *feed, void *ctx), void *ctx) {
    for (struct feed *feed = feed_first, *next; feed; feed = next) {
        const struct client *c = feed->client;
        next = feed->next;
        if (next && next == feed->other) next = next->next;
        act(feed, ctx);
        if (!(c->flags & CLIENT_CLOSE_NOW)) next = feed->next;
    }
}

/* --- Names ----------------------------------------------------------------------------------- */

/* The address in "127.0.0.1:6379" or "[::1]:6379". */
static struct slice address_of(struct slice peer) {
    while (peer.len && peer.ptr[peer.len - 1] != ':')
        peer.len--;
    if (peer.len) peer.len--;
    if (peer.len > 2 && peer.ptr[0] == '[') peer = slice_of(peer.ptr + 1, peer.len - 2);
    return peer;
}

static struct slice ip_slice(const struct feed *feed) {
    if (feed->announced_ip) return slice_cstr(feed->announced_ip);
    return address_of(client_peer(feed->client));
}

const char *feed_ip(const struct feed *feed, char *text) {
    struct slice ip = ip_slice(feed);
    snprintf(text, FEED_IP_MAX, "%.*s", (int)ip.len, ip.ptr);
    return text;
}

const char *feed_name(const struct feed *feed, char *text) {
    struct slice ip = ip_slice(feed);
    if (ip.len == 0 || ip.ptr[0] == '?')
        snprintf(text, FEED_IP_MAX, "client id #%llu", (unsigned long long)feed->client->id);
    else if (feed->port == 0)
        snprintf(text, FEED_IP_MAX, "%.*s:<unknown-replica-port>", (int)ip.len, ip.ptr);
    else if (memchr(ip.ptr, ':', ip.len))
        snprintf(text, FEED_IP_MAX, "[%.*s]:%d", (int)ip.len, ip.ptr, feed->port);
    else
        snprintf(text, FEED_IP_MAX, "%.*s:%d", (int)ip.len, ip.ptr, feed->port);
    return text;
}

const char *feed_state_name(const struct feed *feed) {
    static const char *const names[] = {
        [FEED_ANNOUNCES] = "",
        [FEED_WAITS_START] = "wait_bgsave",
        [FEED_WAITS_END] = "wait_bgsave",
        [FEED_SENDS] = "send_bulk",
        [FEED_WAITS_CHANNEL] = "wait_rdb_channel",
        [FEED_STREAMS] = "send_bulk_and_stream",
        [FEED_WAITS_ACK] = "online",
        [FEED_ONLINE] = "online",
    };
    return names[feed->state];
}

struct feed *feed_for_address(struct slice host, int port) {
    for (struct feed *feed = feed_first; feed; feed = feed->next) {
        if ((feed->flags & FEED_IS_CHANNEL) || feed->port != port) continue;
        if (slice_eq(host, ip_slice(feed)) || slice_eq(host, address_of(client_peer(feed->client)))) return feed;
    }
    return NULL;
}

/* --- Coming and going ------------------------------------------------------------------------ */

struct feed *feed_of(struct client *c) {
    if (c->feed) return c->feed;
    c->feed = alloc_zero(sizeof *c->feed);
    c->feed->client = c;
    c->feed->file = -1;
    return c->feed;
}

void feed_begin(struct feed *feed, enum feed_state state) {
    struct client *c = feed->client;
    assert(!(c->flags & CLIENT_REPLICA));
    client_peer(c); /* known from now on, also when the socket has closed */
    c->flags |= CLIENT_REPLICA;
    feed->state = state;
    feed->acked_ms = feed->asked_ms = clock_steady_ms();
    feed->prev = feed_last;
    if (feed_last)
        feed_last->next = feed;
    else
        feed_first = feed;
    feed_last = feed;
    replicas += !(feed->flags & FEED_IS_CHANNEL);
}

static void unlink_feed(struct feed *feed) {
    if (feed->prev)
        feed->prev->next = feed->next;
    else
        feed_first = feed->next;
    if (feed->next)
        feed->next->prev = feed->prev;
    else
        feed_last = feed->prev;
    replicas -= !(feed->flags & FEED_IS_CHANNEL);
}

/* A replica and its second connection end together. But a replica may close the second one because it has all of the
 * snapshot, before the end of the child that has sent it is known here: its ACK will tell. */
static void end_other(struct feed *feed) {
    struct feed *other = feed->other;
    if (other == NULL) return;
    feed->other = other->other = NULL;
    if ((feed->flags & FEED_IS_CHANNEL) && (feed->flags & FEED_HOLDS))
        other->acked_ms = clock_steady_ms();
    else
        feed_drop(other);
}

static void lose_replica(struct feed *feed) {
    char name[FEED_IP_MAX];
    bool is_done = (feed->flags & FEED_IS_CHANNEL) && feed->other == NULL;
    feed_name(feed, name);
    if (!is_done) log_warning("Connection with replica %s lost.", name);
    unlink_feed(feed);
    if (feed->place.block) backlog_keep_place(name, &feed->place);
    end_other(feed);
    if (feed_acked) feed_acked();
}

static void feed_forget(struct client *c) {
    struct feed *feed = c->feed;
    if (feed == NULL) return;
    if (c->flags & CLIENT_REPLICA) lose_replica(feed);
    oplog_leave(&feed->cursor);
    oplog_leave(&feed->place);
    if (feed->file >= 0) close(feed->file);
    alloc_put_string(feed->announced_ip);
    alloc_put(feed, sizeof *feed);
    c->feed = NULL;
}

void feed_drop(struct feed *feed) {
    oplog_leave(&feed->place);
    client_close(feed->client);
}

void feed_close_all(void) {
    while (feed_first)
        feed_drop(feed_first);
    backlog_drop_places();
}

void feed_close_subreplicas(void) {
    while (feed_first)
        client_close(feed_first->client);
}

/* --- The place in the log -------------------------------------------------------------------- */

void feed_place(struct feed *feed) {
    if (link_status.state == LINK_OFF) oplog_forget_db();
    bool ok = oplog_seek(&feed->cursor, oplog_end());
    assert(ok);
    (void)ok;
    feed->start = oplog_end();
    feed->flags |= FEED_FRESH;
}

bool feed_continue(struct feed *feed, int64_t offset) {
    char name[FEED_IP_MAX];
    if (!oplog_seek(&feed->cursor, offset)) return false;
    backlog_drop_place(feed_name(feed, name));
    feed->start = feed->acked = offset;
    if (backlog_keeps_places()) oplog_seek(&feed->place, offset);
    return true;
}

static void note_full_sync(struct feed *feed) {
    char name[FEED_IP_MAX];
    feed_metrics.last_full_ms = clock_steady_ms() - feed->asked_ms;
    log_notice("Synchronization with replica %s succeeded", feed_name(feed, name));
}

void feed_go_online(struct feed *feed, enum feed_state state) {
    char name[FEED_IP_MAX];
    if (feed->flags & FEED_RDB_ONLY) {
        log_notice("RDB transfer completed, rdb only replica (%s) should be disconnected asap", feed_name(feed, name));
        feed_drop(feed);
        return;
    }
    if (feed->flags & FEED_FRESH && feed->state != FEED_WAITS_ACK) note_full_sync(feed);
    feed->state = state;
    feed->acked_ms = clock_steady_ms();
    feed->took_ms = 0;
    if (feed_acked) feed_acked();
}

/* --- Acknowledgements ------------------------------------------------------------------------ */

int64_t feed_lag_s(const struct feed *feed) {
    return feed_is_online(feed) ? (clock_steady_ms() - feed->acked_ms) / 1000 : 0;
}

size_t feed_behind(const struct feed *feed) {
    return feed->cursor.block ? oplog_behind(&feed->cursor) : 0;
}

int feed_count_good(int64_t max_lag_s) {
    int count = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        count += feed_is_online(feed) && feed_lag_s(feed) <= max_lag_s;
    return count;
}

int feed_count_acked(int64_t offset) {
    int count = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        count += feed_is_online(feed) && feed->acked >= offset;
    return count;
}

int feed_count_acked_aof(int64_t offset) {
    int count = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        count += feed_is_online(feed) && feed->acked_aof >= offset;
    return count;
}

/* It has the log up to `acked`, and would go on there if its connection broke. */
static void move_place(struct feed *feed) {
    if (!backlog_keeps_places() || feed->acked < feed->start) {
        oplog_leave(&feed->place);
    } else if (feed->place.block) {
        oplog_advance(&feed->place, (size_t)(feed->acked - oplog_at(&feed->place)));
    } else {
        oplog_seek(&feed->place, feed->acked);
    }
}

/* It has caught up for the first time since its full sync. */
static void note_level(struct feed *feed) {
    char name[FEED_IP_MAX];
    if (feed->acked < feed->start || oplog_end() - feed->acked > backlog_size()) return;
    feed->flags &= ~(unsigned)FEED_FRESH;
    backoff_succeed(feed_name(feed, name));
}

static void take_offsets(struct feed *feed, int64_t offset, int64_t aof_offset) {
    int64_t sent = oplog_at(&feed->cursor);
    if (aof_offset > feed->acked_aof && aof_offset <= sent) feed->acked_aof = aof_offset;
    if (offset < feed->acked || offset > sent) return;
    feed->acked = offset;
    move_place(feed);
}

void feed_take_ack(struct feed *feed, int64_t offset, int64_t aof_offset) {
    feed->acked_ms = clock_steady_ms();
    if (feed->state == FEED_WAITS_ACK) feed->state = FEED_ONLINE;
    if (feed->state == FEED_STREAMS && feed->other == NULL) feed_go_online(feed, FEED_ONLINE);
    if ((feed->flags & FEED_HOLDS) || feed->other) feed->flags |= FEED_ACKED;
    if (feed->cursor.block) take_offsets(feed, offset, aof_offset);
    if ((feed->flags & FEED_FRESH) && feed->state == FEED_ONLINE) note_level(feed);
    if (feed_acked) feed_acked();
}

/* --- As a part of the client ----------------------------------------------------------------- */

static size_t own_bytes(const struct feed *feed) {
    return sizeof *feed + (feed->announced_ip ? strlen(feed->announced_ip) + 1 : 0);
}

static size_t feed_bytes(const struct client *c) {
    return c->feed ? own_bytes(c->feed) + feed_behind(c->feed) : 0;
}

size_t feed_memory(void) {
    size_t bytes = backlog_memory();
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        bytes += client_memory(feed->client);
    return bytes;
}

static void feed_describe(const struct client *c, struct client_line *line) {
    struct iovec pieces[CONN_PIECES_MAX];
    size_t behind = c->feed ? feed_behind(c->feed) : 0;
    if (behind == 0) return;
    line->log_blocks = (size_t)oplog_peek(&c->feed->cursor, pieces, CONN_PIECES_MAX, SIZE_MAX);
    line->log_bytes = behind;
}

static const struct client_part part = {.forget = feed_forget, .memory = feed_bytes, .describe = feed_describe};

static void feed_start(void) {
    static const struct wave_hooks wave = {.before_send = feed_send_all, .is_unsettled = feed_is_unsettled};
    wave_listen(WAVE_REPLICAS, &wave);
    link_data_replaced = feed_close_all;
}

const struct module feed_module = {.part = &part, .start = feed_start};
