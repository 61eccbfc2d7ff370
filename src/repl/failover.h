/* Handing the lead over in good order: FAILOVER to a replica that is level, and a shutdown that waits for replicas. Writes
 * are paused meanwhile (exec/pause.h), so that the replicas can catch up with a log that stands still. */
#pragma once
#include <stdbool.h>

enum failover_state {
    FAILOVER_NONE,    /* "no-failover" */
    FAILOVER_WAITS,   /* "waiting-for-sync": writes are paused, until a replica is level */
    FAILOVER_HANDS_OVER, /* "failover-in-progress": we are that replica's replica, and our PSYNC says FAILOVER */
};
enum failover_state failover_state(void);
const char *failover_state_name(void); /* as INFO prints it */
/* Writes are paused for a failover or a shutdown: no PING may go to the replicas, else they are never level. */
bool failover_pauses(void);
