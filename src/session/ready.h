/* The clients that are ready: they have input to read, or requests that go on after a wait. The wave serves them in
 * this order. */
#pragma once
#include <stddef.h>

struct client;

/* Serve this client in this turn. Amortised O(1). */
void ready_add(struct client *c);
/* The next client, or NULL if all were taken. It may have been closed meanwhile; its struct is still there. */
struct client *ready_take(void);
