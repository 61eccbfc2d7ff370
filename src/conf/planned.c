/* See planned.h. Invariant: nothing reads these values but the register, so the rows have no address. OPTION_MISSING
 * marks those whose absence an operator would notice: the log warns of them. The others tune a feature that is absent,
 * or ask for what kura always does. */
#include "conf/planned.h"
#include "base/module.h"
#include "base/option.h"
#include "conf/permit.h"
#include <stddef.h>

/* --- Rows ------------------------------------------------------------------------------------ */

static const struct option_name endpoints[] = {{"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {NULL, 0}};
static const struct option_name sanitize[] = {{"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};
static const struct option_name auth_clients[] = {{"no", 0}, {"yes", 1}, {"optional", 2}, {NULL, 0}};
static const struct option_name pubsub_default[] = {{"allchannels", 1}, {"resetchannels", 0}, {NULL, 0}};

static const struct option planned_rows[] = {
    /* memory */
    {"lazyfree-lazy-server-del", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "no"},
    {"lazyfree-lazy-user-del", .type = OPTION_BOOL, .flags = OPTION_HARMLESS, .initial = "no"},
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

    /* persistence */
    {"sanitize-dump-payload", .type = OPTION_ENUM, .flags = OPTION_HARMLESS, .initial = "no", .names = sanitize},

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

    /* slow log, latency */
    {"slowlog-log-slower-than", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "10000", .min = -1},
    {"slowlog-max-len", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "128"},
    {"latency-monitor-threshold", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "0"},

    /* threads and the machine */
    {"io-threads", .type = OPTION_INT, .flags = OPTION_HARMLESS | OPTION_IMMUTABLE, .initial = "1", .min = 1,
     .max = 128},
    {"io-threads-do-reads", .type = OPTION_BOOL, .flags = OPTION_HARMLESS | OPTION_IMMUTABLE, .initial = "no"},
    {"server_cpulist", .type = OPTION_STRING, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = ""},
    {"bio_cpulist", .type = OPTION_STRING, .flags = OPTION_MISSING | OPTION_IMMUTABLE, .initial = ""},
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
