/* See debug_repl.h. */
#include "admin/debug_repl.h"
#include "base/log.h"
#include "exec/propagate.h"
#include "repl/history.h"
#include "session/reply.h"
#include "session/request.h"

/* REPLICATE command [argument ...]: replicas get this command, and nothing is executed here. */
void debug_repl_replicate(struct request *r) {
    propagate_as(r->argv + 2, r->argc - 2);
    propagate_message();
    propagate_always();
    reply_ok(r->client);
}

/* CHANGE-REPL-ID: replicas that ask to continue in the present history need a full sync from now on. */
void debug_repl_change_id(struct request *r) {
    log_notice("Changing replication IDs after receiving change-repl-id");
    history_renew();
    reply_ok(r->client);
}
