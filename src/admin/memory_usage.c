/* MEMORY: the rows, and USAGE: how many bytes a key takes. memory_stats.h and INFO memory are about the process. */
#include "admin/memory_stats.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/db.h"

#define SAMPLES_DEFAULT 5 /* elements of a large collection that are measured */

/* Read [SAMPLES count]...; the last one counts, 0 means all elements. False: replied. */
static bool parse_samples(struct request *r, int64_t *samples) {
    *samples = SAMPLES_DEFAULT;
    for (int i = 3; i < r->argc; i += 2) {
        if (slice_is(r->argv[i], "samples") && i + 1 < r->argc) {
            if (!args_i64(r->client, r->argv[i + 1], samples)) return false;
            if (*samples >= 0) continue;
        }
        reply_syntax_error(r->client);
        return false;
    }
    return true;
}

/* An expired entry stays: asking for memory must not change it. */
static void memory_usage(struct request *r) {
    int64_t samples;
    if (!parse_samples(r, &samples)) return;
    const struct entry *e = db_peek(r->client->db, &r->key);
    if (e) {
        reply_int(r->client, (int64_t)entry_memory(e, (size_t)samples));
    } else {
        reply_null(r->client);
    }
}

static void memory_help(struct request *r) {
    static const char *const lines[] = {
        "DOCTOR",
        "    Look for what is wrong with the memory, and advise.",
        "MALLOC-STATS",
        "    The allocator's own report.",
        "PURGE",
        "    Let the allocator give unused pages back to the kernel.",
        "STATS",
        "    What memory is used for, in bytes, and how well it is used.",
        "USAGE <key> [SAMPLES <count>]",
        "    Estimate how many bytes <key> takes with its value, by looking at <count>",
        "    elements of a collection: 5 if nothing is said, all for 0.",
        NULL,
    };
    reply_help(r->client, "MEMORY", lines);
}

static const struct command memory_subcommands[] = {
    {"doctor", memory_stats_doctor, 2, .group = GROUP_SERVER, .since = "4.0.0",
     .summary = "Look for what is wrong with the memory, and advise.",
     .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"help", memory_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_SERVER, .since = "4.0.0",
     .summary = "Describe the subcommands."},
    {"malloc-stats", memory_stats_malloc, 2, .group = GROUP_SERVER, .since = "4.0.0",
     .summary = "Print the allocator's own report.", .complexity = "O(n) for n arenas and size classes",
     .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"purge", memory_stats_purge, 2, .group = GROUP_SERVER, .since = "4.0.0",
     .summary = "Let the allocator give unused pages back to the kernel.", .complexity = "O(n) for n unused pages",
     .tips = "request_policy:all_shards,response_policy:all_succeeded"},
    {"stats", memory_stats_command, 2, .group = GROUP_SERVER, .since = "4.0.0",
     .summary = "Tell what memory is used for, and how well.", .complexity = "O(n) for n databases",
     .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"usage", memory_usage, -3, .flags = CMD_READONLY, .first_key = 2, .group = GROUP_SERVER, .since = "4.0.0",
     .summary = "Estimate how many bytes a key takes with its value.",
     .complexity = "O(n) for n samples, or blocks of a list", .syntax = "key:key [SAMPLES count:integer]",
     .key_flags = "RO"},
    {NULL},
};

static const struct command memory_usage_commands[] = {
    {"memory", NULL, -2, .group = GROUP_SERVER, .since = "4.0.0", .summary = "Ask how memory is used.",
     .complexity = "Depends on the subcommand", .subcommands = memory_subcommands},
    {NULL},
};

const struct module memory_usage_module = {.commands = memory_usage_commands};
