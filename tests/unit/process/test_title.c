/* The title is written over argv and the environment, which go on to be readable elsewhere; its template is checked.
 * The addresses of the server are fakes. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "conf/config.h"
#include "process/listen.h"
#include "process/title.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module title_module;

int listen_port(void) {
    return 7777;
}
const char *listen_unix_path(void) {
    return "/tmp/s";
}
void listen_describe(struct buf *out) {
    buf_append_cstr(out, "*:7777");
}

/* What the kernel would give to main: the words of argv and of the environment, one behind the other. */
static char area[] = "kura\0--port\0"
                     "7777\0HOME=/root\0LANG=C\0behind";
enum { AREA = sizeof area - 1 - sizeof "behind" + 1 };
static char *argv[] = {area, area + 5, area + 12, NULL};
static char *fake_environ[] = {area + 17, area + 28, NULL};

static bool set(const char *name, const char *value) {
    struct config_error error;
    return config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error);
}

static void expect_title(const char *expected) {
    assert_string_equal(area, expected);
    for (size_t i = strlen(expected); i < AREA; i++)
        assert_int_equal(area[i], 0); /* nothing is left of what stood there */
    assert_memory_equal(area + AREA, "behind", 6);
}

static void argv_and_the_environment_move_away(void **state) {
    (void)state;
    char **own = environ;
    environ = fake_environ;
    title_init(3, argv);
    memset(area, 'x', AREA);
    assert_string_equal(argv[1], "--port");
    assert_string_equal(argv[2], "7777");
    assert_string_equal(getenv("HOME"), "/root");
    assert_string_equal(getenv("LANG"), "C");
    assert_null(environ[2]);
    for (char **copy = environ; *copy; copy++)
        alloc_put_string(*copy);
    alloc_put(environ, 3 * sizeof *environ);
    alloc_put_string(argv[1]);
    alloc_put_string(argv[2]);
    environ = own;
}

static void nothing_is_written_before_the_start(void **state) {
    (void)state;
    assert_true(set("proc-title-template", "{title}"));
    assert_int_equal(area[0], 'x');
    title_module.start();
    expect_title("kura");
}

static void a_template_is_filled_in(void **state) {
    (void)state;
    assert_true(set("proc-title-template", "{title}|{listen-addr}|{port}|{tls-port}"));
    expect_title("kura|*:7777|7777|0");
    assert_true(set("proc-title-template", "{unixsocket} {config-file}{server-mode}  "));
    expect_title("/tmp/s"); /* without the blanks at the end */
    assert_true(set("proc-title-template", "much too long for the bytes that there are in all"));
    assert_int_equal(strlen(area), AREA - 1);
    assert_memory_equal(area + AREA, "behind", 6);
}

static void a_broken_template_is_refused(void **state) {
    (void)state;
    assert_true(set("proc-title-template", "before"));
    assert_false(set("proc-title-template", "{title"));
    assert_false(set("proc-title-template", "{nothing}"));
    assert_false(set("proc-title-template", ""));
    expect_title("before");
}

static void a_child_has_a_name_of_its_own(void **state) {
    (void)state;
    assert_true(set("proc-title-template", "{title} x"));
    char name[] = "kura-child";
    title_set_program(name);
    name[0] = 'K'; /* it is copied */
    expect_title("kura-child x");
    assert_true(set("proc-title-template", "{title}"));
    expect_title("kura-child");
}

int main(void) {
    log_set_level(LOG_NOTHING);
    config_register(title_module.options);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(argv_and_the_environment_move_away),
        cmocka_unit_test(nothing_is_written_before_the_start),
        cmocka_unit_test(a_template_is_filled_in),
        cmocka_unit_test(a_broken_template_is_refused),
        cmocka_unit_test(a_child_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
