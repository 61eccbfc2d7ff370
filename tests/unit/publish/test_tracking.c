/* Client-side caching: a client hears once of the next change of each key that it read, or of all keys with its
 * prefixes; messages go where it wants them; the number of keys stays within its bound; and CLIENT TRACKING refuses
 * what does not go together. Calls, waves and pushes are fakes. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/option.h"
#include "base/worker.h"
#include "catalog/command_row.h"
#include "exec/call.h"
#include "exec/wave.h"
#include "net/conn.h"
#include "publish/broadcast.h"
#include "publish/tracking.h"
#include "push_lab.h"
#include "session/request.h"
#include "store/changes.h"
#include <stdio.h>
#include <stdlib.h>

extern const struct module tracking_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static call_listener_fn heard_call; /* by tracking, of each call; NULL: it does not listen */
static const struct wave_hooks *wave;
static uint64_t command_number;

struct client *client_current;
struct client_scripting client_scripting;

struct client *client_by_id(uint64_t id) {
    return id <= LAB_CLIENTS && lab_clients[id].id ? &lab_clients[id] : NULL;
}

void call_listen(enum call_listener listener, call_listener_fn fn) {
    assert_int_equal(listener, CALL_TRACKING);
    heard_call = fn;
}

uint64_t call_began(void) {
    return command_number;
}

void wave_listen(enum wave_listener listener, const struct wave_hooks *hooks) {
    assert_int_equal(listener, WAVE_TRACKING);
    wave = hooks;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static const struct command get = {.name = "get", .flags = CMD_READONLY, .arity = 2, .first_key = 1};
static const struct command mget = {
    .name = "mget", .flags = CMD_READONLY, .arity = -2, .first_key = 1, .last_key = -1, .key_step = 1};
static const struct command set = {.name = "set", .flags = CMD_WRITE, .arity = 3, .first_key = 1};

static void call_of(struct client *c, const struct command *command, const char *name) {
    struct slice argv[] = {slice_cstr(command->name), slice_cstr(name)};
    struct request r = {.client = c, .command = command, .argv = argv, .argc = 2, .key = key_of(argv[1])};
    if (heard_call) heard_call(&r, 0);
}

static void reads(struct client *c, const char *name) {
    call_of(c, &get, name);
}

/* Messages are written behind the replies that are in the arena, and leave it as it was. */
static void begin_reply(void) {
    conn_write("reply", 5);
}

static void end_reply(void) {
    assert_int_equal(conn_mark(), 5);
    conn_truncate(0);
}

/* `author` executes a command that changes the key. */
static void changes_as(struct client *author, const char *name, unsigned class) {
    struct key key = key_of(slice_cstr(name));
    client_current = author;
    command_number++;
    begin_reply();
    if (db_hooks.changed) db_hooks.changed(db_at(0), &key, class, "set");
    end_reply();
    client_current = NULL;
}

static void changes(const char *name) {
    changes_as(NULL, name, DB_STRING);
}

static void flushes(int db) {
    begin_reply();
    if (db_hooks.flushed) db_hooks.flushed(db_at(db));
    end_reply();
}

static void sends(void) {
    begin_reply();
    if (wave) wave->before_send();
    end_reply();
}

static void track(struct client *c, unsigned flags) {
    tracking_start(c, flags, NULL, NULL, 0);
}

static void track_prefix(struct client *c, unsigned flags, const char *prefix) {
    struct slice given = slice_cstr(prefix);
    tracking_start(c, TRACKING_BCAST | flags, NULL, &given, 1);
}

/* Close the clients: then nothing is remembered, and nothing is listened to. */
static void close_clients(uint64_t last) {
    for (uint64_t id = 1; id <= last; id++) {
        tracking_module.part->forget(&lab_clients[id]);
        assert_null(lab_clients[id].tracker);
        lab_clients[id] = (struct client){.id = 0};
    }
    assert_int_equal(tracking_metrics.clients, 0);
    assert_int_equal(tracking_keys() + tracking_items() + broadcast_prefixes(), 0);
    assert_null(heard_call);
    assert_null(wave);
    assert_null(db_hooks.changed);
}

/* --- Keys that were read --------------------------------------------------------------------- */

static void the_next_change_of_a_key_is_told_to_its_readers_once(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track(a, 0);
    assert_int_equal(tracking_metrics.clients, 1);
    track(b, 0);
    reads(a, "x");
    reads(a, "x");
    reads(b, "y");
    assert_int_equal(tracking_keys(), 2);
    assert_int_equal(tracking_items(), 2);
    changes("z");
    changes("x");
    changes("x");
    expect_pushed("1 >2 $10 invalidate *1 $1 x; ");
    reads(b, "x");
    changes_as(b, "x", DB_STRING); /* without NOLOOP the author hears, too */
    changes_as(a, "y", DB_EXPIRED);
    expect_pushed("2 >2 $10 invalidate *1 $1 x; 2 >2 $10 invalidate *1 $1 y; ");
    close_clients(2);
}

static void only_reads_by_clients_that_track_are_remembered(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track(a, 0);
    call_of(a, &set, "x");
    reads(b, "x");
    assert_int_equal(tracking_keys(), 0);
    reads(a, "x");
    static const struct command eval_ro = {
        .name = "eval_ro", .flags = CMD_READONLY | CMD_RUNS_SCRIPT, .arity = 2, .first_key = 1};
    call_of(a, &eval_ro, "y");      /* what a script reads, its calls read */
    changes_as(NULL, "x", DB_MISS); /* not a change */
    changes_as(NULL, "x", DB_NEW);
    expect_pushed("");
    assert_int_equal(tracking_keys(), 1);
    close_clients(2);
}

static void all_keys_of_a_request_are_remembered(void **state) {
    (void)state;
    enum { MANY = 100 }; /* more than need no memory */
    struct client *a = lab_client(1, 3);
    static char names[MANY][8];
    struct slice argv[MANY + 1] = {SLICE("mget")};
    for (int i = 0; i < MANY; i++)
        argv[i + 1] = slice_of(names[i], (size_t)snprintf(names[i], sizeof names[i], "k%d", i));
    struct request r = {.client = a, .command = &mget, .argv = argv, .argc = 3, .key = key_of(argv[1])};
    track(a, 0);
    size_t used = alloc_used();
    heard_call(&r, 0);
    assert_int_equal(tracking_keys(), 2);
    r.argc = MANY + 1;
    heard_call(&r, 0);
    assert_int_equal(tracking_keys(), MANY);
    changes("k1");
    changes("k99");
    expect_pushed("1 >2 $10 invalidate *1 $2 k1; 1 >2 $10 invalidate *1 $3 k99; ");
    assert_true(alloc_used() - used < 64 * MANY); /* the list of keys is gone */
    close_clients(1);
}

static void noloop_spares_the_author(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track(a, TRACKING_NOLOOP);
    track(b, 0);
    reads(a, "x");
    reads(b, "x");
    changes_as(a, "x", DB_STRING);
    expect_pushed("2 >2 $10 invalidate *1 $1 x; ");
    reads(a, "x");
    changes_as(b, "x", DB_STRING);
    expect_pushed("1 >2 $10 invalidate *1 $1 x; ");
    close_clients(2);
}

static void optin_and_optout_choose_the_reads(void **state) {
    (void)state;
    struct client *in = lab_client(1, 3), *out = lab_client(2, 3);
    track(in, TRACKING_OPTIN);
    track(out, TRACKING_OPTOUT);
    reads(in, "a");
    reads(out, "b");
    in->flags |= CLIENT_CACHING;
    out->flags |= CLIENT_CACHING;
    reads(in, "c");
    reads(out, "d");
    for (const char *name = "abcd"; *name; name++)
        changes((char[]){*name, '\0'});
    expect_pushed("2 >2 $10 invalidate *1 $1 b; 1 >2 $10 invalidate *1 $1 c; ");
    close_clients(2);
}

static void what_was_read_is_kept_while_tracking_is_off(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track(a, 0);
    reads(a, "x");
    reads(a, "y");
    a->flags |= CLIENT_CACHING;
    tracking_stop(a);
    tracking_stop(a); /* again: nothing happens */
    assert_int_equal(a->flags & (CLIENT_TRACKS | CLIENT_CACHING), 0);
    assert_int_equal(tracking_flags(a), 0);
    assert_int_equal(tracking_metrics.clients, 0);
    assert_null(heard_call);
    assert_null(wave->keys);
    changes("y");
    expect_pushed("");
    track(a, 0);
    assert_non_null(wave->keys);
    changes("x");
    changes("y"); /* forgotten */
    expect_pushed("1 >2 $10 invalidate *1 $1 x; ");
    reads(a, "x");
    track(b, 0);
    tracking_module.part->reset(a); /* RESET stops */
    changes("x");
    expect_pushed("");
    close_clients(2);
}

static void closed_clients_are_not_told(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track(a, 0);
    track(b, 0);
    reads(a, "x");
    reads(b, "x");
    tracking_module.part->forget(a);
    assert_int_equal(tracking_keys(), 1);
    changes("x");
    expect_pushed("2 >2 $10 invalidate *1 $1 x; ");
    close_clients(2);
}

/* --- The receiver ---------------------------------------------------------------------------- */

static void messages_go_to_another_client(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2), *b = lab_client(2, 3), *to = lab_client(3, 2);
    tracking_start(a, 0, to, NULL, 0);
    tracking_start(b, 0, to, NULL, 0);
    assert_int_equal(tracking_redirection(a), 3);
    assert_int_equal(tracking_redirection(to), -1);
    reads(a, "x");
    changes("x");
    expect_pushed(""); /* a client in RESP2 without subscriptions gets nothing */
    to->subscriber = (struct subscriber *)&lab_pushed;
    reads(b, "x");
    changes("x");
    expect_pushed("3 *3 $7 message $20 __redis__:invalidate *1 $1 x; ");
    track(b, 0); /* to itself again */
    assert_int_equal(tracking_redirection(b), 0);
    reads(b, "x");
    changes("x");
    expect_pushed("2 >2 $10 invalidate *1 $1 x; ");
    close_clients(3);
}

static void a_lost_receiver_breaks_the_redirection(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *to = lab_client(2, 3);
    tracking_start(a, 0, to, NULL, 0);
    reads(a, "x");
    reads(a, "y");
    tracking_module.part->forget(to);
    assert_int_equal(tracking_flags(a) & TRACKING_BROKEN, 0); /* no message was lost yet */
    changes("x");
    expect_pushed("1 >2 $21 tracking-redir-broken :2; ");
    assert_true(tracking_flags(a) & TRACKING_BROKEN);
    assert_int_equal(tracking_redirection(a), 2);
    track(a, 0);
    changes("y");
    expect_pushed("1 >2 $10 invalidate *1 $1 y; ");
    assert_false(tracking_flags(a) & TRACKING_BROKEN);
    close_clients(2);
}

/* --- All keys -------------------------------------------------------------------------------- */

static void a_flush_is_told_once_a_command(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3), *off = lab_client(3, 3);
    track(a, 0);
    track_prefix(b, 0, "p");
    track(off, 0);
    tracking_stop(off);
    reads(a, "x");
    command_number = 100;
    flushes(0);
    flushes(1);
    assert_true(lab_pushed.len > 0);
    buf_append(&lab_pushed, "", 1);
    assert_non_null(strstr(lab_pushed.data, "1 >2 $10 invalidate _; "));
    assert_non_null(strstr(lab_pushed.data, "2 >2 $10 invalidate _; "));
    assert_int_equal(lab_pushed.len - 1, 2 * strlen("1 >2 $10 invalidate _; "));
    buf_free(&lab_pushed);
    assert_int_equal(tracking_keys(), 0);
    tracking_stop(b);
    command_number++;
    flushes(0);
    expect_pushed("1 >2 $10 invalidate _; ");
    reads(a, "x");
    db_hooks.swapped(db_at(0), db_at(1));
    expect_pushed("");
    close_clients(3);
}

/* --- The bound ------------------------------------------------------------------------------- */

static int64_t *max_keys(void) {
    return tracking_module.options[0].address;
}

static void read_many(struct client *c, int n) {
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%d", i);
        reads(c, name);
    }
}

static void keys_beyond_the_bound_are_dropped_and_told(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3);
    *max_keys() = 10;
    track(a, TRACKING_NOLOOP); /* that does not spare it: there is no author */
    read_many(a, 10);
    assert_false(wave->is_unsettled());
    client_current = a;
    reads(a, "one more");
    assert_true(wave->is_unsettled());
    sends();
    client_current = NULL;
    assert_false(wave->is_unsettled());
    assert_int_equal(tracking_keys(), 10);
    assert_true(lab_pushed.len > 0);
    buf_free(&lab_pushed);
    *max_keys() = 0; /* no bound */
    read_many(a, 5000);
    sends();
    assert_true(tracking_keys() >= 5000);
    close_clients(1);
}

/* As many keys are dropped as were added, so a bound that is not changed holds after each wave. */
static void many_new_keys_of_a_wave_stay_within_the_bound(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    *max_keys() = 10;
    track(a, 0);
    read_many(a, 4000);
    sends();
    assert_int_equal(tracking_keys(), 10);
    *max_keys() = 0;
    close_clients(1);
}

static void a_lowered_bound_is_reached_in_steps(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    *max_keys() = 0;
    track(a, 0);
    read_many(a, 5000);
    sends();
    *max_keys() = 100;
    size_t before = tracking_keys(), steps = 0;
    for (; wave->is_unsettled(); steps++) {
        read_many(a, 10); /* some of which are new */
        sends();
        assert_true(tracking_keys() < before && before - tracking_keys() <= 1010);
        before = tracking_keys();
    }
    assert_int_equal(tracking_keys(), 100);
    assert_true(steps >= 4 && steps < 10);
    *max_keys() = 0;
    close_clients(1);
}

/* --- Prefixes -------------------------------------------------------------------------------- */

static void broadcasts_are_sent_before_the_replies(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track_prefix(a, 0, "user:");
    track_prefix(b, TRACKING_NOLOOP, "");
    reads(a, "read");
    assert_int_equal(tracking_keys(), 0); /* with BCAST, reads are not remembered */
    changes("user:2");
    changes_as(b, "user:1", DB_STRING);
    changes_as(b, "gone", DB_EXPIRED); /* nobody is the author of that */
    expect_pushed("");
    assert_true(wave->is_unsettled());
    sends();
    expect_pushed("2 >2 $10 invalidate *2 $4 gone $6 user:2; 1 >2 $10 invalidate *2 $6 user:1 $6 user:2; ");
    assert_false(wave->is_unsettled());
    close_clients(2);
}

static void a_new_prefix_gets_no_earlier_changes(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *b = lab_client(2, 3);
    track_prefix(a, 0, "x");
    changes("x1");
    track_prefix(b, 0, "x");
    expect_pushed("1 >2 $10 invalidate *1 $2 x1; ");
    tracking_start(b, TRACKING_BCAST, NULL, NULL, 0); /* no prefix: all keys */
    changes("y");
    sends();
    expect_pushed("2 >2 $10 invalidate *1 $1 y; ");
    assert_int_equal(tracking_prefixes(b)->count, 2);
    tracking_stop(b);
    assert_int_equal(tracking_prefixes(b)->count, 0);
    changes("y");
    sends();
    expect_pushed("");
    close_clients(2);
}

static void a_client_line_tells_how_it_tracks(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3), *to = lab_client(2, 3);
    struct client_line line = {.letters = 0};
    tracking_module.part->describe(a, &line);
    assert_true(line.letters == 0 && line.redirect == -1);
    assert_int_equal(tracking_module.part->memory(a), 0);
    tracking_start(a, TRACKING_BCAST, to, NULL, 0);
    tracking_module.part->describe(a, &line);
    assert_true(line.letters == (1ull << ('t' - 'A') | 1ull << ('B' - 'A')) && line.redirect == 2);
    assert_true(tracking_module.part->memory(a) > 0);
    tracking_module.part->forget(to);
    changes("x");
    sends();
    buf_free(&lab_pushed);
    tracking_module.part->describe(a, &line);
    assert_true(line.letters & 1ull << ('R' - 'A'));
    close_clients(2);
}

/* --- Commands -------------------------------------------------------------------------------- */

/* The reply to a subcommand of CLIENT, given as words; valid until the next. */
static const char *ask(struct client *c, void (*body)(struct request *r), const char *text) {
    static char reply[512], copy[256];
    struct slice argv[16];
    struct request r = {.client = c, .argv = argv};
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[r.argc++] = slice_cstr(word);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    body(&r);
    snprintf(reply, sizeof reply, "%.*s", (int)(conn_mark() - range.start), conn_arena.data + range.start);
    conn_take_back(&range);
    return reply;
}

static void options_that_contradict_each_other_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *request, *reply;
    } cases[] = {
        {"client tracking maybe", "-ERR syntax error\r\n"},
        {"client tracking on redirect", "-ERR syntax error\r\n"},
        {"client tracking on wrong", "-ERR syntax error\r\n"},
        {"client tracking on redirect x", "-ERR value is not an integer or out of range\r\n"},
        {"client tracking on redirect 30", "-ERR The client ID you want redirect to does not exist\r\n"},
        {"client tracking on redirect 2 redirect 2", "-ERR A client can only redirect to a single other client\r\n"},
        {"client tracking on prefix a", "-ERR PREFIX option requires BCAST mode to be enabled\r\n"},
        {"client tracking on bcast optin", "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n"},
        {"client tracking on optin optout", "-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n"},
        {"client tracking on bcast prefix ab prefix a",
         "-ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not "
         "overlap.\r\n"},
    };
    struct client *a = lab_client(1, 2);
    lab_client(2, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(ask(a, tracking_command, cases[i].request), cases[i].reply);
        assert_int_equal(tracking_flags(a), 0);
    }
    close_clients(2);
}

static void options_that_contradict_the_client_are_refused(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    assert_string_equal(ask(a, tracking_command, "client tracking on OptIn noloop"), "+OK\r\n");
    assert_int_equal(tracking_flags(a), TRACKING_ON | TRACKING_OPTIN | TRACKING_NOLOOP);
    assert_non_null(strstr(ask(a, tracking_command, "client tracking on bcast"), "can't switch BCAST mode"));
    assert_non_null(strstr(ask(a, tracking_command, "client tracking on optout"), "can't switch OPTIN/OPTOUT mode"));
    assert_int_equal(tracking_flags(a), TRACKING_ON | TRACKING_OPTIN | TRACKING_NOLOOP);
    assert_string_equal(ask(a, tracking_command, "client tracking off"), "+OK\r\n");
    assert_string_equal(ask(a, tracking_command, "client tracking on bcast prefix a prefix b"), "+OK\r\n");
    assert_string_equal(ask(a, tracking_command, "client tracking on bcast prefix c prefix bc"),
                        "-ERR Prefix 'bc' overlaps with an existing prefix 'b'. Prefixes for a single client must not "
                        "overlap.\r\n");
    assert_int_equal(tracking_prefixes(a)->count, 2);
    close_clients(1);
}

static void caching_needs_its_mode(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2);
    assert_non_null(strstr(ask(a, tracking_command_caching, "client caching yes"), "only when the client is in"));
    track(a, TRACKING_OPTIN);
    assert_string_equal(ask(a, tracking_command_caching, "client caching perhaps"), "-ERR syntax error\r\n");
    assert_non_null(strstr(ask(a, tracking_command_caching, "client caching no"), "enabled in OPTOUT mode"));
    assert_int_equal(a->flags & CLIENT_CACHING, 0);
    assert_string_equal(ask(a, tracking_command_caching, "client caching yes"), "+OK\r\n");
    assert_true(a->flags & CLIENT_CACHING);
    tracking_stop(a);
    track(a, TRACKING_OPTOUT);
    assert_non_null(strstr(ask(a, tracking_command_caching, "client caching yes"), "enabled in OPTIN mode"));
    assert_string_equal(ask(a, tracking_command_caching, "client caching no"), "+OK\r\n");
    close_clients(1);
}

static void the_client_may_ask_how_it_tracks(void **state) {
    (void)state;
    struct client *a = lab_client(1, 3);
    lab_client(2, 2);
    assert_string_equal(ask(a, tracking_command_getredir, "client getredir"), ":-1\r\n");
    assert_string_equal(ask(a, tracking_command_info, "client trackinginfo"),
                        "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n");
    ask(a, tracking_command, "client tracking on bcast noloop prefix b prefix a redirect 2");
    assert_string_equal(ask(a, tracking_command_getredir, "client getredir"), ":2\r\n");
    assert_string_equal(ask(a, tracking_command_info, "client trackinginfo"),
                        "%3\r\n$5\r\nflags\r\n~3\r\n$2\r\non\r\n$5\r\nbcast\r\n$6\r\nnoloop\r\n$8\r\nredirect\r\n:2\r\n"
                        "$8\r\nprefixes\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    tracking_stop(a);
    track(a, TRACKING_OPTIN);
    a->flags |= CLIENT_CACHING;
    assert_non_null(strstr(ask(a, tracking_command_info, "client trackinginfo"),
                           "~3\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n"));
    close_clients(2);
}

static size_t used;

static int note_memory(void **state) {
    (void)state;
    worker_drain();
    used = alloc_used();
    return 0;
}

static int compare_memory(void **state) {
    (void)state;
    worker_drain();
    return alloc_used() == used ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, note_memory, compare_memory)

static int start(void **state) {
    (void)state;
    clock_init();
    hash_init();
    db_init(2);
    worker_start();
    assert_true(conn_has_room(65536)); /* the arena keeps what it has grown to */
    return 0;
}

static int stop(void **state) {
    (void)state;
    worker_stop();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_next_change_of_a_key_is_told_to_its_readers_once),
        TEST(only_reads_by_clients_that_track_are_remembered),
        TEST(all_keys_of_a_request_are_remembered),
        TEST(noloop_spares_the_author),
        TEST(optin_and_optout_choose_the_reads),
        TEST(what_was_read_is_kept_while_tracking_is_off),
        TEST(closed_clients_are_not_told),
        TEST(messages_go_to_another_client),
        TEST(a_lost_receiver_breaks_the_redirection),
        TEST(a_flush_is_told_once_a_command),
        TEST(keys_beyond_the_bound_are_dropped_and_told),
        TEST(many_new_keys_of_a_wave_stay_within_the_bound),
        TEST(a_lowered_bound_is_reached_in_steps),
        TEST(broadcasts_are_sent_before_the_replies),
        TEST(a_new_prefix_gets_no_earlier_changes),
        TEST(a_client_line_tells_how_it_tracks),
        TEST(options_that_contradict_each_other_are_refused),
        TEST(options_that_contradict_the_client_are_refused),
        TEST(caching_needs_its_mode),
        TEST(the_client_may_ask_how_it_tracks),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
