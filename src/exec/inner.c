/* See inner.h. The state of the client is its own again when the script ends; in between it is the script's, so that
 * bodies need not know of scripts.
 *
 * Invariant: while a script runs, inner_current is its struct, client_scripting names its client, and the range in
 * `range` is the innermost one of those that are older than the call. */
#include "exec/inner.h"
#include "base/likely.h"
#include "catalog/command_metrics.h"
#include "catalog/command_row.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/reply.h"
#include "session/request.h"

struct inner *inner_current;

#define CHANGEABLE CLIENT_READS_HERE /* flags of the client: READONLY, READWRITE */

/* --- Beginning and end ----------------------------------------------------------------------- */

/* What of the gates concerns this script. */
static __attribute__((noinline)) void note_gates(struct inner *in) {
    struct gates_for_calls found = gates_for_calls(in->client);
    in->gates = found.places;
    in->stops |= found.stops;
}

/* What comes from a log was admitted where it was sent, and the log has it already: the request, not its effects. */
void inner_begin(struct inner *in, struct client *c, unsigned flags, size_t reply_limit) {
    in->client = c;
    in->called = in->gates = 0;
    in->flags = flags;
    in->stops = CMD_NOSCRIPT | (flags & INNER_NO_WRITES ? CMD_WRITE | CMD_MAY_REPLICATE : 0);
    in->targets = propagate_targets;
    in->db = c->db;
    in->resp = c->resp;
    in->client_flags = c->flags & CHANGEABLE;
    in->outer = call_nest();
    if (unlikely(call_is_replayed))
        propagate_targets = 0;
    else if (unlikely(gates_may_stop()))
        note_gates(in);
    client_scripting = (struct client_scripting){c, c->resp};
    c->resp = 2;
    inner_current = in;
    conn_open(&in->range, reply_limit);
}

void inner_end(struct inner *in) {
    struct client *c = in->client;
    if (inner_current != in) return;
    conn_take_back(&in->range);
    inner_current = NULL;
    client_scripting.client = NULL;
    c->resp = in->resp;
    c->db = in->db;
    /* That a call has failed does not make the script a failed command. */
    c->flags = (c->flags & ~(unsigned)(CHANGEABLE | CLIENT_FAILED)) | in->client_flags;
    propagate_targets = in->targets;
    call_unnest(in->outer);
    propagate_nothing(); /* each call was propagated by itself */
}

bool inner_has_written(const struct inner *in) {
    return in->called & CMD_WRITE;
}

/* --- Refusals -------------------------------------------------------------------------------- */

#define BIT(place) (1u << (place))
#define ABOUT_THIS_SERVER (BIT(GATES_STALE) | BIT(GATES_LOADING))
#define ABOUT_WRITES (BIT(GATES_READONLY) | BIT(GATES_DISK) | BIT(GATES_REPLICAS) | BIT(GATES_MEMORY))

static const char *gate_error(unsigned places, unsigned flags) {
    const struct gate *gate = gates_find_for_call(places, flags);
    if (gate == NULL) return NULL;
    return gate->call_error ? gate->call_error : gate->error;
}

/* The order is Redis's. Permissions of users will be asked behind the first gates, slots of the cluster last. */
static const char *refusal(const struct inner *in, unsigned flags) {
    if (flags & CMD_NOSCRIPT) return "ERR This Redis command is not allowed from script";
    const char *error = gate_error(in->gates & ABOUT_THIS_SERVER, flags);
    if (error) return error;
    if ((in->flags & INNER_NO_WRITES) && (flags & (CMD_WRITE | CMD_MAY_REPLICATE)))
        return "ERR Write commands are not allowed from read-only scripts.";
    unsigned places = inner_has_written(in) ? 0 : in->gates & ABOUT_WRITES;
    if (in->flags & INNER_ALLOW_OOM) places &= ~BIT(GATES_MEMORY);
    return gate_error(places, flags);
}

static __attribute__((noinline)) bool refuse(struct request *r, const char *error) {
    struct command_metrics *metrics = r->metrics;
    if (metrics) metrics->rejected++;
    reply_error(r->client, error);
    return false;
}

/* --- A call ---------------------------------------------------------------------------------- */

/* The arguments fit the row, so the first key is there if the row has one. */
static void fill_in_key(struct request *r) {
    int first = r->command->first_key;
    if (first > 0 && first < r->argc && r->key.name.ptr == NULL) r->key = key_of(r->argv[first]);
}

static __attribute__((noinline)) bool drop_reply(const struct inner *in, size_t mark) {
    conn_truncate(mark);
    reply_error(in->client, "ERR Reply of a command is too large for the script");
    return false;
}

bool inner_call(struct inner *in, struct request *r) {
    struct client *c = r->client = in->client;
    size_t mark = conn_mark();
    if (r->command == NULL) request_prepare(r);
    const struct command *command = r->command;
    if (unlikely(command == NULL)) return refuse(r, "ERR Unknown Redis command called from script");
    if (unlikely(!command_takes(command, r->argc)))
        return refuse(r, "ERR Wrong number of args calling Redis command from script");
    if (unlikely((command->flags | GATES_ANY) & in->stops)) {
        const char *error = refusal(in, command->flags);
        if (error) return refuse(r, error);
    }
    fill_in_key(r);
    r->redacted = 0;
    in->called |= command->flags;
    client_clear(c, CLIENT_FAILED);
    call_start_clock();
    call(r);
    return likely(!conn_arena.refuses) || drop_reply(in, mark);
}

void inner_set_resp(struct inner *in, int resp) {
    in->client->resp = (uint8_t)resp;
}

void inner_set_targets(struct inner *in, unsigned targets) {
    (void)in;
    if (!call_is_replayed) propagate_targets = targets;
}
