/* Replicas that were dropped since they could not keep up with their full sync: the next snapshot for them begins after
 * 1, 2, 4 .. 60 seconds, so that a replica that always fails does not keep the server busy with forks. Replicas are
 * known by their names (feed_name()). */
#pragma once
#include <stdint.h>

/* It was dropped right now: returns for how many seconds it gets no snapshot. */
int backoff_fail(const char *name);
/* clock_steady_ms() before which no snapshot is due for it; 0: at once. */
int64_t backoff_until_ms(const char *name);
void backoff_succeed(const char *name); /* it keeps up */
