/* Listening sockets and what happens before a connection becomes a client.
 *
 * The set of sockets follows from `bind` and `port`, and is brought in line with them whenever
 * one changes: sockets that are still wanted stay open, so that CONFIG SET never refuses a
 * connection that the old and the new setting both allow. A burst of connections is taken in
 * portions, one a turn, so that those who are connected already keep being served. */
#pragma once
#include "base/option.h"
#include <stddef.h>

struct buf;

#define LISTEN_ADDRESSES 16 /* addresses that bind may name */
#define LISTEN_BURST 64     /* connections taken from one socket in one turn */

extern const struct option listen_rows[];

/* Open what is configured. Logs the reason and exits with 1 if something cannot be opened, or nothing is to be. */
void listen_start(void);
/* Log the lines that say that connections are welcome. */
void listen_announce(void);
/* Close all; removes the Unix socket's file. */
void listen_stop(void);

int listen_port(void);              /* the TCP port; 0: none */
const char *listen_unix_path(void); /* "" if there is none */
size_t listen_address_count(void);  /* as bind names them */
const char *listen_address(size_t i);
/* "127.0.0.1:6379", "*:6379" or a Unix socket's path: for the process title. */
void listen_describe(struct buf *out);
