/* Connections to other servers that are kept for a while: a migration is many MIGRATEs in a row to the same server.
 *
 * All calls are for the main thread. A search is O(links), of which there are at most LINKS_MAX. */
#pragma once
#include "net/peer.h"

#define LINKS_MAX 64

struct peer_link {
    struct peer peer;
    struct peer_link *next;
    int64_t used_ms; /* when links_get() returned it last; monotonic */
    int db;          /* the database that is selected there, -1: unknown */
    size_t name_len;
    char name[]; /* "host:port" */
};

/* The link to this server: a kept one, or a new one, for which the oldest may have to go. NULL with errno if the server
 * cannot be reached within timeout_ms. links.c owns it; the pointer is valid until the next call of links_get() or the
 * next turn of the loop. */
struct peer_link *links_get(struct slice host, int port, int64_t timeout_ms);
/* Close the link: it failed, or it is not known what the server will send next. */
void links_drop(struct peer_link *link);
size_t links_count(void);
