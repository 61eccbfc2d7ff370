/* What happens by the clock: the turn hook of the loop, and a timer that fires `hz` times a second. */
#pragma once

/* Call `tick` hz times a second, after those that were added before. */
void cron_add(void (*tick)(void));
/* The loop's turn: the wave, expiry, the end of closed clients. Returns how long the loop may sleep in ms. */
int cron_turn(void);
int cron_hz(void); /* ticks a second now */
