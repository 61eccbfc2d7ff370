/* Commands about the connection itself: AUTH, ECHO, HELLO, PING, QUIT and RESET. */
#include "admin/client_labels.h"
#include "base/module.h"
#include "base/num.h"
#include "base/version.h"
#include "catalog/command_row.h"
#include "session/auth.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"

static void ping(struct request *r) {
    if (r->argc > 2) {
        reply_wrong_arity(r->client, "ping");
    } else if (client_has_only_messages(r->client)) {
        reply_array(r->client, 2); /* this client understands nothing but messages */
        reply_bulk_cstr(r->client, "pong");
        reply_bulk(r->client, r->argc == 2 ? r->argv[1] : SLICE(""));
    } else if (r->argc == 2) {
        reply_bulk(r->client, r->argv[1]);
    } else {
        reply_status(r->client, "PONG");
    }
}

static void echo(struct request *r) {
    reply_bulk(r->client, r->argv[1]);
}

static void quit(struct request *r) {
    reply_ok(r->client);
    r->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

static void reset(struct request *r) {
    client_reset(r->client);
    reply_status(r->client, "RESET");
}

static void reply_wrong_password(struct client *c) {
    reply_error(c, "WRONGPASS invalid username-password pair or user is disabled.");
}

static void auth(struct request *r) {
    struct client *c = r->client;
    for (int i = 1; i < r->argc; i++)
        request_redact(r, i);
    if (r->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if (r->argc == 2 && !client_needs_password) {
        reply_error(c, "ERR AUTH <password> called without any password configured for the default user. Are you sure "
                       "your configuration is correct?");
        return;
    }
    struct slice user = r->argc == 3 ? r->argv[1] : SLICE("default");
    if (!auth_login(c, user, r->argv[r->argc - 1])) {
        reply_wrong_password(c);
        return;
    }
    reply_ok(c);
}

/* The arguments of HELLO. Missing ones have a NULL ptr. */
struct hello {
    int64_t protocol; /* 0: keep the present one */
    struct slice user, password, name;
};

static bool hello_parse(struct request *r, struct hello *asked) {
    struct client *c = r->client;
    if (r->argc >= 2) {
        if (!num_parse_i64(r->argv[1], &asked->protocol)) {
            reply_error(c, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (asked->protocol < 2 || asked->protocol > 3) {
            reply_error(c, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (int i = 2; i < r->argc; i++) {
        int more = r->argc - 1 - i;
        if (slice_is(r->argv[i], "auth") && more >= 2) {
            request_redact(r, i + 1);
            request_redact(r, i + 2);
            asked->user = r->argv[++i];
            asked->password = r->argv[++i];
        } else if (slice_is(r->argv[i], "setname") && more >= 1) {
            asked->name = r->argv[++i];
            if (!client_labels_valid(asked->name)) {
                reply_error(c, CLIENT_LABELS_BAD_NAME);
                return false;
            }
        } else {
            reply_errorf(c, "ERR Syntax error in HELLO option '%.*s'", (int)r->argv[i].len, r->argv[i].ptr);
            return false;
        }
    }
    return true;
}

static void hello_describe(struct client *c) {
    reply_map(c, 7);
    reply_bulk_cstr(c, "server");
    reply_bulk_cstr(c, "redis");
    reply_bulk_cstr(c, "version");
    reply_bulk_cstr(c, VERSION_REDIS);
    reply_bulk_cstr(c, "proto");
    reply_int(c, c->resp);
    reply_bulk_cstr(c, "id");
    reply_int(c, (int64_t)c->id);
    reply_bulk_cstr(c, "mode");
    reply_bulk_cstr(c, "standalone");
    reply_bulk_cstr(c, "role");
    reply_bulk_cstr(c, "master");
    reply_bulk_cstr(c, "modules");
    reply_array(c, 0);
}

/* After an error nothing has changed: all arguments are checked first, and then the password. */
static void hello(struct request *r) {
    struct client *c = r->client;
    struct hello asked = {0};
    if (!hello_parse(r, &asked)) return;
    if (asked.user.ptr && !auth_login(c, asked.user, asked.password)) {
        reply_wrong_password(c);
        return;
    }
    if (client_needs_password && !(c->flags & CLIENT_AUTHENTICATED)) {
        reply_error(
            c, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
               "<user> <pass> option can be used to authenticate the client and select the RESP protocol version "
               "at the same time");
        return;
    }
    if (asked.name.ptr) client_set_label(&client_labels(c)->name, asked.name);
    if (asked.protocol) c->resp = (uint8_t)asked.protocol;
    hello_describe(c);
}

static const struct command connection_commands[] = {
    {"auth", auth, -2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
     .group = GROUP_CONNECTION, .since = "1.0.0", .summary = "Prove by a password that this connection may work here.",
     .syntax = "[username@6.0.0] password", .history = "6.0.0|New: a user name before the password."},
    {"echo", echo, 2, .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .group = GROUP_CONNECTION, .since = "1.0.0",
     .summary = "Reply the message.", .syntax = "message"},
    {"hello", hello, -1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
     .group = GROUP_CONNECTION, .since = "6.0.0",
     .summary = "Choose the protocol, log in and name the connection, all in one request.",
     .syntax = "[arguments:(protover:integer [AUTH auth:(username password)] [SETNAME clientname])]",
     .history = "6.2.0|The version may be left out."},
    {"ping", ping, -1, .flags = CMD_FAST | CMD_WHILE_SUBSCRIBED | CMD_PROBE, .group = GROUP_CONNECTION,
     .since = "1.0.0", .summary = "Ask whether the server is there.", .syntax = "[message]",
     .tips = "request_policy:all_shards,response_policy:all_succeeded"},
    {"quit", quit, -1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY | CMD_UNQUEUED |
              CMD_WHILE_SUBSCRIBED,
     .group = GROUP_CONNECTION, .since = "1.0.0", .summary = "Let the server close the connection.",
     .deprecated = "7.2.0|closing the connection"},
    {"reset", reset, 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY | CMD_UNQUEUED |
              CMD_WHILE_SUBSCRIBED,
     .group = GROUP_CONNECTION, .since = "6.2.0",
     .summary = "Bring the connection back to the state in which it began.",
     .complexity = "O(n) for n watched keys and subscriptions"},
    {NULL},
};

const struct module connection_module = {.commands = connection_commands};
