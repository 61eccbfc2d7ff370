/* See good_replicas.h. Invariant: the gate is closed exactly while good replicas are counted on a primary. It compares
 * the last count, so a write costs no look at the replicas. */
#include "repl/good_replicas.h"
#include "base/module.h"
#include "base/option.h"
#include "repl/feed.h"
#include "repl/role.h"
#include "session/gates.h"
#include "session/request.h"

struct good_replicas_options good_replicas_options;
static int good; /* good replicas, as they were counted last */

int good_replicas_count(void) {
    return good;
}

static bool are_too_few(const struct request *r, unsigned flags) {
    (void)r;
    (void)flags;
    return good < good_replicas_options.min;
}

static const struct gate replicas_gate = {.stops = CMD_WRITE,
                                          .holds = are_too_few,
                                          .error = "NOREPLICAS Not enough good replicas to write.",
                                          .stops_calls = CMD_WRITE};

bool good_replicas_are_counted(void) {
    return good_replicas_options.min > 0 && good_replicas_options.max_lag_s > 0;
}

void good_replicas_fit(void) {
    bool counts = good_replicas_are_counted();
    good = counts ? feed_count_good(good_replicas_options.max_lag_s) : 0;
    gates_set(GATES_REPLICAS, counts && !role_is_replica() ? &replicas_gate : NULL);
}

static bool apply_limits(const char **error) {
    (void)error;
    good_replicas_fit();
    return true;
}

static const struct option good_replicas_rows[] = {
    {"min-replicas-to-write", .alias = "min-slaves-to-write", .type = OPTION_INT, .address = &good_replicas_options.min,
     .initial = "0", .apply = apply_limits},
    {"min-replicas-max-lag", .alias = "min-slaves-max-lag", .type = OPTION_INT,
     .address = &good_replicas_options.max_lag_s, .initial = "10", .apply = apply_limits},
    {NULL},
};

const struct module good_replicas_module = {.options = good_replicas_rows};
