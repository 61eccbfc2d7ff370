/* Client-side caching: clients that are told when a key changes of which they have a copy.
 *
 * A client that tracks is remembered for each key that it reads (server/tracked.h), and told of the next change of that
 * key, after which it is forgotten for it; or it hears of all keys with some prefixes (server/broadcast.h). What it is
 * told goes to itself, in RESP3, or to another client of its choice. */
#pragma once
#include "base/option.h"
#include "server/exec.h"
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
    TRACKING_BROKEN = 1 << 5, /* whom its messages go to has gone, and there was one to send */
};

/* Begin, or change the options of it. `redirect` may be NULL. Prefixes do not overlap; none with TRACKING_BCAST: all. */
void tracking_start(struct client *c, unsigned flags, const struct client *redirect, const struct slice *prefixes,
                    size_t n);
void tracking_stop(struct client *c);   /* what it read until now is still told, should it begin again */
void tracking_forget(struct client *c); /* it is closed */

unsigned tracking_flags(const struct client *c);
int64_t tracking_redirection(const struct client *c);                       /* -1: does not track; 0: to itself */
const struct broadcast_listener *tracking_prefixes(const struct client *c); /* NULL: never tracked */
size_t tracking_client_memory(const struct client *c);

/* For exec, with CLIENT_TRACKS: this command has read its keys. */
void tracking_remember(const struct request *r);
/* For a wave: bring what these keys need into the cache, in two steps. Nothing to do while nobody tracks. */
void tracking_prefetch_line(uint64_t hash);
void tracking_prefetch_key(uint64_t hash);
/* Before output is sent: tell what is to be broadcast, keep the table within its bound. */
void tracking_settle(void);
bool tracking_is_unsettled(void);

struct tracking_metrics {
    size_t clients; /* that track now */
    size_t known;   /* that have tracked and are still there: while there are none, there is nothing to settle */
};
extern struct tracking_metrics tracking_metrics;
size_t tracking_keys(void);
size_t tracking_items(void);

extern const struct option tracking_rows[]; /* tracking-table-max-keys */
