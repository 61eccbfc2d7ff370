/* CONFIG: the register of options (conf/config.h) as commands. */
#include "base/buf.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "catalog/command_row.h"
#include "conf/config.h"
#include "conf/config_rewrite.h"
#include "conf/directive.h"
#include "durable/loading.h"
#include "exec/memory.h"
#include "net/socket.h"
#include "repl/repl_info.h"
#include "script/cache.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "session/server_metrics.h"
#include <errno.h>
#include <string.h>
#include <strings.h>

/* True if a pattern of CONFIG GET fits this name. A hidden option must be named exactly. */
static bool is_asked(const struct request *r, const struct option *o, const char *name) {
    struct slice text = slice_cstr(name);
    for (int i = 2; i < r->argc; i++) {
        struct slice pattern = r->argv[i];
        if (pattern.len == text.len && strncasecmp(pattern.ptr, name, text.len) == 0) return true;
        if (!(o->flags & OPTION_HIDDEN) && glob_match_nocase(pattern, text)) return true;
    }
    return false;
}

/* An option with an alias is shown under both names. */
static void config_get(struct request *r) {
    struct buf value = {0};
    size_t place = reply_hold(r->client), pairs = 0;
    for (size_t i = 0; i < config_count(); i++) {
        const struct option *o = config_at(i);
        const char *names[] = {o->name, o->alias};
        for (size_t n = 0; n < 2; n++) {
            if (!names[n] || !is_asked(r, o, names[n])) continue;
            value.len = 0;
            directive_print(o, &value);
            reply_bulk_cstr(r->client, names[n]);
            reply_bulk(r->client, buf_slice(&value));
            pairs++;
        }
    }
    reply_map_at(r->client, place, pairs);
    buf_free(&value);
}

/* True if the request changes an option that must stay while the dataset is loaded: the names of its files. */
static bool has_denied_option(const struct request *r) {
    for (int i = 2; i < r->argc; i += 2) {
        const struct option *o = config_find(r->argv[i]);
        if (o && (o->flags & OPTION_DENY_LOADING)) return true;
    }
    return false;
}

static void config_set_command(struct request *r) {
    struct config_error error = {0};
    if (r->argc % 2 != 0) {
        reply_wrong_arity(r->client, "config|set");
        return;
    }
    if (loading_is_active() && has_denied_option(r)) {
        reply_error(r->client, "LOADING Redis is loading the dataset in memory");
        return;
    }
    bool local = socket_is_loopback(r->client->conn.source.fd);
    if (config_set(r->argv + 2, (r->argc - 2) / 2, local, &error)) {
        reply_ok(r->client);
        return;
    }
    int len = error.argument.len < 128 ? (int)error.argument.len : 128;
    if (error.unknown)
        reply_errorf(r->client, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", len,
                     error.argument.ptr);
    else
        reply_errorf(r->client, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", len,
                     error.argument.ptr, error.text);
}

static void config_rewrite_command(struct request *r) {
    if (config_path()[0] == '\0') {
        reply_error(r->client, "ERR The server is running without a config file");
    } else if (config_rewrite()) {
        log_notice("CONFIG REWRITE executed with success.");
        reply_ok(r->client);
    } else {
        log_warning("CONFIG REWRITE failed: %s", strerror(errno));
        reply_errorf(r->client, "ERR Rewriting config file: %s", strerror(errno));
    }
}

static void config_resetstat(struct request *r) {
    server_metrics_reset();
    memory_reset_metrics();
    repl_info_reset_metrics();
    cache_reset_metrics();
    reply_ok(r->client);
}

static void config_help(struct request *r) {
    static const char *const lines[] = {
        "GET <pattern>",
        "    Read the options whose names match <pattern>.",
        "SET <directive> <value>",
        "    Change an option. Several in one request change together or not at all.",
        "RESETSTAT",
        "    Set the counters that INFO shows to zero.",
        "REWRITE",
        "    Write the options as they are now to the configuration file.",
        NULL,
    };
    reply_help(r->client, "CONFIG", lines);
}

static const struct command config_subcommands[] = {
    {"get", config_get, -3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_SERVER,
     .since = "2.0.0", .summary = "Read options, by names or patterns.",
     .complexity = "O(n * m) for n options and m patterns", .syntax = "parameter...",
     .history = "7.0.0|Takes several patterns."},
    {"help", config_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_SERVER, .since = "5.0.0",
     .summary = "Describe the subcommands."},
    {"resetstat", config_resetstat, 2, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_SERVER, .since = "2.0.0", .summary = "Set the counters that INFO shows to zero.",
     .complexity = "O(n) for n commands", .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {"rewrite", config_rewrite_command, 2, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_SERVER, .since = "2.8.0", .summary = "Write the options as they are now to the configuration file.",
     .complexity = "O(n) for n lines", .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {"set", config_set_command, -4, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_SERVER,
     .since = "2.0.0", .summary = "Change options: all of them or, after an error, none.",
     .complexity = "O(n) for n options", .syntax = "data:(parameter value)...",
     .tips = "request_policy:all_nodes,response_policy:all_succeeded", .history = "7.0.0|Takes several options."},
    {NULL},
};

static const struct command configuration_commands[] = {
    {"config", NULL, -2, .group = GROUP_SERVER, .since = "2.0.0", .summary = "Read and change the server's options.",
     .complexity = "Depends on the subcommand", .subcommands = config_subcommands},
    {NULL},
};

const struct module configuration_module = {.commands = configuration_commands};
