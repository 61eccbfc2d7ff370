/* See admit.h. Invariant: the error of a request that is not admitted spoils the transaction that the request would
 * have been queued in. */
#include "exec/admit.h"
#include "base/buf.h"
#include "base/likely.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/tx.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/reply.h"
#include "session/stranger.h"
#include <stdio.h>

#define SHOWN_MAX 128 /* bytes of an unknown command, and of its arguments, that its error repeats */
#define ERROR_MAX 512 /* bytes of a gate's error with the name of a command */

/* Refusals are kept out of line, so that admit() saves no registers for them. */

/* --- Unknown commands ------------------------------------------------------------------------ */

/* Words of HTTP: a browser or a proxy was tricked into talking to the server. Redis closes such a client. */
static bool is_cross_protocol(struct slice name) {
    return slice_is(name, "post") || slice_is(name, "host:");
}

static void refuse_subcommand(struct request *r, const struct command *container) {
    struct slice sub = r->argv[1];
    struct buf upper = {0};
    for (const char *s = container->name; *s; s++)
        buf_append(&upper, &(char){(char)(*s & ~0x20)}, 1);
    reply_errorf(r->client, "ERR unknown subcommand '%.*s'. Try %.*s HELP.",
                 (int)(sub.len < SHOWN_MAX ? sub.len : SHOWN_MAX), sub.ptr, (int)upper.len, upper.data);
    buf_free(&upper);
}

static void refuse_command(struct request *r) {
    struct slice name = r->argv[0];
    struct buf args = {0};
    for (int i = 1; i < r->argc && args.len < SHOWN_MAX; i++) {
        size_t room = SHOWN_MAX - args.len;
        buf_printf(&args, "'%.*s' ", (int)(r->argv[i].len < room ? r->argv[i].len : room), r->argv[i].ptr);
    }
    reply_errorf(r->client, "ERR unknown command '%.*s', with args beginning with: %.*s",
                 (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), name.ptr, (int)args.len,
                 args.data ? args.data : "");
    buf_free(&args);
}

static __attribute__((noinline)) void refuse_unknown(struct request *r) {
    if (is_cross_protocol(r->argv[0])) {
        stranger_refuse(r->client, STRANGER_HTTP);
        return;
    }
    const struct command *container = catalog_find(r->argv[0]);
    if (container && container->subcommands && r->argc > 1)
        refuse_subcommand(r, container);
    else
        refuse_command(r);
    tx_spoil(r->client);
}

/* --- Known commands -------------------------------------------------------------------------- */

static __attribute__((noinline)) void refuse_arity(struct request *r) {
    const char *name = catalog_full_name(r->command);
    r->metrics->rejected++;
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

/* These flags let a request pass a gate. All others can only stop it. */
#define PERMITS (CMD_LOADING | CMD_STALE | CMD_NO_AUTH | CMD_ALLOW_BUSY)

/* The flags that gates judge. EXEC has those of all queued commands, but one that permits only if all of them have it:
 * a gate stops EXEC if it would stop one of them. */
static unsigned flags_of(const struct request *r) {
    unsigned flags = gates_flags_of(r), any, lacking;
    if (!(flags & CMD_EXEC)) return flags;
    tx_flags(r->client, &any, &lacking);
    return (flags | any) & ~(lacking & PERMITS);
}

static __attribute__((noinline)) void stop_at_gate(struct request *r, const struct gate *gate) {
    if (gate->error == NULL) {
        block_postpone(r);
        return;
    }
    char error[ERROR_MAX];
    snprintf(error, sizeof error, gate->error, catalog_full_name(r->command));
    r->metrics->rejected++;
    tx_refuse(r, error);
}

static __attribute__((noinline)) bool ask_gates(struct request *r) {
    const struct gate *gate = gates_find_closed(r, flags_of(r));
    if (likely(gate == NULL)) return true;
    stop_at_gate(r, gate);
    return false;
}

bool admit(struct request *r) {
    if (unlikely(r->command == NULL)) {
        refuse_unknown(r);
        return false;
    }
    if (unlikely(!command_takes(r->command, r->argc))) {
        refuse_arity(r);
        return false;
    }
    return likely(!gates_may_stop()) || !gates_may_stop_command(r->command->flags) || ask_gates(r);
}
