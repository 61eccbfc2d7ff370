/* CLIENT: what a client may say about itself, and what an operator may see of others and do to them. */
#include "admin/client_cmd.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "exec/block.h"
#include "exec/pause.h"
#include "net/socket.h"
#include "publish/tracking.h"
#include "session/client.h"
#include "session/reply.h"

/* The length of a slice for "%.*s". Arguments are below 2 GB (LIMITS_ARGUMENT_MAX): the cast loses nothing. */
static int text_len(struct slice s) {
    return (int)s.len;
}

/* --- kinds ----------------------------------------------------------------------------------- */

enum client_kind { KIND_NORMAL, KIND_REPLICA, KIND_MASTER, KIND_PUBSUB, KIND_UNKNOWN };

static enum client_kind kind_of_name(struct slice name) {
    if (slice_is(name, "normal")) return KIND_NORMAL;
    if (slice_is(name, "replica") || slice_is(name, "slave")) return KIND_REPLICA;
    if (slice_is(name, "master")) return KIND_MASTER;
    if (slice_is(name, "pubsub")) return KIND_PUBSUB;
    return KIND_UNKNOWN;
}

/* Replication links come with their module. */
static enum client_kind kind_of(const struct client *c) {
    return c->subscriber ? KIND_PUBSUB : KIND_NORMAL;
}

static bool parse_kind(struct client *c, struct slice name, enum client_kind *kind) {
    *kind = kind_of_name(name);
    if (*kind != KIND_UNKNOWN) return true;
    reply_errorf(c, "ERR Unknown client type '%.*s'", text_len(name), name.ptr);
    return false;
}

/* --- what a client is ------------------------------------------------------------------------ */

static void client_id(struct request *r) {
    reply_int(r->client, (int64_t)r->client->id);
}

static void describe_line(const struct client *c, const struct request *r, struct buf *out) {
    client_describe(c, c == r->client ? r->raw.len : 0, out);
    buf_append(out, "\n", 1);
}

static void client_info(struct request *r) {
    struct buf text = {0};
    describe_line(r->client, r, &text);
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}

static void list_kind(const struct request *r, enum client_kind kind, struct buf *out) {
    for (const struct client *c = client_first; c; c = c->next) {
        if (c->flags & CLIENT_CLOSE_NOW) continue;
        if (kind == KIND_UNKNOWN || kind_of(c) == kind) describe_line(c, r, out);
    }
}

static bool list_ids(struct request *r, struct buf *out) {
    for (int i = 3; i < r->argc; i++) {
        int64_t id;
        if (!num_parse_i64(r->argv[i], &id)) {
            reply_error(r->client, "ERR Invalid client ID");
            return false;
        }
        const struct client *c = id > 0 ? client_by_id((uint64_t)id) : NULL;
        if (c) describe_line(c, r, out);
    }
    return true;
}

static void client_list(struct request *r) {
    struct client *c = r->client;
    struct buf text = {0};
    enum client_kind kind = KIND_UNKNOWN;
    if (r->argc == 4 && slice_is(r->argv[2], "type")) {
        if (!parse_kind(c, r->argv[3], &kind)) return;
        list_kind(r, kind, &text);
    } else if (r->argc > 3 && slice_is(r->argv[2], "id")) {
        if (!list_ids(r, &text)) goto out;
    } else if (r->argc == 2) {
        list_kind(r, KIND_UNKNOWN, &text);
    } else {
        reply_syntax_error(c);
        return;
    }
    reply_verbatim(c, buf_slice(&text), "txt");
out:
    buf_free(&text);
}

/* --- labels ---------------------------------------------------------------------------------- */

bool client_cmd_label_valid(struct slice label) {
    for (size_t i = 0; i < label.len; i++)
        if (label.ptr[i] < '!' || label.ptr[i] > '~') return false;
    return true;
}

static void client_getname(struct request *r) {
    const struct client_labels *labels = r->client->labels;
    if (labels && labels->name) {
        reply_bulk_cstr(r->client, labels->name);
    } else {
        reply_null(r->client);
    }
}

static void client_setname(struct request *r) {
    struct client *c = r->client;
    if (!client_cmd_label_valid(r->argv[2])) {
        reply_error(c, CLIENT_CMD_BAD_NAME);
        return;
    }
    client_set_label(&client_labels(c)->name, r->argv[2]);
    reply_ok(c);
}

static void client_setinfo(struct request *r) {
    struct client *c = r->client;
    struct slice what = r->argv[2];
    bool is_name = slice_is(what, "lib-name");
    if (!is_name && !slice_is(what, "lib-ver")) {
        reply_errorf(c, "ERR Unrecognized option '%.*s'", text_len(what), what.ptr);
        return;
    }
    if (!client_cmd_label_valid(r->argv[3])) {
        reply_errorf(c, "ERR %.*s cannot contain spaces, newlines or special characters.", text_len(what), what.ptr);
        return;
    }
    struct client_labels *labels = client_labels(c);
    client_set_label(is_name ? &labels->lib_name : &labels->lib_version, r->argv[3]);
    reply_ok(c);
}

/* --- KILL ------------------------------------------------------------------------------------ */

struct kill_filter {
    int64_t id;                  /* 0: any */
    int64_t age_s;               /* at least; 0: any */
    struct slice address, local; /* NULL pointer: any */
    enum client_kind kind;       /* KIND_UNKNOWN: any */
    const struct client *spared; /* or NULL */
};

static bool kill_matches(const struct kill_filter *filter, const struct client *c) {
    char name[SOCKET_NAME_MAX];
    if (c == filter->spared || c->flags & CLIENT_CLOSE_NOW) return false;
    if (filter->id && c->id != (uint64_t)filter->id) return false;
    if (filter->age_s && (clock_now_ms() - c->created_ms) / 1000 < filter->age_s) return false;
    if (filter->kind != KIND_UNKNOWN && kind_of(c) != filter->kind) return false;
    if (filter->address.ptr) {
        client_peer(c, name);
        if (!slice_eq(filter->address, slice_cstr(name))) return false;
    }
    if (filter->local.ptr) {
        socket_local_name(c->conn.source.fd, name);
        if (!slice_eq(filter->local, slice_cstr(name))) return false;
    }
    return true;
}

static bool kill_parse_id(struct client *c, struct slice value, int64_t *id) {
    return args_at_least(c, value, 1, "ERR client-id should be greater than 0", id);
}

/* Redis 7.4's filter and its errors. */
static bool kill_parse_age(struct client *c, struct slice value, int64_t *age_s) {
    if (!num_parse_i64(value, age_s)) {
        reply_error(c, "ERR maxage is not an integer or out of range");
    } else if (*age_s <= 0) {
        reply_error(c, "ERR maxage should be greater than 0");
    } else {
        return true;
    }
    return false;
}

/* One pair of the new form: KILL <option> <value> ... */
static bool kill_parse_option(struct client *c, struct slice option, struct slice value, struct kill_filter *filter) {
    if (slice_is(option, "id")) return kill_parse_id(c, value, &filter->id);
    if (slice_is(option, "maxage")) return kill_parse_age(c, value, &filter->age_s);
    if (slice_is(option, "type")) return parse_kind(c, value, &filter->kind);
    if (slice_is(option, "addr")) {
        filter->address = value;
        return true;
    }
    if (slice_is(option, "laddr")) {
        filter->local = value;
        return true;
    }
    if (slice_is(option, "user")) {
        /* There is one user, and everybody is it. */
        if (slice_eq(value, SLICE("default"))) return true;
        reply_errorf(c, "ERR No such user '%.*s'", text_len(value), value.ptr);
        return false;
    }
    if (slice_is(option, "skipme") && (slice_is(value, "yes") || slice_is(value, "no"))) {
        filter->spared = slice_is(value, "yes") ? c : NULL;
        return true;
    }
    reply_syntax_error(c);
    return false;
}

static int64_t kill_all(const struct kill_filter *filter) {
    int64_t killed = 0;
    for (struct client *c = client_first, *next; c; c = next) {
        next = c->next;
        if (!kill_matches(filter, c)) continue;
        client_kill(c);
        killed++;
        if (filter->id) break;
    }
    return killed;
}

static void client_kill_command(struct request *r) {
    struct client *c = r->client;
    struct kill_filter filter = {.kind = KIND_UNKNOWN};
    if (r->argc == 3) {
        filter.address = r->argv[2];
        if (kill_all(&filter)) {
            reply_ok(c);
        } else {
            reply_error(c, "ERR No such client");
        }
        return;
    }
    filter.spared = c;
    for (int i = 2; i < r->argc; i += 2) {
        if (i + 1 == r->argc) {
            reply_syntax_error(c);
            return;
        }
        if (!kill_parse_option(c, r->argv[i], r->argv[i + 1], &filter)) return;
    }
    reply_int(c, kill_all(&filter));
}

/* --- modes ----------------------------------------------------------------------------------- */

static void client_reply(struct request *r) {
    struct client *c = r->client;
    if (slice_is(r->argv[2], "on")) {
        client_clear(c, CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
        reply_ok(c);
    } else if (slice_is(r->argv[2], "off")) {
        c->flags |= CLIENT_REPLY_OFF;
    } else if (slice_is(r->argv[2], "skip")) {
        if (!(c->flags & CLIENT_REPLY_OFF)) c->flags |= CLIENT_REPLY_SKIP_NEXT;
    } else {
        reply_syntax_error(c);
    }
}

static void set_mode(struct request *r, unsigned flag) {
    struct client *c = r->client;
    if (slice_is(r->argv[2], "on")) {
        c->flags |= flag;
    } else if (slice_is(r->argv[2], "off")) {
        c->flags &= ~flag;
    } else {
        reply_syntax_error(c);
        return;
    }
    reply_ok(c);
}

static void client_no_evict(struct request *r) {
    set_mode(r, CLIENT_NO_EVICT);
}

static void client_no_touch(struct request *r) {
    set_mode(r, CLIENT_NO_TOUCH);
}

/* --- UNBLOCK --------------------------------------------------------------------------------- */

static void reply_unblocked(struct client *c) {
    reply_error(c, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

static void client_unblock(struct request *r) {
    struct client *c = r->client;
    bool is_error = r->argc > 3 && slice_is(r->argv[3], "error");
    int64_t id;
    if (r->argc > 4) {
        reply_syntax_error(c);
        return;
    }
    if (r->argc == 4 && !is_error && !slice_is(r->argv[3], "timeout")) {
        reply_error(c, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!args_i64(c, r->argv[2], &id)) return;
    struct client *other = id > 0 ? client_by_id((uint64_t)id) : NULL;
    reply_int(c, other && block_end(other, is_error ? reply_unblocked : NULL));
}

static void client_pause(struct request *r) {
    struct client *c = r->client;
    enum pause_mode mode = PAUSE_ALL;
    int64_t duration_ms;
    if (r->argc > 4) {
        reply_unknown_subcommand(c, r->argv[1], "CLIENT");
        return;
    }
    if (r->argc == 4) {
        if (slice_is(r->argv[3], "write")) {
            mode = PAUSE_WRITES;
        } else if (!slice_is(r->argv[3], "all")) {
            reply_error(c, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    if (!args_timeout_ms(c, r->argv[2], &duration_ms)) return;
    pause_begin(mode, duration_ms);
    reply_ok(c);
}

static void client_unpause(struct request *r) {
    pause_end();
    reply_ok(r->client);
}

static void client_help(struct request *r) {
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Say whether the keys of the next command are tracked, in OPTIN or OPTOUT mode.",
        "GETNAME",
        "    Read the name of this connection.",
        "GETREDIR",
        "    Tell which client gets the invalidations meant for this one.",
        "ID",
        "    Tell the ID of this connection.",
        "INFO",
        "    Return the line of CLIENT LIST about the current connection.",
        "KILL <ip:port>",
        "    Close the connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Close all connections that fit. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Those made from this address.",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Those made to this local address.",
        "    * ID <client-id>",
        "      The one with this ID.",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Those of this type.",
        "    * USER <username>",
        "      Those authenticated as this user.",
        "    * MAXAGE <seconds>",
        "      Those that have been connected for longer.",
        "    * SKIPME (YES|NO)",
        "      Spare the current connection (default: yes).",
        "LIST [options ...]",
        "    Return a line about each connection. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Only those of this type.",
        "    * ID <client-id> [<client-id> [...]]",
        "      Only those with these IDs.",
        "NO-EVICT (ON|OFF)",
        "    Keep the current connection when clients are evicted.",
        "NO-TOUCH (ON|OFF)",
        "    Let commands of the current connection leave access times as they are.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Let requests of all connections, or those that write, wait for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Say whether the current connection wants replies.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Name the client's library or its version.",
        "SETNAME <name>",
        "    Name the current connection.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
        "    Ask to be told when keys change that were read, or that have these prefixes.",
        "TRACKINGINFO",
        "    Return what the current connection tracks.",
        "UNBLOCK <client-id> [TIMEOUT|ERROR]",
        "    End the wait of a blocked connection.",
        "UNPAUSE",
        "    End a pause.",
        NULL,
    };
    reply_help(r->client, "CLIENT", lines);
}

static const struct command client_subcommands[] = {
    {"caching", tracking_command_caching, 3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "6.0.0", .summary = "Have the keys of the next command tracked, or not.", .syntax = "mode:(YES | NO)"},
    {"getname", client_getname, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "2.6.9", .summary = "Read the name of this connection."},
    {"getredir", tracking_command_getredir, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "6.0.0",
     .summary = "Tell which client gets the invalidations meant for this one."},
    {"help", client_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION, .since = "5.0.0",
     .summary = "Describe the subcommands."},
    {"id", client_id, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION, .since = "5.0.0",
     .summary = "Tell the ID of this connection."},
    {"info", client_info, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "6.2.0", .summary = "Describe this connection.", .tips = "nondeterministic_output"},
    {"kill", client_kill_command, -3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "2.4.0",
     .summary = "Close connections: the one with an address, or all that fit some filters.",
     .complexity = "O(n) for n clients",
     .syntax = "filter:(old-format<ip:port>!2.8.12 | new-format:([ID client-id:integer@2.8.12] | [TYPE "
               "client-type:(NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB)@2.8.12] | [USER username] | [ADDR "
               "addr<ip:port>] | [LADDR laddr<ip:port>@6.2.0] | [SKIPME skipme:(YES | NO)])...)",
     .history = "2.8.12|New: filters, each a name and a value.\n"
                "2.8.12|New: `ID`.\n"
                "3.2.0|New: `TYPE MASTER`.\n"
                "5.0.0|New: `TYPE REPLICA`; `SLAVE` means the same.\n"
                "6.2.0|New: `LADDR`."},
    {"list", client_list, -2, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "2.4.0", .summary = "Describe all connections, or some, in a line each.",
     .complexity = "O(n) for n clients",
     .syntax = "[TYPE client-type:(NORMAL | MASTER | REPLICA | PUBSUB)@5.0.0] [ID client-id:integer...@6.2.0]",
     .tips = "nondeterministic_output",
     .history = "2.8.12|New: `id`.\n"
                "5.0.0|New: `TYPE`.\n"
                "6.0.0|New: `user`.\n"
                "6.2.0|New: `argv-mem`, `tot-mem`, `laddr`, `redir`; `ID`.\n"
                "7.0.0|New: `resp`, `multi-mem`, `rbs`, `rbp`.\n"
                "7.0.3|New: `ssub`.\n"
                "7.2.0|New: `lib-name`, `lib-ver`."},
    {"no-evict", client_no_evict, 3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "7.0.0",
     .summary = "Spare this connection when memory runs short and clients are closed.", .syntax = "enabled:(ON | OFF)"},
    {"no-touch", client_no_touch, 3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "7.2.0", .summary = "Let this connection use keys without moving their access times.",
     .syntax = "enabled:(ON | OFF)"},
    {"pause", client_pause, -3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "2.9.50", .summary = "Let the requests of all clients wait for some time.",
     .syntax = "timeout:integer [mode:(WRITE | ALL)@6.2.0]", .history = "6.2.0|New: `WRITE`, `ALL`."},
    {"reply", client_reply, 3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "3.2.0", .summary = "Turn the replies to this connection off or on, or skip one.",
     .syntax = "action:(ON | OFF | SKIP)"},
    {"setinfo", client_setinfo, 4, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "7.2.0", .summary = "Tell the server which library this client uses, or its version.",
     .syntax = "attr:(LIB-NAME libname | LIB-VER libver)",
     .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {"setname", client_setname, 3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "2.6.9", .summary = "Give this connection a name.", .syntax = "connection-name",
     .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {"tracking", tracking_command, -3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "6.0.0", .summary = "Begin or end being told when keys change.",
     .complexity = "O(1), O(n) with n prefixes",
     .syntax = "status:(ON | OFF) [REDIRECT client-id:integer] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"},
    {"trackinginfo", tracking_command_info, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "6.2.0", .summary = "Tell how this connection tracks keys.",
     .complexity = "O(1), O(n) with n prefixes"},
    {"unblock", client_unblock, -3, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "5.0.0", .summary = "End the wait of another client.",
     .complexity = "O(n) for n clients that came later",
     .syntax = "client-id:integer [unblock-type:(TIMEOUT | ERROR)]"},
    {"unpause", client_unpause, 2, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "6.2.0", .summary = "End CLIENT PAUSE.",
     .complexity = "O(n) for n clients that wait"},
    {NULL},
};

static const struct command client_cmd_commands[] = {
    {"client", NULL, -2, .flags = CMD_KEEPS_CACHING, .group = GROUP_CONNECTION, .since = "2.4.0",
     .summary = "Ask about connections and control them.", .complexity = "Depends on the subcommand",
     .subcommands = client_subcommands},
    {NULL},
};

const struct module client_cmd_module = {.commands = client_cmd_commands};
