/* Loading: commands of a log are run in order as long as they belong there, clients are kept out and served -LOADING
 * meanwhile, and a dataset that cannot be loaded ends the process. The file that is read, the wave and the end of the
 * process are fakes. */
#include "aof/aof.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "oplog/oplog.h"
#include "process/cron.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "rdb/rdb.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/db.h"
#include "store/prefetch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- Fakes ----------------------------------------------------------------------------------- */

static int turns, shutdowns, opened;
static bool end_requested;
static int *finished;     /* shared with children */
static struct buf during; /* INFO, as a turn during loading shows it */

void (*busy_looks)(void);
void wave_run(void) {
    turns++;
    during.len = 0;
    loading_describe(&during);
}
int cron_turn(void) {
    wave_run();
    return 0;
}
void shutdown_turn(void) {
    shutdowns++;
    assert_true(loading_is_active());
    assert_true(gates_may_stop());
}
bool shutdown_is_requested(void) {
    return end_requested;
}
void shutdown_finish(void) {
    if (!end_requested) _exit(3);
    (*finished)++;
}

static char notified[64]; /* the last state that the service manager was told */
void process_notify(const char *state) {
    snprintf(notified, sizeof notified, "%s", state);
}

struct snapshot_metrics snapshot_metrics;
static const char *snapshot_file = "absent";
static bool snapshot_is_broken, snapshot_base;
static struct rdb_read snapshot_job;
static const char *snapshot_id = ""; /* its place: offset 500, database 1 */

const char *snapshot_name(void) {
    return snapshot_file;
}
bool snapshot_read(struct rdb_read *job, const char *name) {
    snapshot_job = *job;
    assert_string_equal(name, snapshot_base ? "the base" : snapshot_file);
    db_metrics.dirty += 3;
    assert_true(loading_is_active() && gates_may_stop());
    job->end = 99;
    snprintf(job->repl_id, sizeof job->repl_id, "%s", snapshot_id);
    job->repl_offset = 500;
    job->repl_db = 1;
    if (job->left_out) {
        job->left_out(job->ctx, 1, SLICE("a"));
        job->left_out(job->ctx, 0, SLICE(""));
    }
    return !snapshot_is_broken;
}

/* The append-only file of a test: commands as words, "|" between them. */
static const char *aof_text = "";
static struct {
    const char *id;
    int64_t offset;
} aof_place; /* behind the commands. NULL: none, "lost": they are not whole */
static enum aof_load aof_result = AOF_LOAD_OK;
static size_t aof_applied;
static bool aof_is_there = true;
struct aof_options aof_options;
static int base_fd;
static bool base_loaded;
static uint64_t base_end;

static size_t apply(size_t (*hook)(void *, const struct aof_command *, size_t), const char *text) {
    static char copy[20000];
    static struct slice args[4096];
    static struct aof_command commands[1024];
    size_t n = 0, used = 0;
    char *rest;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *command = strtok_r(copy, "|", &rest); command; command = strtok_r(NULL, "|", &rest)) {
        char *words;
        commands[n].argv = &args[used];
        commands[n].argc = 0;
        for (char *word = strtok_r(command, " ", &words); word; word = strtok_r(NULL, " ", &words)) {
            args[used++] = slice_cstr(word);
            commands[n].argc++;
        }
        n++;
    }
    return hook(NULL, commands, n);
}

enum aof_load aof_load(const struct aof_load_hooks *hooks) {
    hooks->sized(NULL, 1000);
    hooks->begun(NULL, "base");
    if (snapshot_base) {
        base_end = 0;
        base_loaded = hooks->reader.read_base(NULL, base_fd, &base_end);
    }
    hooks->reader.progress(NULL, 400);
    hooks->begun(NULL, "incr");
    hooks->reader.progress(NULL, 100);
    aof_applied = apply(hooks->reader.apply, aof_text);
    if (aof_place.id && strcmp(aof_place.id, "lost") == 0) {
        hooks->reader.place(NULL, NULL);
    } else if (aof_place.id) {
        struct aof_place place = {.offset = aof_place.offset, .db = 0};
        snprintf(place.id, sizeof place.id, "%s", aof_place.id);
        hooks->reader.place(NULL, &place);
    }
    return aof_result;
}
bool aof_exists(void) {
    return aof_is_there;
}
void aof_open(void) {
    opened++;
}

/* --- Commands -------------------------------------------------------------------------------- */

static struct buf ran; /* "name db; " a call */

static void note(struct request *r) {
    assert_int_equal(r->client->conn.source.fd, -1);
    buf_printf(&ran, "%.*s:%d ", (int)r->argv[r->argc - 1].len, r->argv[r->argc - 1].ptr, r->client->db->id);
}
static void choose(struct request *r) {
    r->client->db = db_at(r->argv[1].ptr[0] - '0');
}

static const struct command rows[] = {
    {.name = "set", .body = note, .arity = 3, .flags = CMD_WRITE, .first_key = 1, .since = "1", .summary = "x"},
    {.name = "publish", .body = note, .arity = 3, .flags = CMD_MAY_REPLICATE, .since = "1", .summary = "x"},
    {.name = "select", .body = choose, .arity = 2, .flags = CMD_IN_LOG, .since = "1", .summary = "x"},
    {.name = "get", .body = note, .arity = 2, .flags = CMD_READONLY, .first_key = 1, .since = "1", .summary = "x"},
    {.name = NULL},
};

static void expect_ran(const char *expected) {
    buf_append(&ran, "", 1);
    assert_string_equal(ran.data, expected);
    buf_free(&ran);
}

/* --- A log ----------------------------------------------------------------------------------- */

static void commands_run_in_order_in_their_databases(void **state) {
    (void)state;
    assert_int_equal(apply(loading_apply, "set k 1|select 1|SET k 2|publish c 3|select 0|set k 4"), 6);
    expect_ran("1:0 2:1 3:1 4:0 ");
    assert_int_equal(apply(loading_apply, ""), 0);
}

static void what_does_not_belong_in_a_log_stops_it(void **state) {
    (void)state;
    assert_int_equal(apply(loading_apply, "set k 1|get k|set k 2"), 1);
    expect_ran("1:0 ");
    assert_int_equal(apply(loading_apply, "set k 1|set k 2|nothing|set k 3"), 2);
    expect_ran("1:0 2:0 ");
    assert_int_equal(apply(loading_apply, "set k 1|set k"), 1);
    expect_ran("1:0 ");
}

/* Commands are prefetched in batches: a bad one is found wherever it stands in a batch. */
static void batches_make_no_difference(void **state) {
    (void)state;
    enum { MANY = 3 * PREFETCH_MAX };
    for (int bad = 0; bad <= MANY; bad += PREFETCH_MAX / 4 + 1) {
        struct buf text = {0}, expected = {0};
        for (int i = 0; i < MANY; i++)
            buf_printf(&text, i == bad ? "get %d|" : "set k %d|", i);
        for (int i = 0; i < MANY && i < bad; i++)
            buf_printf(&expected, "%d:0 ", i);
        buf_append(&text, "", 1);
        buf_append(&expected, "", 1);
        assert_int_equal(apply(loading_apply, text.data), bad < MANY ? bad : MANY);
        expect_ran(expected.data);
        buf_free(&text);
        buf_free(&expected);
    }
}

/* --- The state of loading -------------------------------------------------------------------- */

static void clients_are_kept_out_meanwhile(void **state) {
    (void)state;
    static const struct command info = {.name = "info", .flags = CMD_LOADING}, get = {.name = "get"};
    struct client c = {.resp = 2};
    struct request r = {.client = &c, .command = &get};
    struct buf text = {0};
    loading_describe(&text);
    assert_false(loading_is_active() || gates_may_stop() || text.len);
    loading_begin(1000);
    assert_true(loading_is_active());
    assert_string_equal(gates_find_closed(&r, get.flags)->error, "LOADING Redis is loading the dataset in memory");
    assert_null(gates_find_closed(&r, info.flags));
    loading_progress(NULL, 250);
    loading_describe(&text);
    buf_append(&text, "", 1);
    assert_non_null(strstr(text.data, "loading_total_bytes:1000\r\n"));
    assert_non_null(strstr(text.data, "loading_loaded_bytes:250\r\nloading_loaded_perc:25.00\r\n"));
    assert_int_equal(turns, 0); /* after start-up the loop is turned by others */
    loading_end();
    assert_false(loading_is_active() || gates_may_stop());
    buf_free(&text);
}

static void beside_the_data_only_what_disturbs_is_kept_out(void **state) {
    (void)state;
    struct client c = {.resp = 2};
    struct request r = {.client = &c};
    loading_begin_aside(1000);
    assert_false(loading_is_active());
    assert_non_null(gates_find_closed(&r, CMD_NO_ASYNC_LOADING | CMD_WRITE));
    assert_null(gates_find_closed(&r, CMD_WRITE));
    struct gates_for_calls found = gates_for_calls(&c); /* of scripts */
    assert_int_equal(found.stops, CMD_NO_ASYNC_LOADING);
    assert_string_equal(gates_find_for_call(found.places, CMD_NO_ASYNC_LOADING)->error,
                        "LOADING Redis is loading the dataset in memory");
    loading_end();
    assert_int_equal(gates_for_calls(&c).stops, 0);
}

static void nothing_expires_meanwhile(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    db_set_string(db_at(0), &key, NULL, SLICE("v"), clock_now_ms() + 1);
    clock_cached_ms += 10;
    loading_begin(1);
    assert_non_null(db_look(db_at(0), &key));
    loading_end();
    clock_cached_ms += 10;
    assert_null(db_look(db_at(0), &key));
}

/* --- Files ----------------------------------------------------------------------------------- */

static void the_snapshot_may_be_absent_or_broken(void **state) {
    (void)state;
    char path[] = "/tmp/kura-loading-XXXXXX";
    snapshot_file = "/tmp/kura-loading-absent";
    assert_int_equal(loading_snapshot(false), LOADING_ABSENT);
    snapshot_file = "/dev/null/no/folder";
    assert_int_equal(loading_snapshot(false), LOADING_BROKEN);
    close(mkstemp(path));
    snapshot_file = path;
    assert_int_equal(loading_snapshot(false), LOADING_DONE);
    assert_int_equal(snapshot_job.flags & RDB_ALLOW_TWICE, 0);
    assert_int_equal(loading_snapshot(true), LOADING_DONE);
    assert_true(snapshot_job.flags & RDB_ALLOW_TWICE);
    snapshot_is_broken = true;
    assert_int_equal(loading_snapshot(true), LOADING_BROKEN);
    assert_false(loading_is_active() || gates_may_stop());
    snapshot_is_broken = false;
    snapshot_file = "absent";
    unlink(path);
}

static void a_log_may_begin_with_a_snapshot(void **state) {
    (void)state;
    FILE *file = tmpfile();
    fputs("a base", file);
    fflush(file);
    base_fd = fileno(file);
    snapshot_base = true;
    aof_text = "";
    assert_true(loading_again());
    assert_true(base_loaded && base_end == 99);
    assert_int_equal(lseek(base_fd, 0, SEEK_CUR), 0); /* it is read from its start */
    assert_int_equal(snapshot_job.fd, base_fd);
    assert_true(snapshot_job.flags & RDB_KEEP_EXPIRED); /* the log that follows has their DELs */
    snapshot_is_broken = true;
    loading_again();
    assert_false(base_loaded);
    snapshot_is_broken = snapshot_base = false;
    fclose(file);
}

static void the_log_replaces_the_dataset(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    db_set_string(db_at(1), &key, NULL, SLICE("v"), ENTRY_NO_TTL);
    aof_text = "select 1|set k 1";
    db_metrics.dirty = 5;
    assert_true(loading_again());
    assert_int_equal(db_size(db_at(1)), 0);
    assert_int_equal(db_metrics.dirty, 0);
    aof_text = "set k 2";
    assert_true(loading_again()); /* each file begins in database 0 */
    expect_ran("1:1 2:0 ");
    aof_result = AOF_LOAD_FAILED;
    assert_false(loading_again());
    aof_result = AOF_LOAD_OK;
    buf_free(&ran);
    assert_int_equal(turns + opened, 0);
}

static void pass_ms(int ms) {
    for (int64_t end_us = clock_mono_us() + ms * 1000; clock_mono_us() < end_us;) {
    }
}

/* The loop is turned about every 10 ms; each command takes longer here. */
static void at_start_up_clients_are_served_meanwhile(void **state) {
    (void)state;
    aof_text = "set k 1|set k 2|set k 3";
    rdb_options.key_load_delay_us = 11000;
    db_metrics.dirty = 7;
    loading_start_up(true);
    rdb_options.key_load_delay_us = 0;
    assert_true(turns >= 3);
    assert_int_equal(shutdowns, turns);
    assert_memory_equal(notified, "STATUS=Loading the dataset: ", 28);
    buf_append(&during, "", 1);
    assert_non_null(strstr(during.data, "loading_loaded_bytes:500\r\n")); /* 400 of the file before it */
    assert_int_equal(opened, 1);
    assert_int_equal(db_metrics.dirty, 0);
    assert_false(loading_is_active());
    expect_ran("1:0 2:0 3:0 ");
    loading_start_up(false); /* there is no snapshot: that is fine */
    assert_int_equal(opened, 1);
    turns = 0;
    pass_ms(11);
    loading_progress(NULL, 1);
    assert_int_equal(turns, 0); /* start-up is over */
    char path[] = "/tmp/kura-loading-XXXXXX";
    close(mkstemp(path));
    snapshot_file = path;
    loading_start_up(false);
    assert_int_equal(db_metrics.dirty, 0);
    unlink(path);
    snapshot_file = "absent";
    buf_free(&during);
}

/* A server that had snapshots only goes on with their data. */
static void the_first_log_begins_with_the_snapshot(void **state) {
    (void)state;
    char path[] = "/tmp/kura-loading-XXXXXX";
    close(mkstemp(path));
    aof_is_there = false;
    aof_text = "";
    opened = 0;
    snapshot_job.fd = -1;
    loading_start_up(true); /* there is no snapshot either */
    assert_int_equal(opened, 1);
    assert_int_equal(snapshot_job.fd, -1);
    snapshot_file = path;
    loading_start_up(true);
    assert_int_equal(opened, 2);
    assert_true(snapshot_job.fd >= 0);
    aof_is_there = true;
    snapshot_job.fd = -1;
    loading_start_up(true);
    assert_int_equal(snapshot_job.fd, -1);
    snapshot_file = "absent";
    unlink(path);
}

/* --- The history ----------------------------------------------------------------------------- */

#define ID "0123456789abcdef0123456789abcdef01234567"
#define OTHER_ID "fedcba9876543210fedcba9876543210fedcba98"

static struct buf recalled; /* "id offset db file " */

static void note_place(const struct loading_place *place) {
    buf_printf(&recalled, "%.4s %lld %d %s ", place->id, (long long)place->offset, place->db,
               place->from_aof ? "log" : "snapshot");
}

static void expect_recalled(bool from_aof, const char *expected) {
    loading_recalled = note_place;
    loading_start_up(from_aof);
    loading_recalled = NULL;
    buf_append(&recalled, "", 1);
    assert_string_equal(recalled.data, expected);
    buf_free(&recalled);
}

static void the_snapshot_tells_its_place(void **state) {
    (void)state;
    char path[] = "/tmp/kura-loading-XXXXXX";
    close(mkstemp(path));
    snapshot_file = path;
    expect_recalled(false, "");
    snapshot_id = ID;
    expect_recalled(false, "0123 500 1 snapshot ");
    snapshot_id = "0123456789ABCDEF0123456789abcdef0123456x";
    expect_recalled(false, "");
    snapshot_id = ID;
    aof_is_there = false; /* the first log begins with it */
    expect_recalled(true, "0123 500 1 snapshot ");
    assert_int_equal(loading_snapshot(false), LOADING_DONE); /* DEBUG RELOAD is no start */
    loading_keeps_expired = true;
    expect_recalled(false, "0123 500 1 snapshot ");
    assert_true(snapshot_job.flags & RDB_KEEP_EXPIRED);
    loading_keeps_expired = false;
    aof_is_there = true;
    unlink(path);
    snapshot_file = "absent";
    snapshot_id = "";
}

static void the_last_place_of_a_log_counts(void **state) {
    (void)state;
    FILE *file = tmpfile();
    base_fd = fileno(file);
    snapshot_base = true;
    snapshot_id = ID;
    aof_text = "";
    expect_recalled(true, "0123 500 1 log ");
    aof_place.id = OTHER_ID;
    aof_place.offset = 700;
    expect_recalled(true, "fedc 700 0 log ");
    aof_text = "set k 1";
    expect_recalled(true, "fedc 700 0 log ");
    aof_place.id = NULL; /* commands without a place behind them */
    expect_recalled(true, "");
    aof_text = "";
    aof_place.id = "lost";
    expect_recalled(true, "");
    aof_place.id = NULL;
    snapshot_base = false;
    snapshot_id = "";
    buf_free(&ran);
    fclose(file);
}

static void begin_log(const struct loading_place *place) {
    oplog_restart(place->offset, place->db);
    propagate_want(PROPAGATE_STREAM, true);
    oplog_keep(1000);
}

/* Whoever has the same data has the keys, too. */
static void keys_that_expired_are_deleted_elsewhere(void **state) {
    (void)state;
    char path[] = "/tmp/kura-loading-XXXXXX", text[200];
    static const char expected[] = "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
                                   "*2\r\n$3\r\nDEL\r\n$0\r\n\r\n";
    struct oplog_cursor cursor = {0};
    struct iovec piece;
    close(mkstemp(path));
    snapshot_file = path;
    snapshot_id = ID;
    loading_recalled = begin_log;
    loading_start_up(false);
    loading_recalled = NULL;
    assert_true(oplog_seek(&cursor, 500));
    assert_int_equal(oplog_peek(&cursor, &piece, 1, sizeof text - 1), 1);
    snprintf(text, sizeof text, "%.*s", (int)piece.iov_len, (char *)piece.iov_base);
    assert_string_equal(text, expected);
    oplog_leave(&cursor);
    propagate_want(PROPAGATE_STREAM, false);
    unlink(path);
    snapshot_file = "absent";
    snapshot_id = "";
}

static int status_of(void (*act)(void)) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        act();
        _exit(77);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void load_a_broken_log(void) {
    aof_result = AOF_LOAD_FAILED;
    loading_start_up(true);
}
static void load_a_broken_snapshot(void) {
    snapshot_file = "/dev/null/no/folder";
    loading_start_up(false);
}
static void begin_a_log_with_a_broken_snapshot(void) {
    aof_text = "";
    aof_is_there = false;
    snapshot_file = "/dev/null/no/folder";
    loading_start_up(true);
}
static void end_while_loading(void) {
    aof_text = "set k 1|set k 2";
    rdb_options.key_load_delay_us = 11000;
    end_requested = true;
    loading_start_up(true);
}

static void a_start_without_the_dataset_ends_the_process(void **state) {
    (void)state;
    assert_int_equal(status_of(load_a_broken_log), 1);
    assert_int_equal(status_of(load_a_broken_snapshot), 1);
    assert_int_equal(status_of(begin_a_log_with_a_broken_snapshot), 1);
    assert_int_equal(status_of(end_while_loading), 0);
    assert_int_equal(*finished, 1);
}

static int start(void **state) {
    (void)state;
    log_set_level(LOG_NOTHING);
    hash_init();
    clock_init();
    clock_update();
    db_init(2);
    finished = mmap(NULL, sizeof *finished, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (finished == MAP_FAILED) return -1;
    catalog_register(rows);
    catalog_ready();
    return loop_init(16) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_run_in_order_in_their_databases),
        cmocka_unit_test(what_does_not_belong_in_a_log_stops_it),
        cmocka_unit_test(batches_make_no_difference),
        cmocka_unit_test(clients_are_kept_out_meanwhile),
        cmocka_unit_test(beside_the_data_only_what_disturbs_is_kept_out),
        cmocka_unit_test(nothing_expires_meanwhile),
        cmocka_unit_test(the_snapshot_may_be_absent_or_broken),
        cmocka_unit_test(a_log_may_begin_with_a_snapshot),
        cmocka_unit_test(the_log_replaces_the_dataset),
        cmocka_unit_test(at_start_up_clients_are_served_meanwhile),
        cmocka_unit_test(the_first_log_begins_with_the_snapshot),
        cmocka_unit_test(the_snapshot_tells_its_place),
        cmocka_unit_test(the_last_place_of_a_log_counts),
        cmocka_unit_test(keys_that_expired_are_deleted_elsewhere),
        cmocka_unit_test(a_start_without_the_dataset_ends_the_process),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
