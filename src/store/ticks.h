/* Ticks: time as the entries know it.
 *
 * An entry has no room for a time, but for the number of a tick. How long a tick lasts depends on the load, so that
 * "recent" can mean "during the last two per cent of a turnover" instead of "in this second", when everything that
 * happened looks alike. To tell an age in seconds all the same, a line through some points (tick, time) is kept: a
 * point for each time that the pace of the ticks changed by a quarter. Where there are too many, old ones are dropped
 * from between their neighbours.
 *
 * All times are of clock_steady_ms(), so they never go back, whatever the wall clock does. */
#pragma once
#include <stdint.h>

extern uint64_t ticks_now; /* the current tick */

/* Let the clock make ticks: one begins with each unit of time, unless one has begun in it already. */
void ticks_follow_clock(int64_t now_ms, int64_t unit_ms);
void ticks_next(int64_t now_ms); /* begin a tick now */

/* The time at which a tick began, and the tick that ran at a time: exact to the ms where the clock makes the ticks,
 * interpolated elsewhere. O(1) for recent times. */
int64_t ticks_began_ms(uint64_t tick);
uint64_t ticks_at(int64_t ms);
