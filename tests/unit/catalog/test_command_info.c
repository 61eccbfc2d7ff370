/* What follows from a row: names of flags and categories, and the keys of requests by every form of key spec. */
#include "base/buf.h"
#include "catalog/command_info.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- Names ----------------------------------------------------------------------------------- */

static void expect_names(const char *const *names, size_t count, const char *expected) {
    struct buf text = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s", i ? " " : "", names[i]);
    buf_append(&text, "", 1);
    assert_string_equal(text.data, expected);
    buf_free(&text);
}

static void expect_flags(unsigned flags, const char *expected) {
    const char *names[COMMAND_INFO_NAMES];
    struct command row = {.flags = flags};
    expect_names(names, command_info_flags(&row, names), expected);
}

static void flags_have_redis_names_in_redis_order(void **state) {
    (void)state;
    expect_flags(0, "");
    expect_flags(CMD_FAST | CMD_DENYOOM | CMD_WRITE, "write denyoom fast");
    expect_flags(CMD_MOVABLE_KEYS | CMD_ALLOW_BUSY | CMD_READONLY, "readonly movablekeys allow_busy");
    /* those that concern only this server */
    expect_flags(CMD_PROTECTED | CMD_SYSCMD | CMD_UNQUEUED | CMD_EXEC | CMD_PROBE | CMD_IN_LOG | CMD_MAY_REPLICATE, "");
}

static void body(struct request *r) {
    (void)r;
}

static void expect_acl(unsigned flags, unsigned acl, enum command_group group, const char *expected) {
    const char *names[COMMAND_INFO_NAMES];
    struct command row = {.flags = flags, .acl = acl, .group = group, .body = body};
    expect_names(names, command_info_acl(&row, names), expected);
}

static void categories_follow_from_flags_and_group(void **state) {
    (void)state;
    expect_acl(CMD_WRITE | CMD_FAST, 0, GROUP_STRING, "@write @string @fast");
    expect_acl(CMD_READONLY, 0, GROUP_SORTED_SET, "@read @sortedset @slow");
    expect_acl(CMD_ADMIN, 0, GROUP_SERVER, "@admin @slow @dangerous");
    expect_acl(CMD_PUBSUB | CMD_BLOCKING, 0, GROUP_PUBSUB, "@pubsub @slow @blocking");
    expect_acl(CMD_READONLY, ACL_SCRIPTING, GROUP_SCRIPTING, "@slow @scripting");
    expect_acl(CMD_FAST, ACL_CONNECTION, GROUP_STRING, "@fast @connection"); /* a named one replaces the group's */
}

static void categories_are_found_in_any_case(void **state) {
    (void)state;
    assert_int_equal(command_info_acl_category(SLICE("read")), ACL_READ);
    assert_int_equal(command_info_acl_category(SLICE("SortedSet")), ACL_SORTEDSET);
    assert_int_equal(command_info_acl_category(SLICE("@read")), 0);
    assert_int_equal(command_info_acl_category(SLICE("rea")), 0);
    assert_int_equal(command_info_acl_category(SLICE("")), 0);
    assert_string_equal(command_info_group(GROUP_SORTED_SET), "sorted-set");
    assert_string_equal(command_info_group(GROUP_BITMAP), "bitmap");
}

/* --- Keys ------------------------------------------------------------------------------------ */

/* The keys of a request, given as words with blanks between: "1:RO access 3:RW", or "wrong". */
static void expect_keys(const struct command *row, const char *request, const char *expected) {
    char words[256];
    struct slice argv[16];
    struct command_info_key keys[16];
    int argc = 0;
    snprintf(words, sizeof words, "%s", request);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = slice_cstr(word);
    int count = command_info_find(row, argv, argc, keys, 16);
    struct buf text = {0};
    if (count < 0) buf_append_cstr(&text, "wrong");
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s%d:%s", i ? " " : "", keys[i].position, keys[i].flags);
    buf_append(&text, "", 1);
    assert_string_equal(text.data, expected);
    buf_free(&text);
    /* A smaller array gets the first of them, and the same count. */
    struct command_info_key first = {-1, NULL};
    assert_int_equal(command_info_find(row, argv, argc, &first, 1), count);
    if (count > 0 && !row->find_keys) assert_int_equal(first.position, keys[0].position);
}

static void a_row_without_specs_has_a_derived_one(void **state) {
    (void)state;
    struct command get = {.first_key = 1, .flags = CMD_READONLY};
    struct command mset = {.first_key = 1, .last_key = -1, .key_step = 2, .flags = CMD_WRITE, .key_flags = "OW"};
    struct command blpop = {.first_key = 1, .last_key = -2, .key_step = 1, .flags = CMD_WRITE};
    struct command ping = {.name = "ping"};
    assert_true(command_info_has_keys(&get));
    assert_false(command_info_has_keys(&ping));
    expect_keys(&get, "get a", "1:RO access");
    expect_keys(&mset, "mset a 1 b 2", "1:OW 3:OW");
    expect_keys(&blpop, "blpop a b 0", "1:RW update 2:RW update");
    expect_keys(&ping, "ping", "");
}

static const struct command_keys numbered[] = {
    {.flags = "OW", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO", .begin = 2, .step = 1, .keynum_at = 0, .keynum_first = 1},
    {.flags = NULL},
};

static void a_number_says_how_many_keys_follow(void **state) {
    (void)state;
    struct command row = {.keys = numbered};
    expect_keys(&row, "zunionstore d 2 a b", "1:OW 3:RO 4:RO");
    expect_keys(&row, "zunionstore d 1 a weights 3", "1:OW 3:RO");
    expect_keys(&row, "zunionstore d 0 a", "wrong");
    expect_keys(&row, "zunionstore d 3 a b", "wrong");
    expect_keys(&row, "zunionstore d -1 a b", "wrong");
    expect_keys(&row, "zunionstore d x a b", "wrong");
    expect_keys(&row, "zunionstore d", "wrong");
    row.flags = CMD_NO_MANDATORY_KEYS;
    expect_keys(&row, "eval d 0 a", "1:OW");
    expect_keys(&row, "eval d 3 a b", "wrong");
}

static void a_channel_is_no_key(void **state) {
    (void)state;
    struct command spublish = {.first_key = 1, .key_flags = "not_key"};
    assert_false(command_info_has_keys(&spublish));
    expect_keys(&spublish, "spublish c m", "");
}

static const struct command_keys behind_words[] = {
    {.flags = "RO", .keyword = "STREAMS", .from = 1, .last = -1, .step = 1, .limit = 2, .keynum_at = -1},
    {.flags = NULL},
};
static const struct command_keys from_the_end[] = {
    {.flags = "RW", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RW incomplete", .keyword = "KEYS", .from = -2, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static void a_word_says_where_keys_begin(void **state) {
    (void)state;
    struct command xread = {.keys = behind_words}, migrate = {.keys = from_the_end};
    expect_keys(&xread, "xread count 2 streams a b 0 0", "4:RO 5:RO");
    expect_keys(&xread, "xread Streams a 0", "2:RO");
    expect_keys(&xread, "xread count 2", "");
    expect_keys(&xread, "xread streams", "");
    expect_keys(&migrate, "migrate k x y keys a b", "1:RW 5:RW incomplete 6:RW incomplete");
    expect_keys(&migrate, "migrate k x y", "1:RW");
}

static const char *vary(const struct slice *argv, int argc) {
    (void)argv;
    return argc > 3 ? "RW access" : "RO access";
}

static void flags_may_depend_on_the_request(void **state) {
    (void)state;
    const struct command_keys keys[] = {
        {.flags = "RW access variable_flags", .begin = 1, .step = 1, .keynum_at = -1, .vary = vary},
        {.flags = NULL},
    };
    struct command row = {.keys = keys};
    expect_keys(&row, "bitfield k get", "1:RO access");
    expect_keys(&row, "bitfield k set u8", "1:RW access");
}

/* A command that finds its own keys: the first argument and the last. */
static int first_and_last(const struct slice *argv, int argc, int *positions, int max) {
    (void)argv;
    if (argc < 3) return -1;
    if (max > 0) positions[0] = 1;
    if (max > 1) positions[1] = argc - 1;
    return 2;
}

static void a_command_may_find_its_keys_itself(void **state) {
    (void)state;
    const struct command_keys keys[] = {
        {.flags = "RO access", .begin = 1, .step = 1, .keynum_at = -1},
        {.flags = "OW update", .keynum_at = -1},
        {.flags = NULL},
    };
    struct command row = {.keys = keys, .find_keys = first_and_last};
    expect_keys(&row, "sort k store d", "1:RO access 3:OW update");
    expect_keys(&row, "sort k", "wrong");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_have_redis_names_in_redis_order),
        cmocka_unit_test(categories_follow_from_flags_and_group),
        cmocka_unit_test(categories_are_found_in_any_case),
        cmocka_unit_test(a_row_without_specs_has_a_derived_one),
        cmocka_unit_test(a_number_says_how_many_keys_follow),
        cmocka_unit_test(a_channel_is_no_key),
        cmocka_unit_test(a_word_says_where_keys_begin),
        cmocka_unit_test(flags_may_depend_on_the_request),
        cmocka_unit_test(a_command_may_find_its_keys_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
