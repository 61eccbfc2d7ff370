/* Handing the lead over in good order: FAILOVER to a replica that is level, and a shutdown that waits for the replicas.
 * Writes are paused meanwhile (exec/pause.h), so that the replicas can catch up with a log that stands still. */
#pragma once

enum failover_state {
    FAILOVER_NONE,
    FAILOVER_WAITS,      /* writes are paused until a replica is level */
    FAILOVER_HANDS_OVER, /* we follow that replica, which is bidden to take the lead */
};
enum failover_state failover_state(void);
const char *failover_state_name(void); /* as INFO prints it */
