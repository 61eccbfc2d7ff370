/* FCALL, FCALL_RO and FUNCTION: their rows, and bodies that say what functions.c has done. */
#include "base/buf.h"
#include "base/glob.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "disk/writer.h"
#include "exec/busy.h"
#include "exec/call.h"
#include "rdb/rdb_functions.h"
#include "script/cache.h"
#include "script/engine.h"
#include "script/functions.h"
#include "script/run.h"
#include "script/shebang.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/db.h"
#include <errno.h>

#define ENGINE_NAME "LUA"

/* --- Calling --------------------------------------------------------------------------------- */

static void fcall(struct request *r) {
    const struct function *f = functions_find(r->argv[1]);
    struct script_run run;
    call_announce(r);
    if (!f) {
        reply_error(r->client, "ERR Function not found");
        return;
    }
    if (!run_read_arguments(&run, r, "ERR Bad number of keys provided")) return;
    run.name = f->text;
    run.flags = f->flags;
    run.is_function = true;
    if (!run_begin(&run)) return;
    engine_run(functions_engine(), f->ref, &run);
    run_end(&run);
}

/* --- Changing -------------------------------------------------------------------------------- */

/* What comes from a log or from the primary has loaded once, and must load again. */
static int64_t load_limit_ms(void) {
    return call_is_replayed ? 0 : FUNCTIONS_LOAD_MS;
}

static void function_load(struct request *r) {
    struct client *c = r->client;
    struct functions_load load = {.source = r->argv[r->argc - 1], .limit_ms = load_limit_ms()};
    struct buf name = {0}, error = {0};
    for (int i = 2; i < r->argc - 1; i++) {
        if (!slice_is(r->argv[i], "replace")) {
            reply_errorf(c, "ERR Unknown option given: %.*s", (int)r->argv[i].len, r->argv[i].ptr);
            return;
        }
        load.replace = true;
    }
    if (functions_load(&load, &name, &error)) {
        db_metrics.dirty++;
        reply_bulk(c, buf_slice(&name));
    } else {
        reply_reason(c, &error);
    }
    buf_free(&name);
}

static void function_delete(struct request *r) {
    if (!functions_delete(r->argv[2])) {
        reply_error(r->client, "ERR Library not found");
        return;
    }
    db_metrics.dirty++;
    reply_ok(r->client);
}

static bool has_at_most(struct request *r, int argc) {
    if (r->argc > argc) reply_unknown_subcommand(r->client, r->argv[1], "FUNCTION");
    return r->argc <= argc;
}

static void function_flush(struct request *r) {
    bool in_background = cache_options.lazy_flush;
    if (!has_at_most(r, 3)) return;
    if (r->argc == 3 && !args_is_flush(r->argv[2], &in_background)) {
        reply_error(r->client, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    functions_flush(in_background);
    db_metrics.dirty++;
    reply_ok(r->client);
}

static bool read_policy(struct request *r, enum functions_policy *policy) {
    *policy = FUNCTIONS_APPEND;
    if (r->argc == 3 || slice_is(r->argv[3], "append")) return true;
    *policy = slice_is(r->argv[3], "flush") ? FUNCTIONS_FLUSH : FUNCTIONS_REPLACE;
    if (*policy == FUNCTIONS_FLUSH || slice_is(r->argv[3], "replace")) return true;
    reply_error(r->client, "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
    return false;
}

static void function_restore(struct request *r) {
    enum functions_policy policy;
    struct buf error = {0};
    if (!has_at_most(r, 4) || !read_policy(r, &policy)) return;
    if (!functions_restore(r->argv[2], policy, load_limit_ms(), &error)) {
        reply_reason(r->client, &error);
        return;
    }
    db_metrics.dirty++;
    reply_ok(r->client);
}

/* --- Telling --------------------------------------------------------------------------------- */

static void function_dump(struct request *r) {
    struct writer w;
    writer_to_some_memory(&w, true, conn_room());
    rdb_dump_functions(&w);
    if (writer_flush(&w))
        reply_bulk(r->client, writer_slice(&w));
    else
        conn_refuse(w.error == EFBIG ? CONN_OVER_LIMIT : CONN_NO_MEMORY);
    writer_free(&w);
}

static void reply_flags(struct client *c, unsigned flags) {
    size_t place = reply_hold(c), count = 0;
    for (const struct shebang_flag_name *at = shebang_flag_names; at->name; at++) {
        if (!(flags & at->flag)) continue;
        reply_status(c, at->name);
        count++;
    }
    reply_set_at(c, place, count);
}

static void reply_function(struct client *c, const struct function *f) {
    reply_map(c, 3);
    reply_bulk_cstr(c, "name");
    reply_bulk(c, slice_of(f->text, f->name_len));
    reply_bulk_cstr(c, "description");
    if (f->is_described)
        reply_bulk(c, slice_of(f->text + f->name_len + 1, f->description_len));
    else
        reply_null(c);
    reply_bulk_cstr(c, "flags");
    reply_flags(c, f->flags);
}

struct listing {
    struct client *client;
    struct slice pattern;
    bool has_pattern, with_code;
    size_t count;
};

static void list_library(void *ctx, const struct function_library *library) {
    struct listing *listing = ctx;
    struct client *c = listing->client;
    if (listing->has_pattern && !glob_match_nocase(listing->pattern, library->name)) return;
    listing->count++;
    reply_map(c, listing->with_code ? 4 : 3);
    reply_bulk_cstr(c, "library_name");
    reply_bulk(c, library->name);
    reply_bulk_cstr(c, "engine");
    reply_bulk_cstr(c, ENGINE_NAME);
    reply_bulk_cstr(c, "functions");
    reply_array(c, library->functions);
    for (const struct function *f = library->first; f; f = f->next)
        reply_function(c, f);
    if (!listing->with_code) return;
    reply_bulk_cstr(c, "library_code");
    reply_bulk(c, library->source);
}

static bool read_listing(struct request *r, struct listing *listing) {
    for (int i = 2; i < r->argc; i++) {
        if (!listing->with_code && slice_is(r->argv[i], "withcode")) {
            listing->with_code = true;
        } else if (!listing->has_pattern && slice_is(r->argv[i], "libraryname")) {
            listing->has_pattern = true;
            if (++i == r->argc) {
                reply_error(r->client, "ERR library name argument was not given");
                return false;
            }
            listing->pattern = r->argv[i];
        } else {
            reply_errorf(r->client, "ERR Unknown argument %.*s", (int)r->argv[i].len, r->argv[i].ptr);
            return false;
        }
    }
    return true;
}

static void function_list(struct request *r) {
    struct listing listing = {.client = r->client};
    if (!read_listing(r, &listing)) return;
    size_t place = reply_hold(r->client);
    functions_each(list_library, &listing);
    reply_array_at(r->client, place, listing.count);
}

static void reply_running(struct client *c) {
    if (!run_current) {
        reply_null(c);
        return;
    }
    const struct request *request = run_current->request;
    reply_map(c, 3);
    reply_bulk_cstr(c, "name");
    reply_bulk_cstr(c, run_current->name);
    reply_bulk_cstr(c, "command");
    reply_array(c, (size_t)request->argc);
    for (int i = 0; i < request->argc; i++)
        reply_bulk(c, request->argv[i]);
    reply_bulk_cstr(c, "duration_ms");
    reply_int(c, run_duration_ms(run_current));
}

static void function_stats(struct request *r) {
    struct client *c = r->client;
    struct functions_metrics metrics = functions_metrics();
    if (run_current && !run_current->is_function) {
        reply_error(c, busy_error());
        return;
    }
    reply_map(c, 2);
    reply_bulk_cstr(c, "running_script");
    reply_running(c);
    reply_bulk_cstr(c, "engines");
    reply_map(c, 1);
    reply_bulk_cstr(c, ENGINE_NAME);
    reply_map(c, 2);
    reply_bulk_cstr(c, "libraries_count");
    reply_int(c, (int64_t)metrics.libraries);
    reply_bulk_cstr(c, "functions_count");
    reply_int(c, (int64_t)metrics.functions);
}

static void function_kill(struct request *r) {
    run_kill(r->client, true);
}

static void function_help(struct request *r) {
    static const char *const lines[] = {
        "LOAD [REPLACE] <code>",
        "    Make a library of <code>, whose first line names it: #!lua name=<name>.",
        "    REPLACE: one of the same name makes room, unless the new one fails.",
        "DELETE <library>",
        "    Remove a library with its functions.",
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "    Show the libraries, or those whose name matches <pattern>, with their functions;",
        "    WITHCODE: with their code, too.",
        "STATS",
        "    Show the function that is running and for how long, and the numbers of",
        "    libraries and functions.",
        "KILL",
        "    End the function that is running, if it has written nothing yet.",
        "FLUSH [ASYNC|SYNC]",
        "    Remove all libraries, in the background or at once. Without a word,",
        "    lazyfree-lazy-user-flush decides.",
        "DUMP",
        "    Reply all libraries as bytes for RESTORE, here or on another server.",
        "RESTORE <bytes> [FLUSH|APPEND|REPLACE]",
        "    Load the libraries of a dump, all or none. APPEND (the default): none of them may",
        "    be there already; REPLACE: those that are make room; FLUSH: all others make room.",
        NULL,
    };
    reply_help(r->client, "FUNCTION", lines);
}

/* --- Rows ------------------------------------------------------------------------------------ */

#define CALL_FLAGS                                                                                               \
    (CMD_RUNS_SCRIPT | CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_MAY_REPLICATE | CMD_NO_MANDATORY_KEYS | \
     CMD_MOVABLE_KEYS)
#define FOR_ALL_SHARDS "request_policy:all_shards,response_policy:all_succeeded"

static const struct command_keys fcall_keys[] = {
    {.flags = "RW access update",
     .notes = "The function may do anything with its keys.",
     .begin = 2,
     .keynum_at = 0,
     .keynum_first = 1,
     .step = 1},
    {.flags = NULL},
};

static const struct command_keys fcall_ro_keys[] = {
    {.flags = "RO access",
     .notes = "The function may read any of its keys.",
     .begin = 2,
     .keynum_at = 0,
     .keynum_first = 1,
     .step = 1},
    {.flags = NULL},
};

static const struct command function_subcommands[] = {
    {"delete", function_delete, 3, .flags = CMD_WRITE | CMD_NOSCRIPT, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Remove a library with its functions.", .complexity = "O(n) for n functions of it",
     .syntax = "library-name", .tips = FOR_ALL_SHARDS},
    {"dump", function_dump, 2, .flags = CMD_NOSCRIPT, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Serialize all libraries, for FUNCTION RESTORE.", .complexity = "O(n) for n bytes of code"},
    {"flush", function_flush, -2, .flags = CMD_WRITE | CMD_NOSCRIPT, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Remove all libraries.", .complexity = "O(1), O(n) for n functions with SYNC",
     .syntax = "[flush-type:(ASYNC | SYNC)]", .tips = FOR_ALL_SHARDS},
    {"help", function_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Describe the subcommands."},
    {"kill", function_kill, 2, .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "End the running function, if it has written nothing.",
     .tips = "request_policy:all_shards,response_policy:one_succeeded"},
    {"list", function_list, -2, .flags = CMD_NOSCRIPT, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Show the libraries and their functions.", .complexity = "O(n) for n functions",
     .syntax = "[LIBRARYNAME library-name-pattern] [WITHCODE]", .tips = "nondeterministic_output_order"},
    {"load", function_load, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_NOSCRIPT, .group = GROUP_SCRIPTING,
     .since = "7.0.0", .summary = "Make a library of code that registers functions.", .complexity = "That of the code",
     .syntax = "[REPLACE] function-code", .tips = FOR_ALL_SHARDS},
    {"restore", function_restore, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_NOSCRIPT, .group = GROUP_SCRIPTING,
     .since = "7.0.0", .summary = "Load the libraries that FUNCTION DUMP has serialized.",
     .complexity = "That of the code", .syntax = "serialized-value [policy:(FLUSH | APPEND | REPLACE)]",
     .tips = FOR_ALL_SHARDS},
    {"stats", function_stats, 2, .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Tell which function is running, and how many there are.",
     .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {NULL},
};

static const struct command functions_cmd_commands[] = {
    {"fcall", fcall, -3, .flags = CALL_FLAGS, .group = GROUP_SCRIPTING, .since = "7.0.0", .summary = "Call a function.",
     .complexity = "That of the function", .syntax = "function numkeys:integer [key:key...] [arg...]",
     .key_count_at = 2, .keys = fcall_keys},
    {"fcall_ro", fcall, -3, .flags = CALL_FLAGS | CMD_READONLY, .group = GROUP_SCRIPTING, .since = "7.0.0",
     .summary = "Call a function that only reads.", .complexity = "That of the function",
     .syntax = "function numkeys:integer [key:key...] [arg...]", .key_count_at = 2, .keys = fcall_ro_keys},
    {"function", NULL, -2, .group = GROUP_SCRIPTING, .since = "7.0.0", .summary = "Manage libraries of functions.",
     .complexity = "Depends on the subcommand", .subcommands = function_subcommands},
    {NULL},
};

const struct module functions_cmd_module = {.commands = functions_cmd_commands};
