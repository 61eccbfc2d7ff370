/* See replay.h. */
#include "exec/replay.h"
#include "session/client.h"
#include "session/request.h"
#include "store/prefetch.h"

/* A log has only commands that can change something, and SELECT. A command that waits, or talks to another server,
 * stands there as the changes that it made. */
static bool belongs_in_log(const struct command *command) {
    return command && command->body && (command->flags & (CMD_WRITE | CMD_MAY_REPLICATE | CMD_IN_LOG)) &&
           !(command->flags & (CMD_BLOCKING | CMD_OUTWARD));
}

bool replay_prepare(struct request *r, struct prefetch *ahead) {
    request_prepare(r);
    if (!belongs_in_log(r->command) || !command_takes(r->command, r->argc)) return false;
    if (r->key.name.ptr) prefetch_key(ahead, r->client->db, r->key.hash);
    return true;
}
