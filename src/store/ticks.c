/* See ticks.h. The last point is the current tick and moves with it. The one before it is a check, less than a second
 * older or a tick. When it is older than that, the pace since then is compared with the pace before it: if that has
 * changed by a quarter, the check stays for good and another begins, else it moves up. */
#include "store/ticks.h"

#define POINTS 64
#define FIRST ((uint64_t)1 << 24) /* a snapshot may tell of accesses before the first tick */
#define CHECK_MS 1000

struct point {
    uint64_t tick;
    int64_t ms;
};

uint64_t ticks_now = FIRST;
static struct point points[POINTS];
static int n_points;

static double ms_per_tick(struct point a, struct point b) {
    return b.tick == a.tick ? 0 : (double)(b.ms - a.ms) / (double)(b.tick - a.tick);
}

/* Make room: of the older half every second point goes. */
static void thin_points(void) {
    int kept = 1;
    for (int i = 1; i < n_points; i++) {
        if (i > POINTS / 2 || i % 2 == 0) points[kept++] = points[i];
    }
    n_points = kept;
}

static void advance(uint64_t n, int64_t ms) {
    ticks_now += n;
    struct point now = {ticks_now, ms}, *check = &points[n_points - 2];
    if (ms - check->ms >= CHECK_MS) {
        double before = ms_per_tick(check[-1], *check), after = ms_per_tick(*check, now);
        if (after >= before * 0.75 && after <= before * 1.25) {
            *check = now;
        } else {
            if (n_points == POINTS) thin_points();
            points[n_points - 1] = now;
            n_points++;
        }
    }
    points[n_points - 1] = now;
}

static void start(int64_t now_ms, int64_t unit_ms) {
    int64_t began_ms = now_ms - now_ms % unit_ms;
    points[0] = (struct point){0, began_ms - (int64_t)FIRST * unit_ms};
    points[1] = points[2] = (struct point){FIRST, began_ms};
    n_points = 3;
}

void ticks_follow_clock(int64_t now_ms, int64_t unit_ms) {
    if (n_points == 0) start(now_ms, unit_ms);
    int64_t began_ms = now_ms - now_ms % unit_ms, passed_ms = began_ms - points[n_points - 1].ms;
    if (passed_ms > 0) advance((uint64_t)((passed_ms + unit_ms - 1) / unit_ms), began_ms);
}

void ticks_next(int64_t now_ms) {
    if (n_points == 0) start(now_ms, CHECK_MS);
    advance(1, now_ms);
}

int64_t ticks_began_ms(uint64_t tick) {
    int i = n_points - 2;
    if (i < 0) return 0;
    while (i > 0 && points[i].tick > tick)
        i--;
    double ticks = (double)(int64_t)(tick - points[i].tick);
    return points[i].ms + (int64_t)(ticks * ms_per_tick(points[i], points[i + 1]));
}

uint64_t ticks_at(int64_t ms) {
    int i = n_points - 2;
    if (i < 0 || ms >= points[i + 1].ms) return ticks_now;
    while (i > 0 && points[i].ms > ms)
        i--;
    double pace = ms_per_tick(points[i], points[i + 1]);
    if (pace <= 0) return points[i].tick;
    double ticks = (double)(ms - points[i].ms) / pace; /* below 0: before the first point */
    return points[i].tick + (uint64_t)(int64_t)(ticks < 0 ? ticks - 1 : ticks);
}
