/* Pauses: requests wait, either all or those that may change something, until a time or until the pause is ended. No
 * key expires meanwhile: the data stand still, so that replicas can catch up.
 *
 * An operator, a failover and a shutdown may each want a pause, without knowing of each other: each purpose has a pause
 * of its own, and what the strictest of them stops waits. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum pause_purpose {
    PAUSE_OF_CLIENT,   /* CLIENT PAUSE */
    PAUSE_OF_FAILOVER, /* FAILOVER waits for a replica */
    PAUSE_OF_SHUTDOWN, /* SHUTDOWN waits for the replicas */
    PAUSE_PURPOSES
};
enum pause_mode { PAUSE_WRITES, PAUSE_ALL };

#define PAUSE_FOR_EVER INT64_MAX

/* Pause from now on. If there is a pause for this purpose already, it lasts until the later of both ends, in the
 * stricter of both modes. */
void pause_begin(enum pause_purpose purpose, enum pause_mode mode, int64_t duration_ms);
/* End the pause for this purpose, if there is one: the requests that nothing stops any more run in the next waves. */
void pause_end(enum pause_purpose purpose);
bool pause_is_on(enum pause_mode mode); /* PAUSE_WRITES: writes wait. PAUSE_ALL: everything does */
