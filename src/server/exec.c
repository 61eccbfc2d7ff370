/* From a request to the call of its command.
 *
 * Look-up: the first eight bytes of the name, in lower case, and its length are the key of
 * a small open-addressed table that is built at boot. For names of up to eight letters that
 * comparison is exact; longer ones, and those with digits or dashes, are compared in full.
 *
 * Gates: what may keep a command from running is an array of conditions, and one mask says which of them
 * are armed at all, so that a server that is neither loading nor protected nor paused pays one AND. */
#include "server/exec.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/block.h"
#include "server/client.h"
#include "server/monitor.h"
#include "server/pause.h"
#include "server/propagate.h"
#include "server/pubsub.h"
#include "server/push.h"
#include "server/reply.h"
#include "server/stats.h"
#include "server/tracking.h"
#include "server/tx.h"
#include "store/evict.h"
#include <assert.h>
#include <stdio.h>

#define FAMILIES_MAX 64
#define LOOKUP_SIZE 1024 /* slots; a power of two, several times the number of commands */
#define NAME_SHOWN 128   /* bytes of an unknown command that its error repeats */

/* What exec keeps for a row: subcommands' are next to each other in the order of their rows. */
struct known {
    const struct command *command, *container;
    struct known *subcommands;
    char *full_name; /* "config|get" */
    struct command_stats stats;
};

struct lookup_slot {
    uint64_t prefix; /* the first eight bytes of the name in lower case, zero-padded: see fold() */
    uint32_t len;
    bool letters; /* the prefix tells all */
    struct known *known;
};

static const struct command *families[FAMILIES_MAX];
static size_t family_count;
static struct known *known; /* top-level rows first, in the order of registration */
static size_t known_count, known_total;
static struct lookup_slot lookup[LOOKUP_SIZE];
static unsigned armed; /* enum exec_condition */
bool exec_nested;
static uint64_t call_began; /* ticks: where the time of the next command starts */

/* --- the table ------------------------------------------------------------------------------- */

/* The first bytes of a name with bit 5 set in each, which is lower case for letters.
 * Loads overlap where there are fewer than eight. */
static inline uint64_t fold(const char *name, size_t len) {
    uint64_t prefix = 0;
    if (len >= 8)
        prefix = hash_load64(name);
    else if (len >= 4)
        prefix = hash_load32(name) | hash_load32(name + len - 4) << 8 * (len - 4);
    else if (len > 0)
        prefix = (uint64_t)(unsigned char)name[0] | (uint64_t)(unsigned char)name[len / 2] << 8 * (len / 2) |
                 (uint64_t)(unsigned char)name[len - 1] << 8 * (len - 1);
    return prefix | 0x2020202020202020u;
}

static inline size_t lookup_index(uint64_t prefix, size_t len) {
    return (size_t)((prefix ^ len) * 0x9e3779b97f4a7c15u >> (64 - 10));
}
static_assert(LOOKUP_SIZE == 1 << 10, "lookup_index yields ten bits");

static struct known *find_known(struct slice name) {
    uint64_t prefix = fold(name.ptr, name.len);
    for (size_t i = lookup_index(prefix, name.len);; i = (i + 1) % LOOKUP_SIZE) {
        struct lookup_slot *slot = &lookup[i];
        if (slot->known == NULL) return NULL;
        if (slot->prefix != prefix || slot->len != name.len) continue;
        if (slot->letters || slice_is(name, slot->known->command->name)) return slot->known;
    }
}

static void add_lookup(struct known *k) {
    struct slice name = slice_cstr(k->command->name);
    assert(find_known(name) == NULL && "command names are unique");
    uint64_t prefix = fold(name.ptr, name.len);
    bool letters = name.len <= 8;
    for (size_t i = 0; i < name.len; i++)
        letters = letters && name.ptr[i] >= 'a' && name.ptr[i] <= 'z';
    size_t i = lookup_index(prefix, name.len);
    while (lookup[i].known)
        i = (i + 1) % LOOKUP_SIZE;
    lookup[i] = (struct lookup_slot){prefix, (uint32_t)name.len, letters, k};
}

void exec_register(const struct command *rows) {
    assert(family_count < FAMILIES_MAX && known == NULL);
    families[family_count++] = rows;
}

static void check_row(const struct command *row, bool is_sub) {
    assert(row->arity != 0 && row->summary && row->since);
    assert(row->body || row->subcommands);
    assert(!(row->flags & CMD_WRITE) || !(row->flags & CMD_READONLY));
    assert((row->first_key == 0) == (row->key_step == 0));
    assert(!is_sub || row->subcommands == NULL);
    (void)row;
    (void)is_sub;
}

static struct known *add_known(size_t at, const struct command *row, const struct command *container) {
    check_row(row, container != NULL);
    struct buf name = {0};
    if (container) buf_printf(&name, "%s|", container->name);
    buf_append(&name, row->name, strlen(row->name) + 1);
    known[at] = (struct known){.command = row, .container = container, .full_name = name.data};
    return &known[at];
}

static size_t count_rows(const struct command *rows) {
    size_t n = 0;
    while (rows && rows[n].name)
        n++;
    return n;
}

void exec_ready(void) {
    for (size_t f = 0; f < family_count; f++) {
        known_count += count_rows(families[f]);
        for (const struct command *row = families[f]; row->name; row++)
            known_total += count_rows(row->subcommands);
    }
    known_total += known_count;
    assert(known_count * 2 < LOOKUP_SIZE);
    known = alloc_zero(known_total * sizeof *known);
    size_t top = 0, sub = known_count;
    for (size_t f = 0; f < family_count; f++) {
        for (const struct command *row = families[f]; row->name; row++) {
            struct known *k = add_known(top++, row, NULL);
            if (row->subcommands) k->subcommands = &known[sub];
            for (const struct command *s = row->subcommands; s && s->name; s++)
                add_known(sub++, s, row);
            add_lookup(k);
        }
    }
}

static struct known *known_of(const struct command *command) {
    for (size_t i = 0; i < known_total; i++)
        if (known[i].command == command) return &known[i];
    return NULL;
}

static struct known *find_known_sub(struct known *container, struct slice name) {
    const struct command *rows = container->command->subcommands;
    for (size_t i = 0; rows && rows[i].name; i++)
        if (slice_is(name, rows[i].name)) return &container->subcommands[i];
    return NULL;
}

const struct command *exec_find(struct slice name) {
    struct known *k = find_known(name);
    return k ? k->command : NULL;
}

const struct command *exec_find_sub(const struct command *container, struct slice name) {
    struct known *k = find_known_sub(known_of(container), name);
    return k ? k->command : NULL;
}

const struct command *exec_find_full(struct slice full) {
    const char *bar = memchr(full.ptr, '|', full.len);
    if (bar == NULL) return exec_find(full);
    const struct command *container = exec_find(slice_of(full.ptr, (size_t)(bar - full.ptr)));
    return container ? exec_find_sub(container, slice_of(bar + 1, (size_t)(full.ptr + full.len - bar - 1))) : NULL;
}

size_t exec_command_count(void) {
    return known_count;
}

const struct command *exec_command_at(size_t i) {
    assert(i < known_count);
    return known[i].command;
}

const struct command *exec_container(const struct command *subcommand) {
    return known_of(subcommand)->container;
}

const char *exec_full_name(const struct command *command) {
    return known_of(command)->full_name;
}

int exec_find_keys(const struct command *command, const struct slice *argv, int argc, int *positions, int max) {
    if (command->find_keys) return command->find_keys(argv, argc, positions, max);
    if (command->first_key == 0) return 0;
    int last = command->last_key >= 0 ? command->last_key : argc + command->last_key, count = 0;
    for (int i = command->first_key; i <= last && i < argc; i += command->key_step, count++)
        if (count < max) positions[count] = i;
    return count;
}

/* --- statistics ------------------------------------------------------------------------------ */

struct command_stats *exec_stats(const struct command *command) {
    return &known_of(command)->stats;
}

void exec_reset_stats(void) {
    for (size_t i = 0; i < known_total; i++) {
        uint32_t *histogram = known[i].stats.histogram;
        known[i].stats = (struct command_stats){.histogram = histogram};
        if (histogram) memset(histogram, 0, EXEC_HISTOGRAM * sizeof *histogram);
    }
}

/* Eight buckets a doubling: the error is at most an eighth. */
unsigned exec_histogram_bucket(uint64_t ticks) {
    if (ticks < 8) return (unsigned)ticks;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ticks);
    unsigned bucket = (exponent - 2) * 8 + (unsigned)(ticks >> (exponent - 3) & 7);
    return bucket < EXEC_HISTOGRAM ? bucket : EXEC_HISTOGRAM - 1;
}

uint64_t exec_histogram_ticks(unsigned bucket) {
    if (bucket < 8) return bucket;
    unsigned exponent = bucket / 8 + 2;
    return ((uint64_t)(8 + bucket % 8 + 1) << (exponent - 3)) - 1;
}

static void count_call(struct command_stats *stats_of, uint64_t ticks, bool failed) {
    stats_of->calls++;
    stats_of->ticks += ticks;
    stats_of->failed += failed;
    if (__builtin_expect(stats_of->histogram == NULL, 0))
        stats_of->histogram = alloc_zero(EXEC_HISTOGRAM * sizeof *stats_of->histogram);
    stats_of->histogram[exec_histogram_bucket(ticks)]++;
}

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
    struct known *container = find_known(name);
    if (container && container->command->subcommands && r->argc > 1) {
        struct slice sub = r->argv[1];
        struct buf upper = {0};
        for (const char *s = container->command->name; *s; s++)
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

/* A gate stops commands that lack all of the flags in `passes` while its condition is armed and holds. */
static const struct gate {
    unsigned condition;
    unsigned passes;
    bool (*holds)(const struct request *r); /* NULL: for every client */
    const char *error;                      /* "%s" in it is the command */
} gates[];

static bool lacks_password(const struct request *r) {
    return !(r->client->flags & CLIENT_AUTHENTICATED);
}

/* A subscriber in RESP2 cannot tell replies from messages, but for those of the commands that manage subscriptions. */
static bool keeps_to_messages(const struct request *r) {
    static const char *const allowed[] = {"ping",       "quit",         "reset",      "subscribe",   "unsubscribe",
                                          "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"};
    if (!pubsub_restricts(r->client)) return false;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(r->command->name, allowed[i]) == 0) return false;
    return true;
}

/* To Redis a monitor is a kind of replica. */
static bool is_monitor(const struct request *r) {
    unsigned on_keys = CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE;
    return (r->client->flags & CLIENT_MONITOR) && (r->command->flags & on_keys);
}

/* PING is refused along with the writes, so that whoever watches the server hears of it. */
static bool is_write_or_ping(const struct request *r) {
    return (r->command->flags & CMD_WRITE) || strcmp(r->command->name, "ping") == 0;
}

char exec_disk_error[512];

static const struct gate gates[] = {
    {EXEC_NEEDS_AUTH, CMD_NO_AUTH, lacks_password, "NOAUTH Authentication required."},
    {EXEC_SUBSCRIBED, 0, keeps_to_messages,
     "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
     "context"},
    {EXEC_DISK_ERROR, 0, is_write_or_ping, exec_disk_error},
    {EXEC_MONITORED, 0, is_monitor, "ERR Replica can't interact with the keyspace"},
    {EXEC_LOADING, CMD_LOADING, NULL, "LOADING Redis is loading the dataset in memory"},
};

void exec_arm(unsigned condition, bool on) {
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
    static char text[sizeof exec_disk_error];
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        const struct gate *gate = &gates[i];
        if (!(armed & gate->condition) || (flags & gate->passes)) continue;
        if (gate->holds && !gate->holds(r)) continue;
        snprintf(text, sizeof text, gate->error, exec_full_name(r->command));
        return text;
    }
    return NULL;
}

static void refuse(struct request *r, const char *error) {
    r->stats->rejected++;
    tx_refuse(r, error);
}

static void refuse_arity(struct request *r) {
    const char *name = exec_full_name(r->command);
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
    if (!(armed & EXEC_PAUSED) || !pause_stops(flags)) return false;
    block_postpone(r);
    return true;
}

/* True if the request may run; has replied or put it off otherwise. */
static bool admit(struct request *r) {
    if (__builtin_expect(r->command == NULL, 0)) {
        refuse_unknown(r);
        tx_spoil(r->client);
        return false;
    }
    int arity = r->command->arity;
    if (__builtin_expect(arity > 0 ? r->argc != arity : r->argc < -arity, 0)) {
        refuse_arity(r);
        return false;
    }
    if (__builtin_expect(armed == 0, 1)) return true;
    unsigned flags = flags_of(r);
    const char *error = closed_gate(r, flags);
    if (error == NULL) return !postpone(r, flags);
    refuse(r, error);
    return false;
}

/* --- the call -------------------------------------------------------------------------------- */

void exec_prepare(struct request *r) {
    struct known *k = find_known(r->argv[0]);
    if (k && k->subcommands && r->argc > 1) k = find_known_sub(k, r->argv[1]);
    r->command = k ? k->command : NULL;
    r->stats = k ? &k->stats : NULL;
    r->redacted = 0;
    if (k == NULL || k->command->first_key == 0 || k->command->first_key >= r->argc) {
        r->key = (struct key){.hash = 0};
        return;
    }
    r->key = key_of(r->argv[k->command->first_key]);
}

void exec_start_clock(void) {
    call_began = clock_ticks();
}

uint64_t exec_began(void) {
    return call_began;
}

static void call(struct request *r) {
    struct client *c = r->client;
    int64_t dirty = db_metrics.dirty;
    propagate_begin();
    r->command->body(r);
    if (__builtin_expect(c->flags & CLIENT_TRACKS, 0) && (r->command->flags & CMD_READONLY)) tracking_remember(r);
    propagate_end(c->db, r->argv, r->argc, r->raw, db_metrics.dirty > dirty);
    if (__builtin_expect(monitor_wanted, 0) && !(r->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN))) monitor_feed(r);
    uint64_t now = clock_ticks(), spent = now - call_began;
    call_began = now;
    if (__builtin_expect(c->waiter != NULL, 0) && block_is_waiting(c)) return; /* it counts when it is over */
    count_call(r->stats, spent, c->flags & CLIENT_FAILED);
    stats.commands++;
    static uint64_t long_ticks;
    if (__builtin_expect(long_ticks == 0, 0)) long_ticks = clock_ns_to_ticks(1000000);
    if (__builtin_expect(spent > long_ticks, 0)) clock_update(); /* what follows must not live in the past */
}

/* A command of a client that wants to leave no traces (CLIENT NO-TOUCH), which only TOUCH does all the same. */
static __attribute__((noinline)) void call_untouching(struct request *r) {
    evict_hold(strcmp(r->command->name, "touch") != 0);
    call(r);
    evict_hold(false);
}

bool exec_replay(struct request *r) {
    int arity = r->command->arity;
    if (arity > 0 ? r->argc != arity : r->argc < -arity) return false;
    size_t mark = conn_open();
    propagate_begin();
    r->command->body(r);
    propagate_end(r->client->db, r->argv, r->argc, r->raw, false);
    conn_truncate(mark);
    conn_keep(&r->client->conn, mark);
    return true;
}

static inline void call_as_client_wants(struct request *r) {
    if (__builtin_expect(r->client->flags & CLIENT_NO_TOUCH, 0)) {
        call_untouching(r);
    } else {
        call(r);
    }
}

void exec_mute(const struct client *c, size_t mark) {
    if (c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) conn_truncate(mark);
}

/* CLIENT REPLY: drop what was written since, if it is not wanted; SKIP is for one request. */
static __attribute__((noinline)) void hide_reply(struct client *c, size_t mark) {
    if (block_is_waiting(c)) return; /* the reply is still to come */
    exec_mute(c, mark);
    bool skip_next = c->flags & CLIENT_REPLY_SKIP_NEXT;
    c->flags &= ~(unsigned)(CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
    if (skip_next) c->flags |= CLIENT_REPLY_SKIP;
}

#define REPLY_HIDDEN (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)

/* CLIENT CACHING is about the next command that is not one of CLIENT's, or the next transaction. */
static __attribute__((noinline)) void end_caching(const struct request *r) {
    if (block_is_waiting(r->client) || r->client->flags & CLIENT_MULTI) return;
    const struct command *container = r->command ? exec_container(r->command) : NULL;
    if (container && strcmp(container->name, "client") == 0) return;
    r->client->flags &= ~(unsigned)CLIENT_CACHING;
}

void exec_end(struct request *r, void (*reply)(struct client *c)) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    c->flags &= ~(unsigned)CLIENT_FAILED;
    reply(c);
    count_call(r->stats, 0, c->flags & CLIENT_FAILED);
    stats.commands++;
    if (c->flags & REPLY_HIDDEN) hide_reply(c, mark);
}

void exec_run(struct request *r) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    c->flags &= ~(unsigned)CLIENT_FAILED;
    bool admitted = admit(r);
    if (admitted) {
        c->last_command = r->command;
        if (__builtin_expect((c->flags & CLIENT_MULTI) && !(r->command->flags & CMD_UNQUEUED), 0)) {
            tx_queue(r);
        } else {
            call_as_client_wants(r);
        }
    }
    if (__builtin_expect(c->flags & REPLY_HIDDEN, 0)) {
        bool is_settled = admitted && (r->command->flags & CMD_EXEC);
        hide_reply(c, is_settled ? conn_mark() : mark);
    }
    if (__builtin_expect(c->flags & CLIENT_CACHING, 0)) end_caching(r);
    if (__builtin_expect(push_kept, 0)) push_settle(c);
    if (__builtin_expect(block_ready, 0) && !exec_nested) {
        block_serve();
        if (push_kept) push_settle(c);
    }
}

/* --- commands inside commands ---------------------------------------------------------------- */

uint64_t exec_nest(void) {
    uint64_t began = call_began;
    exec_nested = true;
    evict_hold(false);
    exec_start_clock();
    return began;
}

void exec_unnest(uint64_t began) {
    exec_nested = false;
    call_began = began;
}

void exec_run_nested(struct request *r) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    call_as_client_wants(r);
    c->flags &= ~(unsigned)CLIENT_FAILED; /* that was this command's failure, not EXEC's */
    exec_mute(c, mark);
}
