/* See ready.h. The array starts over when its last client has been taken, so it grows only as far as one turn needs. */
#include "session/ready.h"
#include "base/alloc.h"
#include <stddef.h>

static struct client **clients;
static size_t count, taken, cap;

void ready_add(struct client *c) {
    if (count == cap) clients = alloc_grow(clients, &cap, sizeof *clients, 64);
    clients[count++] = c;
}

struct client *ready_take(void) {
    if (taken < count) return clients[taken++];
    count = taken = 0;
    return NULL;
}
