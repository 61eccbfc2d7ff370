/* See role.h. A change of role is quick and waits for nothing: the link is built in the background, the data stay, and
 * what the log has stays too, so that both sides may continue where they are.
 *
 * Invariant: role_replica tells whether `primary` is set; all that depends on it (gates, expiry, eviction, the targets
 * of what is executed here, the log's letter, the OOM score) is set by fit_role() and nowhere else. */
#include "repl/role.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "catalog/command_row.h"
#include "durable/loading.h"
#include "exec/block.h"
#include "exec/memory.h"
#include "exec/propagate.h"
#include "oplog/oplog.h"
#include "process/oom.h"
#include "repl/backlog.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/link.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/expire.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 256 /* bytes of a name, with its terminator */

bool role_replica;
struct role_options role_options;
void (*role_history_changed)(void);
bool (*role_is_changing)(void);

static struct {
    char host[HOST_MAX]; /* "": this server is a primary */
    int port;
} primary;

static bool started;   /* the dataset is loaded, so a link may be built */
static bool redirects; /* a client has said CLIENT CAPA redirect */
static bool was_up;    /* since it became a replica, it has had a link */

const char *role_host(void) {
    return primary.host;
}

int role_port(void) {
    return primary.port;
}

bool role_is_stale(void) {
    return role_replica && link_status.state != LINK_UP;
}

int64_t role_down_s(void) {
    return was_up ? (clock_steady_ms() - link_status.down_ms) / 1000 : -1;
}

/* --- Gates ----------------------------------------------------------------------------------- */

static const struct gate readonly_gate = {
    .stops = CMD_WRITE, .error = "READONLY You can't write against a read only replica.", .stops_calls = CMD_WRITE};

static const struct gate stale_gate = {
    .passes = CMD_STALE,
    .error = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    .stops_calls = GATES_ANY,
    .call_error = "ERR Can not execute the command on a stale replica"};

#define USES_KEYS (CMD_WRITE | CMD_READONLY)

/* A client that follows redirections uses keys on the primary only, or reads them here after READONLY. */
static bool is_for_primary(const struct request *r, unsigned flags) {
    unsigned which = r->client->flags & (CLIENT_REDIRECTS | CLIENT_READS_HERE);
    if (!(which & CLIENT_REDIRECTS)) return false;
    return (flags & CMD_WRITE) || ((flags & CMD_READONLY) && !(which & CLIENT_READS_HERE));
}

static char redirection[2 * HOST_MAX + 32];
static const struct gate redirect_gate = {.stops = USES_KEYS, .holds = is_for_primary, .error = redirection};
static const struct gate undecided_gate = {.stops = USES_KEYS, .holds = is_for_primary}; /* requests wait */
static bool undecided;                                                                   /* role_hold_redirects() */

/* A gate's error is a format: a host that has a percent sign (an IPv6 zone) must not be one. */
static void print_redirection(void) {
    size_t n = (size_t)snprintf(redirection, sizeof redirection, "REDIRECT ");
    for (const char *at = primary.host; *at; at++) {
        if (*at == '%') redirection[n++] = '%';
        redirection[n++] = *at;
    }
    snprintf(redirection + n, sizeof redirection - n, ":%d", primary.port);
}

static void fit_gates(void) {
    bool redirecting = role_replica && redirects, stale = role_is_stale() && !role_options.serves_stale;
    if (redirecting) print_redirection();
    gates_set(GATES_REDIRECT, !redirecting ? NULL : undecided ? &undecided_gate : &redirect_gate);
    gates_set(GATES_READONLY, role_replica && role_options.read_only ? &readonly_gate : NULL);
    gates_set(GATES_STALE, stale ? &stale_gate : NULL);
}

void role_hold_redirects(bool hold) {
    undecided = hold;
    fit_gates();
}

/* --- Changes of role ------------------------------------------------------------------------- */

static void fit_role(void) {
    role_replica = primary.host[0] != '\0';
    log_set_role(role_replica ? 'S' : 'M');
    oom_set_replica(role_replica);
    expire_hold(EXPIRE_REPLICA, role_replica);
    memory_ignore_limit(role_replica && role_options.ignores_maxmemory);
    propagate_local_only(role_replica);
    loading_keeps_expired = role_replica;
    fit_gates();
}

static void tell_history_changed(void) {
    if (role_history_changed) role_history_changed();
}

static void reply_unblocked(struct client *c) {
    reply_error(c, "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)");
}

static void keep_place(void) {
    log_notice("Before turning into a replica, using my own master parameters to synthesize a cached master: I may be "
               "able to synchronize with the new master with just a partial transfer.");
    link_keep_place();
}

static void set_primary(const char *host, int port) {
    snprintf(primary.host, sizeof primary.host, "%s", host);
    primary.port = port;
}

/* Clients that wait for a key wait for a write that will not come. */
static void follow(const char *host, int port, void (*begin)(const char *host, int port)) {
    bool was_primary = !role_replica;
    block_end_all(reply_unblocked);
    if (was_primary) keep_place();
    set_primary(host, port);
    fit_role();
    backlog_start(false);
    begin(primary.host, primary.port);
    tell_history_changed();
}

void role_follow(const char *host, int port) {
    follow(host, port, link_begin);
}

void role_hand_over(const char *host, int port) {
    follow(host, port, link_hand_over);
}

/* The replicas of a replica that is promoted ask again, to learn the new id. They miss nothing. */
void role_promote(void) {
    if (!role_replica) return;
    link_end();
    history_branch();
    log_notice("Setting secondary replication ID to %s, valid up to offset: %lld. New replication ID is %s",
               history.former_id, (long long)history.former_end, history.id);
    feed_close_subreplicas();
    oplog_forget_db();
    backlog_touch();
    set_primary("", 0);
    was_up = false;
    fit_role();
    tell_history_changed();
}

/* --- What the link and the files tell -------------------------------------------------------- */

static void role_link_changed(void) {
    if (link_status.state == LINK_UP) was_up = true;
    fit_gates();
}

/* The replicas of a replica ask again, and so learn the history of its data. */
static void role_link_history_changed(void) {
    feed_close_subreplicas();
    tell_history_changed();
}

/* The files tell of which history the data are. A replica goes on in it, a primary branches off. */
static void role_recalled(const struct loading_place *place) {
    if (role_replica)
        history_adopt(slice_cstr(place->id));
    else
        history_recall(place->id, place->offset + 1);
    oplog_restart(place->offset, place->db);
    if (role_replica) history_recall_former(&place->former);
    backlog_start(false);
    if (role_replica) link_keep_place();
}

void role_start(void) {
    started = true;
    if (!role_replica) return;
    backlog_start(false);
    link_begin(primary.host, primary.port);
}

static void role_prepare(void) {
    history_start();
    link_changed = role_link_changed;
    link_history_changed = role_link_history_changed;
    loading_recalled = role_recalled;
    fit_role();
}

/* --- REPLICAOF ------------------------------------------------------------------------------- */

static bool names_nobody(const char *host, const char *port) {
    return strcasecmp(host, "no") == 0 && strcasecmp(port, "one") == 0;
}

/* A line of the log with the client that asked for the change, as CLIENT LIST shows it. */
static void log_change(struct client *c, const char *what) {
    struct buf line = {0};
    client_describe(c, (struct client_executing){0}, &line);
    log_notice("%s (user request from '%.*s')", what, (int)line.len, line.data);
    buf_free(&line);
}

static void replicaof_nobody(struct request *r) {
    if (role_replica) {
        role_promote();
        log_change(r->client, "MASTER MODE enabled");
    }
    reply_ok(r->client);
}

static bool is_followed(const char *host, int64_t port) {
    return role_replica && strcasecmp(primary.host, host) == 0 && primary.port == port;
}

static void replicaof_server(struct request *r, const char *host) {
    struct client *c = r->client;
    char what[HOST_MAX + 64];
    int64_t port;
    if (!num_parse_i64(r->argv[2], &port) || port < 0 || port > 65535) {
        reply_error(c, "ERR Invalid master port");
    } else if (is_followed(host, port)) {
        log_notice("REPLICAOF would result into synchronization with the master we are already connected with. No "
                   "operation performed.");
        reply_status(c, "OK Already connected to specified master");
    } else {
        role_follow(host, (int)port);
        snprintf(what, sizeof what, "REPLICAOF %s:%d enabled", host, (int)port);
        log_change(c, what);
        reply_ok(c);
    }
}

/* The host as a C string. False: it is none, or too long. */
static bool copy_host(struct slice word, char host[HOST_MAX]) {
    if (word.len == 0 || word.len >= HOST_MAX || memchr(word.ptr, '\0', word.len)) return false;
    memcpy(host, word.ptr, word.len);
    host[word.len] = '\0';
    return true;
}

/* REPLICAOF host port | NO ONE */
static void replicaof(struct request *r) {
    struct client *c = r->client;
    char host[HOST_MAX];
    if (role_is_changing && role_is_changing())
        reply_error(c, "ERR REPLICAOF not allowed while failing over.");
    else if (slice_is(r->argv[1], "no") && slice_is(r->argv[2], "one"))
        replicaof_nobody(r);
    else if (c->flags & CLIENT_REPLICA)
        reply_error(c, "ERR Command is not valid when client is a replica.");
    else if (!copy_host(r->argv[1], host))
        reply_error(c, "ERR Invalid master host");
    else
        replicaof_server(r, host);
}

/* --- ROLE ------------------------------------------------------------------------------------ */

static void role_as_replica(struct client *c) {
    const char *state = link_state_name();
    reply_array(c, 5);
    reply_bulk_cstr(c, "slave");
    reply_bulk_cstr(c, primary.host);
    reply_int(c, primary.port);
    reply_bulk_cstr(c, state[0] ? state : "connect");
    reply_int(c, link_status.state == LINK_UP ? oplog_end() : -1);
}

static void role_as_primary(struct client *c) {
    reply_array(c, 3);
    reply_bulk_cstr(c, "master");
    reply_int(c, oplog_end());
    size_t count = 0, place = reply_hold(c);
    for (const struct feed *feed = feed_first; feed; feed = feed->next) {
        char ip[FEED_IP_MAX];
        if (!feed_is_online(feed) || (feed->flags & FEED_IS_CHANNEL)) continue;
        reply_array(c, 3);
        reply_bulk_cstr(c, feed_ip(feed, ip));
        reply_bulk_int(c, feed->port);
        reply_bulk_int(c, feed->acked);
        count++;
    }
    reply_array_at(c, place, count);
}

static void role(struct request *r) {
    if (role_replica)
        role_as_replica(r->client);
    else
        role_as_primary(r->client);
}

/* --- Redirections: CLIENT CAPA, READONLY, READWRITE ------------------------------------------ */

/* Newer clients may tell capabilities that are not known here. */
void role_command_capa(struct request *r) {
    for (int i = 2; i < r->argc; i++) {
        if (!slice_is(r->argv[i], "redirect")) continue;
        r->client->flags |= CLIENT_REDIRECTS;
        redirects = true;
        fit_gates();
    }
    reply_ok(r->client);
}

/* In a cluster these are for every client; here, for one that follows redirections. */
static void set_reading(struct request *r, bool here) {
    struct client *c = r->client;
    if (!(c->flags & CLIENT_REDIRECTS)) {
        reply_error(c, "ERR This instance has cluster support disabled");
        return;
    }
    client_clear(c, CLIENT_READS_HERE);
    if (here) c->flags |= CLIENT_READS_HERE;
    reply_ok(c);
}

static void readonly(struct request *r) {
    set_reading(r, true);
}

static void readwrite(struct request *r) {
    set_reading(r, false);
}

/* --- Rows ------------------------------------------------------------------------------------ */

static bool set_replicaof(const char *const *words, int count, const char **error) {
    int64_t port;
    *error = "wrong number of arguments";
    if (count != 2) return false;
    if (names_nobody(words[0], words[1])) {
        set_primary("", 0);
        return true;
    }
    *error = "Invalid master port";
    if (!num_parse_i64(slice_cstr(words[1]), &port) || port < 0 || port > 65535) return false;
    *error = "Invalid master host";
    if (words[0][0] == '\0' || strlen(words[0]) >= HOST_MAX) return false;
    set_primary(words[0], (int)port);
    return true;
}

static void get_replicaof(struct buf *out) {
    if (primary.host[0]) buf_printf(out, "%s %d", primary.host, primary.port);
}

static void write_replicaof_line(struct buf *out) {
    if (primary.host[0]) buf_printf(out, "replicaof %s %d\n", primary.host, primary.port);
}

static bool apply_role(const char **error) {
    (void)error;
    if (started) fit_role();
    return true;
}

static const struct option role_rows[] = {
    {"replicaof", .alias = "slaveof", .type = OPTION_CUSTOM, .flags = OPTION_MULTI | OPTION_IMMUTABLE,
     .initial = "no one", .set = set_replicaof, .get = get_replicaof, .lines = write_replicaof_line},
    {"replica-read-only", .alias = "slave-read-only", .type = OPTION_BOOL, .address = &role_options.read_only,
     .initial = "yes", .apply = apply_role},
    {"replica-serve-stale-data", .alias = "slave-serve-stale-data", .type = OPTION_BOOL,
     .address = &role_options.serves_stale, .initial = "yes", .apply = apply_role},
    {"replica-ignore-maxmemory", .alias = "slave-ignore-maxmemory", .type = OPTION_BOOL,
     .address = &role_options.ignores_maxmemory, .initial = "yes", .apply = apply_role},
    {"replica-announced", .type = OPTION_BOOL, .address = &role_options.announced, .initial = "yes"},
    {"replica-priority", .alias = "slave-priority", .type = OPTION_INT, .address = &role_options.priority,
     .initial = "100"},
    {NULL},
};

#define REPLICAOF_SYNTAX "args:(host-port:(host port:integer) | no-one:(no=NO ONE))"
#define REPLICAOF_FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING)

static const struct command role_commands[] = {
    {"replicaof", replicaof, 3, .flags = REPLICAOF_FLAGS, .group = GROUP_SERVER, .since = "5.0.0",
     .summary = "Make this server the replica of another one, or a primary.", .syntax = REPLICAOF_SYNTAX},
    {"slaveof", replicaof, 3, .flags = REPLICAOF_FLAGS, .group = GROUP_SERVER, .since = "1.0.0",
     .summary = "Make this server the replica of another one, or a primary.", .syntax = REPLICAOF_SYNTAX,
     .deprecated = "5.0.0|`REPLICAOF`"},
    {"role", role, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_ADMIN | ACL_DANGEROUS,
     .group = GROUP_SERVER, .since = "2.8.12", .summary = "Tell whether this server is a primary or a replica.",
     .complexity = "O(n) for n replicas"},
    {"readonly", readonly, 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_CONNECTION,
     .group = GROUP_CLUSTER, .since = "3.0.0",
     .summary = "Let this connection, which follows redirections, read from a replica."},
    {"readwrite", readwrite, 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_CONNECTION,
     .group = GROUP_CLUSTER, .since = "3.0.0", .summary = "Send this connection to the primary again, after READONLY."},
    {NULL},
};

const struct module role_module = {.options = role_rows, .commands = role_commands, .start = role_prepare};
