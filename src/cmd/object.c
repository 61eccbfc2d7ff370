/* OBJECT: how a value is kept. Looking must not change what is seen: no access clock is touched. */
#include "cmd/families.h"
#include "server/client.h"
#include "server/reply.h"
#include "server/request.h"
#include "store/db.h"
#include "store/evict.h"

#define SHARED_INTEGERS 10000  /* Redis keeps integers below once, */
#define SHARED_COUNT INT32_MAX /* and this is the count it shows for them */

/* NULL: replied null. No keymiss event is for those who only look. */
static const struct entry *find(struct request *r) {
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
    const struct entry *e = find(r);
    if (e) reply_bulk_cstr(r->client, entry_encoding_name(e));
}

static void refcount(struct request *r) {
    const struct entry *e = find(r);
    if (!e) return;
    bool is_int = entry_type(e) == ENTRY_STRING && entry_encoding(e) == STRING_INT;
    bool shared = is_int && entry_int(e) >= 0 && entry_int(e) < SHARED_INTEGERS;
    reply_int(r->client, shared ? SHARED_COUNT : 1);
}

static void idletime(struct request *r) {
    const struct entry *e = find(r);
    if (!e) return;
    if (evict_uses_lfu()) {
        reply_error(r->client, "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
                               "switching between policies at runtime LRU and LFU data will take some time to adjust.");
        return;
    }
    reply_int(r->client, (int64_t)evict_idle_s(e));
}

static void freq(struct request *r) {
    const struct entry *e = find(r);
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
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL,
    };
    reply_help(r->client, "OBJECT", lines);
}

static const struct command object_subcommands[] = {
    {.name = "encoding",
     .body = encoding,
     .arity = 3,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .group = GROUP_GENERIC,
     .since = "2.2.3",
     .summary = "Inspect the internal encoding of a Redis object",
     .complexity = "O(1)",
     .syntax = "key:key",
     .tips = "nondeterministic_output",
     .key_flags = "RO"},
    {.name = "freq",
     .body = freq,
     .arity = 3,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .group = GROUP_GENERIC,
     .since = "4.0.0",
     .summary = "Get the logarithmic access frequency counter of a Redis object",
     .complexity = "O(1)",
     .syntax = "key:key",
     .tips = "nondeterministic_output",
     .key_flags = "RO"},
    {.name = "help",
     .body = help,
     .arity = 2,
     .flags = CMD_LOADING | CMD_STALE,
     .acl = ACL_KEYSPACE,
     .group = GROUP_GENERIC,
     .since = "6.2.0",
     .summary = "Show helpful text about the different subcommands",
     .complexity = "O(1)"},
    {.name = "idletime",
     .body = idletime,
     .arity = 3,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .group = GROUP_GENERIC,
     .since = "2.2.3",
     .summary = "Get the time since a Redis object was last accessed",
     .complexity = "O(1)",
     .syntax = "key:key",
     .tips = "nondeterministic_output",
     .key_flags = "RO"},
    {.name = "refcount",
     .body = refcount,
     .arity = 3,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .group = GROUP_GENERIC,
     .since = "2.2.3",
     .summary = "Get the number of references to the value of the key",
     .complexity = "O(1)",
     .syntax = "key:key",
     .tips = "nondeterministic_output",
     .key_flags = "RO"},
    {.name = NULL},
};

const struct command object_commands[] = {
    {.name = "object",
     .arity = -2,
     .group = GROUP_GENERIC,
     .since = "2.2.3",
     .summary = "A container for object introspection commands",
     .complexity = "Depends on subcommand.",
     .subcommands = object_subcommands},
    {.name = NULL},
};
