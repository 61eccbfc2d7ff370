/* See busy.h. A turn is a wave inside of the command (wave_enter()). Sources of events other than clients and listening
 * sockets are not heard: epoll reports them again when the command is over. So nothing replaces the data, or what
 * executes the command, under it.
 *
 * Invariant: what the command has begun, in the log and elsewhere, is left as it is: the state of calls is put aside,
 * and commands of a turn neither wait for keys nor serve clients that do (call_is_nested). */
#include "exec/busy.h"
#include "base/clock.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/gates.h"
#include <stddef.h>

void (*busy_accepts)(struct loop_source *source, uint32_t events);
void (*busy_looks)(void);

static const struct gate *closed; /* NULL: no command is busy */

void busy_begin(const struct gate *gate) {
    closed = gate;
    gates_set(GATES_BUSY, gate);
}

void busy_end(void) {
    closed = NULL;
    gates_set(GATES_BUSY, NULL);
}

const char *busy_error(void) {
    return closed ? closed->error : NULL;
}

/* What a client has that is in the outer list of output waits for its turn there. */
static void busy_hear(struct loop_source *source, uint32_t events) {
    if (source->ready == busy_accepts) {
        source->ready(source, events);
    } else if (source->ready == wave_ready) {
        const struct client *c = (const struct client *)source;
        if (wave_holds(c)) return;
        if (c->conn.flags & CONN_ASIDE) events &= ~(uint32_t)LOOP_WRITE;
        if (events) wave_ready(source, events);
    }
}

void busy_turn(void) {
    struct propagate_call call = propagate_call;
    struct call_outer outer = call_nest();
    bool is_replayed = call_is_replayed;
    call_is_replayed = false;
    clock_update();
    if (busy_looks) busy_looks();
    wave_enter();
    loop_hear(busy_hear);
    wave_run();
    wave_leave();
    call_is_replayed = is_replayed;
    call_unnest(outer);
    propagate_call = call;
}
