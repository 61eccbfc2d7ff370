/* What the worker does for the append-only file, so that no sync holds the main thread. There is one job at a time: so
 * manifests are saved in the order in which they were made. */
#pragma once
#include "aof/manifest.h"
#include "disk/background.h"
#include <stdbool.h>
#include <stdint.h>

struct aof_job {
    struct background_job background; /* first */
    /* Given. */
    struct manifest former, next; /* owned: what the manifest on disk is, and what it is to be */
    int log_fd;                   /* the file that is written now, which must be on disk first; -1: none */
    const char *temp_base;        /* aof_job_place(): the name of the file that becomes the base */
    bool has_temp_incr;           /* aof_job_place(): there is an increment that waits for its name */
    bool keep_history;
    bool quiet; /* aof_job_open(): do not log why it fails */
    /* Results. */
    bool ok;         /* else `error`, and all is as it was (logged) */
    int error;       /* errno */
    int fd;          /* of the increment that `next` names last; the caller owns it */
    int64_t fd_size; /* its bytes */
};

/* The functions for job->background.run. */

/* Open the last increment of `next`, for a server that starts or whose disk was full: first a bad end that could not be
 * put aside is cut off. If `former` does not name that increment, it is made, and `next` is saved. */
void aof_job_open(struct background_job *job);
/* The two steps towards an increment that takes over while the server writes. Prepare: make it, and put on disk what
 * lies in the log up to now. Switch: put on disk the rest, which nothing may follow, and save `next`. So the manifest
 * names a new file only when all earlier ones are complete on disk. */
void aof_job_prepare(struct background_job *job);
void aof_job_switch(struct background_job *job);
/* Give base and increment their names, save `next`, and then remove the history. */
void aof_job_place(struct background_job *job);
/* Remove the files that `next` calls history, and save it without them. */
void aof_job_remove_history(struct background_job *job);
void aof_job_free(struct aof_job *job); /* its manifests */
