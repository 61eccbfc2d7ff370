/* What replicas say: REPLCONF, by which a client tells what it is before it asks for data, then PSYNC or SYNC. From
 * then on it only acknowledges, by REPLCONF ACK; any reply would end up within the stream, so a replica that wants one
 * is disconnected (client_keep_replies()).
 *
 * PSYNC answers straight to the socket, before the reply of any later command. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/words.h"
#include "cmd/args.h"
#include "repl/backlog.h"
#include "repl/failover.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/link.h"
#include "repl/role.h"
#include "repl/sync.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include <stdio.h>
#include <strings.h>

#define ADDRESS_MAX 256 /* bytes of an announced address, as in Redis */

/* --- May it ask? ----------------------------------------------------------------------------- */

/* PSYNC id offset FAILOVER: our primary hands the lead over to us. False: replied. */
static bool take_lead(struct request *r) {
    struct client *c = r->client;
    log_notice("Failover request received for replid %.*s.", r->argv[1].len > 40 ? 40 : (int)r->argv[1].len,
               r->argv[1].ptr);
    if (!role_is_replica()) return args_refuse(c, "ERR PSYNC FAILOVER can't be sent to a master.");
    if (r->argv[1].len != HISTORY_ID_LEN || strncasecmp(r->argv[1].ptr, history.id, HISTORY_ID_LEN) != 0)
        return args_refuse(c, "ERR PSYNC FAILOVER replid must match my replid.");
    struct buf line = {0};
    client_describe(c, (struct client_executing){0}, &line);
    role_promote();
    log_notice("MASTER MODE enabled (failover request from '%.*s')", (int)line.len, line.data);
    buf_free(&line);
    return true;
}

/* Is something on its way to the client, which the answer must not overtake? */
static bool has_pending_output(const struct client *c) {
    return conn_unsent(&c->conn) || conn_range_written();
}

/* False: replied. */
static bool may_sync(struct request *r) {
    struct client *c = r->client;
    const struct feed *feed = feed_of(c);
    if (failover_state() != FAILOVER_NONE) return args_refuse(c, "NOMASTERLINK Can't SYNC while failing over");
    if (role_is_replica() && link_status.state != LINK_UP)
        return args_refuse(c, "NOMASTERLINK Can't SYNC while not connected with my master");
    if (has_pending_output(c)) return args_refuse(c, "ERR SYNC and PSYNC are invalid with pending output");
    if ((feed->flags & (FEED_NO_DATA | FEED_NO_FUNCTIONS)) && !(feed->flags & FEED_EOF))
        return args_refuse(c, "ERR Filtered replica requires EOF capability");
    return true;
}

/* --- A partial sync -------------------------------------------------------------------------- */

static void log_refusal(const char *name, struct slice id, int64_t offset, enum history_match match) {
    if (id.len && id.ptr[0] == '?') {
        log_notice("Full resync requested by replica %s", name);
    } else if (match == HISTORY_LOST) {
        log_notice("Unable to partial resync with replica %s for lack of backlog (Replica request was: %lld).", name,
                   (long long)offset);
        if (offset > oplog_end() + 1)
            log_warning("Warning: replica %s tried to PSYNC with an offset that is greater than the master replication "
                        "offset.",
                        name);
    } else if (id.len == HISTORY_ID_LEN && strncasecmp(id.ptr, history.former_id, id.len) == 0) {
        log_notice("Partial resynchronization not accepted: Requested offset for second ID was %lld, but I can reply "
                   "up to %lld",
                   (long long)offset, (long long)history.former_end);
    } else {
        struct buf quoted = {0};
        buf_append_quoted(&quoted, slice_of(id.ptr, id.len > HISTORY_ID_LEN ? HISTORY_ID_LEN : id.len));
        log_notice("Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '%.*s', my "
                   "replication IDs are '%s' and '%s')",
                   (int)quoted.len - 2, quoted.data + 1, history.id, history.former_id);
        buf_free(&quoted);
    }
}

static void continue_stream(struct feed *feed, int64_t offset) {
    char name[FEED_IP_MAX], line[80];
    bool knows_ids = feed->flags & FEED_PSYNC2;
    int len = snprintf(line, sizeof line, "+CONTINUE%s%s\r\n", knows_ids ? " " : "", knows_ids ? history_tell() : "");
    feed_begin(feed, FEED_ONLINE);
    if (!feed_continue(feed, offset)) { /* history_match() has just found it */
        feed_drop(feed);
        return;
    }
    feed_metrics.sync_partial_ok++;
    log_notice("Partial resynchronization request from %s accepted. Sending %zu bytes of backlog starting from offset "
               "%lld.",
               feed_name(feed, name), feed_behind(feed), (long long)offset + 1);
    if (feed_write(feed, slice_of(line, (size_t)len))) feed_go_online(feed, FEED_ONLINE);
}

/* --- A full sync ----------------------------------------------------------------------------- */

static bool takes_channel(const struct feed *feed) {
    return (feed->flags & FEED_CAN_CHANNEL) && (feed->flags & FEED_EOF) && !(feed->flags & FEED_OLD) &&
           !(feed->flags & FEED_RDB_ONLY) && link_options.rdb_channel && sync_options.diskless;
}

/* The replica is to make a second connection, for the snapshot. */
static void ask_for_channel(struct feed *feed) {
    char line[48];
    int len = snprintf(line, sizeof line, "+RDBCHANNELSYNC %llu\r\n", (unsigned long long)feed->client->id);
    feed_begin(feed, FEED_WAITS_CHANNEL);
    feed_write(feed, slice_of(line, (size_t)len));
}

static struct feed *main_of(const struct feed *channel) {
    struct client *c = client_by_id(channel->main_id);
    struct feed *feed = c ? c->feed : NULL;
    return feed && feed->state == FEED_WAITS_CHANNEL && feed->other == NULL ? feed : NULL;
}

/* The feed is a second connection: its snapshot is for the first one. */
static void join_by_channel(struct feed *feed) {
    struct feed *first = main_of(feed);
    if (first == NULL || !(feed->flags & FEED_EOF)) {
        reply_errorf(feed->client, "ERR No replica waits for its RDB channel with client id %llu",
                     (unsigned long long)feed->main_id);
        return;
    }
    feed_begin(feed, FEED_WAITS_START);
    feed->other = first;
    first->other = feed;
    sync_join(feed);
}

static void sync_fully(struct feed *feed) {
    if (feed->flags & FEED_IS_CHANNEL) {
        join_by_channel(feed);
        return;
    }
    feed_metrics.sync_full++;
    if (!(feed->flags & FEED_RDB_ONLY)) backlog_start(true);
    if (takes_channel(feed)) {
        ask_for_channel(feed);
        return;
    }
    feed_begin(feed, FEED_WAITS_START);
    sync_join(feed);
}

/* --- PSYNC, SYNC ----------------------------------------------------------------------------- */

static bool is_ignored(const struct client *c) {
    return c->flags & (CLIENT_REPLICA | CLIENT_MONITOR);
}

/* True: it goes on where it was. */
static bool try_to_continue(struct feed *feed, struct slice id, int64_t offset) {
    char name[FEED_IP_MAX];
    enum history_match match = history_match(id, offset > 0 ? offset - 1 : -1); /* 0 and less: it has no data */
    if (match == HISTORY_CONTINUES && !(feed->flags & (FEED_IS_CHANNEL | FEED_RDB_ONLY))) {
        continue_stream(feed, offset - 1);
        return true;
    }
    log_refusal(feed_name(feed, name), id, offset, match);
    if (id.len == 0 || id.ptr[0] != '?') feed_metrics.sync_partial_err++;
    return false;
}

/* PSYNC replicationid offset [FAILOVER] */
static void psync(struct request *r) {
    struct client *c = r->client;
    char name[FEED_IP_MAX];
    int64_t offset;
    if (is_ignored(c)) return;
    if (r->argc > 3 && slice_is(r->argv[3], "failover") && !take_lead(r)) return;
    if (!may_sync(r)) return;
    struct feed *feed = feed_of(c);
    log_notice("Replica %s asks for synchronization", feed_name(feed, name));
    if (!args_i64(c, r->argv[2], &offset)) {
        log_warning("Replica %s asks for synchronization but with a wrong offset", name);
        return;
    }
    if (!try_to_continue(feed, r->argv[1], offset)) sync_fully(feed);
}

static void sync_command(struct request *r) {
    struct client *c = r->client;
    char name[FEED_IP_MAX];
    if (is_ignored(c) || !may_sync(r)) return;
    struct feed *feed = feed_of(c);
    log_notice("Replica %s asks for synchronization", feed_name(feed, name));
    feed->flags |= FEED_OLD;
    sync_fully(feed);
}

/* --- REPLCONF -------------------------------------------------------------------------------- */

static void set_flag(struct feed *feed, unsigned flag, bool on) {
    feed->flags = on ? feed->flags | flag : feed->flags & ~flag;
}

static bool read_port(struct feed *feed, struct slice value) {
    int64_t port;
    if (!args_i64(feed->client, value, &port)) return false;
    feed->port = port > 0 && port <= UINT16_MAX ? (int)port : 0;
    return true;
}

/* INFO and the log show the address. */
static bool has_controls(struct slice text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 127) return true;
    return false;
}

static bool read_address(struct feed *feed, struct slice value) {
    if (value.len >= ADDRESS_MAX) {
        reply_errorf(feed->client, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes",
                     value.len);
        return false;
    }
    if (has_controls(value))
        return args_refuse(feed->client, "ERR REPLCONF ip-address provided by replica instance is no address");
    alloc_put_string(feed->announced_ip);
    feed->announced_ip = value.len ? alloc_copy_text(value.ptr, value.len) : NULL;
    return true;
}

/* A capability that is not known is for other servers. */
static bool read_capability(struct feed *feed, struct slice value) {
    if (slice_is(value, "eof")) set_flag(feed, FEED_EOF, true);
    if (slice_is(value, "psync2")) set_flag(feed, FEED_PSYNC2, true);
    if (slice_is(value, "rdb-channel-repl")) set_flag(feed, FEED_CAN_CHANNEL, true);
    return true;
}

static bool read_switch(struct feed *feed, struct slice value, unsigned flag) {
    int64_t on;
    if (!args_i64(feed->client, value, &on)) return false;
    if (on != 0 && on != 1) return args_refuse(feed->client, "ERR value is out of range, value must between 0 and 1");
    set_flag(feed, flag, on);
    return true;
}

static bool read_rdb_only(struct feed *feed, struct slice value) {
    return read_switch(feed, value, FEED_RDB_ONLY);
}

static bool read_channel(struct feed *feed, struct slice value) {
    return read_switch(feed, value, FEED_IS_CHANNEL);
}

static bool read_main_id(struct feed *feed, struct slice value) {
    int64_t id;
    if (!args_i64(feed->client, value, &id)) return false;
    feed->main_id = (uint64_t)id;
    return true;
}

/* The parts of a snapshot that are wanted; all others are left out. */
static bool read_filter(struct feed *feed, struct slice value) {
    struct words words;
    bool ok = true;
    if (!words_split(&words, value)) return args_refuse(feed->client, "ERR Missing rdb-filter-only values");
    set_flag(feed, FEED_NO_DATA | FEED_NO_FUNCTIONS, true);
    for (int i = 0; i < words.count && ok; i++) {
        ok = strcasecmp(words.at[i], "functions") == 0;
        if (ok)
            set_flag(feed, FEED_NO_FUNCTIONS, false);
        else
            reply_errorf(feed->client, "ERR Unsupported rdb-filter-only option: %s", words.at[i]);
    }
    words_free(&words);
    return ok;
}

/* Nothing depends on the version of a replica yet. */
static bool read_version(struct feed *feed, struct slice value) {
    (void)feed;
    (void)value;
    return true;
}

static const struct {
    const char *name;
    bool (*read)(struct feed *feed, struct slice value); /* false: replied */
} options[] = {
    {"listening-port", read_port}, {"ip-address", read_address},        {"capa", read_capability},
    {"rdb-only", read_rdb_only},   {"rdb-filter-only", read_filter},    {"rdb-channel", read_channel},
    {"version", read_version},     {"main-ch-client-id", read_main_id},
};

/* False: replied. */
static bool read_option(struct feed *feed, struct slice name, struct slice value) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (slice_is(name, options[i].name)) return options[i].read(feed, value);
    reply_errorf(feed->client, "ERR Unrecognized REPLCONF option: %.*s", (int)name.len, name.ptr);
    return false;
}

/* REPLCONF ACK offset [FACK offset]: never replied to. */
static void take_ack(const struct request *r, int i) {
    int64_t offset, aof_offset = -1;
    struct client *c = r->client;
    if (!(c->flags & CLIENT_REPLICA) || !num_parse_i64(r->argv[i + 1], &offset)) return;
    bool has_aof = r->argc > i + 3 && slice_is(r->argv[i + 2], "fack");
    if (has_aof && !num_parse_i64(r->argv[i + 3], &aof_offset)) return;
    feed_take_ack(c->feed, offset, aof_offset);
}

/* REPLCONF option value [option value ...] */
static void replconf(struct request *r) {
    struct client *c = r->client;
    if (r->argc % 2 == 0) {
        reply_syntax_error(c);
        return;
    }
    for (int i = 1; i < r->argc; i += 2) {
        if (slice_is(r->argv[i], "ack")) {
            take_ack(r, i);
            return;
        }
        if (slice_is(r->argv[i], "getack")) return; /* a primary's, which repl/apply answers */
        if (c->flags & CLIENT_REPLICA) break;       /* a replica has told its options before */
        if (!read_option(feed_of(c), r->argv[i], r->argv[i + 1])) return;
    }
    reply_ok(c);
}

static const struct command primary_commands[] = {
    {"psync", psync, -3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, .group = GROUP_SERVER,
     .since = "2.8.0", .summary = "Ask for the stream of changes, from a place on if the log still has it.",
     .complexity = "", .syntax = "replicationid offset:integer"},
    {"sync", sync_command, 1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI,
     .group = GROUP_SERVER, .since = "1.0.0", .summary = "Ask for a snapshot, and the stream of changes behind it.",
     .complexity = ""},
    {"replconf", replconf, -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY | CMD_SYSCMD, .group = GROUP_SERVER,
     .since = "3.0.0", .summary = "Tell a primary what its replica is, and what it has applied."},
    {NULL},
};

const struct module primary_commands_module = {.commands = primary_commands};
