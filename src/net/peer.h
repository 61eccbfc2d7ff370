/* A connection that this server opens to another one: a small client that waits for every step, for MIGRATE. Functions
 * that fail return false and leave errno set: ETIMEDOUT if the step took longer than timeout_ms. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define PEER_LINE_MAX 4096 /* bytes of the longest line; the rest of a longer one is dropped */

struct peer {
    int fd;
    size_t have, used; /* bytes in `in`; how many of them were returned */
    char in[PEER_LINE_MAX];
};

/* Connect by TCP, trying all addresses of the host. errno is EHOSTUNREACH if the name has no address. */
bool peer_open(struct peer *p, const char *host, int port, int64_t timeout_ms);
void peer_close(struct peer *p);
/* Write all bytes; each piece of 64 KB may take timeout_ms. */
bool peer_write(struct peer *p, struct slice bytes, int64_t timeout_ms);
/* Read the next line, without its end; it is valid until the next call. */
bool peer_read_line(struct peer *p, struct slice *line, int64_t timeout_ms);
