/* Reading one append-only file: verify, parse, hand commands over.
 *
 * What kura wrote is in frames with a checksum (persist/aof_write.h): none of a frame is applied before all of it has
 * been verified. What Redis wrote is applied as it comes. Commands between MULTI and EXEC are applied together, once
 * EXEC has been seen. Memory is bounded by the longest of these, which no claim in the file can stretch beyond the
 * file's size. Nothing is ever changed here: what to do about a bad end is the caller's to decide. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aof_command {
    struct slice *argv;
    int argc;
};

struct aof_reader_hooks {
    /* Carry out these commands, in order. Returns how many were; fewer than count: the next one is unknown. NULL: only
     * check. The slices are valid until it returns. */
    size_t (*apply)(void *ctx, const struct aof_command *commands, size_t count);
    /* The file begins with a snapshot: read it from the descriptor, and set *end to the offset behind it. False has
     * been logged. NULL: such a file is wrong. */
    bool (*read_base)(void *ctx, int fd, uint64_t *end);
    /* So many bytes of this file are done. Called often. May be NULL. */
    void (*progress)(void *ctx, uint64_t bytes);
    /* A line "#TS:<seconds>" at this offset: false ends the reading there. May be NULL. */
    bool (*stamp)(void *ctx, int64_t seconds, uint64_t offset);
    void *ctx;
};

enum aof_read_result {
    AOF_READ_OK,
    AOF_READ_EMPTY,
    AOF_READ_ABSENT,  /* error is errno */
    AOF_READ_FAILED,  /* cannot be opened or read: error is errno */
    AOF_READ_TORN,    /* it ends in the middle of something */
    AOF_READ_ROTTEN,  /* a frame is not what was written, or what is between frames makes no sense */
    AOF_READ_FOREIGN, /* not the format, and there are no frames that would say how far it is sound */
    AOF_READ_UNKNOWN, /* a command that does not exist: `command` is its name */
    AOF_READ_BASE,    /* the snapshot it begins with is bad: logged by read_base */
    AOF_READ_STOPPED, /* `stamp` wanted no more */
};

struct aof_finding {
    uint64_t size; /* of the file */
    uint64_t good; /* bytes up to here are sound, and were applied */
    uint64_t base; /* of these, the snapshot at the start */
    uint64_t commands, frames;
    uint64_t lines;   /* of the commands, as Redis's tool counts them */
    bool in_multi;    /* torn between MULTI and EXEC */
    int error;        /* errno */
    char reason[160]; /* for people, with the offset of the trouble */
    char command[64];
};

enum aof_read_result aof_read(const char *dir, const char *name, const struct aof_reader_hooks *hooks,
                              struct aof_finding *found);
