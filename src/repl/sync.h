/* Full syncs: replicas wait for a snapshot, a forked child makes one for all of them.
 *
 * There is one child at a time, whatever for; a snapshot for replicas waits until another child has ended. Diskless,
 * the child writes one stream straight to all sockets. Otherwise BGSAVE makes its file, which each replica is sent. Who
 * comes while that file is made gets it too; who comes later waits for the next. A snapshot that nobody waits for any
 * more is given up, unless it is the file that a save point wants. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct feed;

/* A replica (feed_begin()) needs a full sync: its state becomes FEED_WAITS_START, or FEED_WAITS_END if a file in the
 * making will do. It may be closed. */
void sync_join(struct feed *feed);
/* Begin a snapshot if one is due: with each wave, while somebody waits. O(replicas). */
void sync_start_due(void);
void sync_tick(void); /* about once a second: newlines to those that wait, files that nobody needs any more */

struct sync_status {
    int waiting; /* replicas that wait for a snapshot to begin */
    bool sends;  /* the child of a diskless sync is running */
};
extern struct sync_status sync_status;

struct sync_options {
    bool diskless;         /* repl-diskless-sync */
    int delay_s;           /* repl-diskless-sync-delay */
    int max_replicas;      /* repl-diskless-sync-max-replicas; 0: no limit */
    bool disables_nodelay; /* repl-disable-tcp-nodelay */
};
extern struct sync_options sync_options;
