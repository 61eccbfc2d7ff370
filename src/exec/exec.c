/* See exec.h. Order: the client's own replies, then messages to it, then the replies of the clients that it served. */
#include "exec/exec.h"
#include "base/likely.h"
#include "catalog/catalog.h"
#include "exec/admit.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/tx.h"
#include "session/client.h"
#include "session/push.h"

/* CLIENT CACHING concerns the next command other than CLIENT's own, or the next transaction. */
static __attribute__((noinline)) void end_caching(const struct request *r) {
    if (r->client->flags & (CLIENT_WAITS | CLIENT_MULTI)) return;
    const struct command *container = r->command ? catalog_container(r->command) : NULL;
    if (container && (container->flags & CMD_KEEPS_CACHING)) return;
    client_clear(r->client, CLIENT_CACHING);
}

static void call_or_queue(struct request *r) {
    struct client *c = r->client;
    c->last_command = r->command;
    if (unlikely((c->flags & CLIENT_MULTI) && !(r->command->flags & CMD_UNQUEUED))) {
        tx_queue(r);
    } else {
        call(r);
    }
}

void exec_run(struct request *r) {
    struct client *c = r->client;
    size_t mark = call_mark();
    client_clear(c, CLIENT_FAILED);
    bool admitted = admit(r);
    if (admitted) call_or_queue(r);
    if (unlikely(c->flags & (CALL_REPLY_HIDDEN | CLIENT_CACHING))) {
        bool muted = admitted && (r->command->flags & CMD_EXEC);
        if (c->flags & CALL_REPLY_HIDDEN) call_settle_reply(c, muted ? call_mark() : mark);
        if (c->flags & CLIENT_CACHING) end_caching(r);
    }
    if (unlikely(push_kept)) push_settle(c);
    if (unlikely(block_ready) && !call_is_nested) {
        block_serve(exec_run);
        if (push_kept) push_settle(c);
    }
}
