/* Jobs for other threads whose end the main thread hears of. So the main thread need not wait for a disk. */
#pragma once

struct background_job {
    void (*run)(struct background_job *job);  /* on the thread; touches nothing that another thread can see but *job */
    void (*done)(struct background_job *job); /* on the main thread, in a later turn of the loop */
    struct background_job *next;              /* private */
};

/* Run a job behind all that the worker has to do. *job must live until done() was called; done() may run it again. */
void background_run(struct background_job *job);
/* Run a job on a thread of its own, as one that waits long for others (a name server) would hold up the syncs of files
 * on the worker. If there is no such thread to be had, the worker runs it. */
void background_run_apart(struct background_job *job);
