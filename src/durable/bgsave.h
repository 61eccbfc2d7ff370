/* Snapshots that a forked child writes (BGSAVE), and the save points that begin one: after so many changes, when so
 * many seconds have passed since the last save. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct bgsave_status {
    bool failed;      /* the last save failed */
    bool scheduled;   /* begin a save when the running child has ended */
    int64_t began_ms; /* clock_steady_ms() at the start of the save that runs; 0: none runs */
    int64_t took_s;   /* duration of the last save; -1: there was none. Snapshots for sockets of replicas count too */
};
extern struct bgsave_status bgsave_status;
/* Hook: a save has succeeded or failed, so bgsave_stops_writes() may have changed. NULL: not used. */
extern void (*bgsave_ended)(void);
/* Hook: a save of bgsave_start() has ended; ok: the file is the snapshot's. NULL: not used. */
extern void (*bgsave_done)(bool ok);

bool bgsave_has_points(void); /* at least one save point is set */
/* Writes must be refused: save points are set, the last save failed, and stop-writes-on-bgsave-error is set. */
bool bgsave_stops_writes(void);

/* Save at once, in this process, as SAVE does; a save in the background is given up. False: that failed; logged.
 * O(keys). */
bool bgsave_now(void);
/* Fork a child that saves. False: a child is running already (not logged), or the fork failed (logged). */
bool bgsave_start(void);
void bgsave_schedule(void); /* begin a save in the next tick without a running child */
/* A few times a second: begin a save if one is scheduled or a save point is reached, unless a child is running. After a
 * failure, wait some seconds. */
void bgsave_tick(void);
