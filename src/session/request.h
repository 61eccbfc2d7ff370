/* A request: what a client asks, on its way from the parser to the body of its command. */
#pragma once
#include "catalog/command_row.h"
#include "store/db.h"
#include <stdint.h>

struct client;
struct command_metrics;

/* Valid until its body returns. The slices point into the client's input, or into a copy (request_copy_args()). */
struct request {
    struct client *client;
    const struct command *command; /* a subcommand's row where there is one; NULL: unknown */
    struct command_metrics *metrics;
    struct slice *argv;
    int argc;
    struct key key;    /* the first key with its hash, if the row tells where it is */
    struct slice raw;  /* the bytes of the request as they came; empty if they are not RESP or not in one place */
    uint64_t redacted; /* bit i: argument i is secret, so MONITOR does not show it */
};

#define REQUEST_REDACTABLE 64 /* only the first arguments can be secret */

/* For bodies: argument i is secret, such as a password. */
static inline void request_redact(struct request *r, int i) {
    if (i < REQUEST_REDACTABLE) r->redacted |= (uint64_t)1 << i;
}

/* Look the command up and hash its first key: fills in command, metrics and key, and clears redacted. The request has
 * at least one argument. O(length of the names and of the key). */
void request_prepare(struct request *r);
/* The index of the first key of a request that has a command, or 0: the row does not tell. O(1). */
int request_first_key(const struct request *r);
/* The blob in which argument i arrived, if it came in one, else NULL: the body may keep it as a value. The caller owns
 * a hold of it. The argument itself stays valid (conn_take_blob()). */
struct blob *request_take_blob(struct request *r, int i);

/* Bytes of a copy of arguments, which is one piece of memory: their slices, then their bytes. If `raw` is not empty,
 * the arguments are parts of it, and it is copied instead of their bytes. */
size_t request_args_size(const struct slice *argv, int argc, struct slice raw);
/* Write the copy to `to`, which has request_args_size() bytes and the alignment of a slice: to[0] to to[argc - 1] are
 * the arguments. Returns the copy of raw. */
struct slice request_copy_args(struct slice *to, const struct slice *argv, int argc, struct slice raw);
