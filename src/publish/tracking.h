/* Client-side caching: clients that are told when a key changes of which they have a copy.
 *
 * A client that tracks is remembered for each key that it reads (publish/tracked.h), and told of the next change of that
 * key, after which it is forgotten for it; or it hears of all keys with some prefixes (publish/broadcast.h). What it is
 * told goes to itself, in RESP3, or to another client of its choice. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum tracking_flag {
    TRACKING_ON = 1 << 0,
    TRACKING_BCAST = 1 << 1,
    TRACKING_OPTIN = 1 << 2,  /* only what is read right behind CLIENT CACHING YES is remembered */
    TRACKING_OPTOUT = 1 << 3, /* all but what is read right behind CLIENT CACHING NO */
    TRACKING_NOLOOP = 1 << 4, /* its own changes are not told */
    TRACKING_BROKEN = 1 << 5, /* the redirect target has gone, and a message was lost */
};

/* Begin, or change the options of it. `redirect` may be NULL. Prefixes do not overlap; none with TRACKING_BCAST: all. */
void tracking_start(struct client *c, unsigned flags, const struct client *redirect, const struct slice *prefixes,
                    size_t n);
/* Stop. The keys that it has read are still remembered, for when it tracks again. */
void tracking_stop(struct client *c);

unsigned tracking_flags(const struct client *c);
int64_t tracking_redirection(const struct client *c);                       /* -1: does not track; 0: to itself */
const struct broadcast_listener *tracking_prefixes(const struct client *c); /* NULL: never tracked */

struct tracking_metrics {
    size_t clients; /* that track now */
};
extern struct tracking_metrics tracking_metrics;
size_t tracking_keys(void);
size_t tracking_items(void);
