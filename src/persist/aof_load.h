/* Loading the files of an append-only file, and deciding what to do about bad ones. For persist/aof.c. */
#pragma once
#include "persist/aof_read.h"
#include "persist/manifest.h"

struct aof_options {
    char *filename, *dirname; /* appendfilename, appenddirname */
    bool base_is_rdb;         /* aof-use-rdb-preamble */
    bool load_truncated;      /* aof-load-truncated */
    bool incremental_sync;    /* aof-rewrite-incremental-fsync */
    bool keep_history;        /* aof-disable-auto-gc */
    int rewrite_percent;      /* auto-aof-rewrite-percentage; 0: never */
    int64_t rewrite_min_size; /* auto-aof-rewrite-min-size */
};
extern struct aof_options aof_options;

enum aof_load { AOF_LOAD_NOTHING, AOF_LOAD_FINE, AOF_LOAD_FAILED };
struct aof_load_hooks {
    struct aof_reader_hooks reader;
    void (*sized)(void *ctx, uint64_t bytes);   /* of all files together, before the first is read */
    void (*begun)(void *ctx, const char *name); /* a file is about to be read */
};

bool aof_load_manifest(const char *name, struct manifest *m); /* an absent one is empty; false has been logged */
enum aof_load aof_load_files(const struct manifest *m, const struct aof_load_hooks *hooks);
/* Put what is behind the first `good` of `size` bytes of dir/name into a file beside it, and then cut it off. `aside` gets
 * that file's name. errno if false: nothing is lost then. */
bool aof_load_cut(const char *dir, const char *name, uint64_t good, char aside[600]);
