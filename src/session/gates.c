/* See gates.h. While there is a limit on memory, each request asks; so the closed gates lie together, and the others
 * cost nothing.
 *
 * Invariant: `closed` has the rows of the gates that are closed, in the order of their places, and NULL behind them;
 * gates_any_closed is true exactly while there is one. */
#include "session/gates.h"
#include "base/likely.h"
#include <stddef.h>

bool gates_any_closed;
static const struct gate *gates[GATES_PLACES], *closed[GATES_PLACES + 1];

void gates_set(enum gates_place place, const struct gate *gate) {
    size_t count = 0;
    gates[place] = gate;
    for (int i = 0; i < GATES_PLACES; i++)
        if (gates[i]) closed[count++] = gates[i];
    closed[count] = NULL;
    gates_any_closed = count > 0;
}

const struct gate *gates_find_closed(const struct request *r, unsigned flags) {
    for (const struct gate *const *at = closed; *at; at++) {
        const struct gate *gate = *at;
        if (unlikely(flags & gate->passes)) continue;
        if (gate->holds == NULL || gate->holds(r, flags)) return gate;
    }
    return NULL;
}
