/* DEBUG: tools for tests and developers. The option enable-debug-command permits them; DEBUG asks it before each
 * run. */
#include "admin/debug_process.h"
#include "admin/debug_repl.h"
#include "admin/debug_values.h"
#include "aof/aof_write.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "conf/config.h"
#include "conf/config_rewrite.h"
#include "conf/permit.h"
#include "ds/quicklist.h"
#include "durable/bgsave.h"
#include "durable/children.h"
#include "durable/durability.h"
#include "durable/loading.h"
#include "exec/propagate.h"
#include "net/socket.h"
#include "process/cron.h"
#include "rdb/rdb.h"
#include "rdb/rdb_functions.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/expire.h"
#include "store/string.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PACKED_THRESHOLD_MAX ((1ULL << 32) - (1 << 20)) /* as in Redis */

/* --- PROTOCOL -------------------------------------------------------------------------------- */

static void protocol_attribute(struct client *c) {
    /* RESP2 has no attributes: its client gets only the reply behind. */
    if (c->resp == 3) {
        reply_attribute(c, 1);
        reply_bulk_cstr(c, "key-popularity");
        reply_array(c, 2);
        reply_bulk_cstr(c, "key:123");
        reply_int(c, 90);
    }
    reply_bulk_cstr(c, "Some real reply following the attribute");
}

static void protocol_push(struct client *c) {
    if (c->resp == 2) {
        reply_error(c, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(c, 2);
    reply_bulk_cstr(c, "server-cpu-usage");
    reply_int(c, 42);
    reply_bulk_cstr(c, "Some real reply following the push reply");
}

static void protocol_map(struct client *c) {
    reply_map(c, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(c, i);
        reply_bool(c, i == 1);
    }
}

static void protocol_members(struct client *c) {
    for (int i = 0; i < 3; i++)
        reply_int(c, i);
}

static void debug_protocol(struct request *r) {
    struct client *c = r->client;
    struct slice type = r->argv[2];
    if (slice_is(type, "string")) {
        reply_bulk_cstr(c, "Hello World");
    } else if (slice_is(type, "integer")) {
        reply_int(c, 12345);
    } else if (slice_is(type, "double")) {
        reply_double(c, 3.141);
    } else if (slice_is(type, "null")) {
        reply_null(c);
    } else if (slice_is(type, "array")) {
        reply_array(c, 3);
        protocol_members(c);
    } else if (slice_is(type, "set")) {
        reply_set(c, 3);
        protocol_members(c);
    } else if (slice_is(type, "map")) {
        protocol_map(c);
    } else if (slice_is(type, "attrib")) {
        protocol_attribute(c);
    } else if (slice_is(type, "push")) {
        protocol_push(c);
    } else if (slice_is(type, "verbatim")) {
        reply_verbatim(c, SLICE("This is a verbatim\nstring"), "txt");
    } else if (slice_is(type, "bignum")) {
        reply_big_number(c, SLICE("1234567999999999999999999999999999999"));
    } else if (slice_is(type, "true") || slice_is(type, "false")) {
        reply_bool(c, slice_is(type, "true"));
    } else {
        reply_error(c, "ERR Wrong protocol type name. Please use one of the following: "
                       "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
    }
}

/* --- POPULATE -------------------------------------------------------------------------------- */

/* Set `key` to "value:<i>", cut or filled up with zero bytes to `size` (0: neither). False: the key exists and
 * stays. */
static bool populate_one(struct db *db, const struct key *key, int64_t i, char *value, size_t size) {
    if (db_write(db, key)) return false;
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof text, "value:%lld", (long long)i);
    if (size == 0) {
        db_set_string(db, key, NULL, slice_of(text, len), ENTRY_NO_TTL);
        return true;
    }
    /* i only grows: each text covers the one before it in `value`. */
    memcpy(value, text, len < size ? len : size);
    db_set_string(db, key, NULL, slice_of(value, size), ENTRY_NO_TTL);
    return true;
}

/* POPULATE count [prefix] [size]. The new keys are not propagated. */
static void debug_populate(struct request *r) {
    struct client *c = r->client;
    int64_t count, size = 0;
    if (!args_count(c, r->argv[2], &count)) return;
    if (r->argc == 5 && !args_count(c, r->argv[4], &size)) return;
    if (size > STRING_MAX_DEFAULT) {
        reply_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return;
    }
    struct slice prefix = r->argc >= 4 ? r->argv[3] : SLICE("key");
    size_t name_cap = prefix.len + 1 + NUM_I64_MAX;
    char *name = alloc_get(name_cap), *value = size ? alloc_zero((size_t)size) : NULL;
    memcpy(name, prefix.ptr, prefix.len);
    name[prefix.len] = ':';
    for (int64_t i = 0; i < count; i++) {
        size_t digits = (size_t)num_print_i64(name + prefix.len + 1, i);
        struct key key = key_of(slice_of(name, prefix.len + 1 + digits));
        if (populate_one(c->db, &key, i, value, (size_t)size)) db_changed(c->db, &key, DB_STRING, "set");
    }
    alloc_put(name, name_cap);
    if (value) alloc_put(value, (size_t)size);
    propagate_nothing();
    reply_ok(c);
}

/* --- Small subcommands ----------------------------------------------------------------------- */

/* The number at the beginning of the argument; 0 if there is none. Redis reads these arguments as leniently. */
static double lenient_double(struct slice s) {
    char text[64];
    size_t len = s.len < sizeof text - 1 ? s.len : sizeof text - 1;
    memcpy(text, s.ptr, len);
    text[len] = '\0';
    double value = strtod(text, NULL);
    return isfinite(value) ? value : 0;
}

static void debug_sleep(struct request *r) {
    double seconds = lenient_double(r->argv[2]);
    if (seconds > 0 && seconds < 1e9) {
        struct timespec rest = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
        while (nanosleep(&rest, &rest) < 0)
            continue;
    }
    clock_update();
    reply_ok(r->client);
}

/* SLEEP-AFTER-FORK seconds: this process does so after each fork; 0: no more. */
static void debug_sleep_after_fork(struct request *r) {
    double seconds = lenient_double(r->argv[2]);
    children_sleep_us = seconds > 0 && seconds < 1e6 ? (int64_t)(seconds * 1e6) : 0;
    reply_ok(r->client);
}

static void debug_set_active_expire(struct request *r) {
    expire_enable(lenient_double(r->argv[2]) != 0);
    reply_ok(r->client);
}

/* STRINGMATCH-LEN pattern string: whether the string matches. */
static void debug_stringmatch(struct request *r) {
    reply_int(r->client, glob_match(r->argv[2], r->argv[3]));
}

/* Elements of lists below this size share a node, whatever the limit of a node; 0: that limit alone decides again. */
static void debug_quicklist_packed_threshold(struct request *r) {
    uint64_t bytes;
    if (!num_parse_memory(r->argv[2], &bytes) || bytes > PACKED_THRESHOLD_MAX) {
        reply_error(r->client, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
        return;
    }
    quicklist_set_plain_threshold(bytes < LISTPACK_LIMIT / 2 ? bytes : LISTPACK_LIMIT / 2);
    reply_ok(r->client);
}

static void debug_log(struct request *r) {
    log_warning("DEBUG LOG: %.*s", (int)r->argv[2].len, r->argv[2].ptr);
    reply_ok(r->client);
}

static void debug_error(struct request *r) {
    reply_errorf(r->client, "%.*s", (int)r->argv[2].len, r->argv[2].ptr);
}

static void debug_aof_flush_sleep(struct request *r) {
    aof_write_options.sleep_us = (int64_t)lenient_double(r->argv[2]);
    reply_ok(r->client);
}

static void debug_pause_cron(struct request *r) {
    cron_pause(lenient_double(r->argv[2]) != 0);
    reply_ok(r->client);
}

static void debug_config_rewrite_all(struct request *r) {
    errno = EFAULT; /* without a file Redis fails by this one */
    if (config_path()[0] != '\0' && config_rewrite_all()) {
        reply_ok(r->client);
    } else {
        reply_errorf(r->client, "ERR CONFIG-REWRITE-FORCE-ALL failed: %s", strerror(errno));
    }
}

/* --- RELOAD ---------------------------------------------------------------------------------- */

static void empty_data(void) {
    for (int i = 0; i < db_count(); i++)
        db_empty(db_at(i), false);
    rdb_functions_empty(false);
}

/* False while a load is running already (replied): loads must not nest. */
static bool debug_may_load(struct client *c) {
    if (loading_is_active()) reply_error(c, "LOADING Redis is loading the dataset in memory");
    return !loading_is_active();
}

static void debug_reload(struct request *r) {
    struct client *c = r->client;
    bool merge = false, flush = true, save = true;
    propagate_nothing();
    for (int i = 2; i < r->argc; i++) {
        if (slice_is(r->argv[i], "merge")) {
            merge = true;
        } else if (slice_is(r->argv[i], "noflush")) {
            flush = false;
        } else if (slice_is(r->argv[i], "nosave")) {
            save = false;
        } else {
            reply_error(c, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return;
        }
    }
    if (!debug_may_load(c)) return;
    if (save && !bgsave_now()) {
        reply_error(c, "ERR");
        return;
    }
    if (flush) empty_data();
    if (loading_snapshot(merge) != LOADING_DONE) {
        reply_error(c, "ERR Error trying to load the RDB dump, check server logs.");
        return;
    }
    log_warning("DB reloaded by DEBUG RELOAD");
    db_metrics.dirty = 0; /* all data is in the file */
    reply_ok(c);
}

static void debug_loadaof(struct request *r) {
    if (!debug_may_load(r->client)) return;
    if (!durability_reload()) {
        reply_error(r->client, "ERR Error trying to load the AOF files, check server logs.");
        return;
    }
    log_warning("Append Only File loaded by DEBUG LOADAOF");
    reply_ok(r->client);
}

static void debug_skip_checksums(struct request *r) {
    rdb_options.skip_checksum = lenient_double(r->argv[2]) != 0;
    reply_ok(r->client);
}

static void debug_help(struct request *r) {
    static const char *const lines[] = {
        "AOF-FLUSH-SLEEP <microsec>",
        "    Sleep for so long before each write to the append-only file.",
        "ASSERT",
        "    Abort the server as a failed assertion does.",
        "CHANGE-REPL-ID",
        "    Begin a new history: no replica can continue in the present one.",
        "CONFIG-REWRITE-FORCE-ALL",
        "    CONFIG REWRITE with all options, those that have their defaults too.",
        "CRASH-AND-RECOVER [<milliseconds>]",
        "    Start the server anew after a delay; nothing is saved before.",
        "DIGEST",
        "    Reply a signature of all data: servers with the same data reply the same.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Reply such a signature of the value of each <key>.",
        "ERROR <string>",
        "    Reply this error.",
        "HTSTATS <db> [FULL]",
        "    Show how full the lines of the table of a database are.",
        "HTSTATS-KEY <key> [FULL]",
        "    The same for a value that is a hash table.",
        "LEAK <string>",
        "    Lose the memory of a copy of <string>.",
        "LISTPACK <key>",
        "    Write the elements of a value that is a listpack to the log.",
        "LOADAOF",
        "    Write what waits, empty the databases and load the append-only file.",
        "LOG <message>",
        "    Write <message> to the server's log.",
        "MALLCTL <name> [<value>]",
        "    Show a number among the allocator's settings, and change it.",
        "OBJECT <key>",
        "    Show where and how the value of <key> is kept.",
        "OOM",
        "    Abort the server as running out of memory does.",
        "PANIC",
        "    Abort the server, leaving a stack trace in its log.",
        "PAUSE-CRON <0|1>",
        "    1: the work that is done `hz` times a second stops.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>, or <prefix>:<num>, with values",
        "    of <size> bytes. Keys that exist are left alone; nothing is propagated.",
        "PROTOCOL <type>",
        "    Reply a test value of this type: string, integer, double, bignum, null,",
        "    array, set, map, attrib, push, verbatim, true, false.",
        "QUICKLIST <key> [<0|1>]",
        "    Write the nodes of a long list to the log; 1: their elements too.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Elements of lists get nodes of their own from <size> bytes on. 0 restores the",
        "    default: those that exceed the limit of a node.",
        "SDSLEN <key>",
        "    Show the lengths of <key> and of its string, and the memory they take.",
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "    Save the databases, empty them and load them again. NOSAVE: load what was saved",
        "    before; NOFLUSH: do not empty them; MERGE: keys may be there already.",
        "REPLICATE <command> [<argument> ...]",
        "    Send <command> to the replicas. It is not executed here.",
        "RESTART [<milliseconds>]",
        "    Save configuration and data, and start the server anew after a delay.",
        "SEGFAULT",
        "    Crash the server by SIGSEGV.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    0: keys expire only when they are accessed; 1 (the default): by themselves.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    1: the checksums of RDB files and of RESTORE's payloads are not looked at.",
        "SLEEP <seconds>",
        "    Stop the server for so long. Decimals are allowed.",
        "SLEEP-AFTER-FORK <seconds>",
        "    Stop the server for so long whenever it has forked; 0: no more.",
        "STRINGMATCH-LEN <pattern> <string>",
        "    Reply 1 if the glob pattern matches the string.",
        NULL,
    };
    reply_help(r->client, "DEBUG", lines);
}

static const struct debug_action {
    const char *name;
    int min_args, max_args; /* DEBUG and the name count too */
    void (*run)(struct request *r);
} actions[] = {
    {"aof-flush-sleep", 3, 3, debug_aof_flush_sleep},
    {"assert", 2, 2, debug_process_assert},
    {"change-repl-id", 2, 2, debug_repl_change_id},
    {"config-rewrite-force-all", 2, 2, debug_config_rewrite_all},
    {"crash-and-recover", 2, 3, debug_process_crash_and_recover},
    {"error", 3, 3, debug_error},
    {"help", 2, 2, debug_help},
    {"leak", 3, 3, debug_process_leak},
    {"log", 3, 3, debug_log},
    {"mallctl", 3, 4, debug_process_mallctl},
    {"object", 3, 3, debug_values_object},
    {"oom", 2, 2, debug_process_oom},
    {"panic", 2, 2, debug_process_panic},
    {"pause-cron", 3, 3, debug_pause_cron},
    {"populate", 3, 5, debug_populate},
    {"protocol", 3, 3, debug_protocol},
    {"quicklist", 3, 4, debug_values_quicklist},
    {"quicklist-packed-threshold", 3, 3, debug_quicklist_packed_threshold},
    {"restart", 2, 3, debug_process_restart},
    {"segfault", 2, 2, debug_process_segfault},
    {"set-active-expire", 3, 3, debug_set_active_expire},
    {"digest", 2, 2, debug_values_digest},
    {"digest-value", 2, INT_MAX, debug_values_digest_value},
    {"htstats", 3, INT_MAX, debug_values_htstats},
    {"htstats-key", 3, INT_MAX, debug_values_htstats_key},
    {"listpack", 3, 3, debug_values_listpack},
    {"loadaof", 2, 2, debug_loadaof},
    {"reload", 2, 5, debug_reload},
    {"replicate", 3, INT_MAX, debug_repl_replicate},
    {"sdslen", 3, 3, debug_values_sdslen},
    {"set-skip-checksum-validation", 3, 3, debug_skip_checksums},
    {"sleep", 3, 3, debug_sleep},
    {"sleep-after-fork", 3, 3, debug_sleep_after_fork},
    {"sleep-after-fork-seconds", 3, 3, debug_sleep_after_fork},
    {"stringmatch-len", 4, 4, debug_stringmatch},
};

static int debug_permit; /* enum permit */

static const struct option debug_rows[] = {
    {"enable-debug-command", .type = OPTION_ENUM, .flags = OPTION_IMMUTABLE, .address = &debug_permit, .initial = "no",
     .names = permit_names},
    {NULL},
};

static void debug(struct request *r) {
    if (!permit_allows(debug_permit, socket_is_loopback(r->client->conn.source.fd))) {
        reply_error(r->client,
                    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you "
                    "can run it from a local connection, otherwise you need to set this option in the "
                    "configuration file, and then restart the server.");
        return;
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (!slice_is(r->argv[1], actions[i].name)) continue;
        if (r->argc < actions[i].min_args || r->argc > actions[i].max_args) break;
        actions[i].run(r);
        return;
    }
    reply_unknown_subcommand(r->client, r->argv[1], "DEBUG");
}

static const struct command debug_commands[] = {
    {"debug", debug, -2, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED | CMD_SYSCMD,
     .group = GROUP_SERVER, .since = "1.0.0", .summary = "Look into the server and put it to the test.",
     .complexity = "Depends on the subcommand"},
    {NULL},
};

const struct module debug_module = {.options = debug_rows, .commands = debug_commands};
