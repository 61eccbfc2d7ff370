/* See link.h. One connection at a time, and while a snapshot is fetched perhaps a second one:
 *
 *     WAITS -> CONNECTING -> HANDSHAKE -> UP               the primary continues where the data end
 *                                      -> SYNCS -> UP      it sends a snapshot
 *
 * The first connection is read by dial, handshake, then intake or, with a second connection and in LINK_UP, streaming.
 *
 * Invariant: has_place tells that the data are those of the history at oplog_end(). It ends when a snapshot begins to
 * replace the data, and holds again when it has. */
#include "repl/link.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "durable/durability.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/socket.h"
#include "oplog/oplog.h"
#include "process/listen.h"
#include "repl/handshake.h"
#include "repl/history.h"
#include "repl/intake.h"
#include "repl/replace.h"
#include "repl/streaming.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_US 1000000
#define CONNECT_MAX_MS 10000

struct link_options link_options;
struct link_status link_status;
struct link_metrics link_metrics = {.last_sync_ms = -1};
void (*link_changed)(void);
void (*link_data_replaced)(void);
void (*link_history_changed)(void);
void (*link_handed_over)(bool accepted, const char *reply);

static struct {
    char *host; /* NULL: none */
    int port;
    bool has_place;
    bool bids;                         /* the next PSYNC says FAILOVER */
    bool is_old;                       /* the primary is older than PSYNC */
    char asked_id[HISTORY_ID_LEN + 1]; /* by the last PSYNC; "": none */
    struct dial *dial;
    int fd;                       /* the first connection; -1: none, or streaming owns it */
    int second_fd;                /* the second one; -1: none */
    struct loop_source served;    /* the second one, when it has served; -1: none */
    struct handshake_answer sync; /* of the snapshot: its history and its place there */
    int64_t sync_began_ms;
    int64_t up_since_ms, up_offset; /* when the link came up last, and where */
    int64_t broken_at;              /* the offset at which the stream was broken last; -1: it was not */
    struct loop_timer retry, tick;
} tie = {.fd = -1, .served.fd = -1, .second_fd = -1, .broken_at = -1};

static const char *const state_names[] = {"", "connect", "connecting", "handshake", "sync", "connected"};

const char *link_state_name(void) {
    return state_names[link_status.state];
}

static void set_state(enum link_state state) {
    if (state == link_status.state) return;
    if (link_status.state == LINK_UP || link_status.state == LINK_OFF) link_status.down_ms = clock_steady_ms();
    link_status.state = state;
    if (state == LINK_UP) {
        tie.up_since_ms = clock_steady_ms();
        tie.up_offset = oplog_end();
    }
    if (link_changed) link_changed();
}

/* --- Cutting --------------------------------------------------------------------------------- */

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* The primary hangs up when it knows that all has arrived; before, it would take a hang-up for a failure. */
static void served_ready(struct loop_source *source, uint32_t events) {
    char unused[256];
    (void)events;
    ssize_t n = recv(source->fd, unused, sizeof unused, 0);
    if (n > 0 || (n < 0 && errno == EAGAIN)) return;
    loop_remove(source);
    close_fd(&source->fd);
}

static void drop_served(void) {
    if (tie.served.fd < 0) return;
    loop_remove(&tie.served);
    close_fd(&tie.served.fd);
}

/* The snapshot has arrived. */
static void keep_served(void) {
    drop_served();
    if (tie.second_fd < 0) return;
    tie.served = (struct loop_source){.fd = tie.second_fd, .ready = served_ready};
    tie.second_fd = -1;
    if (!loop_add(&tie.served, LOOP_READ)) close_fd(&tie.served.fd);
}

/* No connection is left, and nothing that would tell of one. */
static void drop_connections(const char *why) {
    if (tie.dial) dial_cancel(tie.dial);
    tie.dial = NULL;
    handshake_cancel();
    intake_cancel(why);
    streaming_stop();
    drop_served();
    close_fd(&tie.second_fd);
    close_fd(&tie.fd);
}

static void retry_in(int64_t us) {
    if (!tie.host) return;
    set_state(LINK_WAITS);
    loop_timer_start(&tie.retry, us);
}

/* This attempt has failed. */
static void give_up(const char *why) {
    if (tie.bids) {
        tie.bids = false;
        if (link_handed_over) link_handed_over(false, why);
    }
    drop_connections(why);
    retry_in(SECOND_US);
}

/* The link was up. A primary that accepts and hangs up, and does nothing else, is not asked faster than any other. */
static void link_lost(const char *why) {
    log_warning("Connection with master lost: %s", why);
    if (tie.has_place) log_notice("Caching the disconnected master state.");
    bool was_of_use = oplog_end() != tie.up_offset || clock_steady_ms() - tie.up_since_ms >= 1000;
    drop_connections(why);
    retry_in(was_of_use ? 0 : SECOND_US);
}

/* The same bytes are asked for once more; if they are broken again, only a snapshot helps. */
static void link_broken(const char *why) {
    if (tie.broken_at == oplog_end()) {
        log_warning("The stream was broken there before: the next try is a full sync.");
        tie.has_place = false;
    }
    tie.broken_at = oplog_end();
    drop_connections(why);
    retry_in(SECOND_US);
}

static void link_stream_ended(enum streaming_end how, const char *why) {
    if (link_status.state != LINK_UP)
        give_up(why);
    else if (how == STREAMING_BROKEN)
        link_broken(why);
    else
        link_lost(why);
}

static void begin_stream(struct slice first_bytes) {
    int fd = tie.fd;
    tie.fd = -1;
    set_state(LINK_UP);
    streaming_begin(fd, !tie.is_old, first_bytes);
}

/* --- Full syncs ------------------------------------------------------------------------------ */

static void data_go(void) {
    tie.has_place = false;
    durability_stop_log();
    if (link_data_replaced) link_data_replaced();
}

/* The data are those of the snapshot; or they are gone, and with them all that was known of their history. The stream
 * of a primary begins with SELECT, that of a replica goes on in the database that the snapshot names. */
static void settle_history(const struct replace_place *place) {
    bool known = place && tie.sync.id[0];
    if (known)
        history_adopt(slice_cstr(tie.sync.id));
    else
        history_renew();
    oplog_restart(known ? tie.sync.offset : oplog_end(), place ? place->db : -1);
    if (known) history_recall_former(&place->former);
    tie.has_place = known;
    durability_restart_log();
    if (link_history_changed) link_history_changed();
}

static void intake_ended(const struct intake_end *end) {
    if (end->ok || end->gave_up_data) settle_history(end->place);
    if (link_status.state != LINK_SYNCS) return; /* link_end() came meanwhile */
    if (!end->ok) {
        give_up(end->why);
        return;
    }
    keep_served();
    tie.broken_at = -1;
    link_metrics.last_sync_ms = clock_steady_ms() - tie.sync_began_ms;
    log_notice("MASTER <-> REPLICA sync: Finished with success");
    begin_stream(end->left);
}

static void begin_sync(int fd, const struct handshake_answer *answer) {
    tie.sync = *answer;
    tie.sync_began_ms = clock_steady_ms();
    set_state(LINK_SYNCS);
    struct intake_order order = {
        .fd = fd,
        .same_history = answer->id[0] && strcasecmp(answer->id, history.id) == 0,
        .replaces = data_go,
    };
    intake_begin(&order, intake_ended);
}

struct link_progress link_progress(void) {
    return (struct link_progress){intake_status.total_bytes, intake_status.read_bytes, intake_status.heard_ms};
}

/* --- The second connection ------------------------------------------------------------------- */

static void begin_talk(int fd, const char *main_client);

static void second_dialed(void *ctx, int fd, const char *error) {
    (void)ctx;
    tie.dial = NULL;
    if (fd < 0) {
        log_warning("Error condition on socket for the second connection of a sync: %s", error);
        give_up(error);
        return;
    }
    tie.second_fd = fd;
    begin_talk(fd, tie.sync.main_client);
}

static int64_t connect_limit_ms(void) {
    int64_t ms = (int64_t)link_options.timeout_s * 1000;
    return ms < CONNECT_MAX_MS ? ms : CONNECT_MAX_MS;
}

/* To the same address as the first one: the name may stand for several servers. */
static void begin_second(const struct handshake_answer *answer) {
    char name[SOCKET_NAME_MAX];
    tie.sync = *answer;
    if (!streaming_put_aside(tie.fd)) {
        give_up(strerror(errno));
        return;
    }
    socket_peer_name(tie.fd, name);
    char *host = name[0] == '[' ? name + 1 : name, *colon = strrchr(name, ':');
    *colon = '\0';
    if (name[0] == '[') colon[-1] = '\0';
    tie.dial = dial_begin(host, tie.port, link_options.source_address, connect_limit_ms(), second_dialed, NULL);
}

/* --- The handshake --------------------------------------------------------------------------- */

/* The stream goes on, under this id; "": under the one that was asked for. */
static void continue_history(const char *id) {
    if (!id[0]) id = tie.asked_id;
    if (strcasecmp(id, history.id) == 0) return;
    if (strcasecmp(tie.asked_id, history.id) != 0 && strcasecmp(tie.asked_id, id) != 0)
        history_adopt(slice_cstr(tie.asked_id));
    history_rename(slice_cstr(id));
    if (link_history_changed) link_history_changed();
}

static void tell_bid(const struct handshake_answer *answer) {
    if (!tie.bids) return;
    bool accepted = answer->outcome <= HANDSHAKE_CHANNEL;
    tie.bids = false;
    if (link_handed_over) link_handed_over(accepted, answer->reply);
}

static void link_answered(const struct handshake_answer *answer) {
    bool is_first = tie.second_fd < 0;
    tell_bid(answer);
    tie.is_old = answer->outcome == HANDSHAKE_OLD;
    switch (answer->outcome) {
    case HANDSHAKE_CONTINUES:
        log_notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
        continue_history(answer->id);
        oplog_recall_db(); /* a primary that was promoted selects one again, but this may be the one from before */
        begin_stream(SLICE(""));
        return;
    case HANDSHAKE_FULL:
    case HANDSHAKE_OLD: begin_sync(is_first ? tie.fd : tie.second_fd, answer); return;
    case HANDSHAKE_CHANNEL: begin_second(answer); return;
    case HANDSHAKE_LATER:
    case HANDSHAKE_FAILED: give_up(answer->reply); return;
    }
}

static void begin_talk(int fd, const char *main_client) {
    struct handshake_question q = {
        .fd = fd,
        .user = link_options.user,
        .password = link_options.password,
        .port = link_options.announce_port ? link_options.announce_port : listen_port(),
        .ip = link_options.announce_ip,
        .offset = oplog_end(),
        .takes_channel = link_options.rdb_channel,
        .bids = tie.bids,
    };
    snprintf(q.main_client, sizeof q.main_client, "%s", main_client);
    if (!main_client[0]) {
        snprintf(tie.asked_id, sizeof tie.asked_id, "%s", tie.has_place ? history_best_known() : "");
        memcpy(q.id, tie.asked_id, sizeof q.id);
    }
    handshake_begin(&q, link_answered);
}

/* --- Connecting ------------------------------------------------------------------------------ */

static void link_dialed(void *ctx, int fd, const char *error) {
    (void)ctx;
    tie.dial = NULL;
    if (fd < 0) {
        log_warning("Error condition on socket for SYNC: %s", error);
        give_up(error);
        return;
    }
    log_notice("Non blocking connect for SYNC fired the event.");
    tie.fd = fd;
    set_state(LINK_HANDSHAKE);
    begin_talk(fd, "");
}

static void begin_try(struct loop_timer *self) {
    (void)self;
    if (intake_is_active()) { /* a load that was told to end has not ended yet */
        loop_timer_start(&tie.retry, SECOND_US / 10);
        return;
    }
    log_notice("Connecting to MASTER %s:%d", tie.host, tie.port);
    set_state(LINK_CONNECTING);
    tie.dial = dial_begin(tie.host, tie.port, link_options.source_address, connect_limit_ms(), link_dialed, NULL);
    log_notice("MASTER <-> REPLICA sync started");
}

/* --- Each second ----------------------------------------------------------------------------- */

static bool is_silent(int64_t since_ms) {
    return clock_steady_ms() - since_ms > (int64_t)link_options.timeout_s * 1000;
}

/* A primary must not take a replica that loads for dead. If the socket takes no byte, the primary has enough. */
static void send_newline(void) {
    if (tie.fd >= 0 && send(tie.fd, "\n", 1, MSG_NOSIGNAL) == 1) link_metrics.bytes_out++;
}

static void tick_sync(void) {
    if (intake_is_loading()) send_newline();
    if (!intake_waits() || !is_silent(intake_status.heard_ms)) return;
    log_warning("Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' "
                "parameter in redis.conf to a larger value.");
    if (intake_is_loading())
        intake_cancel("the primary sends nothing");
    else
        give_up("the primary sends nothing");
}

static void link_tick(struct loop_timer *self) {
    loop_timer_start(self, SECOND_US);
    clock_update();
    switch (link_status.state) {
    case LINK_HANDSHAKE:
        if (tie.dial || !is_silent(handshake_heard_ms())) return;
        log_warning("Timeout connecting to the MASTER...");
        give_up("the primary sends nothing");
        return;
    case LINK_SYNCS: tick_sync(); return;
    case LINK_UP:
        streaming_acknowledge();
        if (!is_silent(link_status.heard_ms)) return;
        log_warning("MASTER timeout: no data nor PING received...");
        link_lost("it is silent");
        return;
    default: return;
    }
}

/* --- Begin and end --------------------------------------------------------------------------- */

static void forget_host(void) {
    alloc_put_string(tie.host);
    tie.host = NULL;
    tie.port = 0;
}

void link_begin(const char *host, int port) {
    char *copy = alloc_copy_string(host); /* it may be the present one */
    drop_connections("another primary is followed");
    forget_host();
    tie.host = copy;
    tie.port = port;
    tie.bids = false;
    tie.broken_at = -1;
    link_status.down_ms = clock_steady_ms();
    loop_timer_start(&tie.tick, SECOND_US);
    retry_in(0);
}

void link_hand_over(const char *host, int port) {
    link_begin(host, port);
    tie.bids = true;
}

void link_end(void) {
    if (!tie.host) return;
    drop_connections("no primary is followed any more");
    forget_host();
    loop_timer_stop(&tie.tick);
    loop_timer_stop(&tie.retry);
    tie.has_place = tie.bids = false;
    set_state(LINK_OFF);
}

void link_keep_place(void) {
    tie.has_place = true;
}

bool link_has_place(void) {
    return tie.has_place;
}

void link_cut(void) {
    if (link_status.state == LINK_UP)
        link_lost("it was cut here");
    else if (tie.host && link_status.state != LINK_WAITS)
        give_up("it was cut here");
}

const char *link_host(void) {
    return tie.host ? tie.host : "";
}

int link_port(void) {
    return tie.port;
}

struct client *link_client(void) {
    return streaming_client();
}

int64_t link_read_offset(void) {
    return oplog_end() + (int64_t)streaming_waiting();
}

size_t link_memory(void) {
    return streaming_memory();
}

static void link_start(void) {
    static const struct streaming_book book = {&link_metrics.bytes_in, &link_metrics.bytes_out, &link_status.heard_ms,
                                               link_stream_ended};
    loop_timer_init(&tie.retry, begin_try);
    loop_timer_init(&tie.tick, link_tick);
    streaming_start(&book);
}

static const struct option link_rows[] = {
    {"masteruser", .type = OPTION_STRING, .address = &link_options.user, .initial = ""},
    {"masterauth", .type = OPTION_BYTES, .flags = OPTION_SENSITIVE, .address = &link_options.password, .initial = ""},
    {"replica-announce-ip", .alias = "slave-announce-ip", .type = OPTION_STRING, .address = &link_options.announce_ip,
     .initial = ""},
    {"replica-announce-port", .alias = "slave-announce-port", .type = OPTION_INT,
     .address = &link_options.announce_port, .initial = "0", .max = 65535},
    {"bind-source-addr", .type = OPTION_STRING, .address = &link_options.source_address, .initial = ""},
    {"repl-timeout", .type = OPTION_INT, .address = &link_options.timeout_s, .initial = "60", .min = 1},
    {"repl-rdb-channel", .type = OPTION_BOOL, .address = &link_options.rdb_channel, .initial = "yes"},
    {NULL},
};

const struct module link_module = {.options = link_rows, .start = link_start};
