#include "server/planned.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/num.h"
#include "server/permit.h"
#include <string.h>
#include <strings.h>

/* --- replicaof: "host port", or "no one" ----------------------------------------------------- */

static struct {
    char host[256]; /* "": none */
    int port;
} primary;

static bool set_replicaof(const char *const *words, int count, const char **error) {
    static bool registered;
    int64_t port;
    bool initial = !registered;
    registered = true;
    *error = "wrong number of arguments";
    if (count != 2) return initial;
    if (strcasecmp(words[0], "no") == 0 && strcasecmp(words[1], "one") == 0) {
        primary.host[0] = '\0';
        return true;
    }
    *error = "Invalid master port";
    if (!num_parse_i64(slice_cstr(words[1]), &port) || port < 0 || port > 65535) return false;
    *error = "Invalid master host";
    if (strlen(words[0]) >= sizeof primary.host) return false;
    strcpy(primary.host, words[0]);
    primary.port = (int)port;
    return true;
}

static void get_replicaof(struct buf *out) {
    if (primary.host[0]) buf_printf(out, "%s %d", primary.host, primary.port);
}

static void write_replicaof_line(struct buf *out) {
    if (primary.host[0]) buf_printf(out, "replicaof %s %d\n", primary.host, primary.port);
}

/* --- rows ------------------------------------------------------------------------------------ */

static const struct option_name propagation_errors[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {NULL, 0}};
static const struct option_name diskless_load[] = {{"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {NULL, 0}};
static const struct option_name endpoints[] = {{"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {NULL, 0}};
static const struct option_name sanitize[] = {{"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};
static const struct option_name auth_clients[] = {{"no", 0}, {"yes", 1}, {"optional", 2}, {NULL, 0}};
static const struct option_name pubsub_default[] = {{"allchannels", 1}, {"resetchannels", 0}, {NULL, 0}};

/* A kept value has no other home than its row: an unnamed static object. */
#define KEPT(n, a, t, i, f) .name = n, .alias = a, .type = t, .initial = i, .flags = f
#define KEPT_BOOL(n, a, i, f)                               \
    {                                                       \
        KEPT(n, a, OPTION_BOOL, i, f), .address = &(bool) { \
            0                                               \
        }                                                   \
    }
#define KEPT_INT(n, a, i, lo, hi, f) \
    { KEPT(n, a, OPTION_INT, i, f), .address = &(int){0}, .min = lo, .max = hi }
#define KEPT_I64(n, a, i, lo, hi, f) \
    { KEPT(n, a, OPTION_I64, i, f), .address = &(int64_t){0}, .min = lo, .max = hi }
#define KEPT_MEMORY(n, a, i, lo, hi, f) \
    { KEPT(n, a, OPTION_MEMORY, i, f), .address = &(int64_t){0}, .min = lo, .max = hi }
#define KEPT_STRING(n, a, i, f)                                 \
    {                                                           \
        KEPT(n, a, OPTION_STRING, i, f), .address = &(char *) { \
            NULL                                                \
        }                                                       \
    }
#define KEPT_BYTES(n, a, i, f)                                       \
    {                                                                \
        KEPT(n, a, OPTION_BYTES, i, f), .address = &(struct slice) { \
            NULL, 0                                                  \
        }                                                            \
    }
#define KEPT_ENUM(n, a, i, list, f) \
    { KEPT(n, a, OPTION_ENUM, i, f), .address = &(int){0}, .names = list }

const struct option planned_rows[] = {
    /* memory */
    KEPT_MEMORY("maxmemory", NULL, "0", 0, INT64_MAX, OPTION_PLANNED),
    KEPT_MEMORY("maxmemory-clients", NULL, "0", -100, INT64_MAX, OPTION_PLANNED | OPTION_PERCENT),
    KEPT_INT("maxmemory-samples", NULL, "5", 1, INT32_MAX, 0),
    KEPT_INT("maxmemory-eviction-tenacity", NULL, "10", 0, 100, 0),
    KEPT_BOOL("lazyfree-lazy-eviction", NULL, "no", 0),
    KEPT_BOOL("lazyfree-lazy-server-del", NULL, "no", 0),
    KEPT_BOOL("lazyfree-lazy-user-del", NULL, "no", 0),
    KEPT_BOOL("lazyfree-lazy-user-flush", NULL, "no", 0),
    KEPT_INT("active-expire-effort", NULL, "1", 1, 10, 0),
    KEPT_BOOL("activerehashing", NULL, "yes", 0),
    KEPT_BOOL("activedefrag", NULL, "no", OPTION_PLANNED),
    KEPT_MEMORY("active-defrag-ignore-bytes", NULL, "104857600", 1, INT64_MAX, 0),
    KEPT_INT("active-defrag-threshold-lower", NULL, "10", 0, 1000, 0),
    KEPT_INT("active-defrag-threshold-upper", NULL, "100", 0, 1000, 0),
    KEPT_INT("active-defrag-cycle-min", NULL, "1", 1, 99, 0),
    KEPT_INT("active-defrag-cycle-max", NULL, "25", 1, 99, 0),
    KEPT_I64("active-defrag-max-scan-fields", NULL, "1000", 1, INT64_MAX, 0),

    /* streams */
    KEPT_MEMORY("stream-node-max-bytes", NULL, "4096", 0, INT64_MAX, OPTION_PLANNED),
    KEPT_I64("stream-node-max-entries", NULL, "100", 0, INT64_MAX, OPTION_PLANNED),

    /* persistence */
    KEPT_ENUM("sanitize-dump-payload", NULL, "no", sanitize, 0),
    KEPT_BOOL("rdb-del-sync-files", NULL, "no", 0),
    KEPT_ENUM("propagation-error-behavior", NULL, "ignore", propagation_errors, 0),

    /* replication */
    {.name = "replicaof",
     .alias = "slaveof",
     .type = OPTION_CUSTOM,
     .flags = OPTION_MULTI | OPTION_IMMUTABLE | OPTION_PLANNED,
     .initial = "",
     .set = set_replicaof,
     .get = get_replicaof,
     .lines = write_replicaof_line},
    KEPT_STRING("masteruser", NULL, "", OPTION_PLANNED | OPTION_EMPTY_IS_NULL),
    KEPT_BYTES("masterauth", NULL, "", OPTION_PLANNED | OPTION_SENSITIVE | OPTION_EMPTY_IS_NULL),
    KEPT_BOOL("replica-read-only", "slave-read-only", "yes", 0),
    KEPT_BOOL("replica-serve-stale-data", "slave-serve-stale-data", "yes", 0),
    KEPT_BOOL("replica-ignore-maxmemory", "slave-ignore-maxmemory", "yes", 0),
    KEPT_BOOL("replica-lazy-flush", "slave-lazy-flush", "no", 0),
    KEPT_BOOL("replica-announced", NULL, "yes", 0),
    KEPT_BOOL("replica-ignore-disk-write-errors", NULL, "no", 0),
    KEPT_INT("replica-priority", "slave-priority", "100", 0, INT32_MAX, 0),
    KEPT_STRING("replica-announce-ip", "slave-announce-ip", "", OPTION_EMPTY_IS_NULL),
    KEPT_INT("replica-announce-port", "slave-announce-port", "0", 0, 65535, 0),
    KEPT_BOOL("repl-diskless-sync", NULL, "yes", 0),
    KEPT_INT("repl-diskless-sync-delay", NULL, "5", 0, INT32_MAX, 0),
    KEPT_INT("repl-diskless-sync-max-replicas", NULL, "0", 0, INT32_MAX, 0),
    KEPT_ENUM("repl-diskless-load", NULL, "disabled", diskless_load, OPTION_DENY_LOADING),
    KEPT_BOOL("repl-disable-tcp-nodelay", NULL, "no", 0),
    KEPT_INT("repl-timeout", NULL, "60", 1, INT32_MAX, 0),
    KEPT_INT("repl-ping-replica-period", "repl-ping-slave-period", "10", 1, INT32_MAX, 0),
    KEPT_MEMORY("repl-backlog-size", NULL, "1048576", 1, INT64_MAX, 0),
    KEPT_I64("repl-backlog-ttl", NULL, "3600", 0, INT64_MAX, 0),
    KEPT_INT("min-replicas-to-write", "min-slaves-to-write", "0", 0, INT32_MAX, OPTION_PLANNED),
    KEPT_INT("min-replicas-max-lag", "min-slaves-max-lag", "10", 0, INT32_MAX, 0),

    /* cluster */
    KEPT_BOOL("cluster-enabled", NULL, "no", OPTION_IMMUTABLE | OPTION_PLANNED),
    KEPT_STRING("cluster-config-file", NULL, "nodes.conf", OPTION_IMMUTABLE),
    KEPT_I64("cluster-node-timeout", NULL, "15000", 0, INT64_MAX, 0),
    KEPT_INT("cluster-port", NULL, "0", 0, 65535, OPTION_IMMUTABLE),
    KEPT_INT("cluster-migration-barrier", NULL, "1", 0, INT32_MAX, 0),
    KEPT_INT("cluster-replica-validity-factor", "cluster-slave-validity-factor", "10", 0, INT32_MAX, 0),
    KEPT_BOOL("cluster-replica-no-failover", "cluster-slave-no-failover", "no", 0),
    KEPT_BOOL("cluster-require-full-coverage", NULL, "yes", 0),
    KEPT_BOOL("cluster-allow-reads-when-down", NULL, "no", 0),
    KEPT_BOOL("cluster-allow-pubsubshard-when-down", NULL, "yes", 0),
    KEPT_BOOL("cluster-allow-replica-migration", NULL, "yes", 0),
    KEPT_MEMORY("cluster-link-sendbuf-limit", NULL, "0", 0, INT64_MAX, 0),
    KEPT_ENUM("cluster-preferred-endpoint-type", NULL, "ip", endpoints, 0),
    KEPT_STRING("cluster-announce-ip", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("cluster-announce-hostname", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("cluster-announce-human-nodename", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_INT("cluster-announce-port", NULL, "0", 0, 65535, 0),
    KEPT_INT("cluster-announce-tls-port", NULL, "0", 0, 65535, 0),
    KEPT_INT("cluster-announce-bus-port", NULL, "0", 0, 65535, 0),

    /* TLS */
    KEPT_INT("tls-port", NULL, "0", 0, 65535, OPTION_PLANNED),
    KEPT_BOOL("tls-cluster", NULL, "no", OPTION_PLANNED),
    KEPT_BOOL("tls-replication", NULL, "no", OPTION_PLANNED),
    KEPT_ENUM("tls-auth-clients", NULL, "yes", auth_clients, 0),
    KEPT_STRING("tls-cert-file", NULL, "", OPTION_PLANNED | OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-key-file", NULL, "", OPTION_PLANNED | OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-key-file-pass", NULL, "", OPTION_SENSITIVE | OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-client-cert-file", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-client-key-file", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-client-key-file-pass", NULL, "", OPTION_SENSITIVE | OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-dh-params-file", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-ca-cert-file", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-ca-cert-dir", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-protocols", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-ciphers", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_STRING("tls-ciphersuites", NULL, "", OPTION_EMPTY_IS_NULL),
    KEPT_BOOL("tls-prefer-server-ciphers", NULL, "no", 0),
    KEPT_BOOL("tls-session-caching", NULL, "yes", 0),
    KEPT_INT("tls-session-cache-size", NULL, "20480", 0, INT32_MAX, 0),
    KEPT_INT("tls-session-cache-timeout", NULL, "300", 0, INT32_MAX, 0),

    /* users */
    KEPT_STRING("aclfile", NULL, "", OPTION_IMMUTABLE | OPTION_PLANNED),
    KEPT_I64("acllog-max-len", NULL, "128", 0, INT64_MAX, 0),
    KEPT_ENUM("acl-pubsub-default", NULL, "resetchannels", pubsub_default, 0),

    /* slow log, latency, scripts */
    KEPT_I64("slowlog-log-slower-than", NULL, "10000", -1, INT64_MAX, OPTION_PLANNED),
    KEPT_I64("slowlog-max-len", NULL, "128", 0, INT64_MAX, OPTION_PLANNED),
    KEPT_I64("latency-monitor-threshold", NULL, "0", 0, INT64_MAX, OPTION_PLANNED),
    KEPT_I64("busy-reply-threshold", "lua-time-limit", "5000", 0, INT64_MAX, OPTION_PLANNED),
    KEPT_BOOL("lua-enable-deprecated-api", NULL, "no", OPTION_IMMUTABLE | OPTION_HIDDEN),

    /* threads and the machine */
    KEPT_INT("io-threads", NULL, "1", 1, 128, OPTION_IMMUTABLE | OPTION_PLANNED),
    KEPT_BOOL("io-threads-do-reads", NULL, "no", OPTION_IMMUTABLE | OPTION_PLANNED),
    KEPT_STRING("server_cpulist", NULL, "", OPTION_IMMUTABLE | OPTION_PLANNED | OPTION_EMPTY_IS_NULL),
    KEPT_STRING("bio_cpulist", NULL, "", OPTION_IMMUTABLE | OPTION_PLANNED | OPTION_EMPTY_IS_NULL),
    KEPT_STRING("bind-source-addr", NULL, "", OPTION_PLANNED | OPTION_EMPTY_IS_NULL),
    KEPT_I64("socket-mark-id", NULL, "0", 0, UINT32_MAX, OPTION_IMMUTABLE | OPTION_PLANNED),
    KEPT_ENUM("enable-module-command", NULL, "no", permit_names, OPTION_IMMUTABLE | OPTION_PLANNED),
    KEPT_STRING("ignore-warnings", NULL, "", 0),
    KEPT_BOOL("crash-memcheck-enabled", NULL, "yes", 0),
    KEPT_INT("watchdog-period", NULL, "0", 0, INT32_MAX, OPTION_PLANNED | OPTION_HIDDEN),
    KEPT_MEMORY("loading-process-events-interval-bytes", NULL, "2097152", 1024, INT32_MAX, OPTION_HIDDEN),
    KEPT_BOOL("use-exit-on-panic", NULL, "no", OPTION_HIDDEN),
    {.name = NULL},
};
