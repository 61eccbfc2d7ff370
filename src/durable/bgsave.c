/* See bgsave.h. Changes are counted in db_metrics.dirty since the last save. A child sees the dataset as it was at the
 * fork: when it has succeeded, only the changes until then are subtracted. */
#include "durable/bgsave.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "conf/config.h"
#include "disk/child.h"
#include "disk/temp_file.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "durable/snapshot_lock.h"
#include "store/changes.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

#define SAVE_INITIAL "3600 1 300 100 60 10000"
#define SAVE_POINTS 64
#define RETRY_MS 5000 /* after a failure */

struct bgsave_status bgsave_status = {.took_s = -1};
void (*bgsave_ended)(void);
void (*bgsave_done)(bool ok);

static struct {
    int64_t seconds[SAVE_POINTS];
    int64_t changes[SAVE_POINTS];
    int count;
    bool named; /* a line of the configuration file has set points, so further lines add to them */
} save;
static bool stop_writes;
static int64_t tried_ms;     /* clock_steady_ms() when the last child was forked */
static int64_t dirty_before; /* value of db_metrics.dirty at the fork */

bool bgsave_has_points(void) {
    return save.count > 0;
}

bool bgsave_stops_writes(void) {
    return stop_writes && save.count > 0 && bgsave_status.failed;
}

/* --- The child ------------------------------------------------------------------------------- */

static int save_in_child(void *ctx) {
    (void)ctx;
    return snapshot_write(temp_file_name(TEMP_BGSAVE)) ? 0 : 1;
}

static void save_done(void *ctx, const struct child_end *end) {
    (void)ctx;
    temp_file_drop(TEMP_BGSAVE);
    if (end->signal) {
        log_warning("Background saving terminated by signal %d", end->signal);
        if (end->signal != SIGUSR1) bgsave_status.failed = true; /* it was not wanted any more: no failure */
    } else if (end->status) {
        log_warning("Background saving error");
        bgsave_status.failed = true;
    } else {
        log_notice("Background saving terminated with success");
        db_metrics.dirty -= dirty_before;
        snapshot_saved();
        bgsave_status.failed = false;
    }
    bgsave_status.took_s = (clock_steady_ms() - bgsave_status.began_ms) / 1000;
    bgsave_status.began_ms = 0;
    if (bgsave_ended) bgsave_ended();
    if (bgsave_done) bgsave_done(!end->signal && !end->status);
}

/* A child that saves is killed, since it would put an older snapshot in the place of this one. */
bool bgsave_now(void) {
    if (child_running() == CHILD_RDB) child_kill();
    if (!snapshot_save()) return false;
    bgsave_status.failed = false;
    if (bgsave_ended) bgsave_ended();
    return true;
}

bool bgsave_start(void) {
    struct child_job job = {.kind = CHILD_RDB, .run = save_in_child, .done = save_done, .keys = db_keys()};
    if (child_running() != CHILD_NONE) return false;
    snapshot_metrics.saves++;
    tried_ms = clock_steady_ms();
    dirty_before = db_metrics.dirty;
    bgsave_status.scheduled = false;
    temp_file_choose(TEMP_BGSAVE);
    if (!child_start(&job)) {
        log_warning("Can't save in background: fork: %s", strerror(errno));
        temp_file_drop(TEMP_BGSAVE);
        bgsave_status.failed = true;
        return false;
    }
    bgsave_status.began_ms = tried_ms;
    log_notice("Background saving started by pid %ld", (long)child_pid());
    return true;
}

/* FLUSHALL: neither the snapshot on disk nor one that is being written may bring the keys back. */
static void bgsave_emptied(void) {
    if (loading_is_active()) return;
    if (child_running() == CHILD_RDB) child_kill();
    if (save.count == 0) return;
    bgsave_now();
    db_metrics.dirty++; /* as in Redis, FLUSHALL itself counts as a change since the save */
}

static void listen_to_flushall(void) {
    static const struct db_hooks hooks = {.emptied = bgsave_emptied};
    changes_listen(CHANGES_SNAPSHOT, &hooks);
}

void bgsave_schedule(void) {
    bgsave_status.scheduled = true;
}

/* --- Save points ----------------------------------------------------------------------------- */

static bool point_reached(int64_t now_ms) {
    int64_t passed_s = (now_ms - snapshot_metrics.saved_ms) / 1000;
    for (int i = 0; i < save.count; i++) {
        if (db_metrics.dirty < save.changes[i] || passed_s <= save.seconds[i]) continue;
        log_notice("%lld changes in %lld seconds. Saving...", (long long)save.changes[i], (long long)save.seconds[i]);
        return true;
    }
    return false;
}

void bgsave_tick(void) {
    int64_t now_ms = clock_steady_ms();
    if (child_running() != CHILD_NONE || (bgsave_status.failed && now_ms - tried_ms <= RETRY_MS)) return;
    if (bgsave_status.scheduled || point_reached(now_ms)) bgsave_start();
}

/* --- Options --------------------------------------------------------------------------------- */

/* At start-up, the first line replaces the initial points and the next ones add to them; `save ""` removes all points.
 * At run time, the value is the whole list. */
static bool set_save(const char *const *words, int count, const char **error) {
    static bool registered; /* false in the first call, which sets the initial value */
    bool none = count == 0 || (count == 1 && words[0][0] == '\0');
    int64_t seconds[SAVE_POINTS], changes[SAVE_POINTS];
    *error = "Invalid save parameters";
    if (!none && (count % 2 != 0 || count / 2 > SAVE_POINTS)) return false;
    int points = none ? 0 : count / 2;
    for (int i = 0; i < points; i++) {
        if (!num_parse_i64(slice_cstr(words[2 * i]), &seconds[i]) || seconds[i] < 1 ||
            !num_parse_i64(slice_cstr(words[2 * i + 1]), &changes[i]) || changes[i] < 0)
            return false;
    }
    if (none || !save.named || !config_is_starting()) save.count = 0;
    if (save.count + points > SAVE_POINTS) return false;
    memcpy(save.seconds + save.count, seconds, (size_t)points * sizeof seconds[0]);
    memcpy(save.changes + save.count, changes, (size_t)points * sizeof changes[0]);
    save.count += points;
    save.named = registered;
    registered = true;
    return true;
}

static bool apply_save(const char **error) {
    return snapshot_lock_points(save.count > 0, error);
}

static void get_save(struct buf *out) {
    for (int i = 0; i < save.count; i++) {
        buf_printf(out, "%s%lld %lld", i ? " " : "", (long long)save.seconds[i], (long long)save.changes[i]);
    }
}

static void write_save_lines(struct buf *out) {
    if (save.count == 0) buf_append_cstr(out, "save \"\"\n");
    for (int i = 0; i < save.count; i++) {
        buf_printf(out, "save %lld %lld\n", (long long)save.seconds[i], (long long)save.changes[i]);
    }
}

static const struct option bgsave_rows[] = {
    {"save", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = SAVE_INITIAL, .apply = apply_save,
     .set = set_save, .get = get_save, .lines = write_save_lines},
    {"stop-writes-on-bgsave-error", .type = OPTION_BOOL, .address = &stop_writes, .initial = "yes"},
    {NULL},
};

const struct module bgsave_module = {.options = bgsave_rows, .start = listen_to_flushall};
