/* Snapshots that a forked child writes: BGSAVE, and the save points that ask for one after so many changes in so much
 * time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct bgsave_status {
    bool failed, scheduled; /* the last one failed; one is to come when the running child has ended */
    int64_t began_s;        /* wall clock of the one that runs; 0: none */
    int64_t took_s;         /* the last one; -1: there was none */
};
extern struct bgsave_status bgsave_status;
extern void (*bgsave_ended)(void); /* a save has succeeded or failed; NULL: nobody listens */

bool bgsave_has_points(void); /* is any save point set? */
/* Writes are to be refused: the last one failed, and nobody may rely on the next. */
bool bgsave_stops_writes(void);

/* In the foreground, at once: SAVE and whatever else replaces the file. False has been logged. Success is news for
 * bgsave_stops_writes(). */
bool bgsave_now(void);
bool bgsave_start(void); /* false has been logged. A child may be running: ask first */
void bgsave_schedule(void);
void bgsave_tick(void); /* some times a second: save points and what was scheduled, when no child is running */
