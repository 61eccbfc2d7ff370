/* One background thread that runs jobs in the order in which they were submitted: freeing large things, closing and
 * syncing files. A job must not touch what the main thread can see.
 *
 * The main thread calls these. If no thread runs (before worker_start(), after worker_stop(), in a forked child), jobs
 * run at once in the caller. */
#pragma once
#include <stddef.h>
#include <stdint.h>

void worker_start(void); /* no thread can be made: jobs run in the caller */
void worker_stop(void);  /* runs the queued jobs, then joins */
void worker_submit(void (*job)(void *), void *arg);
/* The same for a job that frees about this many bytes: from now on they count in worker_freed(). */
void worker_submit_free(void (*job)(void *), void *arg, size_t bytes);
/* What the thread has freed less what it has allocated, in bytes. Jobs of worker_submit_free() that are not done count
 * with the bytes that were given. So alloc_balance() of the main thread less this is the memory that will be in use
 * when the queue is empty, and does not change while the thread works. O(1). */
int64_t worker_freed(void);
size_t worker_pending(void); /* jobs queued or running */
void worker_drain(void);     /* waits until worker_pending() is 0: for tests and shutdown */
