/* OBJECT: how a value is kept. These commands leave the access clock alone, so that asking changes no answer. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/evict.h"

#define SHARED_INTEGERS 10000  /* Redis shares the integers from 0 to below this, */
#define SHARED_COUNT INT32_MAX /* and shows this count for them */

/* The entry of the request's key. NULL: there is none, and null was replied. Unlike lookup_untouched(), this publishes
 * no keymiss event. */
static const struct entry *look_at_key(struct request *r) {
    const struct entry *e = db_look(r->client->db, &r->key);
    if (e) {
        db_metrics.hits++;
    } else {
        db_metrics.misses++;
        reply_null(r->client);
    }
    return e;
}

static void encoding(struct request *r) {
    const struct entry *e = look_at_key(r);
    if (e) reply_bulk_cstr(r->client, entry_encoding_name(e));
}

static void refcount(struct request *r) {
    const struct entry *e = look_at_key(r);
    if (!e) return;
    bool is_int = entry_type(e) == ENTRY_STRING && entry_encoding(e) == STRING_INT;
    bool shared = is_int && entry_int(e) >= 0 && entry_int(e) < SHARED_INTEGERS;
    reply_int(r->client, shared ? SHARED_COUNT : 1);
}

static void idletime(struct request *r) {
    const struct entry *e = look_at_key(r);
    if (!e) return;
    if (evict_uses_lfu()) {
        reply_error(r->client, "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
                               "switching between policies at runtime LRU and LFU data will take some time to adjust.");
        return;
    }
    reply_int(r->client, (int64_t)evict_idle_s(e));
}

static void freq(struct request *r) {
    const struct entry *e = look_at_key(r);
    if (!e) return;
    if (!evict_uses_lfu()) {
        reply_error(r->client,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
                    "switching between policies at runtime LRU and LFU data will take some time to adjust.");
        return;
    }
    reply_int(r->client, evict_frequency(e));
}

static void help(struct request *r) {
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Tell how the value of <key> is kept in memory.",
        "FREQ <key>",
        "    Tell how often <key> is used, on a logarithmic scale. Needs an LFU policy.",
        "IDLETIME <key>",
        "    Tell for how many seconds <key> has not been used.",
        "REFCOUNT <key>",
        "    Tell how often the value of <key> is referred to.",
        NULL,
    };
    reply_help(r->client, "OBJECT", lines);
}

static const struct command object_subcommands[] = {
    {"encoding", encoding, 3, .flags = CMD_READONLY, .first_key = 2, .since = "2.2.3",
     .summary = "Tell how a value is kept in memory.", .syntax = "key:key", .tips = "nondeterministic_output",
     .key_flags = "RO"},
    {"freq", freq, 3, .flags = CMD_READONLY, .first_key = 2, .since = "4.0.0",
     .summary = "Tell how often a key is used, on a logarithmic scale.", .syntax = "key:key",
     .tips = "nondeterministic_output", .key_flags = "RO"},
    {"help", help, 2, .flags = CMD_LOADING | CMD_STALE, .since = "6.2.0", .summary = "Describe the subcommands."},
    {"idletime", idletime, 3, .flags = CMD_READONLY, .first_key = 2, .since = "2.2.3",
     .summary = "Tell for how many seconds a key has not been used.", .syntax = "key:key",
     .tips = "nondeterministic_output", .key_flags = "RO"},
    {"refcount", refcount, 3, .flags = CMD_READONLY, .first_key = 2, .since = "2.2.3",
     .summary = "Tell how often a value is referred to: once, but for small integers.", .syntax = "key:key",
     .tips = "nondeterministic_output", .key_flags = "RO"},
    {NULL},
};

static const struct command object_commands[] = {
    {"object", NULL, -2, .since = "2.2.3", .summary = "Ask how a value is kept and used.",
     .complexity = "Depends on the subcommand", .subcommands = object_subcommands},
    {NULL},
};

const struct module object_module = {.commands = object_commands};
