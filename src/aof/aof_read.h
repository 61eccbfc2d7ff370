/* Reading one append-only file: verify, parse, apply the commands.
 *
 * A file is an optional snapshot, followed by frames (aof/aof_frame.h), commands outside frames (written by Redis),
 * and annotations, in any order. The good part of a file is the longest part from its beginning in which
 *     (1) the snapshot, if there is one, is valid,
 *     (2) each frame, command and annotation is valid and complete, and
 *     (3) each MULTI is followed by its EXEC.
 * All commands of the good part are applied, and none behind it, except the first ones of a frame with a right checksum
 * and malformed commands, which nothing but forgery makes. A frame is verified as a whole before its first command is
 * applied; the commands of a transaction are applied together, after its EXEC was found. Memory is bounded by the
 * longest frame or transaction and by the size of the file, whatever lengths the file claims.
 *
 * The file is never changed: the caller decides about a bad end. */
#pragma once
#include "aof/aof_frame.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aof_command {
    struct slice *argv;
    int argc;
};

struct aof_reader_hooks {
    /* Apply these commands in order. Returns the number of those applied; if it is less than `count`, the next command
     * is unknown. The slices are valid until it returns. NULL: only check the file. */
    size_t (*apply)(void *ctx, const struct aof_command *commands, size_t count);
    /* Read the snapshot at the beginning from the descriptor, and set *end to the offset behind it. False: failed (the
     * hook reports it). NULL: snapshots are not accepted. */
    bool (*read_base)(void *ctx, int fd, uint64_t *end);
    /* This many bytes of the file are done. Called for each megabyte or so. May be NULL. */
    void (*progress)(void *ctx, uint64_t bytes);
    /* There is a line "#TS:<seconds>" at this offset. False: stop before it. May be NULL. */
    bool (*stamp)(void *ctx, int64_t seconds, uint64_t offset);
    void *ctx;
};

enum aof_read_result {
    AOF_READ_OK,
    AOF_READ_EMPTY,
    AOF_READ_ABSENT,  /* `error` is errno */
    AOF_READ_FAILED,  /* cannot be opened or read: `error` is errno */
    AOF_READ_TORN,    /* the file ends within a frame, a command or a transaction */
    AOF_READ_ROTTEN,  /* a frame, or a command between frames, is damaged; or sound frames follow the damage */
    AOF_READ_FOREIGN, /* not the format, and no frame that would prove its beginning */
    AOF_READ_UNKNOWN, /* a command does not exist: `command` is its name */
    AOF_READ_BASE,    /* the snapshot is bad (reported by read_base) */
    AOF_READ_STOPPED, /* `stamp` returned false */
};

struct aof_finding {
    uint64_t size;            /* of the file */
    uint64_t good;            /* bytes of the good part */
    uint64_t base;            /* of these, the snapshot at the beginning */
    struct aof_behind behind; /* the sound frames that follow the damage */
    uint64_t commands, frames;
    uint64_t lines;   /* of the commands, as redis-check-aof counts them */
    bool in_multi;    /* the file ends between MULTI and EXEC */
    bool opened;      /* else `error` says why not */
    int error;        /* errno */
    char reason[160]; /* text for people, with the offset of the damage */
    char command[64];
};

/* Read dir/name. *found is filled in for every result. */
enum aof_read_result aof_read(const char *dir, const char *name, const struct aof_reader_hooks *hooks,
                              struct aof_finding *found);
