/* Planned options: each default is valid and survives the file, and bounds hold. */
#include "base/module.h"
#include "base/option.h"
#include "base/words.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "conf/permit.h"
#include "conf/planned.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

extern const struct module planned_module;

static bool set(const struct option *o, const char *line, const char **error) {
    struct words w;
    assert_true(words_split(&w, slice_cstr(line)));
    bool ok = config_set_at_start(o, (const char *const *)w.at, w.count, error);
    words_free(&w);
    return ok;
}

static void assert_shown(const struct option *o, const char *value) {
    struct buf out = {0};
    directive_print(o, &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, value);
    buf_free(&out);
}

static void every_default_survives_the_file(void **state) {
    (void)state;
    const char *error;
    for (const struct option *row = planned_module.options; row->name; row++) {
        const struct option *o = config_find(slice_cstr(row->name));
        struct buf line = {0};
        if (o->type == OPTION_CUSTOM) continue;
        assert_true(directive_is_initial(o));
        directive_print_file(o, &line);
        buf_append(&line, "", 1);
        assert_true(set(o, line.data, &error));
        assert_true(directive_is_initial(o));
        buf_free(&line);
    }
}

static void values_are_kept_apart(void **state) {
    (void)state;
    const char *error;
    const struct option *one = config_find(SLICE("cluster-announce-ip"));
    const struct option *other = config_find(SLICE("cluster-announce-hostname"));
    assert_true(set(one, "a", &error) && set(other, "b", &error));
    assert_shown(one, "a");
    assert_shown(other, "b");
}

static void bounds_are_those_of_the_row_or_of_the_type(void **state) {
    (void)state;
    const char *error;
    assert_false(set(config_find(SLICE("active-defrag-cycle-min")), "0", &error));
    assert_string_equal(error, "argument must be between 1 and 99 inclusive");
    assert_false(set(config_find(SLICE("slowlog-log-slower-than")), "-2", &error));
    assert_string_equal(error, "argument must be between -1 and 9223372036854775807 inclusive");
    assert_false(set(config_find(SLICE("tls-port")), "65536", &error));
    assert_string_equal(error, "argument must be between 0 and 65535 inclusive");
}

static void each_row_is_of_one_kind(void **state) {
    (void)state;
    for (const struct option *row = planned_module.options; row->name; row++) {
        unsigned kind = row->flags & (OPTION_HARMLESS | OPTION_MISSING | OPTION_PROTECTIVE);
        if (kind == 0 || (kind & (kind - 1)) != 0) fail_msg("%s is not of one kind", row->name);
    }
}

static void permissions_allow_everybody_nobody_or_local_clients(void **state) {
    (void)state;
    assert_true(permit_allows(PERMIT_YES, false) && permit_allows(PERMIT_YES, true));
    assert_false(permit_allows(PERMIT_NO, false) || permit_allows(PERMIT_NO, true));
    assert_true(permit_allows(PERMIT_LOCAL, true));
    assert_false(permit_allows(PERMIT_LOCAL, false));
    assert_shown(config_find(SLICE("enable-module-command")), "no");
}

int main(void) {
    config_register(planned_module.options);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_survives_the_file),
        cmocka_unit_test(values_are_kept_apart),
        cmocka_unit_test(bounds_are_those_of_the_row_or_of_the_type),
        cmocka_unit_test(each_row_is_of_one_kind),
        cmocka_unit_test(permissions_allow_everybody_nobody_or_local_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
