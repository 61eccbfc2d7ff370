/* See planned.h. Invariant: nothing reads these values but the register, so the rows have no address. OPTION_MISSING
 * marks those whose absence an operator would notice: the log warns of them. The others tune a feature that is absent,
 * or ask for what kura always does. */
#include "conf/planned.h"
#include "base/buf.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "conf/permit.h"
#include <string.h>
#include <strings.h>

/* --- replicaof: "host port", or "no one" ----------------------------------------------------- */

static struct {
    char host[256]; /* "": none */
    int port;
} primary;

static bool set_replicaof(const char *const *words, int count, const char **error) {
    int64_t port;
    *error = "wrong number of arguments";
    if (count != 2) return false;
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

/* --- Rows ------------------------------------------------------------------------------------ */

static const struct option_name propagation_errors[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {NULL, 0}};
static const struct option_name diskless_load[] = {{"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {NULL, 0}};
static const struct option_name endpoints[] = {{"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {NULL, 0}};
static const struct option_name sanitize[] = {{"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};
static const struct option_name auth_clients[] = {{"no", 0}, {"yes", 1}, {"optional", 2}, {NULL, 0}};
static const struct option_name pubsub_default[] = {{"allchannels", 1}, {"resetchannels", 0}, {NULL, 0}};

static const struct option planned_rows[] = {
    /* memory */
    {"lazyfree-lazy-server-del", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "no"},
    {"lazyfree-lazy-user-del", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "no"},
    {"lazyfree-lazy-user-flush", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "no"},
    {"active-expire-effort", .type = OPTION_INT, .flags = OPTION_HARMLESS, .initial = "1", .min = 1, .max = 10},
    {"dynamic-hz", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "yes"},
    {"activerehashing", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "yes"},
    {"activedefrag", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "no"},
    {"active-defrag-ignore-bytes", .type = OPTION_MEMORY, .flags = OPTION_MISSING, .initial = "104857600", .min = 1},
    {"active-defrag-threshold-lower", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "10", .max = 1000},
    {"active-defrag-threshold-upper", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "100", .max = 1000},
    {"active-defrag-cycle-min", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "1", .min = 1, .max = 99},
    {"active-defrag-cycle-max", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "25", .min = 1, .max = 99},
    {"active-defrag-max-scan-fields", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "1000", .min = 1},

    /* streams */
    {"stream-node-max-bytes", .type = OPTION_MEMORY, .flags = OPTION_MISSING, .initial = "4096"},
    {"stream-node-max-entries", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "100"},

    /* persistence */
    {"sanitize-dump-payload", .type = OPTION_ENUM, .flags = OPTION_HARMLESS, .initial = "no", .names = sanitize},
    {"rdb-del-sync-files", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "no"},
    {"propagation-error-behavior", .type = OPTION_ENUM, .flags = OPTION_MISSING, .initial = "ignore",
     .names = propagation_errors},

    /* replication */
    {"replicaof", .alias = "slaveof", .type = OPTION_CUSTOM,
     .flags = OPTION_PROTECTIVE | OPTION_MULTI | OPTION_IMMUTABLE, .initial = "no one", .set = set_replicaof,
     .get = get_replicaof, .lines = write_replicaof_line},
    {"masteruser", .type = OPTION_STRING, .flags = OPTION_MISSING, .initial = ""},
    {"masterauth", .type = OPTION_BYTES, .flags = OPTION_PROTECTIVE | OPTION_SENSITIVE, .initial = ""},
    {"replica-read-only", .alias = "slave-read-only", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "yes"},
    {"replica-serve-stale-data", .alias = "slave-serve-stale-data", .type = OPTION_BOOL, .flags = OPTION_MISSING,
     .initial = "yes"},
    {"replica-ignore-maxmemory", .alias = "slave-ignore-maxmemory", .type = OPTION_BOOL, .flags = OPTION_MISSING,
     .initial = "yes"},
    {"replica-lazy-flush", .alias = "slave-lazy-flush", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "no"},
    {"replica-announced", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "yes"},
    {"replica-ignore-disk-write-errors", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "no"},
    {"replica-priority", .alias = "slave-priority", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "100"},
    {"replica-announce-ip", .alias = "slave-announce-ip", .type = OPTION_STRING, .flags = OPTION_MISSING,
     .initial = ""},
    {"replica-announce-port", .alias = "slave-announce-port", .type = OPTION_INT, .flags = OPTION_MISSING,
     .initial = "0", .max = 65535},
    {"repl-diskless-sync", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "yes"},
    {"repl-diskless-sync-delay", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "5"},
    {"repl-diskless-sync-max-replicas", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "0"},
    {"repl-diskless-load", .type = OPTION_ENUM, .flags = OPTION_MISSING | OPTION_DENY_LOADING, .initial = "disabled",
     .names = diskless_load},
    {"repl-disable-tcp-nodelay", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "no"},
    {"repl-timeout", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "60", .min = 1},
    {"repl-ping-replica-period", .alias = "repl-ping-slave-period", .type = OPTION_INT, .flags = OPTION_MISSING,
     .initial = "10", .min = 1},
    {"repl-backlog-size", .type = OPTION_MEMORY, .flags = OPTION_MISSING, .initial = "1048576", .min = 1},
    {"repl-backlog-ttl", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "3600"},
    {"min-replicas-to-write", .alias = "min-slaves-to-write", .type = OPTION_INT, .flags = OPTION_PROTECTIVE,
     .initial = "0"},
    {"min-replicas-max-lag", .alias = "min-slaves-max-lag", .type = OPTION_INT, .flags = OPTION_MISSING,
     .initial = "10"},

    /* cluster */
    {"cluster-enabled", .type = OPTION_BOOL, .flags = OPTION_PROTECTIVE | OPTION_IMMUTABLE, .initial = "no"},
    {"cluster-config-file", .type = OPTION_STRING, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = "nodes.conf"},
    {"cluster-node-timeout", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "15000"},
    {"cluster-port", .type = OPTION_INT, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = "0", .max = 65535},
    {"cluster-migration-barrier", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "1"},
    {"cluster-replica-validity-factor", .alias = "cluster-slave-validity-factor", .type = OPTION_INT,
     .flags = OPTION_MISSING, .initial = "10"},
    {"cluster-replica-no-failover", .alias = "cluster-slave-no-failover", .type = OPTION_BOOL, .flags = OPTION_MISSING,
     .initial = "no"},
    {"cluster-require-full-coverage", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "yes"},
    {"cluster-allow-reads-when-down", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "no"},
    {"cluster-allow-pubsubshard-when-down", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "yes"},
    {"cluster-allow-replica-migration", .type = OPTION_BOOL, .flags = OPTION_MISSING, .initial = "yes"},
    {"cluster-link-sendbuf-limit", .type = OPTION_MEMORY, .flags = OPTION_MISSING, .initial = "0"},
    {"cluster-preferred-endpoint-type", .type = OPTION_ENUM, .flags = OPTION_MISSING, .initial = "ip",
     .names = endpoints},
    {"cluster-announce-ip", .type = OPTION_STRING, .flags = OPTION_MISSING, .initial = ""},
    {"cluster-announce-hostname", .type = OPTION_STRING, .flags = OPTION_MISSING, .initial = ""},
    {"cluster-announce-human-nodename", .type = OPTION_STRING, .flags = OPTION_MISSING, .initial = ""},
    {"cluster-announce-port", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "0", .max = 65535},
    {"cluster-announce-tls-port", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "0", .max = 65535},
    {"cluster-announce-bus-port", .type = OPTION_INT, .flags = OPTION_MISSING, .initial = "0", .max = 65535},

    /* TLS */
    {"tls-port", .type = OPTION_INT, .flags = OPTION_PROTECTIVE, .initial = "0", .max = 65535},
    {"tls-cluster", .type = OPTION_BOOL, .flags = OPTION_PROTECTIVE, .initial = "no"},
    {"tls-replication", .type = OPTION_BOOL, .flags = OPTION_PROTECTIVE, .initial = "no"},
    {"tls-auth-clients", .type = OPTION_ENUM, .flags = OPTION_PROTECTIVE, .initial = "yes", .names = auth_clients},
    {"tls-cert-file", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-key-file", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-key-file-pass", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE | OPTION_SENSITIVE, .initial = ""},
    {"tls-client-cert-file", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-client-key-file", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-client-key-file-pass", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE | OPTION_SENSITIVE, .initial = ""},
    {"tls-dh-params-file", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-ca-cert-file", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-ca-cert-dir", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-protocols", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-ciphers", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-ciphersuites", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE, .initial = ""},
    {"tls-prefer-server-ciphers", .type = OPTION_BOOL, .flags = OPTION_PROTECTIVE, .initial = "no"},
    {"tls-session-caching", .type = OPTION_BOOL, .flags = OPTION_PROTECTIVE, .initial = "yes"},
    {"tls-session-cache-size", .type = OPTION_INT, .flags = OPTION_PROTECTIVE, .initial = "20480"},
    {"tls-session-cache-timeout", .type = OPTION_INT, .flags = OPTION_PROTECTIVE, .initial = "300"},

    /* users */
    {"aclfile", .type = OPTION_STRING, .flags = OPTION_PROTECTIVE | OPTION_IMMUTABLE, .initial = ""},
    {"acllog-max-len", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "128"},
    {"acl-pubsub-default", .type = OPTION_ENUM, .flags = OPTION_MISSING, .initial = "resetchannels",
     .names = pubsub_default},

    /* slow log, latency, scripts */
    {"slowlog-log-slower-than", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "10000", .min = -1},
    {"slowlog-max-len", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "128"},
    {"latency-monitor-threshold", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "0"},
    {"busy-reply-threshold", .alias = "lua-time-limit", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "5000"},
    {"lua-enable-deprecated-api", .type = OPTION_BOOL, .flags = OPTION_MISSING | OPTION_IMMUTABLE | OPTION_HIDDEN,
     .initial = "no"},

    /* threads and the machine */
    {"io-threads", .type = OPTION_INT, .flags = OPTION_HARMLESS | OPTION_IMMUTABLE, .initial = "1", .min = 1,
     .max = 128},
    {"io-threads-do-reads", .type = OPTION_BOOL, .flags = OPTION_HARMLESS | OPTION_IMMUTABLE, .initial = "no"},
    {"server_cpulist", .type = OPTION_STRING, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = ""},
    {"bio_cpulist", .type = OPTION_STRING, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = ""},
    {"bind-source-addr", .type = OPTION_STRING, .flags = OPTION_MISSING, .initial = ""},
    {"socket-mark-id", .type = OPTION_I64, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = "0",
     .max = UINT32_MAX},
    {"enable-module-command", .type = OPTION_ENUM, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = "no",
     .names = permit_names},
    {"ignore-warnings", .type = OPTION_STRING, .flags = OPTION_HARMLESS, .initial = ""},
    {"crash-memcheck-enabled", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "yes"},
    {"watchdog-period", .type = OPTION_INT, .flags = OPTION_MISSING | OPTION_HIDDEN, .initial = "0"},
    {"loading-process-events-interval-bytes", .type = OPTION_MEMORY, .flags = OPTION_HARMLESS | OPTION_HIDDEN,
     .initial = "2097152", .min = 1024, .max = INT32_MAX},
    {"use-exit-on-panic", .type = OPTION_BOOL, .flags = OPTION_HARMLESS | OPTION_HIDDEN, .initial = "no"},
    {NULL},
};

const struct module planned_module = {.options = planned_rows};
