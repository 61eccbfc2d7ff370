/* See client_evict.h. The sum of all clients' memory is kept up to date, and each client hangs in the list of its power
 * of two. So it takes no search to know that the limit is exceeded, nor to find one of the largest clients: within a
 * power of two it does not matter which one goes.
 *
 * Invariants: while there is a limit, `sum` is the sum of all weights; a client without a weight has not been weighed
 * yet, or is leaving. A weight is in the list of its bytes, or in none if its client is to be spared. Without a limit
 * there are no weights. */
#include "session/client_evict.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "session/client.h"
#include "session/server_metrics.h"

#define LISTED_FROM 15 /* clients below 2^15 bytes are in one list */
#define LISTS 20       /* the last one has those from 16 GB on, too */
#define NO_LIST (-1)

struct client_weight {
    struct client *client;
    struct client_weight *prev, *next; /* in the list */
    size_t bytes;
    int list;
};

bool client_evict_is_on;

static size_t limit_bytes, sum;
static struct client_weight *lists[LISTS];

/* --- lists ----------------------------------------------------------------------------------- */

static int list_for(const struct client *c, size_t bytes) {
    if (c->flags & CLIENT_NO_EVICT) return NO_LIST;
    if (bytes >> LISTED_FROM == 0) return 0;
    int list = 64 - __builtin_clzl(bytes >> LISTED_FROM);
    return list < LISTS ? list : LISTS - 1;
}

static void list_leave(struct client_weight *w) {
    if (w->list == NO_LIST) return;
    if (w->next) w->next->prev = w->prev;
    *(w->prev ? &w->prev->next : &lists[w->list]) = w->next;
    w->list = NO_LIST;
}

static void list_enter(struct client_weight *w, int list) {
    w->list = list;
    if (list == NO_LIST) return;
    w->prev = NULL;
    w->next = lists[list];
    if (w->next) w->next->prev = w;
    lists[list] = w;
}

/* --- weights --------------------------------------------------------------------------------- */

static struct client_weight *weight_of(struct client *c) {
    if (c->weight == NULL) {
        c->weight = alloc_get(sizeof *c->weight);
        *c->weight = (struct client_weight){.client = c, .list = NO_LIST};
    }
    return c->weight;
}

static void weight_drop(struct client *c) {
    struct client_weight *w = c->weight;
    if (w == NULL) return;
    list_leave(w);
    sum -= w->bytes;
    alloc_put(w, sizeof *w);
    c->weight = NULL;
}

void client_evict_note(struct client *c) {
    if (client_is_leaving(c)) {
        weight_drop(c);
        return;
    }
    struct client_weight *w = weight_of(c);
    size_t bytes = client_memory(c);
    int list = list_for(c, bytes);
    sum += bytes - w->bytes;
    w->bytes = bytes;
    if (list == w->list) return;
    list_leave(w);
    list_enter(w, list);
}

void client_evict_set_limit(size_t bytes) {
    limit_bytes = bytes;
    client_evict_is_on = bytes > 0;
    for (struct client *c = client_first; c; c = c->next) {
        if (client_evict_is_on)
            client_evict_note(c);
        else
            weight_drop(c);
    }
}

/* --- eviction -------------------------------------------------------------------------------- */

static void evict_client(struct client *c) {
    struct buf line = {0};
    client_describe(c, (struct client_executing){0}, &line);
    log_notice("Evicting client: %.*s", (int)line.len, line.data);
    buf_free(&line);
    server_metrics.evicted_clients++;
    client_close(c);
}

void client_evict_now(void) {
    if (client_current) return;
    for (int list = LISTS - 1; list >= 0; list--) {
        while (lists[list] && sum > limit_bytes) {
            struct client *c = lists[list]->client;
            client_evict_note(c); /* it may have shrunk meanwhile */
            if (c->weight->list == list) evict_client(c);
        }
    }
}

static size_t weight_memory(const struct client *c) {
    return c->weight ? sizeof *c->weight : 0;
}

static const struct client_part client_evict_part = {.forget = weight_drop, .memory = weight_memory};

const struct module client_evict_module = {.part = &client_evict_part};
