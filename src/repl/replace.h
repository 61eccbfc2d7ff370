/* The data of this server are replaced by those of a snapshot: emptied first, or loaded aside and swapped. It takes its
 * time and turns the loop: to be called from cron_later(). */
#pragma once
#include "base/buf.h"
#include "disk/reader.h"
#include "oplog/oplog.h"
#include <stdbool.h>
#include <stdint.h>

/* What a snapshot says of its place in the history of its data. */
struct replace_place {
    int db; /* the database that the stream behind it has selected; -1: not told, or none that there is */
    struct oplog_former former; /* of their history */
};

struct replace_job {
    /* Where the snapshot comes from: a source, or a file from its beginning. */
    reader_source_fn source; /* NULL: fd */
    int fd;
    uint64_t size; /* bytes; 0: unknown */
    bool aside;    /* load beside the old data */
    bool served;   /* these are served meanwhile: with aside */
    bool lazy;     /* the worker frees the old data */
    /* The snapshot was read, and `rest` has the bytes that the source gave behind it. False: it is bad, `why`. */
    bool (*complete)(struct replace_job *job);
    void (*replaces)(void); /* the old data are about to go */
    /* To give up, set it from a hook of the loop, which is turned meanwhile. */
    const char *stop; /* why; NULL: go on */
    /* Results. */
    struct buf rest; /* to be freed */
    struct replace_place place;
    uint64_t end;      /* bytes of the snapshot */
    bool gave_up_data; /* the old data are gone */
    char why[256];
};
/* False: job->why, and the data are as they were, or empty if they were given up. */
bool replace_run(struct replace_job *job);
/* The running job, or NULL. */
struct replace_job *replace_running(void);
