/* CLIENT PAUSE: requests wait, all or those that may change something, until a time or until CLIENT UNPAUSE. Nothing
 * expires meanwhile: the operator wants the data to stand still, for a failover say. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum pause_mode { PAUSE_WRITES, PAUSE_ALL };

/* A pause upon a pause lasts until the later of both ends, in the stricter of both modes. */
void pause_begin(enum pause_mode mode, int64_t duration_ms);
void pause_end(void);
