/* oom-score-adj: which process the kernel kills first when memory runs out. A forked child gets a higher score than the
 * server.
 *
 * Relative values are added to the score that the process has when the option is turned on; "no" restores that
 * score. */
#include "process/oom.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum oom_mode { OOM_NO, OOM_RELATIVE, OOM_ABSOLUTE };
enum oom_role { OOM_OF_PRIMARY, OOM_OF_REPLICA, OOM_OF_CHILD };

static struct {
    int mode;      /* oom-score-adj: enum oom_mode */
    int values[3]; /* oom-score-adj-values, by enum oom_role */
    int initial;   /* the score before the option was turned on */
    bool changed;  /* the score may differ from that */
} oom;

#define OOM_FILE "/proc/self/oom_score_adj"

static bool write_oom_score(int score) {
    char digits[16];
    int fd = open(OOM_FILE, O_WRONLY | O_CLOEXEC);
    int n = snprintf(digits, sizeof digits, "%d", score);
    bool ok = fd >= 0 && write(fd, digits, (size_t)n) == n;
    if (!ok) log_warning("Unable to write oom_score_adj: %s", strerror(errno));
    if (fd >= 0) close(fd);
    return ok;
}

static int read_oom_score(void) {
    int score = 0;
    FILE *file = fopen(OOM_FILE, "re");
    if (!file) return 0;
    if (fscanf(file, "%d", &score) != 1) score = 0;
    fclose(file);
    return score;
}

static int oom_score(int value) {
    int score = oom.mode == OOM_NO ? oom.initial : value;
    if (oom.mode == OOM_RELATIVE) score += oom.initial;
    return score < -1000 ? -1000 : score > 1000 ? 1000 : score;
}

static bool apply_oom(const char **error) {
    *error = "Failed to apply new oom_score_adj configuration, check server logs.";
    if (oom.mode == OOM_NO && !oom.changed) return true;
    if (!oom.changed) oom.initial = read_oom_score();
    oom.changed = oom.mode != OOM_NO;
    return write_oom_score(oom_score(oom.values[OOM_OF_PRIMARY]));
}

static bool set_oom_values(const char *const *words, int count, const char **error) {
    int values[3];
    *error = "wrong number of arguments";
    if (count != 3) return false;
    for (int i = 0; i < 3; i++) {
        int64_t n;
        if (!num_parse_i64(slice_cstr(words[i]), &n) || n < -2000 || n > 2000) {
            *error = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
            return false;
        }
        values[i] = (int)n;
    }
    if (values[1] < values[0] || values[2] < values[1])
        log_warning("The oom-score-adj-values configuration may not work for non-privileged processes! Please consult "
                    "the documentation.");
    memcpy(oom.values, values, sizeof values);
    return true;
}

static void get_oom_values(struct buf *out) {
    buf_printf(out, "%d %d %d", oom.values[0], oom.values[1], oom.values[2]);
}

void oom_become_child(void) {
    if (oom.mode != OOM_NO) write_oom_score(oom_score(oom.values[OOM_OF_CHILD]));
}

static void oom_start(void) {
    const char *error;
    apply_oom(&error);
}

static const struct option_name oom_modes[] = {
    {"no", OOM_NO}, {"yes", OOM_RELATIVE}, {"relative", OOM_RELATIVE}, {"absolute", OOM_ABSOLUTE}, {NULL, 0}};

static const struct option oom_rows[] = {
    {"oom-score-adj", .type = OPTION_ENUM, .address = &oom.mode, .initial = "no", .names = oom_modes,
     .apply = apply_oom},
    {"oom-score-adj-values", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = "0 200 800", .apply = apply_oom,
     .set = set_oom_values, .get = get_oom_values},
    {NULL},
};

const struct module oom_module = {.options = oom_rows, .start = oom_start};
