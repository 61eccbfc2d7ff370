#include "exec/pause.h"
#include "base/clock.h"
#include "exec/block.h"
#include "net/loop.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/expire.h"

static struct {
    bool on;
    enum pause_mode mode;
    int64_t until_ms;
    struct loop_timer timer;
} pause;

static void time_over(struct loop_timer *timer) {
    (void)timer;
    pause_end();
}

static bool stops(const struct request *r, unsigned flags) {
    (void)r;
    return pause.mode == PAUSE_ALL || (flags & (CMD_WRITE | CMD_MAY_REPLICATE));
}

static const struct gate gate = {.holds = stops};

void pause_begin(enum pause_mode mode, int64_t duration_ms) {
    int64_t now_ms = clock_now_ms();
    if (!pause.on) {
        pause.on = true;
        pause.mode = mode;
        pause.until_ms = now_ms;
        loop_timer_init(&pause.timer, time_over);
    }
    if (mode > pause.mode) pause.mode = mode;
    if (duration_ms > INT64_MAX / 2000) duration_ms = INT64_MAX / 2000; /* as microseconds, and added to a time */
    if (now_ms + duration_ms > pause.until_ms) pause.until_ms = now_ms + duration_ms;
    loop_timer_start(&pause.timer, (pause.until_ms - now_ms) * 1000);
    gates_set(GATES_PAUSE, &gate);
    expire_hold(true);
}

void pause_end(void) {
    if (!pause.on) return;
    pause.on = false;
    loop_timer_stop(&pause.timer);
    gates_set(GATES_PAUSE, NULL);
    expire_hold(false);
    block_resume_all();
}
