/* The OOM score: relative values are added to the score that the process had, "no" brings that back, and a child takes
 * its own. All of it happens to forked processes: a score that was raised cannot always be lowered again. */
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "process/oom.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module oom_module;

static struct config_error error;

static bool set(const char *name, const char *value) {
    return config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error);
}

static int score(void) {
    int n = 0;
    FILE *file = fopen("/proc/self/oom_score_adj", "r");
    if (!file || fscanf(file, "%d", &n) != 1) _exit(100);
    fclose(file);
    return n;
}

static int status_of(int (*test)(int initial)) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        FILE *file = fopen("/proc/self/oom_score_adj", "w");
        int initial = score() < 900 ? score() + 50 : score(); /* not 0, to which all would be relative */
        if (!file || fprintf(file, "%d", initial) < 0 || fclose(file) != 0) _exit(101);
        _exit(test(initial));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int relative(int initial) {
    if (!set("oom-score-adj-values", "7 9 11") || score() != initial) return 1;
    if (!set("oom-score-adj", "relative") || score() != initial + 7) return 2;
    if (!set("oom-score-adj-values", "8 9 11") || score() != initial + 8) return 3;
    oom_become_child();
    if (score() != initial + 11) return 4;
    if (set("oom-score-adj", "no") && score() != initial) return 5;
    oom_become_child(); /* it is turned off */
    return score() == initial ? 0 : 6;
}

static int absolute(int initial) {
    if (initial > 990) return 0; /* lowering needs a privilege */
    if (!set("oom-score-adj-values", "990 991 1500")) return 1;
    if (!set("oom-score-adj", "absolute") || score() != 990) return 2;
    oom_become_child();
    return score() == 1000 ? 0 : 3; /* the most that there is */
}

static void relative_values_are_added(void **state) {
    (void)state;
    assert_int_equal(status_of(relative), 0);
}

static void absolute_values_are_kept_within_the_bounds(void **state) {
    (void)state;
    assert_int_equal(status_of(absolute), 0);
}

static void values_are_checked(void **state) {
    (void)state;
    struct buf out = {0};
    assert_false(set("oom-score-adj-values", "1 2"));
    assert_string_equal(error.text, "wrong number of arguments");
    assert_false(set("oom-score-adj-values", "1 2 2001"));
    assert_string_equal(error.text, "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    assert_false(set("oom-score-adj-values", "-2001 2 3"));
    assert_false(set("oom-score-adj-values", "1 2 x"));
    assert_true(set("oom-score-adj-values", "3 2 1")); /* odd, but only logged */
    directive_print(config_find(SLICE("oom-score-adj-values")), &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("3 2 1")));
    buf_free(&out);
}

int main(void) {
    log_set_level(LOG_NOTHING);
    config_register(oom_module.options);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative_values_are_added),
        cmocka_unit_test(absolute_values_are_kept_within_the_bounds),
        cmocka_unit_test(values_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
