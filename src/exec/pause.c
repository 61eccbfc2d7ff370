/* See pause.h. Invariant: the gate is closed, and expiry is held, exactly while there is a pause. The timer of each
 * pause runs. Whenever a pause ends, the requests that wait run again; those that another pause stops wait again. */
#include "exec/pause.h"
#include "base/clock.h"
#include "exec/block.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/expire.h"
#include <stddef.h>

#define DURATION_MAX_MS (INT64_MAX / 2000) /* in microseconds and added to a time, it still fits an int64_t */

static struct pause {
    struct loop_timer timer; /* first: a timer's address is its pause's */
    int64_t until_ms;        /* clock_steady_ms() */
    enum pause_mode mode;
    bool on;
} pauses[PAUSE_PURPOSES];

static bool any;                  /* a pause is on */
static enum pause_mode strictest; /* of those that are on */

/* --- The gate -------------------------------------------------------------------------------- */

/* A replica is the one that a pause is for: it goes on acknowledging. */
static bool pause_stops(const struct request *r, unsigned flags) {
    if (r->client && (r->client->flags & CLIENT_REPLICA)) return false;
    return strictest == PAUSE_ALL || (flags & (CMD_WRITE | CMD_MAY_REPLICATE));
}

static const struct gate pause_gate = {.holds = pause_stops};

static void fit_pause_gate(void) {
    any = false;
    strictest = PAUSE_WRITES;
    for (int i = 0; i < PAUSE_PURPOSES; i++) {
        if (!pauses[i].on) continue;
        any = true;
        if (pauses[i].mode > strictest) strictest = pauses[i].mode;
    }
    gates_set(GATES_PAUSE, any ? &pause_gate : NULL);
    expire_hold(EXPIRE_PAUSED, any);
}

/* --- Beginning and end ----------------------------------------------------------------------- */

static void end_pause(struct pause *pause) {
    if (!pause->on) return;
    pause->on = false;
    loop_timer_stop(&pause->timer);
    fit_pause_gate();
    block_resume_all();
}

static void pause_is_over(struct loop_timer *timer) {
    end_pause((struct pause *)timer);
}

void pause_begin(enum pause_purpose purpose, enum pause_mode mode, int64_t duration_ms) {
    struct pause *pause = &pauses[purpose];
    int64_t now_ms = clock_steady_ms();
    if (!pause->on) {
        *pause = (struct pause){.until_ms = now_ms, .mode = mode, .on = true};
        loop_timer_init(&pause->timer, pause_is_over);
    }
    if (mode > pause->mode) pause->mode = mode;
    if (duration_ms > DURATION_MAX_MS) duration_ms = DURATION_MAX_MS;
    if (now_ms + duration_ms > pause->until_ms) pause->until_ms = now_ms + duration_ms;
    loop_timer_start(&pause->timer, (pause->until_ms - now_ms) * 1000);
    fit_pause_gate();
}

void pause_end(enum pause_purpose purpose) {
    end_pause(&pauses[purpose]);
}

bool pause_is_on(enum pause_mode mode) {
    return any && strictest >= mode;
}
