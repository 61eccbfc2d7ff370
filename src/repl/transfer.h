/* The child of a diskless sync: one snapshot, written straight to the sockets of all replicas that wait for it.
 *
 *     $EOF:<mark>\r\n  snapshot  <mark>        mark: 40 random hex digits
 *
 * The slowest replica sets the pace. One that takes nothing for repl-timeout is given up: the child shuts its socket
 * down, by which the parent hears of it. In the same way the parent tells the child (CONN_SHARED). */
#pragma once
#include <stdbool.h>

/* Fork it, for all feeds with FEED_HOLDS. `filter`: FEED_NO_DATA and FEED_NO_FUNCTIONS count. `done` is called when it
 * has ended; ok: all feeds that still have FEED_HOLDS were sent everything. False: no child; logged. */
bool transfer_start(unsigned filter, void (*done)(bool ok));
