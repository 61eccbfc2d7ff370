/* Loading the files of an append-only file, and the decision about damaged ones. For aof/aof.c and
 * kura-check-aof. */
#pragma once
#include "aof/aof_read.h"
#include "aof/manifest.h"

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

enum aof_load {
    AOF_LOAD_NOTHING, /* there are no files, or all are empty */
    AOF_LOAD_OK,
    AOF_LOAD_FAILED, /* logged */
};
struct aof_load_hooks {
    struct aof_reader_hooks reader;
    void (*sized)(void *ctx, uint64_t bytes);   /* bytes of all files, before the first is read; may be NULL */
    void (*begun)(void *ctx, const char *name); /* a file is about to be read; may be NULL */
};

bool aof_load_manifest(const char *name, struct manifest *m); /* an absent one is empty; false: logged */
/* Load all live files of a manifest, in order. AOF_LOAD_FAILED: the reason is logged. */
enum aof_load aof_load_files(const struct manifest *m, const struct aof_load_hooks *hooks);

/* A bad end was to be cut off, but the disk refused to keep the removed bytes. The good part is loaded; nothing may be
 * appended to the file before this has succeeded. True: it has, or nothing is owed. False: errno (logged, unless
 * quiet). */
bool aof_load_cut_owed(bool quiet);

/* After loading: is the last increment empty, or are its commands in frames if `framed`, and not in frames if not? */
bool aof_load_fits(bool framed);
