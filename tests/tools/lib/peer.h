/* A server under test as its own process in a temporary folder, and a connection to it. */
#pragma once
#include "bytes.h"
#include <sys/types.h>

struct peer {
    const char *name; /* for messages */
    pid_t pid;        /* 0 when it is gone */
    int fd;           /* -1 when not connected */
    char folder[64];
    struct bytes out, in;
    size_t at; /* the consumed bytes of `in` */
};

/* Starts `program` and connects. False, with a message printed, if it does not answer in a minute. */
bool peer_start(struct peer *p, const char *name, const char *program);
bool peer_connect(struct peer *p);
void peer_disconnect(struct peer *p);
bool peer_alive(struct peer *p);
/* Stops it by SIGTERM; false, with its log printed, if it died before, hangs, exits badly or a sanitizer complained. */
bool peer_stop(struct peer *p);

/* Sends the `out` of all peers and collects `replies` complete replies of each in `in`, whose former bytes are dropped.
 * False if one died, talks nonsense or takes more than a minute; its name is printed. */
bool peer_exchange(struct peer *peers, int count, int replies);

/* Sends all of `out`; false if the connection has ended. */
bool peer_send(struct peer *p);
/* Adds to `in` the bytes that have come, without waiting; false if the connection has ended. */
bool peer_collect(struct peer *p);

/* The end of the reply that starts at p[at]: 0 if it is not complete yet, SIZE_MAX if this is not RESP. */
size_t reply_end(const char *p, size_t len, size_t at);
