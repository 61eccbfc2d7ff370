/* See busy.h. */
#include "exec/busy.h"
#include "session/gates.h"
#include <stddef.h>

static const struct gate *closed; /* NULL: no command is busy */

void busy_begin(const struct gate *gate) {
    closed = gate;
    gates_set(GATES_BUSY, gate);
}

void busy_end(void) {
    closed = NULL;
    gates_set(GATES_BUSY, NULL);
}

void busy_turn(void) {
}

const char *busy_error(void) {
    return closed ? closed->error : NULL;
}
