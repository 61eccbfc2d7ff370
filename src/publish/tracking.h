/* Client-side caching: a client keeps copies of keys, and is told when one of these keys changes.
 *
 * A client that tracks is remembered for each key that it reads (publish/tracked.h). The next change of the key is told
 * to it, and then it is forgotten for that key. With TRACKING_BCAST it is told of all changes of keys that begin with
 * its prefixes instead (publish/broadcast.h). The messages go to the client itself, in RESP3, or to another client. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct request;

enum tracking_flag {
    TRACKING_ON = 1 << 0,
    TRACKING_BCAST = 1 << 1,  /* all keys with its prefixes, whether it has read them or not */
    TRACKING_OPTIN = 1 << 2,  /* remember only the keys of the command that follows CLIENT CACHING YES */
    TRACKING_OPTOUT = 1 << 3, /* remember all keys but those of the command that follows CLIENT CACHING NO */
    TRACKING_NOLOOP = 1 << 4, /* do not tell the client of its own changes */
    TRACKING_BROKEN = 1 << 5, /* the client that gets the messages disconnected, and a message was lost */
};

/* Begin to track, or change the options. `redirect` is the client that gets the messages; NULL: the client itself. With
 * TRACKING_BCAST, the n prefixes are added to those that the client has, and must not overlap with them or with each
 * other (broadcast_overlaps); n 0 is the empty prefix, which all keys have. The prefixes are copied. */
void tracking_start(struct client *c, unsigned flags, const struct client *redirect, const struct slice *prefixes,
                    size_t n);
/* Stop. The keys that the client has read stay remembered: if it tracks again, it is told of their changes. */
void tracking_stop(struct client *c);

unsigned tracking_flags(const struct client *c);                            /* 0: it does not track */
int64_t tracking_redirection(const struct client *c);                       /* an id; 0: itself; -1: does not track */
const struct broadcast_listener *tracking_prefixes(const struct client *c); /* NULL: it never tracked */

struct tracking_metrics {
    size_t clients; /* that track now */
};
extern struct tracking_metrics tracking_metrics;
size_t tracking_keys(void);  /* keys that are remembered for at least one client */
size_t tracking_items(void); /* the same, counted once for each of these clients */

/* The bodies of CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO (tracking_commands.c); CLIENT has their rows. */
void tracking_command(struct request *r);
void tracking_command_caching(struct request *r);
void tracking_command_getredir(struct request *r);
void tracking_command_info(struct request *r);
