/* The queue of ready clients: those with input to read, and those that go on after a wait. The wave serves them in this
 * order, each place once; a client may have more than one. */
#pragma once

struct client;

/* Serve this client in this turn. Amortised O(1). */
void ready_add(struct client *c);
/* The next client, or NULL when all were taken. It may have been closed since it was added; its struct stays until the
 * end of the turn. */
struct client *ready_take(void);
