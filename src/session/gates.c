/* See gates.h. The closed gates lie together, so that the others cost nothing.
 *
 * Invariant: `closed` has the rows of the gates that are closed, in the order of their places, and NULL behind them;
 * gates_open_to is the least of their balances, and gates_stopped has all flags that they stop. */
#include "session/gates.h"
#include "base/likely.h"
#include "catalog/command_row.h"
#include "session/request.h"
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
    gates_stopped = CMD_EXEC | CMD_RUNS_SCRIPT;
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

static unsigned (*script_flags)(const struct request *r);

void gates_judge_scripts(unsigned (*flags_of)(const struct request *r)) {
    script_flags = flags_of;
}

unsigned gates_flags_of(const struct request *r) {
    bool runs_script = r->command->flags & CMD_RUNS_SCRIPT;
    return unlikely(runs_script) && script_flags ? script_flags(r) : r->command->flags;
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

/* --- Calls of scripts ------------------------------------------------------------------------ */

/* The gates that calls may meet, in the order in which they are asked. */
static const enum gates_place for_calls[] = {GATES_STALE, GATES_LOADING,  GATES_READONLY,
                                             GATES_DISK,  GATES_REPLICAS, GATES_MEMORY};
#define FOR_CALLS (sizeof for_calls / sizeof *for_calls)

struct gates_for_calls gates_for_calls(struct client *c) {
    struct gates_for_calls found = {0, 0};
    struct request r = {.client = c};
    for (size_t i = 0; i < FOR_CALLS; i++) {
        const struct gate *gate = gates[for_calls[i]];
        if (gate == NULL || gate->stops_calls == 0) continue;
        if (gate->holds && !gate->holds(&r, gate->stops_calls)) continue;
        found.places |= 1u << for_calls[i];
        found.stops |= gate->stops_calls;
    }
    return found;
}

const struct gate *gates_find_for_call(unsigned places, unsigned flags) {
    for (size_t i = 0; i < FOR_CALLS; i++) {
        const struct gate *gate = gates[for_calls[i]];
        if (gate == NULL || !(places >> for_calls[i] & 1)) continue;
        if (((flags | GATES_ANY) & gate->stops_calls) && !(flags & gate->passes)) return gate;
    }
    return NULL;
}
