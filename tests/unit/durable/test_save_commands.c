/* SAVE, BGSAVE, BGREWRITEAOF and LASTSAVE: what they reply and begin, whatever child is running. Saves and rewrites are
 * fakes. */
#include "aof/aof.h"
#include "base/log.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "disk/child.h"
#include "durable/bgsave.h"
#include "durable/snapshot.h"
#include "exec/block.h"
#include "exec/call.h"
#include "net/conn.h"
#include "session/client.h"
#include "session/request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

extern const struct module save_commands_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static enum child_kind running;
static bool fails, takes_time;
static int postponed;
static const char *begun = ""; /* what was begun last */

bool call_is_nested;
struct snapshot_metrics snapshot_metrics = {.saved_s = 1234};

enum child_kind child_running(void) {
    return running;
}
bool bgsave_now(void) {
    begun = "save";
    return !fails;
}
bool bgsave_start(void) {
    begun = "bgsave";
    return !fails;
}
void bgsave_schedule(void) {
    begun = "scheduled bgsave";
}
static enum aof_begun prepared; /* what has become of the rewrite */

enum aof_begun aof_rewrite(void) {
    begun = "rewrite";
    return takes_time ? AOF_BEGINS : fails ? AOF_FAILED : AOF_BEGUN;
}
enum aof_begun aof_rewrite_begun(void) {
    return prepared;
}
struct aof_status aof_status(void) {
    return (struct aof_status){.state = AOF_OFF};
}
void block_postpone(struct request *r) {
    (void)r;
    postponed++;
}
void aof_schedule_rewrite(bool by_hand) {
    assert_true(by_hand);
    begun = "scheduled rewrite";
}

static uint64_t asker = 1; /* id of the client that sends the requests */

/* The reply to a request of one or two words; valid until the next. */
static const char *run(const char *name, const char *word) {
    static char reply[200];
    struct client c = {.resp = 2, .id = asker};
    struct slice argv[] = {slice_cstr(name), slice_cstr(word ? word : "")};
    struct request r = {.client = &c, .argv = argv, .argc = word ? 2 : 1};
    const struct command *row = save_commands_module.commands;
    while (strcmp(row->name, name) != 0)
        row++;
    begun = "nothing";
    row->body(&r);
    snprintf(reply, sizeof reply, "%.*s", (int)conn_mark(), conn_arena.data);
    conn_truncate(0);
    return reply;
}

static void set_up(enum child_kind child, bool nested, bool failing) {
    running = child;
    call_is_nested = nested;
    fails = failing;
}

static void expect(const char *name, const char *word, const char *reply, const char *beginning) {
    assert_string_equal(run(name, word), reply);
    assert_string_equal(begun, beginning);
}

static void save_waits_for_nobody(void **state) {
    (void)state;
    set_up(CHILD_NONE, false, false);
    expect("save", NULL, "+OK\r\n", "save");
    set_up(CHILD_AOF, true, false);
    expect("save", NULL, "+OK\r\n", "save");
    set_up(CHILD_NONE, false, true);
    expect("save", NULL, "-ERR\r\n", "save");
    set_up(CHILD_RDB, false, false);
    expect("save", NULL, "-ERR Background save already in progress\r\n", "nothing");
}

static void bgsave_begins_or_is_scheduled(void **state) {
    (void)state;
    set_up(CHILD_NONE, false, false);
    expect("bgsave", NULL, "+Background saving started\r\n", "bgsave");
    expect("bgsave", "Schedule", "+Background saving started\r\n", "bgsave");
    expect("bgsave", "later", "-ERR syntax error\r\n", "nothing");
    set_up(CHILD_NONE, false, true);
    expect("bgsave", NULL, "-ERR\r\n", "bgsave");
    set_up(CHILD_NONE, true, false);
    expect("bgsave", NULL, "+Background saving scheduled\r\n", "scheduled bgsave");
    set_up(CHILD_AOF, false, false);
    assert_non_null(strstr(run("bgsave", NULL), "-ERR Another child process is active (AOF?)"));
    assert_string_equal(begun, "nothing");
    expect("bgsave", "schedule", "+Background saving scheduled\r\n", "scheduled bgsave");
    set_up(CHILD_RDB, false, false);
    expect("bgsave", "schedule", "-ERR Background save already in progress\r\n", "nothing");
}

static void bgrewriteaof_begins_or_is_scheduled(void **state) {
    (void)state;
    set_up(CHILD_NONE, false, false);
    expect("bgrewriteaof", NULL, "+Background append only file rewriting started\r\n", "rewrite");
    set_up(CHILD_NONE, false, true);
    assert_non_null(strstr(run("bgrewriteaof", NULL), "-ERR Can't execute an AOF background rewriting."));
    set_up(CHILD_NONE, true, false);
    expect("bgrewriteaof", NULL, "+Background append only file rewriting scheduled\r\n", "scheduled rewrite");
    set_up(CHILD_RDB, false, false);
    expect("bgrewriteaof", NULL, "+Background append only file rewriting scheduled\r\n", "scheduled rewrite");
    set_up(CHILD_AOF, false, false);
    expect("bgrewriteaof", NULL, "-ERR Background append only file rewriting already in progress\r\n", "nothing");
}

/* The worker prepares the rewrite; meanwhile the client waits, and others are not confused with it. */
static void bgrewriteaof_is_answered_when_it_is_prepared(void **state) {
    (void)state;
    set_up(CHILD_NONE, false, false);
    takes_time = true;
    postponed = 0;
    expect("bgrewriteaof", NULL, "", "rewrite");
    assert_int_equal(postponed, 1);
    prepared = AOF_BEGINS; /* it runs again too early */
    expect("bgrewriteaof", NULL, "", "nothing");
    assert_int_equal(postponed, 2);
    running = CHILD_AOF;
    asker = 2;
    expect("bgrewriteaof", NULL, "-ERR Background append only file rewriting already in progress\r\n", "nothing");
    asker = 1;
    prepared = AOF_BEGUN;
    expect("bgrewriteaof", NULL, "+Background append only file rewriting started\r\n", "nothing");
    expect("bgrewriteaof", NULL, "-ERR Background append only file rewriting already in progress\r\n", "nothing");
    running = CHILD_NONE;
    expect("bgrewriteaof", NULL, "", "rewrite");
    prepared = AOF_FAILED;
    assert_non_null(strstr(run("bgrewriteaof", NULL), "-ERR Can't execute an AOF background rewriting."));
    takes_time = false;
}

static void lastsave_tells_the_time(void **state) {
    (void)state;
    expect("lastsave", NULL, ":1234\r\n", "nothing");
}

int main(void) {
    log_set_level(LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save_waits_for_nobody),
        cmocka_unit_test(bgsave_begins_or_is_scheduled),
        cmocka_unit_test(bgrewriteaof_begins_or_is_scheduled),
        cmocka_unit_test(bgrewriteaof_is_answered_when_it_is_prepared),
        cmocka_unit_test(lastsave_tells_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
