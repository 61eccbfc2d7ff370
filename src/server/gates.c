#include "server/gates.h"
#include "base/buf.h"
#include "base/likely.h"
#include "base/log.h"
#include "server/block.h"
#include "server/catalog.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/pubsub.h"
#include "server/reply.h"
#include "server/tx.h"
#include <stdio.h>

#define NAME_SHOWN 128 /* bytes of an unknown command that its error repeats */

static unsigned armed; /* enum gates_condition */

/* --- refusals -------------------------------------------------------------------------------- */

/* What an HTTP client says: a browser or a proxy that somebody tricks into talking
 * to us. Redis cuts it, and so do we. */
static bool is_cross_protocol(struct slice name) {
    return slice_is(name, "post") || slice_is(name, "host:");
}

static void refuse_unknown(struct request *r) {
    struct slice name = r->argv[0];
    if (is_cross_protocol(name)) {
        log_warning(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. "
            "This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your "
            "Redis instance. Connection aborted.");
        client_kill(r->client);
        return;
    }
    const struct command *container = catalog_find(name);
    if (container && container->subcommands && r->argc > 1) {
        struct slice sub = r->argv[1];
        struct buf upper = {0};
        for (const char *s = container->name; *s; s++)
            buf_append(&upper, &(char){(char)(*s & ~0x20)}, 1);
        reply_errorf(r->client, "ERR unknown subcommand '%.*s'. Try %.*s HELP.",
                     (int)(sub.len < NAME_SHOWN ? sub.len : NAME_SHOWN), sub.ptr, (int)upper.len, upper.data);
        buf_free(&upper);
        return;
    }
    struct buf args = {0};
    for (int i = 1; i < r->argc && args.len < NAME_SHOWN; i++) {
        size_t room = NAME_SHOWN - args.len;
        buf_printf(&args, "'%.*s' ", (int)(r->argv[i].len < room ? r->argv[i].len : room), r->argv[i].ptr);
    }
    reply_errorf(r->client, "ERR unknown command '%.*s', with args beginning with: %.*s",
                 (int)(name.len < NAME_SHOWN ? name.len : NAME_SHOWN), name.ptr, (int)args.len,
                 args.data ? args.data : "");
    buf_free(&args);
}

/* --- gates ----------------------------------------------------------------------------------- */

char gates_disk_error[512];

static bool lacks_password(const struct request *r, unsigned flags) {
    (void)flags;
    return !(r->client->flags & CLIENT_AUTHENTICATED);
}

/* A subscriber in RESP2 cannot tell replies from messages, but for those of the commands that manage subscriptions. */
static bool keeps_to_messages(const struct request *r, unsigned flags) {
    (void)flags;
    return pubsub_restricts(r->client) && !(r->command->flags & CMD_WHILE_SUBSCRIBED);
}

/* Probes too, so that whoever watches over the server hears of it; but not those that wait for EXEC. */
static bool is_write_or_probe(const struct request *r, unsigned flags) {
    return (flags & CMD_WRITE) || (r->command->flags & CMD_PROBE);
}

/* To Redis a monitor is a kind of replica. */
static bool is_monitor(const struct request *r, unsigned flags) {
    return (r->client->flags & CLIENT_MONITOR) && (flags & (CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE));
}

/* A gate stops commands that lack all of the flags in `passes` while its condition is armed and holds: for this request
 * with these flags, which are its command's or, for EXEC, those of all that it would run. */
static const struct gate {
    unsigned condition;
    unsigned passes;
    bool (*holds)(const struct request *r, unsigned flags); /* NULL: always */
    const char *error;                                      /* "%s" in it is the command */
} gates[] = {
    {GATES_NEEDS_AUTH, CMD_NO_AUTH, lacks_password, "NOAUTH Authentication required."},
    {GATES_SUBSCRIBED, 0, keeps_to_messages,
     "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
     "context"},
    {GATES_DISK_ERROR, 0, is_write_or_probe, gates_disk_error},
    {GATES_MONITORED, 0, is_monitor, "ERR Replica can't interact with the keyspace"},
    {GATES_LOADING, CMD_LOADING, NULL, "LOADING Redis is loading the dataset in memory"},
};

void gates_arm(unsigned condition, bool on) {
    armed = on ? armed | condition : armed & ~condition;
}

/* What a command must have to be let through, where another one is judged by what it must not have. */
#define PERMITS (CMD_LOADING | CMD_STALE | CMD_NO_AUTH | CMD_ALLOW_BUSY)

/* EXEC does all that was queued, so it needs and lacks what any of those commands does. */
static unsigned flags_of(const struct request *r) {
    unsigned flags = r->command->flags, any, lacking;
    if (!(flags & CMD_EXEC)) return flags;
    tx_flags(r->client, &any, &lacking);
    return (flags | any) & ~(lacking & PERMITS);
}

/* The error of a gate that is closed to this request, until the next call; NULL if there is none. */
static const char *closed_gate(const struct request *r, unsigned flags) {
    static char text[sizeof gates_disk_error];
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        const struct gate *gate = &gates[i];
        if (!(armed & gate->condition) || (flags & gate->passes)) continue;
        if (gate->holds && !gate->holds(r, flags)) continue;
        snprintf(text, sizeof text, gate->error, catalog_full_name(r->command));
        return text;
    }
    return NULL;
}

static void refuse(struct request *r, const char *error) {
    r->stats->rejected++;
    tx_refuse(r, error);
}

static void refuse_arity(struct request *r) {
    const char *name = catalog_full_name(r->command);
    r->stats->rejected++;
    if (!(r->command->flags & CMD_EXEC)) {
        reply_wrong_arity(r->client, name);
        tx_spoil(r->client);
        return;
    }
    struct buf error = {0};
    buf_printf(&error, "wrong number of arguments for '%s' command", name);
    buf_append(&error, "", 1);
    tx_refuse(r, error.data);
    buf_free(&error);
}

/* A pause comes behind all gates: errors are told at once. */
static bool postpone(struct request *r, unsigned flags) {
    if (!(armed & GATES_PAUSED) || !pause_stops(flags)) return false;
    block_postpone(r);
    return true;
}

bool gates_admit(struct request *r) {
    if (unlikely(r->command == NULL)) {
        refuse_unknown(r);
        tx_spoil(r->client);
        return false;
    }
    int arity = r->command->arity;
    if (unlikely(arity > 0 ? r->argc != arity : r->argc < -arity)) {
        refuse_arity(r);
        return false;
    }
    if (likely(armed == 0)) return true;
    unsigned flags = flags_of(r);
    const char *error = closed_gate(r, flags);
    if (error == NULL) return !postpone(r, flags);
    refuse(r, error);
    return false;
}
