/* CLIENT PAUSE: requests wait, either all or those that may change something, until a time or CLIENT UNPAUSE. No key
 * expires meanwhile: the operator wants the data to stand still, for a failover for instance. */
#pragma once
#include <stdint.h>

enum pause_mode { PAUSE_WRITES, PAUSE_ALL };

/* Pause from now on. If a pause is on already, the new one lasts until the later of both ends, in the stricter of both
 * modes. */
void pause_begin(enum pause_mode mode, int64_t duration_ms);
/* End the pause, if one is on: the requests that wait are run in the next waves. */
void pause_end(void);
