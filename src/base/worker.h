/* One background thread that runs jobs in the order they were given: freeing what is large,
 * closing and syncing files. A job must not touch what the main thread can see. */
#pragma once
#include <stddef.h>

void worker_start(void);
void worker_stop(void); /* runs what is queued, then joins */
void worker_submit(void (*job)(void *), void *arg);
size_t worker_pending(void); /* jobs queued or running */
void worker_drain(void);     /* wait until pending is 0: for tests and shutdown */
