/* The server does not boot with rows that contradict themselves: each kind of mistake aborts in catalog_ready(). */
#include "catalog/catalog.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void body(struct request *r) {
    (void)r;
}

/* Whether a process that registers this row, behind a sound one, gets as far as its exit. */
static bool boots_with(struct command row) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct command sound[] = {
            {"get", body, 2, .since = "1.0.0", .summary = "Reads."},
            {NULL},
        };
        const struct command rows[] = {row, {NULL}};
        signal(SIGABRT, SIG_DFL); /* cmocka catches it */
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        catalog_register(sound);
        catalog_register(rows);
        catalog_ready();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return false;
}

static struct command sound_row(void) {
    return (struct command){"set", body, -3, .flags = CMD_WRITE, .first_key = 1, .since = "1.0.0", .summary = "Sets."};
}

#define REFUSES(change)                   \
    do {                                  \
        struct command row = sound_row(); \
        change;                           \
        assert_false(boots_with(row));    \
    } while (0)

static void a_sound_row_is_accepted(void **state) {
    (void)state;
    assert_true(boots_with(sound_row()));
    static const struct command subcommands[] = {
        {"one", body, 2, .since = "1.0.0", .summary = "Does one thing."},
        {NULL},
    };
    assert_true(boots_with(
        (struct command){"config", NULL, -2, .since = "1.0.0", .summary = "Does things.", .subcommands = subcommands}));
}

static void contradictions_are_refused(void **state) {
    (void)state;
    static const struct command inner[] = {{"deep", body, 3, .since = "1.0.0", .summary = "-"}, {NULL}};
    static const struct command outer[] = {{"sub", NULL, -2, .since = "1.0.0", .summary = "-", .subcommands = inner},
                                           {NULL}};
    REFUSES(row.name = "get"); /* there already */
    REFUSES(row.body = NULL);
    REFUSES(row.arity = 0);
    REFUSES(row.since = NULL);
    REFUSES(row.flags |= CMD_READONLY);
    REFUSES((row.first_key = 0, row.last_key = 1));
    REFUSES((row.first_key = 0, row.key_step = 1));
    REFUSES(row.subcommands = outer); /* a subcommand has none of its own */
}

static void prose_that_is_still_to_be_written_is_refused(void **state) {
    (void)state;
    static const struct command_keys keys[] = {{.flags = "RO", .notes = "", .begin = 1, .keynum_at = -1}, {NULL}};
    REFUSES(row.summary = NULL);
    REFUSES(row.summary = "");
    REFUSES(row.history = "7.0.0|");
    REFUSES(row.history = "6.2.0|\n7.0.0|New: `X`.");
    REFUSES(row.deprecated = "4.0.0|");
    REFUSES(row.keys = keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_row_is_accepted),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(prose_that_is_still_to_be_written_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
