/* See gates.h. Invariant: gates_any_closed is true exactly while a gate has a row. */
#include "session/gates.h"
#include <stddef.h>

bool gates_any_closed;
static const struct gate *gates[GATES_PLACES];

void gates_set(enum gates_place place, const struct gate *gate) {
    gates[place] = gate;
    gates_any_closed = false;
    for (int i = 0; i < GATES_PLACES; i++)
        if (gates[i]) gates_any_closed = true;
}

const struct gate *gates_find_closed(const struct request *r, unsigned flags) {
    for (int i = 0; i < GATES_PLACES; i++) {
        const struct gate *gate = gates[i];
        if (gate == NULL || (flags & gate->passes)) continue;
        if (gate->holds == NULL || gate->holds(r, flags)) return gate;
    }
    return NULL;
}
