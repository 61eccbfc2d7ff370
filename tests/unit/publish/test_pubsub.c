/* Subscriptions: each receiver gets each message once and in the right order, a topic lives as long as it has
 * subscribers, and a random history agrees with a model. */
#include "base/alloc.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/command_row.h"
#include "publish/pubsub.h"
#include "push_lab.h"
#include "seed.h"
#include "session/gates.h"
#include "session/request.h"
#include <stdio.h>
#include <stdlib.h>

extern const struct module pubsub_module;

static bool join(struct client *c, enum pubsub_kind kind, const char *topic) {
    return pubsub_subscribe(c, kind, slice_cstr(topic));
}

static bool leave(struct client *c, enum pubsub_kind kind, const char *topic) {
    return pubsub_unsubscribe(c, kind, slice_cstr(topic));
}

static int64_t send(enum pubsub_kind kind, const char *channel, const char *message) {
    return pubsub_publish(kind, slice_cstr(channel), slice_cstr(message), NULL);
}

static void forget(struct client *c) {
    pubsub_module.part->forget(c);
    assert_null(c->subscriber);
}

/* --- Delivery -------------------------------------------------------------------------------- */

static void a_message_reaches_subscribers_in_their_order(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2), *b = lab_client(2, 3), *c = lab_client(3, 2);
    assert_int_equal(send(PUBSUB_CHANNEL, "news", "none"), 0);
    assert_true(join(b, PUBSUB_CHANNEL, "news"));
    assert_true(join(a, PUBSUB_CHANNEL, "news"));
    assert_true(join(c, PUBSUB_CHANNEL, "other"));
    assert_int_equal(send(PUBSUB_CHANNEL, "news", "hi"), 2);
    expect_pushed("2 >3 $7 message $4 news $2 hi; 1 *3 $7 message $4 news $2 hi; ");
    assert_true(leave(b, PUBSUB_CHANNEL, "news"));
    assert_true(join(b, PUBSUB_CHANNEL, "news"));
    assert_int_equal(send(PUBSUB_CHANNEL, "news", ""), 2);
    expect_pushed("1 *3 $7 message $4 news $0 ; 2 >3 $7 message $4 news $0 ; ");
    forget(a);
    forget(b);
    assert_int_equal(send(PUBSUB_CHANNEL, "news", "hi"), 0);
    forget(c);
    expect_pushed("");
}

static void while_its_script_runs_a_client_gets_messages_in_its_own_protocol(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    join(a, PUBSUB_CHANNEL, "c");
    join(b, PUBSUB_CHANNEL, "c");
    client_scripting = (struct client_scripting){a, 3};
    a->resp = 2;
    send(PUBSUB_CHANNEL, "c", "m");
    expect_pushed("1 >3 $7 message $1 c $1 m; 2 >3 $7 message $1 c $1 m; ");
    assert_false(client_has_only_messages(a));
    client_scripting = (struct client_scripting){a, 2};
    a->resp = 3;
    send(PUBSUB_CHANNEL, "c", "m");
    expect_pushed("1 *3 $7 message $1 c $1 m; 2 >3 $7 message $1 c $1 m; ");
    client_scripting.client = NULL;
    forget(a);
    forget(b);
}

static void patterns_come_after_the_channel_and_the_oldest_first(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2), *b = lab_client(2, 2);
    join(a, PUBSUB_PATTERN, "n*");
    join(b, PUBSUB_PATTERN, "*");
    join(b, PUBSUB_PATTERN, "ne[xw]s");
    join(a, PUBSUB_PATTERN, "n?");
    join(b, PUBSUB_CHANNEL, "news");
    assert_int_equal(send(PUBSUB_CHANNEL, "news", "1"), 4);
    expect_pushed("2 *3 $7 message $4 news $1 1; 1 *4 $8 pmessage $2 n* $4 news $1 1; "
                  "2 *4 $8 pmessage $1 * $4 news $1 1; 2 *4 $8 pmessage $7 ne[xw]s $4 news $1 1; ");
    /* A pattern that vanished and came again is the youngest. */
    leave(a, PUBSUB_PATTERN, "n*");
    leave(b, PUBSUB_CHANNEL, "news");
    join(a, PUBSUB_PATTERN, "n*");
    assert_int_equal(send(PUBSUB_CHANNEL, "news", "2"), 3);
    expect_pushed("2 *4 $8 pmessage $1 * $4 news $1 2; 2 *4 $8 pmessage $7 ne[xw]s $4 news $1 2; "
                  "1 *4 $8 pmessage $2 n* $4 news $1 2; ");
    forget(a);
    forget(b);
}

/* All of them begin with the same literal bytes, and the middle one goes. */
static void patterns_of_one_group_stay_apart(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    join(a, PUBSUB_PATTERN, "g?1");
    join(a, PUBSUB_PATTERN, "g?2");
    join(a, PUBSUB_PATTERN, "g*");
    leave(a, PUBSUB_PATTERN, "g?2");
    assert_int_equal(send(PUBSUB_CHANNEL, "gx2", "m"), 1);
    assert_int_equal(send(PUBSUB_CHANNEL, "gx1", "m"), 2);
    expect_pushed("1 *4 $8 pmessage $2 g* $3 gx2 $1 m; 1 *4 $8 pmessage $3 g?1 $3 gx1 $1 m; "
                  "1 *4 $8 pmessage $2 g* $3 gx1 $1 m; ");
    forget(a);
}

static void special_characters_end_the_literal_beginning(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    join(a, PUBSUB_PATTERN, "a\\*b");
    join(a, PUBSUB_PATTERN, "a[b]c");
    join(a, PUBSUB_PATTERN, "");
    assert_int_equal(send(PUBSUB_CHANNEL, "a*b", "m"), 1);
    assert_int_equal(send(PUBSUB_CHANNEL, "abc", "m"), 1);
    assert_int_equal(send(PUBSUB_CHANNEL, "a\\*b", "m"), 0);
    assert_int_equal(send(PUBSUB_CHANNEL, "", "m"), 1);
    expect_pushed("1 *4 $8 pmessage $4 a\\*b $3 a*b $1 m; 1 *4 $8 pmessage $5 a[b]c $3 abc $1 m; "
                  "1 *4 $8 pmessage $0  $0  $1 m; ");
    forget(a);
}

static void shard_channels_are_a_world_of_their_own(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3);
    join(a, PUBSUB_SHARD, "c");
    join(a, PUBSUB_PATTERN, "*");
    assert_int_equal(send(PUBSUB_SHARD, "c", "m"), 1);
    expect_pushed("1 >3 $8 smessage $1 c $1 m; ");
    assert_int_equal(send(PUBSUB_CHANNEL, "c", "m"), 1);
    expect_pushed("1 >4 $8 pmessage $1 * $1 c $1 m; ");
    forget(a);
}

/* The receivers share one copy, and the caller's blob is used if there is one. */
static void large_messages_are_shared(void **state) {
    (void)state;
    static char text[5000];
    char expected[sizeof text + 100];
    memset(text, 'x', sizeof text - 1);
    struct client *a = lab_client(1, 2);
    join(a, PUBSUB_CHANNEL, "c");
    struct blob *blob = blob_from(slice_cstr(text));
    assert_int_equal(pubsub_publish(PUBSUB_CHANNEL, SLICE("c"), blob_slice(blob), blob), 1);
    snprintf(expected, sizeof expected, "1 *3 $7 message $1 c $%zu %s; ", sizeof text - 1, text);
    expect_pushed(expected);
    assert_true(lab_referred);
    assert_int_equal(blob->holders, 1); /* the caller's */
    blob_drop(blob);
    size_t used = alloc_used();
    assert_int_equal(send(PUBSUB_CHANNEL, "c", text), 1);
    expect_pushed(expected);
    assert_true(lab_referred);
    text[1023] = '\0';
    assert_int_equal(send(PUBSUB_CHANNEL, "c", text), 1);
    assert_false(lab_referred);
    buf_free(&lab_pushed);
    assert_int_equal(alloc_used(), used);
    forget(a);
}

/* --- Subscriptions --------------------------------------------------------------------------- */

static void a_subscription_counts_once(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2), *b = lab_client(2, 2);
    assert_false(leave(a, PUBSUB_CHANNEL, "c"));
    assert_true(join(a, PUBSUB_CHANNEL, "c"));
    assert_false(join(a, PUBSUB_CHANNEL, "c"));
    assert_true(join(a, PUBSUB_PATTERN, "c"));
    assert_true(join(b, PUBSUB_CHANNEL, "c"));
    assert_int_equal(pubsub_count(a, PUBSUB_CHANNEL), 1);
    assert_int_equal(pubsub_count(a, PUBSUB_PATTERN), 1);
    assert_int_equal(pubsub_count(a, PUBSUB_SHARD), 0);
    assert_int_equal(pubsub_subscribers(PUBSUB_CHANNEL, SLICE("c")), 2);
    assert_int_equal(pubsub_topics(PUBSUB_CHANNEL), 1);
    assert_int_equal(send(PUBSUB_CHANNEL, "c", "m"), 3);
    buf_free(&lab_pushed);
    assert_true(leave(a, PUBSUB_CHANNEL, "c"));
    assert_false(leave(a, PUBSUB_CHANNEL, "c"));
    assert_int_equal(pubsub_subscribers(PUBSUB_CHANNEL, SLICE("c")), 1);
    assert_true(leave(b, PUBSUB_CHANNEL, "c"));
    assert_int_equal(pubsub_topics(PUBSUB_CHANNEL), 0);
    assert_null(b->subscriber);
    forget(a);
}

static struct buf left;

static void note_leaving(struct client *c, struct slice topic) {
    buf_printf(&left, "%llu:%.*s ", (unsigned long long)c->id, (int)topic.len, topic.ptr);
}

static void the_oldest_subscription_of_a_kind_ends_first(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    join(a, PUBSUB_CHANNEL, "x");
    join(a, PUBSUB_PATTERN, "p");
    join(a, PUBSUB_CHANNEL, "y");
    join(a, PUBSUB_CHANNEL, "z");
    leave(a, PUBSUB_CHANNEL, "y");
    while (pubsub_unsubscribe_first(a, PUBSUB_CHANNEL, note_leaving)) {
    }
    assert_true(slice_eq(buf_slice(&left), SLICE("1:x 1:z ")));
    buf_free(&left);
    assert_non_null(a->subscriber);
    assert_true(pubsub_unsubscribe_first(a, PUBSUB_PATTERN, NULL));
    assert_null(a->subscriber);
    assert_false(pubsub_unsubscribe_first(a, PUBSUB_PATTERN, note_leaving));
    assert_int_equal(left.len, 0);
}

static void keyspace_topics_are_those_that_events_can_reach(void **state) {
    (void)state;
    static const struct {
        enum pubsub_kind kind;
        const char *name;
        bool hears;
    } cases[] = {
        {PUBSUB_CHANNEL, "__keyspace@0__:k", true},
        {PUBSUB_CHANNEL, "__key", true},
        {PUBSUB_CHANNEL, "__ke", false},
        {PUBSUB_CHANNEL, "news", false},
        {PUBSUB_PATTERN, "*", true},
        {PUBSUB_PATTERN, "__k?y*", true},
        {PUBSUB_PATTERN, "__keyevent*", true},
        {PUBSUB_PATTERN, "_x*", false},
        {PUBSUB_PATTERN, "__kez*", false},
        {PUBSUB_SHARD, "__keyspace@0__:k", false},
    };
    struct client *a = lab_client(1, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        join(a, cases[i].kind, cases[i].name);
        if ((pubsub_keyspace_topics == 1) != cases[i].hears) fail_msg("%s", cases[i].name);
        leave(a, cases[i].kind, cases[i].name);
        assert_int_equal(pubsub_keyspace_topics, 0);
    }
}

static void the_gate_is_closed_while_there_are_subscribers(void **state) {
    (void)state;
    static const struct command get = {.name = "get"}, ping = {.name = "ping", .flags = CMD_WHILE_SUBSCRIBED};
    struct client *a = lab_client(1, 2), *b = lab_client(2, 2);
    struct request r = {.client = a, .command = &get};
    assert_false(gates_may_stop());
    join(a, PUBSUB_CHANNEL, "c");
    const struct gate *gate = gates_find_closed(&r, get.flags);
    assert_non_null(gate);
    assert_non_null(strstr(gate->error, "allowed in this context"));
    r.command = &ping;
    assert_null(gates_find_closed(&r, ping.flags));
    r.command = &get;
    a->resp = 3;
    assert_null(gates_find_closed(&r, get.flags));
    r.client = b;
    assert_null(gates_find_closed(&r, get.flags));
    assert_true(pubsub_any());
    leave(a, PUBSUB_CHANNEL, "c");
    assert_false(gates_may_stop() || pubsub_any());
    join(a, PUBSUB_CHANNEL, "c");
    assert_true(gates_may_stop());
    forget(a);
    assert_false(gates_may_stop());
}

static void note_topic(void *ctx, struct slice topic) {
    assert_true(topic.len == 1 && topic.ptr[0] >= 'a' && topic.ptr[0] < 'd');
    ((int *)ctx)[topic.ptr[0] - 'a']++;
}

static void each_topic_of_a_kind_is_visited_once(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2), *b = lab_client(2, 2);
    int visits[3] = {0};
    join(a, PUBSUB_CHANNEL, "a");
    join(b, PUBSUB_CHANNEL, "a");
    join(b, PUBSUB_CHANNEL, "c");
    join(b, PUBSUB_SHARD, "b");
    pubsub_each(PUBSUB_CHANNEL, note_topic, visits);
    assert_true(visits[0] == 1 && visits[1] == 0 && visits[2] == 1);
    forget(a);
    forget(b);
}

static void a_client_line_tells_its_subscriptions(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    struct client_line line = {0};
    pubsub_module.part->describe(a, &line);
    assert_int_equal(line.letters, 0);
    assert_int_equal(pubsub_module.part->memory(a), 0);
    join(a, PUBSUB_CHANNEL, "c");
    join(a, PUBSUB_CHANNEL, "d");
    size_t two = pubsub_module.part->memory(a);
    join(a, PUBSUB_PATTERN, "p");
    join(a, PUBSUB_SHARD, "s");
    pubsub_module.part->describe(a, &line);
    assert_int_equal(line.letters, (uint64_t)1 << ('P' - 'A'));
    assert_int_equal(line.channels, 2);
    assert_int_equal(line.patterns, 1);
    assert_int_equal(line.shard_channels, 1);
    assert_true(pubsub_module.part->memory(a) > two && two > 0);
    forget(a);
}

/* --- A model --------------------------------------------------------------------------------- */

enum { CLIENTS = 8, NAMES = 6 };
static const char *const channels[NAMES] = {"", "a", "ab", "abc", "b", "__keyspace@0__:a"};
static const char *const patterns[NAMES] = {"*", "a*", "a?", "ab*", "", "__key*"};

/* When a client subscribed and when a pattern came up, 0: it did not. */
static uint64_t since[PUBSUB_KINDS][NAMES][CLIENTS + 1], age[NAMES], step;

static const char *name_of(enum pubsub_kind kind, int i) {
    return kind == PUBSUB_PATTERN ? patterns[i] : channels[i];
}

static int subscribers(enum pubsub_kind kind, int i) {
    int n = 0;
    for (int id = 1; id <= CLIENTS; id++)
        n += since[kind][i][id] > 0;
    return n;
}

/* Append the messages to the subscribers of one topic, in the order in which they subscribed. */
static int expect_messages(enum pubsub_kind kind, int i, const char *tail, struct buf *out) {
    int n = subscribers(kind, i);
    uint64_t after = 0;
    for (int k = 0; k < n; k++) {
        int next = 0;
        for (int id = 1; id <= CLIENTS; id++)
            if (since[kind][i][id] > after && (!next || since[kind][i][id] < since[kind][i][next])) next = id;
        after = since[kind][i][next];
        buf_printf(out, "%d %c%s; ", next, next % 2 ? '>' : '*', tail);
    }
    return n;
}

static int expect_patterns(int channel, struct buf *out) {
    int n = 0;
    uint64_t after = 0;
    for (;;) {
        int next = -1;
        for (int i = 0; i < NAMES; i++)
            if (age[i] > after && (next < 0 || age[i] < age[next])) next = i;
        if (next < 0) return n;
        after = age[next];
        if (!glob_match(slice_cstr(patterns[next]), slice_cstr(channels[channel]))) continue;
        char tail[200];
        snprintf(tail, sizeof tail, "4 $8 pmessage $%zu %s $%zu %s $1 m", strlen(patterns[next]), patterns[next],
                 strlen(channels[channel]), channels[channel]);
        n += expect_messages(PUBSUB_PATTERN, next, tail, out);
    }
}

static void publish_and_compare(enum pubsub_kind kind, int i) {
    struct buf expected = {0};
    char tail[200];
    snprintf(tail, sizeof tail, "3 $%d %s $%zu %s $1 m", kind == PUBSUB_SHARD ? 8 : 7,
             kind == PUBSUB_SHARD ? "smessage" : "message", strlen(channels[i]), channels[i]);
    int n = expect_messages(kind, i, tail, &expected);
    if (kind == PUBSUB_CHANNEL) n += expect_patterns(i, &expected);
    buf_append(&expected, "", 1);
    assert_int_equal(send(kind, channels[i], "m"), n);
    expect_pushed(expected.data);
    buf_free(&expected);
}

static void subscribe_and_compare(enum pubsub_kind kind, int i, int id) {
    struct client *c = lab_client((uint64_t)id, id % 2 ? 3 : 2);
    assert_int_equal(join(c, kind, name_of(kind, i)), since[kind][i][id] == 0);
    if (kind == PUBSUB_PATTERN && subscribers(kind, i) == 0) age[i] = step;
    if (since[kind][i][id] == 0) since[kind][i][id] = step;
}

static void unsubscribe_and_compare(enum pubsub_kind kind, int i, int id) {
    struct client *c = lab_client((uint64_t)id, id % 2 ? 3 : 2);
    assert_int_equal(leave(c, kind, name_of(kind, i)), since[kind][i][id] > 0);
    since[kind][i][id] = 0;
    if (kind == PUBSUB_PATTERN && subscribers(kind, i) == 0) age[i] = 0;
}

static void forget_and_compare(int id) {
    forget(lab_client((uint64_t)id, id % 2 ? 3 : 2));
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        for (int i = 0; i < NAMES; i++) {
            since[kind][i][id] = 0;
            if (kind == PUBSUB_PATTERN && subscribers(kind, i) == 0) age[i] = 0;
        }
}

static void a_random_history_agrees_with_a_model(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    size_t used = alloc_used();
    for (step = 1; step < 30000; step++) {
        enum pubsub_kind kind = (enum pubsub_kind)rand_below(PUBSUB_KINDS);
        int i = (int)rand_below(NAMES), id = 1 + (int)rand_below(CLIENTS);
        switch (rand_below(10)) {
        case 0: forget_and_compare(id); break;
        case 1:
        case 2:
        case 3: unsubscribe_and_compare(kind, i, id); break;
        case 4:
        case 5:
        case 6: subscribe_and_compare(kind, i, id); break;
        default: publish_and_compare(rand_below(4) ? PUBSUB_CHANNEL : PUBSUB_SHARD, i);
        }
        assert_int_equal(pubsub_subscribers(kind, slice_cstr(name_of(kind, i))), subscribers(kind, i));
    }
    for (int id = 1; id <= CLIENTS; id++)
        forget_and_compare(id);
    assert_false(pubsub_any());
    assert_int_equal(pubsub_keyspace_topics, 0);
    assert_int_equal(pubsub_memory(), 0);
    assert_true(alloc_used() <= used);
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_reaches_subscribers_in_their_order),
        cmocka_unit_test(patterns_come_after_the_channel_and_the_oldest_first),
        cmocka_unit_test(patterns_of_one_group_stay_apart),
        cmocka_unit_test(special_characters_end_the_literal_beginning),
        cmocka_unit_test(shard_channels_are_a_world_of_their_own),
        cmocka_unit_test(large_messages_are_shared),
        cmocka_unit_test(a_subscription_counts_once),
        cmocka_unit_test(the_oldest_subscription_of_a_kind_ends_first),
        cmocka_unit_test(keyspace_topics_are_those_that_events_can_reach),
        cmocka_unit_test(the_gate_is_closed_while_there_are_subscribers),
        cmocka_unit_test(each_topic_of_a_kind_is_visited_once),
        cmocka_unit_test(a_client_line_tells_its_subscriptions),
        cmocka_unit_test(a_random_history_agrees_with_a_model),
        cmocka_unit_test(while_its_script_runs_a_client_gets_messages_in_its_own_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
