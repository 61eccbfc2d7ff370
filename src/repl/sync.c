/* See sync.h. transfer.c is the child that writes to sockets; BGSAVE (durable/bgsave) makes files.
 *
 * A feed that waits is in FEED_WAITS_START. While there is one, each wave asks whether a snapshot is due for some: not
 * while a child of any kind is running. All that are due and want the same get the same snapshot; a second connection
 * (FEED_IS_CHANNEL) is one of these, and the stream of its replica begins at the fork. */
#include "repl/sync.h"
#include "aof/aof.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "disk/child.h"
#include "durable/bgsave.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "repl/backlog.h"
#include "repl/backoff.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/intake.h"
#include "repl/transfer.h"
#include "session/client.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sync_status sync_status;
struct sync_options sync_options;

static bool saves;             /* BGSAVE runs for replicas */
static uint64_t file_of_saves; /* snapshot_metrics.saves when a file was made for replicas; 0: none, or it is gone */

/* --- The feeds that wait --------------------------------------------------------------------- */

static bool waits_for_child(const struct feed *feed) {
    return feed->state == FEED_WAITS_END && (feed->flags & FEED_HOLDS);
}

static bool waits_for_file(const struct feed *feed) {
    return feed->state == FEED_WAITS_END && !(feed->flags & FEED_HOLDS);
}

static void count_waiting(void) {
    sync_status.waiting = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        sync_status.waiting += feed->state == FEED_WAITS_START;
    feed_before_send = sync_status.waiting ? sync_start_due : NULL;
}

/* The feeds that one snapshot will serve. */
struct batch {
    unsigned kind;
    int count;
    int64_t oldest_ms; /* when the first of them asked */
};

/* Feeds of the same kind, in flags of feeds, can share a snapshot. A feed that has a filter, and a second connection,
 * cannot take a file; a feed that does not take a snapshot of unknown length has to. */
static unsigned kind_of(const struct feed *feed) {
    unsigned told_apart = sync_options.diskless ? FEED_EOF : FEED_IS_CHANNEL;
    return feed->flags & (FEED_NO_DATA | FEED_NO_FUNCTIONS | told_apart);
}

static bool is_diskless(const struct batch *batch) {
    return batch->kind != 0;
}

static bool is_waiting(const struct feed *feed) {
    return feed->state == FEED_WAITS_START && clock_steady_ms() >= feed->not_before_ms;
}

static bool is_in(const struct batch *batch, const struct feed *feed) {
    return is_waiting(feed) && kind_of(feed) == batch->kind;
}

static struct batch gather(unsigned kind) {
    struct batch batch = {.kind = kind};
    for (const struct feed *feed = feed_first; feed; feed = feed->next) {
        if (!is_in(&batch, feed)) continue;
        if (batch.count++ == 0) batch.oldest_ms = feed->asked_ms;
    }
    return batch;
}

/* Diskless, no feed can join later, so the first one waits a while for others. */
static bool is_due(const struct batch *batch) {
    if (!is_diskless(batch)) return true;
    if (sync_options.max_replicas > 0 && batch->count >= sync_options.max_replicas) return true;
    return clock_steady_ms() - batch->oldest_ms >= (int64_t)sync_options.delay_s * 1000;
}

static const struct feed *first_waiting(void) {
    const struct feed *feed = feed_first;
    while (feed && !is_waiting(feed))
        feed = feed->next;
    return feed;
}

/* The batch of the first that waits; or, while that one waits for others, those that take a file. */
static bool next_due(struct batch *batch) {
    const struct feed *first = first_waiting();
    if (first == NULL) return false;
    *batch = gather(kind_of(first));
    if (is_due(batch)) return true;
    *batch = gather(0);
    return batch->count > 0;
}

/* --- The beginning of a snapshot ------------------------------------------------------------- */

/* Place the feed at the log's end, or its first connection if this is a second one. */
static void place_in_log(struct feed *feed) {
    if (feed->flags & FEED_IS_CHANNEL)
        feed_place(feed->other);
    else if (!(feed->flags & FEED_RDB_ONLY))
        feed_place(feed);
}

static bool announce(struct feed *feed, int64_t offset) {
    char line[80];
    if (feed->flags & FEED_OLD) return true;
    int len = snprintf(line, sizeof line, "+FULLRESYNC %s %lld\r\n", history_tell(), (long long)offset);
    return feed_write(feed, slice_of(line, (size_t)len));
}

static void refuse(struct feed *feed) {
    if (feed_write(feed, SLICE("-ERR BGSAVE failed, replication can't continue\r\n"))) feed_drop(feed);
}

struct batch_work {
    const struct batch *batch;
    void (*act)(struct feed *feed);
};

static void act_if_in(struct feed *feed, void *ctx) {
    const struct batch_work *work = ctx;
    if (is_in(work->batch, feed)) work->act(feed);
}

/* Call `act` for each feed of the batch. It may close that one. */
static void each_in(const struct batch *batch, void (*act)(struct feed *feed)) {
    struct batch_work work = {batch, act};
    feed_each(act_if_in, &work);
}

static void hold(struct feed *feed) {
    place_in_log(feed);
    if (!announce(feed, oplog_end())) return;
    feed->flags |= FEED_HOLDS;
    feed->client->conn.flags |= CONN_SHARED;
}

static void let_go(struct feed *feed) {
    feed->flags &= ~(unsigned)FEED_HOLDS;
    feed->client->conn.flags &= ~(unsigned)CONN_SHARED;
}

static void give_to_child(struct feed *feed) {
    if (!(feed->flags & FEED_HOLDS)) return;
    feed->state = FEED_WAITS_END;
    if (feed->flags & FEED_IS_CHANNEL) feed->other->state = FEED_STREAMS;
}

static void give_up(struct feed *feed) {
    let_go(feed);
    refuse(feed);
}

static bool any(bool (*is)(const struct feed *feed)) {
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        if (is(feed)) return true;
    return false;
}

static bool is_held(const struct feed *feed) {
    return feed->flags & FEED_HOLDS;
}

/* --- Diskless -------------------------------------------------------------------------------- */

/* The second connection has had its snapshot: its replica goes on with the first one alone. */
static void end_channel(struct feed *feed) {
    struct feed *main = feed->other;
    feed->other = main->other = NULL;
    main->acked_ms = clock_steady_ms();
    client_close(feed->client);
    if (main->flags & FEED_ACKED) feed_go_online(main, FEED_ONLINE);
}

static void finish_held(struct feed *feed) {
    char name[FEED_IP_MAX];
    let_go(feed);
    if (feed->flags & FEED_IS_CHANNEL) {
        end_channel(feed);
        return;
    }
    bool is_acked = feed->flags & FEED_ACKED;
    if (!(feed->flags & FEED_RDB_ONLY) && !is_acked)
        log_notice("Streamed RDB transfer with replica %s succeeded (socket). Waiting for REPLCONF ACK from replica to "
                   "enable streaming",
                   feed_name(feed, name));
    feed_go_online(feed, is_acked ? FEED_ONLINE : FEED_WAITS_ACK);
}

static void end_held(struct feed *feed, void *ok) {
    if (!waits_for_child(feed)) return;
    if (ok) {
        finish_held(feed);
        return;
    }
    let_go(feed);
    feed_drop(feed);
}

static void transfer_ended(bool ok) {
    int count = 0;
    sync_status.sends = false;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        count += waits_for_child(feed);
    if (ok) log_notice("Diskless rdb transfer, done reading from pipe, %d replicas still up.", count);
    feed_each(end_held, ok ? &ok : NULL);
}

static void start_transfer(const struct batch *batch) {
    log_notice("Starting BGSAVE for SYNC with target: replicas sockets");
    each_in(batch, hold);
    if (!any(is_held)) return;
    sync_status.sends = transfer_start(batch->kind, transfer_ended);
    each_in(batch, sync_status.sends ? give_to_child : give_up);
}

/* --- By a file ------------------------------------------------------------------------------- */

static void wait_for_file(struct feed *feed) {
    feed->state = FEED_WAITS_END;
    announce(feed, oplog_end());
}

static void send_file(struct feed *feed) {
    struct stat file;
    int fd = open(snapshot_name(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &file) == 0) {
        feed_send_file(feed, fd, file.st_size);
        return;
    }
    log_warning("SYNC failed. Can't open/stat DB after BGSAVE: %s", strerror(errno));
    if (fd >= 0) close(fd);
    feed_drop(feed);
}

static void end_wait_for_file(struct feed *feed, void *ok) {
    if (!waits_for_file(feed)) return;
    if (ok)
        send_file(feed);
    else
        feed_drop(feed);
}

static void save_ended(bool ok) {
    if (!saves) return;
    saves = false;
    file_of_saves = ok ? snapshot_metrics.saves : 0;
    if (!ok && any(waits_for_file)) log_warning("SYNC failed. BGSAVE child returned an error");
    feed_each(end_wait_for_file, ok ? &ok : NULL);
}

static void start_save(const struct batch *batch) {
    log_notice("Starting BGSAVE for SYNC with target: disk");
    each_in(batch, place_in_log);
    saves = bgsave_start();
    each_in(batch, saves ? wait_for_file : refuse);
}

/* A replica whose file is being made, and whose snapshot suits this one too; or NULL. */
static const struct feed *fellow_of(const struct feed *feed) {
    if (!saves || kind_of(feed) & ~(unsigned)FEED_EOF) return NULL;
    for (const struct feed *other = feed_first; other; other = other->next)
        if (waits_for_file(other) && other->cursor.block) return other;
    return NULL;
}

static bool join_save(struct feed *feed) {
    const struct feed *fellow = fellow_of(feed);
    if (fellow == NULL) return false;
    bool wants_stream = !(feed->flags & FEED_RDB_ONLY);
    if (wants_stream && !oplog_seek(&feed->cursor, oplog_at(&fellow->cursor))) return false;
    feed->start = fellow->start;
    feed->flags |= FEED_FRESH;
    feed->state = FEED_WAITS_END;
    log_notice("Waiting for end of BGSAVE for SYNC");
    announce(feed, feed->start);
    return true;
}

/* A replica on a server that keeps nothing on disk need not leave a file there (rdb-del-sync-files). */
static void remove_file(void) {
    if (!file_of_saves || file_of_saves != snapshot_metrics.saves || !intake_options.deletes_files) return;
    if (bgsave_has_points() || aof_status().state != AOF_OFF || any(waits_for_file) || saves) return;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        if (feed->state == FEED_SENDS) return;
    file_of_saves = 0;
    log_notice("Removing the RDB file used to feed replicas in a persistence-less instance");
    unlink(snapshot_name());
}

/* --- Coming and going ------------------------------------------------------------------------ */

static void log_wait(const struct feed *feed) {
    bool is_delayed = sync_options.diskless && (feed->flags & FEED_EOF) && sync_options.delay_s;
    if (sync_status.sends)
        log_notice("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC");
    else if (saves)
        log_notice("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC");
    else if (child_running() != CHILD_NONE)
        log_notice("No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed");
    else if (is_delayed)
        log_notice("Delay next BGSAVE for diskless SYNC");
}

void sync_join(struct feed *feed) {
    char name[FEED_IP_MAX];
    int no = 0;
    if (sync_options.disables_nodelay)
        setsockopt(feed->client->conn.source.fd, IPPROTO_TCP, TCP_NODELAY, &no, sizeof no);
    feed->not_before_ms = backoff_until_ms(feed_name(feed, name));
    if (!(feed->flags & FEED_RDB_ONLY)) backlog_drop_place(name); /* it has no data that could go on there */
    if (join_save(feed)) return;
    feed->state = FEED_WAITS_START;
    log_wait(feed);
    count_waiting();
}

void sync_start_due(void) {
    struct batch batch;
    if (child_running() != CHILD_NONE || loading_is_active()) return;
    if (!next_due(&batch)) return;
    if (is_diskless(&batch))
        start_transfer(&batch);
    else
        start_save(&batch);
    count_waiting();
}

/* The child holds its socket; or held that of its second connection, which may have closed with all of the snapshot. */
static bool wants_child(const struct feed *feed) {
    return is_held(feed) || (feed->state == FEED_STREAMS && feed->other == NULL);
}

static void end_useless_child(void) {
    if (!sync_status.sends || any(wants_child)) return;
    log_warning("Diskless rdb transfer, last replica dropped, killing fork child.");
    child_kill();
}

static void forget_child(struct feed *feed) {
    bool may_be_done = (feed->flags & FEED_IS_CHANNEL) && feed->other;
    if (may_be_done) return;
    feed->flags &= ~(unsigned)FEED_HOLDS;
    end_useless_child();
}

/* A save point wants the file too. */
static void forget_save(void) {
    if (!saves || any(waits_for_file) || bgsave_has_points()) return;
    child_kill();
}

static void sync_forget(struct client *c) {
    struct feed *feed = c->feed;
    if (feed == NULL || !(c->flags & CLIENT_REPLICA)) return;
    enum feed_state state = feed->state;
    feed->state = FEED_ANNOUNCES; /* it counts no more */
    if (feed->flags & FEED_HOLDS)
        forget_child(feed);
    else if (state == FEED_STREAMS)
        end_useless_child();
    else if (state == FEED_WAITS_END)
        forget_save();
    else if (state == FEED_WAITS_START)
        count_waiting();
}

static const struct client_part part = {.forget = sync_forget};

/* --- Each second ----------------------------------------------------------------------------- */

/* A replica that waits hears that its primary lives. */
static void say_newlines(void) {
    struct iovec newline = {(void *)"\n", 1};
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        if (feed->state == FEED_WAITS_START || waits_for_file(feed)) conn_send_pieces(&feed->client->conn, &newline, 1);
}

void sync_tick(void) {
    say_newlines();
    remove_file();
}

/* --- Options --------------------------------------------------------------------------------- */

static void sync_begin(void) {
    bgsave_done = save_ended;
}

static const struct option sync_rows[] = {
    {"repl-diskless-sync", .type = OPTION_BOOL, .address = &sync_options.diskless, .initial = "yes"},
    {"repl-diskless-sync-delay", .type = OPTION_INT, .address = &sync_options.delay_s, .initial = "5"},
    {"repl-diskless-sync-max-replicas", .type = OPTION_INT, .address = &sync_options.max_replicas, .initial = "0"},
    {"repl-disable-tcp-nodelay", .type = OPTION_BOOL, .address = &sync_options.disables_nodelay, .initial = "no"},
    {"rdb-del-sync-files", .type = OPTION_BOOL, .address = &intake_options.deletes_files, .initial = "no"},
    {NULL},
};

const struct module sync_module = {.options = sync_rows, .part = &part, .start = sync_begin};
