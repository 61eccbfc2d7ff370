/* Messages that are not replies: what is published, and the keys that client-side caches must forget.
 *
 * A message is written at the tail of the output arena, given to each of its receivers by push_copy(), and taken back
 * with conn_take_back(). Usually it goes behind all output that its receiver has. The client whose command is being
 * executed must not get it yet, since its reply may be half written: the message is kept, and follows the reply. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct client;

extern bool push_kept;         /* a message is kept for at least one client */
extern size_t push_kept_bytes; /* memory of all kept messages */

/* Send the bytes from start to end, which are places in the arena, to a client, whatever CLIENT REPLY says. Closes no
 * client, so that the caller may walk lists of clients: one that exceeds a limit by the message gets no further one,
 * and is closed when the wave's output is sent. A client that is leaving gets nothing. O(bytes). */
void push_copy(struct client *to, size_t start, size_t end);
/* The client's reply is complete, and its range is the one at the arena's tail: write what was kept for it. */
void push_settle(struct client *c);
