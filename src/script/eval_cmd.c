/* EVAL, EVALSHA, their read-only forms, and SCRIPT. A call looks its script up (cache.h), asks whether it may run
 * (run.h), and lets Lua run it (engine.h). SCRIPT LOAD and FLUSH are in the logs of Redis before 7. */
#include "base/buf.h"
#include "base/likely.h"
#include "base/module.h"
#include "cmd/args.h"
#include "exec/call.h"
#include "script/cache.h"
#include "script/engine.h"
#include "script/functions.h"
#include "script/ldb.h"
#include "script/run.h"
#include "script/shebang.h"
#include "session/gates.h"
#include "session/reply.h"
#include "session/request.h"

#define BAD_COUNT "ERR value is not an integer or out of range"

/* --- Calls ----------------------------------------------------------------------------------- */

/* The arguments of the run were read. */
static void run_script(struct script_run *run, const struct cache_script *script) {
    run->name = script->sha;
    run->flags = script->flags;
    run->is_function = false;
    if (!run_begin(run)) return;
    engine_run(cache_engine(), script->function, run);
    run_end(run);
}

static void eval_script(struct request *r) {
    struct script_run run;
    if (!run_read_arguments(&run, r, BAD_COUNT)) return;
    struct buf error = {0};
    const struct cache_script *script = cache_eval(r->argv[1], &error);
    if (likely(script))
        run_script(&run, script);
    else
        reply_reason(r->client, &error);
}

static void eval(struct request *r) {
    call_announce(r);
    if (unlikely(ldb_wants(r->client)))
        ldb_run(r, eval_script);
    else
        eval_script(r);
}

/* What cannot be a SHA-1 is unknown, whatever the other arguments are. */
static void evalsha(struct request *r) {
    struct script_run run;
    const struct cache_script *script = NULL;
    call_announce(r);
    if (r->argv[1].len == SHA1_DIGITS) {
        if (unlikely(ldb_wants(r->client))) {
            reply_error(r->client, "ERR Please use EVAL instead of EVALSHA for debugging");
            return;
        }
        if (!run_read_arguments(&run, r, BAD_COUNT)) return;
        script = cache_find(r->argv[1]);
    }
    if (likely(script))
        run_script(&run, script);
    else
        reply_error(r->client, "NOSCRIPT No matching script. Please use EVAL.");
}

/* --- Gates ----------------------------------------------------------------------------------- */

/* What the script or the function of a request says of itself. False: nothing is known of it. */
static bool read_flags(const struct request *r, unsigned *flags) {
    if (r->command->body == eval) {
        struct slice code;
        struct buf error = {0};
        bool ok = shebang_read_script(r->argv[1], flags, &code, &error);
        buf_free(&error);
        return ok;
    }
    if (r->command->body == evalsha) {
        const struct cache_script *script = cache_peek(r->argv[1]);
        if (script) *flags = script->flags;
        return script;
    }
    const struct function *function = functions_find(r->argv[1]);
    if (function) *flags = function->flags;
    return function;
}

/* Gates judge a script that says what it does by that, and not by what EVAL may do. */
static unsigned judge(const struct request *r) {
    unsigned flags = r->command->flags, said;
    if (!read_flags(r, &said)) return flags;
    flags &= ~CMD_STALE;
    if (said & SCRIPT_OLD_RULES) return flags;
    flags &= ~(CMD_DENYOOM | CMD_WRITE | CMD_MAY_REPLICATE);
    if (!(said & SCRIPT_NO_WRITES)) flags |= CMD_WRITE;
    if (!(said & (SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM))) flags |= CMD_DENYOOM;
    if (said & SCRIPT_ALLOW_STALE) flags |= CMD_STALE;
    return flags;
}

static void eval_start(void) {
    gates_judge_scripts(judge);
}

/* --- SCRIPT ---------------------------------------------------------------------------------- */

static void script_load(struct request *r) {
    struct buf error = {0};
    const struct cache_script *script = cache_load(r->argv[2], &error);
    if (script)
        reply_bulk(r->client, slice_of(script->sha, SHA1_DIGITS));
    else
        reply_reason(r->client, &error);
}

static void script_exists(struct request *r) {
    reply_array(r->client, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc; i++)
        reply_int(r->client, cache_peek(r->argv[i]) != NULL);
}

static void script_flush(struct request *r) {
    bool in_background = cache_options.lazy_flush;
    if (r->argc > 3 || (r->argc == 3 && !args_is_flush(r->argv[2], &in_background))) {
        reply_error(r->client, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    cache_flush(in_background);
    reply_ok(r->client);
}

static void script_kill(struct request *r) {
    run_kill(r->client, false);
}

static void script_help(struct request *r) {
    static const char *const lines[] = {
        "DEBUG (YES|SYNC|NO)",
        "    Let this client step through the scripts that it runs.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell for each SHA-1 whether its script is in the cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Empty the cache. What remains to be freed is freed in the background (ASYNC) or before the reply (SYNC);",
        "    lazyfree-lazy-user-flush decides if neither is given.",
        "KILL",
        "    End the script that runs, if it has not written anything.",
        "LOAD <script>",
        "    Put a script into the cache, where it stays until it is flushed. Reply its SHA-1.",
        NULL,
    };
    reply_help(r->client, "SCRIPT", lines);
}

/* --- Rows ------------------------------------------------------------------------------------ */

static const struct command_keys eval_keys[] = {
    {.flags = "RW access update",
     .notes = "A script may do anything with them.",
     .begin = 2,
     .keynum_at = 0,
     .keynum_first = 1,
     .step = 1},
    {.flags = NULL},
};

static const struct command_keys evalsha_keys[] = {
    {.flags = "RW access update", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys eval_ro_keys[] = {
    {.flags = "RO access",
     .notes = "A script may read anything of them.",
     .begin = 2,
     .keynum_at = 0,
     .keynum_first = 1,
     .step = 1},
    {.flags = NULL},
};

static const struct command_keys evalsha_ro_keys[] = {
    {.flags = "RO access", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command script_subcommands[] = {
    {"debug", ldb_command, 3, .flags = CMD_NOSCRIPT, .group = GROUP_SCRIPTING, .since = "3.2.0",
     .summary = "Let this client step through its scripts.", .complexity = "O(1)", .syntax = "mode:(YES | SYNC | NO)"},
    {"exists", script_exists, -3, .flags = CMD_NOSCRIPT, .group = GROUP_SCRIPTING, .since = "2.6.0",
     .summary = "Tell which scripts are in the cache.", .complexity = "O(n) for n scripts", .syntax = "sha1...",
     .tips = "request_policy:all_shards,response_policy:agg_logical_and"},
    {"flush", script_flush, -2, .flags = CMD_NOSCRIPT | CMD_IN_LOG, .group = GROUP_SCRIPTING, .since = "2.6.0",
     .summary = "Empty the cache of scripts.", .complexity = "O(1), O(n) for n scripts with SYNC",
     .syntax = "[flush-type:(ASYNC | SYNC)@6.2.0]", .tips = "request_policy:all_nodes,response_policy:all_succeeded",
     .history = "6.2.0|New: `ASYNC` and `SYNC`."},
    {"help", script_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_SCRIPTING, .since = "5.0.0",
     .summary = "Describe the subcommands."},
    {"kill", script_kill, 2, .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY, .group = GROUP_SCRIPTING, .since = "2.6.0",
     .summary = "End the script that runs.", .tips = "request_policy:all_shards,response_policy:one_succeeded"},
    {"load", script_load, 3, .flags = CMD_NOSCRIPT | CMD_STALE | CMD_IN_LOG, .group = GROUP_SCRIPTING, .since = "2.6.0",
     .summary = "Put a script into the cache.", .complexity = "O(n) for n bytes", .syntax = "script",
     .tips = "request_policy:all_nodes,response_policy:all_succeeded"},
    {NULL},
};

#define EVAL_FLAGS \
    (CMD_RUNS_SCRIPT | CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_MOVABLE_KEYS)
#define EVAL_COST "The script's"

static const struct command eval_commands[] = {
    {"eval", eval, -3, .flags = EVAL_FLAGS | CMD_MAY_REPLICATE, .key_count_at = 2, .group = GROUP_SCRIPTING,
     .since = "2.6.0", .summary = "Run a Lua script.", .complexity = EVAL_COST,
     .syntax = "script numkeys:integer [key:key...] [arg...]", .keys = eval_keys},
    {"evalsha", evalsha, -3, .flags = EVAL_FLAGS | CMD_MAY_REPLICATE, .key_count_at = 2, .group = GROUP_SCRIPTING,
     .since = "2.6.0", .summary = "Run a Lua script of the cache.", .complexity = EVAL_COST,
     .syntax = "sha1 numkeys:integer [key:key...] [arg...]", .keys = evalsha_keys},
    {"eval_ro", eval, -3, .flags = EVAL_FLAGS | CMD_READONLY, .key_count_at = 2, .group = GROUP_SCRIPTING,
     .since = "7.0.0", .summary = "Run a Lua script that only reads.", .complexity = EVAL_COST,
     .syntax = "script numkeys:integer [key:key...] [arg...]", .keys = eval_ro_keys},
    {"evalsha_ro", evalsha, -3, .flags = EVAL_FLAGS | CMD_READONLY, .key_count_at = 2, .group = GROUP_SCRIPTING,
     .since = "7.0.0", .summary = "Run a Lua script of the cache that only reads.", .complexity = EVAL_COST,
     .syntax = "sha1 numkeys:integer [key:key...] [arg...]", .keys = evalsha_ro_keys},
    {"script", NULL, -2, .group = GROUP_SCRIPTING, .since = "2.6.0",
     .summary = "Ask for scripts of the cache, change it, end a script.", .complexity = "Depends on the subcommand",
     .subcommands = script_subcommands},
    {NULL},
};

const struct module eval_cmd_module = {.commands = eval_commands, .start = eval_start};
