/* The seed of a random test: the variable SEED, which tests/run.tcl sets for --seed, or else the time. A test prints
 * its seed, so that a run can be repeated. */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t seed_of_run(void) {
    const char *given = getenv("SEED");
    return given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
}
