/* The other side of a connection that this server opens: a small client that waits for every step, for MIGRATE. All
 * functions that fail leave an errno: ETIMEDOUT if it took longer than allowed. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define PEER_LINE_MAX 4096 /* bytes of a reply's line that are kept; the rest of a longer one is dropped */

struct peer {
    int fd;
    size_t have, used; /* bytes in `in`; those that were handed out */
    char in[PEER_LINE_MAX];
};

/* Connect by TCP; all addresses of the host's name are tried. False: errno, EHOSTUNREACH if the name has no address. */
bool peer_open(struct peer *p, const char *host, int port, int64_t timeout_ms);
void peer_close(struct peer *p);
/* Each piece of 64 KB may take timeout_ms. */
bool peer_write(struct peer *p, struct slice bytes, int64_t timeout_ms);
/* The next line, without its end; valid until the next call. */
bool peer_read_line(struct peer *p, struct slice *line, int64_t timeout_ms);
