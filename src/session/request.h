/* A request: what a client asks, from the parser to the body of its command. */
#pragma once
#include "catalog/command_row.h"
#include "store/db.h"
#include <stdint.h>

struct client;
struct command_stats;

/* Valid until its body returns. The slices point into the client's input, or into a copy (request_copy_args). */
struct request {
    struct client *client;
    const struct command *command; /* a subcommand's row where there is one; NULL: unknown */
    struct command_stats *stats;
    struct slice *argv;
    int argc;
    struct key key;    /* the first key with its hash, if the row has one */
    struct slice raw;  /* the bytes of the request as they came; empty if they are not RESP or not in one place */
    uint64_t redacted; /* bit i: argument i is secret, MONITOR does not show it */
};

#define REQUEST_REDACTABLE 64 /* only the first arguments can be secret */

/* For bodies: argument i is a password or the like. */
static inline void request_redact(struct request *r, int i) {
    if (i < REQUEST_REDACTABLE) r->redacted |= (uint64_t)1 << i;
}

/* Look the command up and hash its first key: fills in command, stats and key, and clears redacted. */
void request_prepare(struct request *r);
/* The blob in which argument i arrived, if it came in one: the body may keep it as a value. The caller owns it. */
struct blob *request_take_blob(struct request *r, int i);

/* A copy of arguments is one piece of memory: their slices, then their bytes. Where the raw request is at hand, it is
 * copied instead of the arguments, which are parts of it. */
size_t request_args_size(const struct slice *argv, int argc, struct slice raw);
/* Write that copy to `to`, which has request_args_size() bytes and the alignment of a slice. Returns the copy of raw. */
struct slice request_copy_args(struct slice *to, const struct slice *argv, int argc, struct slice raw);
