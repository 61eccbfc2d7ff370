/* See pause.h. Invariant: while a pause is on, its gate is closed, its timer runs, and expiry is held. */
#include "exec/pause.h"
#include "base/clock.h"
#include "exec/block.h"
#include "net/loop.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/expire.h"
#include <stdbool.h>

#define DURATION_MAX_MS (INT64_MAX / 2000) /* in microseconds and added to a time, it still fits an int64_t */

static struct {
    bool on;
    enum pause_mode mode;
    int64_t until_ms; /* clock_steady_ms() */
    struct loop_timer timer;
} pause;

static void pause_is_over(struct loop_timer *timer) {
    (void)timer;
    pause_end();
}

static bool pause_stops(const struct request *r, unsigned flags) {
    (void)r;
    return pause.mode == PAUSE_ALL || (flags & (CMD_WRITE | CMD_MAY_REPLICATE));
}

static const struct gate pause_gate = {.holds = pause_stops};

void pause_begin(enum pause_mode mode, int64_t duration_ms) {
    int64_t now_ms = clock_steady_ms();
    if (!pause.on) {
        pause.on = true;
        pause.mode = mode;
        pause.until_ms = now_ms;
        loop_timer_init(&pause.timer, pause_is_over);
    }
    if (mode > pause.mode) pause.mode = mode;
    if (duration_ms > DURATION_MAX_MS) duration_ms = DURATION_MAX_MS;
    if (now_ms + duration_ms > pause.until_ms) pause.until_ms = now_ms + duration_ms;
    loop_timer_start(&pause.timer, (pause.until_ms - now_ms) * 1000);
    gates_set(GATES_PAUSE, &pause_gate);
    expire_hold(EXPIRE_PAUSED, true);
}

void pause_end(void) {
    if (!pause.on) return;
    pause.on = false;
    loop_timer_stop(&pause.timer);
    gates_set(GATES_PAUSE, NULL);
    expire_hold(EXPIRE_PAUSED, false);
    block_resume_all();
}
