/* The primary's stream on the first connection: it is put aside while a snapshot comes in on a second one, then applied
 * (apply.h) and acknowledged. While it is applied, the primary is a client (CLIENT_PRIMARY). */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum streaming_end {
    STREAMING_LOST,   /* the connection, or the client was closed */
    STREAMING_BROKEN, /* what came cannot be executed; logged */
};

/* What the link keeps for it, and wants to hear. */
struct streaming_book {
    uint64_t *bytes_in, *bytes_out;
    int64_t *heard_ms;                                      /* clock_steady_ms() of the last bytes */
    void (*ended)(enum streaming_end how, const char *why); /* nothing of it is left */
};
void streaming_start(const struct streaming_book *book); /* once; must live on */

/* Put aside what this socket brings, until streaming_begin() or streaming_stop(). False: errno. The caller keeps it. */
bool streaming_put_aside(int fd);
/* The data are level with the log's end: apply these bytes, what was put aside, and what follows. The socket is the
 * client's from now on. knows_acks: it is not older than PSYNC. `ended` may be called in here. */
void streaming_begin(int fd, bool knows_acks, struct slice first_bytes);
void streaming_stop(void); /* close the client and forget all bytes; `ended` is not called */
void streaming_acknowledge(void);
struct client *streaming_client(void); /* NULL: nothing is being applied */
size_t streaming_waiting(void);        /* received bytes that are not applied */
size_t streaming_memory(void);
