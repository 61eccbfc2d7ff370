/* Listening sockets, and what happens before a connection becomes a client.
 *
 * Invariant: the open sockets are those that `bind`, `port` and `unixsocket` name. A change closes and opens only what
 * differs, so CONFIG SET never refuses a connection that the old and the new value both allow. At most LISTEN_BURST
 * connections are taken from a socket in one turn of the loop, so that a burst does not delay clients that are
 * connected. */
#pragma once
#include <stddef.h>

struct buf;

#define LISTEN_ADDRESSES 16 /* addresses that bind may name */
#define LISTEN_BURST 64     /* connections taken from one socket in one turn */

/* Log the lines by which tools know that the server accepts connections. */
void listen_announce(void);
/* Close all sockets and remove the Unix socket's file. */
void listen_stop(void);

int listen_port(void);              /* the TCP port; 0: none */
const char *listen_unix_path(void); /* "" if there is none */
size_t listen_address_count(void);  /* the addresses of bind */
const char *listen_address(size_t i);
/* "127.0.0.1:6379", "*:6379" or a Unix socket's path: for the process title. */
void listen_describe(struct buf *out);
