/* Jobs for the worker thread whose end the main thread hears of. So the main thread need not wait for a disk. */
#pragma once

struct background_job {
    void (*run)(struct background_job *job);  /* on the worker; touches nothing that another thread can see but *job */
    void (*done)(struct background_job *job); /* on the main thread, in a later turn of the loop */
    struct background_job *next;              /* private */
};

/* Run a job behind all that the worker has to do. *job must live until done() was called; done() may run it again. */
void background_run(struct background_job *job);
