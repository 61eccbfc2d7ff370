/* See streaming.h. Bytes that were put aside are applied before the socket is read again, some in each turn.
 *
 * A primary that has died may have sent writes that it acknowledged to its clients. They lie in the socket, although
 * nothing can be sent to it any more. So only a read ends the stream, behind all that has arrived. */
#include "repl/streaming.h"
#include "aof/aof.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "net/loop.h"
#include "oplog/oplog.h"
#include "repl/apply.h"
#include "repl/intake.h"
#include "repl/stash.h"
#include "session/client.h"
#include "session/limits.h"
#include "store/db.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define ACK_DELAY_US 10000    /* behind a batch: so a stream that flows is not acknowledged piece by piece */
#define ACK_UNSENT_MAX 4096   /* a primary that does not read gets no further acknowledgement */
#define HELD_US 1000          /* between two looks whether the append-only file takes commands again */
#define DRAIN_BYTES (1 << 20) /* of those put aside, applied in one turn */

static const struct streaming_book *book;

static struct {
    struct loop_source aside; /* the socket whose bytes are put aside; -1: none */
    struct client *client;    /* whose bytes are applied; NULL: none */
    bool knows_acks;
    struct loop_timer ack, drain;
} stream = {.aside.fd = -1};

struct client *streaming_client(void) {
    return stream.client;
}

size_t streaming_waiting(void) {
    return apply_waiting() + stash_bytes();
}

size_t streaming_memory(void) {
    return apply_memory() + stash_bytes();
}

/* --- Ends ------------------------------------------------------------------------------------ */

static void leave_aside(void) {
    if (stream.aside.fd < 0) return;
    loop_remove(&stream.aside);
    stream.aside.fd = -1;
}

static void drop_client(void) {
    struct client *c = stream.client;
    if (!c) return;
    stream.client = NULL;
    apply_end();
    client_close(c);
}

void streaming_stop(void) {
    leave_aside();
    drop_client();
    stash_drop();
    loop_timer_stop(&stream.ack);
    loop_timer_stop(&stream.drain);
}

static void end_stream(enum streaming_end how, const char *why) {
    streaming_stop();
    book->ended(how, why);
}

/* Part of each client. The primary's one was closed here, by CLIENT KILL for example. */
static void streaming_forgets(struct client *c) {
    if (c != stream.client) return;
    stream.client = NULL;
    apply_end();
    end_stream(STREAMING_LOST, "it was closed here");
}

/* --- Acknowledgements ------------------------------------------------------------------------ */

static void put_word(struct slice word) {
    char digits[NUM_I64_MAX];
    conn_write("$", 1);
    conn_write(digits, (size_t)num_print_u64(digits, word.len));
    conn_write("\r\n", 2);
    conn_write(word.ptr, word.len);
    conn_write("\r\n", 2);
}

static void put_offset(struct slice word, int64_t offset) {
    char digits[NUM_I64_MAX];
    put_word(word);
    put_word(slice_of(digits, (size_t)num_print_i64(digits, offset)));
}

void streaming_acknowledge(void) {
    struct conn_range range;
    struct client *c = stream.client;
    loop_timer_stop(&stream.ack);
    if (!c || !stream.knows_acks || conn_unsent(&c->conn) > ACK_UNSENT_MAX) return;
    bool has_file = aof_status().state == AOF_ON;
    conn_open(&range, CONN_NO_LIMIT);
    size_t mark = conn_mark();
    conn_write(has_file ? "*5\r\n" : "*3\r\n", 4);
    put_word(SLICE("REPLCONF"));
    put_offset(SLICE("ACK"), oplog_end());
    if (has_file) put_offset(SLICE("FACK"), aof_synced_offset());
    *book->bytes_out += conn_mark() - mark;
    conn_push(&c->conn, &range);
}

static void ack_is_due(struct loop_timer *self) {
    (void)self;
    streaming_acknowledge();
}

static void ack_soon(void) {
    if (stream.ack.heap_index < 0) loop_timer_start(&stream.ack, ACK_DELAY_US);
}

/* --- The stream ------------------------------------------------------------------------------ */

/* False: the stream has ended. */
static bool take_result(enum apply_result result) {
    switch (result) {
    case APPLY_OK: ack_soon(); return true;
    case APPLY_ASKED: streaming_acknowledge(); return true;
    case APPLY_BROKEN: end_stream(STREAMING_BROKEN, "the stream is broken"); return false;
    case APPLY_CLOSED: break;
    }
    return false;
}

static void note_heard(size_t bytes) {
    *book->heard_ms = clock_steady_ms();
    *book->bytes_in += bytes;
}

/* Read the socket, or leave alone what arrives. Acknowledgements that wait are sent in any case. */
static void set_reading(bool on) {
    struct loop_source *source = &stream.client->conn.source;
    loop_set_events(source, (source->events & LOOP_WRITE) | (on ? LOOP_READ : 0));
}

/* The append-only file goes on in another file, and takes nothing for a moment: so nothing may be applied. */
static bool is_held(void) {
    if (likely(!aof_holds_writes())) return false;
    set_reading(false);
    loop_timer_start(&stream.drain, HELD_US);
    return true;
}

/* As apply_room(). NULL: the stream has ended. */
static char *room_for_stream(size_t *room) {
    char *to = apply_room(room);
    if (!to) end_stream(STREAMING_BROKEN, "a command is too large");
    return to;
}

/* recv() has returned n, which is not above 0. */
static void end_if_lost(ssize_t n) {
    if (n == 0)
        end_stream(STREAMING_LOST, "the primary has closed it");
    else if (errno != EAGAIN && errno != EINTR)
        end_stream(STREAMING_LOST, strerror(errno));
}

static void read_stream(void) {
    size_t room;
    if (is_held()) return;
    char *to = room_for_stream(&room);
    if (!to) return;
    ssize_t n = recv(stream.client->conn.source.fd, to, room, 0);
    if (n > 0) {
        clock_update(); /* the loop may have slept since */
        note_heard((size_t)n);
        take_result(apply_bytes((size_t)n));
    } else {
        end_if_lost(n);
    }
}

static void streaming_ready(struct loop_source *source, uint32_t events) {
    struct client *c = (struct client *)source;
    if (events & LOOP_WRITE) {
        conn_writable(&c->conn);
        client_sent(&c->conn);
    }
    if (c == stream.client && (events & ~(uint32_t)LOOP_WRITE) && stash_bytes() == 0) read_stream();
}

/* Give the stream bytes that intake has read from its socket behind the snapshot. False: the stream has ended. */
static bool feed_stream(struct slice bytes) {
    while (bytes.len) {
        size_t room;
        char *to = room_for_stream(&room);
        if (!to) return false;
        size_t n = room < bytes.len ? room : bytes.len;
        memcpy(to, bytes.ptr, n);
        bytes = slice_of(bytes.ptr + n, bytes.len - n);
        if (!take_result(apply_bytes(n))) return false;
    }
    return true;
}

/* --- The stream that came before the snapshot was loaded ------------------------------------- */

static size_t stash_limit(void) {
    int64_t limit = intake_options.buffer_limit;
    if (limit == 0) limit = limits_options.output_limit[LIMITS_REPLICA].hard;
    return (size_t)limit;
}

/* When the limit is reached, the primary has to keep the rest. */
static void put_aside(struct loop_source *source, uint32_t events) {
    size_t room;
    (void)events;
    char *to = stash_room(stash_limit(), &room);
    if (!to) {
        log_notice("Replication buffer limit has been reached (%zu bytes), stopped buffering replication stream.",
                   stash_bytes());
        leave_aside();
        return;
    }
    ssize_t n = recv(source->fd, to, room, 0);
    if (n > 0) {
        stash_add((size_t)n);
        note_heard((size_t)n);
    } else {
        end_if_lost(n);
    }
}

bool streaming_put_aside(int fd) {
    stream.aside = (struct loop_source){.fd = fd, .ready = put_aside};
    if (loop_add(&stream.aside, LOOP_READ)) return true;
    stream.aside.fd = -1;
    return false;
}

/* Apply up to DRAIN_BYTES of what was put aside. False: the stream has ended. */
static bool apply_some_of_stash(void) {
    for (size_t done = 0; done < DRAIN_BYTES;) {
        size_t room;
        char *to = room_for_stream(&room);
        if (!to) return false;
        size_t n = stash_take(to, room);
        if (n == 0) break;
        done += n;
        if (!take_result(apply_bytes(n))) return false;
    }
    return true;
}

/* When all that was put aside is applied, the socket is read again. */
static void drain_stash(struct loop_timer *self) {
    if (is_held() || !apply_some_of_stash()) return;
    if (stash_bytes()) {
        loop_timer_start(self, 0);
        return;
    }
    if (stash_peak())
        log_notice("MASTER <-> REPLICA sync: Successfully streamed replication buffer into the db (%zu bytes in total)",
                   stash_peak());
    stash_drop();
    set_reading(true);
}

static void begin_to_drain(void) {
    if (stash_bytes() == 0) return;
    log_notice("MASTER <-> REPLICA sync: Starting to stream replication buffer into the db (%zu bytes).",
               stash_bytes());
    set_reading(false);
    loop_timer_start(&stream.drain, 0);
}

/* --- The beginning --------------------------------------------------------------------------- */

void streaming_begin(int fd, bool knows_acks, struct slice first_bytes) {
    leave_aside();
    struct client *c = client_new_outgoing(fd, streaming_ready);
    if (!c) {
        end_stream(STREAMING_LOST, "the loop takes no further socket");
        return;
    }
    c->flags |= CLIENT_PRIMARY | CLIENT_AUTHENTICATED;
    c->db = db_at(oplog_db() > 0 ? oplog_db() : 0);
    stream.client = c;
    stream.knows_acks = knows_acks;
    *book->heard_ms = clock_steady_ms();
    apply_begin(c);
    streaming_acknowledge();
    if (feed_stream(first_bytes)) begin_to_drain();
}

void streaming_start(const struct streaming_book *b) {
    book = b;
    loop_timer_init(&stream.ack, ack_is_due);
    loop_timer_init(&stream.drain, drain_stash);
}

static const struct client_part streaming_part = {.forget = streaming_forgets};

const struct module streaming_module = {.part = &streaming_part};
