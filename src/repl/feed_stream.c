/* Feeds send the stream from the log's blocks, a file from the page cache, and few bytes of their own. Nothing of it is
 * copied here.
 *
 * A feed that takes all it is offered gets at most TURN_BYTES a turn, so that a replica that is far behind holds up no
 * client. Its rest is for the next turn, which begins at once (feed_is_unsettled()). */
#include "base/clock.h"
#include "base/likely.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "repl/feed.h"
#include "session/client.h"
#include <stdio.h>
#include <unistd.h>

#define TURN_BYTES ((size_t)1 << 20)

bool feed_is_quiet;
void (*feed_before_send)(void);

static bool unsettled;

bool feed_is_unsettled(void) {
    return unsettled;
}

/* --- Few bytes ------------------------------------------------------------------------------- */

bool feed_write(struct feed *feed, struct slice bytes) {
    struct iovec piece = {(void *)bytes.ptr, bytes.len};
    size_t sent = conn_send_pieces(&feed->client->conn, &piece, 1);
    feed_metrics.bytes_out += sent;
    if (sent == bytes.len) return true;
    feed_drop(feed);
    return false;
}

static void say_getack(void) {
    const struct slice argv[] = {SLICE("REPLCONF"), SLICE("GETACK"), SLICE("*")};
    wave_listen(WAVE_ACKS, NULL);
    propagate_to_replicas(argv, 3);
}

void feed_ask_for_acks(void) {
    static const struct wave_hooks once = {.before_send = say_getack};
    if (feed_first) wave_listen(WAVE_ACKS, &once);
}

/* --- The stream ------------------------------------------------------------------------------ */

/* The socket has taken n bytes: remember when, for a replica that is slow. */
static void note_sent(struct feed *feed, size_t n) {
    feed_metrics.bytes_out += n;
    if (!conn_is_busy(&feed->client->conn))
        feed->took_ms = 0;
    else if (n || feed->took_ms == 0)
        feed->took_ms = clock_steady_ms();
}

static void send_stream(struct feed *feed) {
    struct iovec pieces[CONN_PIECES_MAX];
    size_t budget = TURN_BYTES;
    int n;
    while ((n = oplog_peek(&feed->cursor, pieces, CONN_PIECES_MAX, budget))) {
        size_t sent = conn_send_pieces(&feed->client->conn, pieces, n);
        oplog_advance(&feed->cursor, sent);
        note_sent(feed, sent);
        if (conn_is_busy(&feed->client->conn)) return;
        budget -= sent;
        if (budget > 0) continue;
        unsettled = true;
        return;
    }
}

/* --- A file ---------------------------------------------------------------------------------- */

void feed_send_file(struct feed *feed, int file, int64_t bytes) {
    char preamble[32];
    int len = snprintf(preamble, sizeof preamble, "$%lld\r\n", (long long)bytes);
    feed->file = file;
    feed->file_bytes = bytes;
    feed->file_sent = 0;
    feed->state = FEED_SENDS;
    feed_write(feed, slice_of(preamble, (size_t)len));
}

static void send_file(struct feed *feed) {
    int64_t left = feed->file_bytes - feed->file_sent;
    off_t at = feed->file_sent;
    size_t most = left < (int64_t)TURN_BYTES ? (size_t)left : TURN_BYTES;
    size_t sent = conn_send_file(&feed->client->conn, feed->file, &at, most);
    feed->file_sent += (int64_t)sent;
    note_sent(feed, sent);
    if (feed->file_sent < feed->file_bytes) {
        unsettled |= sent > 0 && !conn_is_busy(&feed->client->conn);
        return;
    }
    close(feed->file);
    feed->file = -1;
    feed_go_online(feed, FEED_ONLINE);
}

/* --- All feeds ------------------------------------------------------------------------------- */

static void send_some(struct feed *feed) {
    if (feed->state == FEED_ONLINE || feed->state == FEED_STREAMS)
        send_stream(feed);
    else if (feed->state == FEED_SENDS)
        send_file(feed);
}

static void serve(struct feed *feed, void *ctx) {
    (void)ctx;
    struct client *c = feed->client;
    if (!conn_is_busy(&c->conn)) send_some(feed);
    if (c->flags & CLIENT_CLOSE_NOW) return;
    if (c->conn.flags & CONN_BROKEN)
        client_close(c);
    else if (conn_is_busy(&c->conn))
        feed_drop_if_over_limit(feed);
}

void feed_send_all(void) {
    unsettled = false;
    if (likely(feed_first == NULL && !(oplog_is_kept & OPLOG_BACKLOG))) return;
    if (feed_before_send) feed_before_send();
    feed_each(serve, NULL);
    oplog_trim();
}
