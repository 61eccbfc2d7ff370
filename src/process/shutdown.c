/* SHUTDOWN: no reply comes, the connection just ends; unless what had to be saved could not be. Whoever asked is put off
 * until that is known, and if there is still somebody to run the request again, it has failed. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "exec/block.h"
#include "process/lifecycle.h"
#include "session/client.h"
#include "session/reply.h"

/* False for words that do not go together. */
static bool read_options(const struct request *r, unsigned *flags, bool *abort) {
    for (int i = 1; i < r->argc; i++) {
        if (slice_is(r->argv[i], "nosave"))
            *flags |= LIFECYCLE_NOSAVE;
        else if (slice_is(r->argv[i], "save"))
            *flags |= LIFECYCLE_SAVE;
        else if (slice_is(r->argv[i], "now"))
            *flags |= LIFECYCLE_NOW;
        else if (slice_is(r->argv[i], "force"))
            *flags |= LIFECYCLE_FORCE;
        else if (slice_is(r->argv[i], "abort"))
            *abort = true;
        else
            return false;
    }
    if (*abort && *flags) return false;
    return !((*flags & LIFECYCLE_SAVE) && (*flags & LIFECYCLE_NOSAVE));
}

static void failed(struct client *c) {
    client_clear(c, CLIENT_ENDING);
    reply_error(c, "ERR Errors trying to SHUTDOWN. Check logs.");
}

static void ask(struct request *r, unsigned flags) {
    if ((r->client->flags & CLIENT_ENDING) && !lifecycle_is_ending()) {
        failed(r->client);
        return;
    }
    r->client->flags |= CLIENT_ENDING;
    lifecycle_shutdown(flags);
    block_postpone(r);
}

static void shutdown_command(struct request *r) {
    unsigned flags = 0;
    bool abort = false;
    if (!read_options(r, &flags, &abort)) {
        reply_syntax_error(r->client);
        return;
    }
    if (!abort)
        ask(r, flags);
    else if (lifecycle_abort())
        reply_ok(r->client);
    else
        reply_error(r->client, "ERR No shutdown in progress.");
}

static const struct command shutdown_commands[] = {
    {.name = "shutdown",
     .body = shutdown_command,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_ALLOW_BUSY,
     .group = GROUP_SERVER,
     .since = "1.0.0",
     .summary = "End the server, after saving what is to be saved.",
     .complexity = "O(1), O(n) for n keys if they are saved",
     .syntax = "[save-selector:(NOSAVE | SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
     .history = "7.0.0|New: `NOW`, `FORCE`, `ABORT`."},
    {.name = NULL},
};

const struct module shutdown_module = {.commands = shutdown_commands};
