/* Popping from the first of several keys, with a type of value that only notes what it is asked for. */
#include "cmd/multi_pop.h"
#include "command_lab.h"
#include "exec/call.h"
#include "session/reply.h"

extern const struct module strings_module, lists_module;

static char asked[64]; /* "many b last 3" */

static void note_one(struct request *r, const struct key *key, struct entry *e, bool last) {
    assert_non_null(e);
    snprintf(asked, sizeof asked, "one %.*s %s", (int)key->name.len, key->name.ptr, last ? "last" : "first");
    reply_bulk(r->client, SLICE("element"));
    db_metrics.dirty++;
}

static size_t note_many(struct request *r, const struct key *key, struct entry *e, bool last, int64_t n) {
    assert_non_null(e);
    snprintf(asked, sizeof asked, "many %.*s %s %lld", (int)key->name.len, key->name.ptr, last ? "last" : "first",
             (long long)n);
    reply_array(r->client, 0);
    db_metrics.dirty++;
    return 2; /* as if there were no more */
}

static const struct multi_pop type = {
    .type = ENTRY_LIST,
    .first = "low",
    .last = "high",
    .first_command = SLICE("LOWPOP"),
    .last_command = SLICE("HIGHPOP"),
    .parts = 2,
    .one = note_one,
    .many = note_many,
};

static void low(struct request *r) {
    multi_pop_one(r, &type, false);
}

static void high(struct request *r) {
    multi_pop_one(r, &type, true);
}

static void many(struct request *r) {
    multi_pop_many(r, &type, false);
}

static void wait_for_many(struct request *r) {
    multi_pop_many(r, &type, true);
}

#define ROW(n, b) \
    { .name = n, .body = b, .arity = -1, .flags = CMD_WRITE, .summary = n, .since = "1.0.0" }
static const struct command rows[] = {
    ROW("low", low), ROW("high", high), ROW("many", many), ROW("wait_for_many", wait_for_many), {.name = NULL}};
static const struct module rows_module = {.commands = rows};

static void expect(const char *command, const char *reply, const char *was_asked, const char *propagated) {
    asked[0] = '\0';
    assert_string_equal(lab_run("%s", command), reply);
    assert_string_equal(asked, was_asked);
    lab_expect_propagated(propagated);
}

static void the_first_key_that_exists_is_popped_from(void **state) {
    (void)state;
    lab_run("RPUSH b 1");
    lab_run("RPUSH c 1");
    lab_run("SET text 1");
    expect("LOW a b c 0", "*2 $1 b $7 element", "one b first", "LOWPOP b");
    expect("HIGH c b 0", "*2 $1 c $7 element", "one c last", "HIGHPOP c");
    expect("MANY 2 a b HIGH", "*2 $1 b *0", "many b last 1", "HIGHPOP b 2");
    expect("MANY 3 a c b low count 7", "*2 $1 c *0", "many c first 7", "LOWPOP c 2");
    expect("WAIT_FOR_MANY 0.5 1 b LOW COUNT 2", "*2 $1 b *0", "many b first 2", "LOWPOP b 2");
    const char *wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    expect("LOW a text b 0", wrong, "", "");
    expect("MANY 2 text b LOW", wrong, "", "");
    expect("LOW b text 0", "*2 $1 b $7 element", "one b first", "LOWPOP b");
}

static void arguments_are_checked_before_keys(void **state) {
    (void)state;
    const char *syntax = "-ERR syntax error", *keys = "-ERR numkeys should be greater than 0";
    const char *count = "-ERR count should be greater than 0";
    lab_run("RPUSH b 1");
    expect("LOW b x", "-ERR timeout is not a float or out of range", "", "");
    expect("MANY x b LOW", keys, "", "");
    expect("MANY 0 b LOW", keys, "", "");
    expect("MANY 2 b LOW", syntax, "", "");
    expect("MANY 1 b LEFT", syntax, "", "");
    expect("MANY 1 b LOW COUNT", syntax, "", "");
    expect("MANY 1 b LOW SUM 1", syntax, "", "");
    expect("MANY 1 b LOW COUNT 0", count, "", "");
    expect("MANY 1 b LOW COUNT 1 COUNT 1", syntax, "", "");
    expect("MANY 1 b LOW COUNT x COUNT 1", count, "", "");
    expect("WAIT_FOR_MANY x 1 b UP", syntax, "", "");
    expect("WAIT_FOR_MANY -1 1 b LOW", "-ERR timeout is negative", "", "");
}

static void without_a_key_only_those_wait_that_may(void **state) {
    (void)state;
    expect("MANY 2 a b LOW", "*-1", "", "");
    call_is_nested = true; /* to wait is to be timed out at once */
    expect("LOW a b 0", "*-1", "", "");
    expect("WAIT_FOR_MANY 0 2 a b LOW", "*-1", "", "");
    call_is_nested = false;
}

int main(void) {
    lab_start((const struct module *const[]){&strings_module, &lists_module, &rows_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(the_first_key_that_exists_is_popped_from),
        LAB_TEST(arguments_are_checked_before_keys),
        LAB_TEST(without_a_key_only_those_wait_that_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
