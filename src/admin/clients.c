/* CLIENT: the rows of all its subcommands, and the bodies of those that need a few lines. */
#include "admin/client_kill.h"
#include "admin/client_labels.h"
#include "admin/client_list.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "exec/block.h"
#include "exec/pause.h"
#include "publish/tracking.h"
#include "repl/role.h"
#include "repl/token.h"
#include "session/client.h"
#include "session/reply.h"

/* --- This connection ------------------------------------------------------------------------- */

static void client_id(struct request *r) {
    reply_int(r->client, (int64_t)r->client->id);
}

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

/* --- Other connections ----------------------------------------------------------------------- */

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
    pause_begin(PAUSE_OF_CLIENT, mode, duration_ms);
    reply_ok(c);
}

static void client_unpause(struct request *r) {
    pause_end(PAUSE_OF_CLIENT);
    reply_ok(r->client);
}

static void client_help(struct request *r) {
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Say whether the keys of the next command are tracked, in OPTIN or OPTOUT mode.",
        "CAPA <capability> [<capability> ...]",
        "    Say what this client can do. Known: redirect, to follow -REDIRECT to the primary.",
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
        "TOKEN",
        "    Name the place behind all that this connection has written or read, for WAITOFFSET.",
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
    {"capa", role_command_capa, -3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "7.2.0", .summary = "Tell the server what this client can do.", .syntax = "capability..."},
    {"getname", client_labels_getname, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "2.6.9", .summary = "Read the name of this connection."},
    {"getredir", tracking_command_getredir, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "6.0.0",
     .summary = "Tell which client gets the invalidations meant for this one."},
    {"help", client_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION, .since = "5.0.0",
     .summary = "Describe the subcommands."},
    {"id", client_id, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION, .since = "5.0.0",
     .summary = "Tell the ID of this connection."},
    {"info", client_list_info, 2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
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
    {"list", client_list_command, -2, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = GROUP_CONNECTION, .since = "2.4.0", .summary = "Describe all connections, or some, in a line each.",
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
    {"setinfo", client_labels_setinfo, 4, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "7.2.0", .summary = "Tell the server which library this client uses, or its version.",
     .syntax = "attr:(LIB-NAME libname | LIB-VER libver)",
     .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {"setname", client_labels_setname, 3, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_CONNECTION,
     .since = "2.6.9", .summary = "Give this connection a name.", .syntax = "connection-name",
     .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {"token", token_command, 2, .flags = CMD_NOSCRIPT | CMD_STALE | CMD_NO_MULTI, .group = GROUP_CONNECTION,
     .since = "7.2.0", .summary = "Name the place in the log behind all that this connection has written or read."},
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

static const struct command clients_commands[] = {
    {"client", NULL, -2, .flags = CMD_KEEPS_CACHING, .group = GROUP_CONNECTION, .since = "2.4.0",
     .summary = "Ask about connections and control them.", .complexity = "Depends on the subcommand",
     .subcommands = client_subcommands},
    {NULL},
};

const struct module clients_module = {.commands = clients_commands};
