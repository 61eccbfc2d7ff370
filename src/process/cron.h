/* Work that the clock begins: the hook that the loop calls in each turn, and a timer that fires `hz` times a second. */
#pragma once
#include <stdbool.h>

/* Call `tick` hz times a second, in the order in which ticks were added. At most 8. */
void cron_add(void (*tick)(void));
/* One turn of the loop: run the wave, expire and evict keys, carry out a shutdown, free closed clients. Returns for how
 * many ms the loop may sleep; 0: not at all; -1: until something happens. */
int cron_turn(void);
void cron_pause(bool paused); /* no tick does anything while it is paused: DEBUG PAUSE-CRON */
int cron_hz(void);            /* ticks a second, now */
