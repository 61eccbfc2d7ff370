/* See gates.h. The closed gates lie together, so that the others cost nothing.
 *
 * Invariant: `closed` has the rows of the gates that are closed, in the order of their places, and NULL behind them;
 * gates_open_to is the least of their balances, and gates_stopped has all flags that they stop. */
#include "session/gates.h"
#include "base/likely.h"
#include "catalog/command_row.h"
#include <stddef.h>

int64_t gates_open_to = INT64_MAX;
unsigned gates_stopped;
static const struct gate *gates[GATES_PLACES], *closed[GATES_PLACES + 1];
static int64_t balances[GATES_PLACES]; /* up to which the gate stops no request */

void gates_set_above(enum gates_place place, const struct gate *gate, int64_t balance) {
    size_t count = 0;
    if (gates[place] == gate && balances[place] == balance) return;
    gates[place] = gate;
    balances[place] = balance;
    gates_open_to = INT64_MAX;
    gates_stopped = CMD_EXEC;
    for (int i = 0; i < GATES_PLACES; i++) {
        if (!gates[i]) continue;
        closed[count++] = gates[i];
        gates_stopped |= gates[i]->stops ? gates[i]->stops : GATES_ANY;
        if (balances[i] < gates_open_to) gates_open_to = balances[i];
    }
    closed[count] = NULL;
}

void gates_set(enum gates_place place, const struct gate *gate) {
    gates_set_above(place, gate, INT64_MIN);
}

const struct gate *gates_find_closed(const struct request *r, unsigned flags) {
    for (const struct gate *const *at = closed; *at; at++) {
        const struct gate *gate = *at;
        if (gate->stops && !(flags & gate->stops)) continue;
        if (unlikely(flags & gate->passes)) continue;
        if (gate->holds == NULL || gate->holds(r, flags)) return gate;
    }
    return NULL;
}
