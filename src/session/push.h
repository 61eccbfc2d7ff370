/* Messages to clients that are no reply to them: what is published, what a client-side cache has to forget.
 *
 * A message is written at the tail of the output arena, given to each of its receivers by push_copy(), and taken back
 * with conn_truncate(). To most it goes behind all that they were sent. To the client whose command is being executed
 * it must not go there yet, since its reply may be half written: it is kept, and follows the reply. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct client;

extern bool push_kept; /* something is kept for somebody */

/* Send the bytes from start to end, which are in the arena, to a client, whatever CLIENT REPLY says. Closes nobody: who
 * is over a limit by it gets no more, and is closed when the wave's output is sent. */
void push_copy(struct client *to, size_t start, size_t end);
/* The client's reply is complete, and its range is the one at the arena's tail: write what was kept for it. */
void push_settle(struct client *c);
