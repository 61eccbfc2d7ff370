/* Keyspace events: the classes are read and printed as Redis does, and a change is published to the right channels, and
 * only while somebody may hear. Publishing is a fake. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "publish/pubsub.h"
#include "store/changes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module notify_module;

/* --- A fake of pubsub ------------------------------------------------------------------------ */

size_t pubsub_keyspace_topics;
static struct buf published; /* "<channel> <message>; " */

int64_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message, struct blob *blob) {
    assert_int_equal(kind, PUBSUB_CHANNEL);
    assert_null(blob);
    buf_printf(&published, "%.*s %.*s; ", (int)channel.len, channel.ptr, (int)message.len, message.ptr);
    return 0;
}

static void expect_published(const char *expected) {
    if (!slice_eq(buf_slice(&published), slice_cstr(expected)))
        fail_msg("published \"%.*s\", not \"%s\"", (int)published.len, published.data ? published.data : "", expected);
    buf_free(&published);
}

/* --- The option ------------------------------------------------------------------------------ */

static bool set_events(const char *letters, struct config_error *error) {
    struct slice pair[] = {SLICE("notify-keyspace-events"), slice_cstr(letters)};
    return config_set(pair, 1, true, error);
}

static void set(const char *letters) {
    struct config_error error;
    assert_true(set_events(letters, &error));
}

static void check(const char *given, const char *shown) {
    struct buf out = {0};
    set(given);
    directive_print(config_find(SLICE("notify-keyspace-events")), &out);
    if (!slice_eq(buf_slice(&out), slice_cstr(shown)))
        fail_msg("\"%s\" is shown as \"%.*s\"", given, (int)out.len, out.data ? out.data : "");
    buf_free(&out);
}

static void letters_are_printed_in_redis_order(void **state) {
    (void)state;
    check("", "");
    check("KEA", "AKE");
    check("mEKndtexzhsl$g", "AKEm"); /* all classes of A are given one by one, and A hides n */
    check("g$lshzxetd", "A");
    check("KEg$lshzxen", "g$lshzxenKE");
    check("EtdnmK", "tdnKEm");
    check("KK", "K");
}

static void unknown_letters_are_refused(void **state) {
    (void)state;
    struct config_error error;
    set("Kg");
    assert_false(set_events("KgQ", &error));
    assert_string_equal(error.text, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    check("Kg", "gK");
}

/* --- Events ---------------------------------------------------------------------------------- */

static void change(int db, const char *name, unsigned class, const char *event) {
    struct key key = key_of(slice_cstr(name));
    if (db_hooks.changed) db_hooks.changed(db_at(db), &key, class, event);
}

static void changes_are_published_to_the_channels_of_keys_and_events(void **state) {
    (void)state;
    pubsub_keyspace_topics = 1;
    set("KEA");
    change(0, "k", DB_STRING, "set");
    expect_published("__keyspace@0__:k set; __keyevent@0__:set k; ");
    set("K$");
    change(3, "some key", DB_STRING, "append");
    expect_published("__keyspace@3__:some key append; ");
    set("Ex");
    change(0, "k", DB_STRING, "set"); /* a class that is not chosen */
    change(0, "k", DB_EXPIRED, "expired");
    expect_published("__keyevent@0__:expired k; ");
    set("KEA");
    change(0, "k", DB_MISS, "keymiss"); /* A stands for neither of these */
    change(0, "k", DB_NEW, "new");
    expect_published("");
    set("Emn");
    change(0, "k", DB_MISS, "keymiss");
    change(0, "k", DB_NEW, "new");
    expect_published("__keyevent@0__:keymiss k; __keyevent@0__:new k; ");
}

static void each_letter_stands_for_its_class(void **state) {
    (void)state;
    static const struct {
        const char *letters;
        unsigned class;
    } cases[] = {
        {"Eg", DB_GENERIC}, {"E$", DB_STRING},  {"El", DB_LIST},   {"Es", DB_SET},    {"Eh", DB_HASH}, {"Ez", DB_ZSET},
        {"Ex", DB_EXPIRED}, {"Ee", DB_EVICTED}, {"Et", DB_STREAM}, {"Ed", DB_MODULE}, {"En", DB_NEW},  {"Em", DB_MISS},
    };
    pubsub_keyspace_topics = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set(cases[i].letters);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            change(0, cases[k].letters, cases[k].class, "e");
        char expected[64] = "__keyevent@0__:e ";
        strcat(strcat(expected, cases[i].letters), "; ");
        expect_published(expected);
    }
}

static void nothing_is_published_that_nobody_hears(void **state) {
    (void)state;
    pubsub_keyspace_topics = 0;
    set("KEA");
    assert_non_null(db_hooks.changed);
    change(0, "k", DB_STRING, "set");
    expect_published("");
    set("A"); /* without K and E there is no channel: changes are not even listened to */
    assert_null(db_hooks.changed);
    set("K");
    assert_non_null(db_hooks.changed);
    set("");
    assert_null(db_hooks.changed);
}

int main(void) {
    hash_init();
    clock_init();
    db_init(4);
    config_register(notify_module.options);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_printed_in_redis_order),
        cmocka_unit_test(unknown_letters_are_refused),
        cmocka_unit_test(changes_are_published_to_the_channels_of_keys_and_events),
        cmocka_unit_test(each_letter_stands_for_its_class),
        cmocka_unit_test(nothing_is_published_that_nobody_hears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
