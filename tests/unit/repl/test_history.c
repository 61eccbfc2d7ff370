/* Who may go on with the log: by the ids of both histories, the offset up to which they agree, and what the log has.
 * The log is a fake. */
#include "oplog/oplog.h"
#include "repl/history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

unsigned oplog_is_kept;
const char *oplog_id;
struct oplog_former oplog_former;
static int64_t first, end;

int64_t oplog_first(void) {
    return first;
}
int64_t oplog_end(void) {
    return end;
}

#define NO_ID "0000000000000000000000000000000000000000"
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int begin(void **state) {
    (void)state;
    oplog_is_kept = OPLOG_BACKLOG;
    first = 100;
    end = 200;
    history_start();
    return 0;
}

static enum history_match match(const char *id, int64_t offset) {
    return history_match(slice_cstr(id), offset);
}

static void a_new_history_has_an_id_of_its_own_and_no_former_one(void **state) {
    (void)state;
    char id[HISTORY_ID_LEN + 1];
    strcpy(id, history.id);
    assert_int_equal(strspn(id, "0123456789abcdef"), HISTORY_ID_LEN);
    assert_string_equal(history.former_id, NO_ID);
    assert_int_equal(history.former_end, -1);
    history_renew();
    assert_string_not_equal(history.id, id);
}

static void the_log_tells_which_offsets_may_go_on(void **state) {
    (void)state;
    assert_int_equal(match(history.id, 100), HISTORY_CONTINUES);
    assert_int_equal(match(history.id, 200), HISTORY_CONTINUES);
    assert_int_equal(match(history.id, 99), HISTORY_LOST);
    assert_int_equal(match(history.id, 201), HISTORY_LOST);
    assert_int_equal(match(history.id, INT64_MIN), HISTORY_LOST);
    assert_int_equal(match(history.id, INT64_MAX), HISTORY_LOST);
    oplog_is_kept = OPLOG_FILE;
    assert_int_equal(match(history.id, 150), HISTORY_LOST);
}

static void an_id_is_compared_without_regard_to_case_and_has_40_characters(void **state) {
    (void)state;
    history_adopt(SLICE(ID_A));
    assert_int_equal(match("AAAAAAAAAAAAAAAAAAAAaaaaaaaaaaaaaaaaaaaa", 150), HISTORY_CONTINUES);
    assert_int_equal(match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 150), HISTORY_FOREIGN);
    assert_int_equal(match(ID_A "a", 150), HISTORY_FOREIGN);
    assert_int_equal(match("", 150), HISTORY_FOREIGN);
    assert_int_equal(match("?", 150), HISTORY_FOREIGN);
    assert_int_equal(match(ID_B, 150), HISTORY_FOREIGN);
    assert_int_equal(match(NO_ID, -5), HISTORY_FOREIGN);
}

/* PSYNC's number is one more than the offset: former_end is such a number. */
static void a_former_history_holds_up_to_the_branch(void **state) {
    (void)state;
    history_adopt(SLICE(ID_A));
    end = 150;
    history_branch();
    assert_string_equal(history.former_id, ID_A);
    assert_int_equal(history.former_end, 151);
    end = 200;
    assert_int_equal(match(ID_A, 150), HISTORY_CONTINUES);
    assert_int_equal(match(ID_A, 151), HISTORY_FOREIGN);
    assert_int_equal(match(ID_A, 99), HISTORY_LOST);
    assert_int_equal(match(history.id, 151), HISTORY_CONTINUES);
    assert_int_equal(match(history.id, 150), HISTORY_CONTINUES);
}

static void a_primary_may_go_on_under_another_id(void **state) {
    (void)state;
    history_adopt(SLICE(ID_A));
    end = 170;
    assert_true(history_rename(SLICE(ID_B)));
    assert_string_equal(history.id, ID_B);
    assert_string_equal(history.former_id, ID_A);
    assert_int_equal(history.former_end, 171);
    assert_true(history_rename(SLICE("BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB")));
    assert_string_equal(history.former_id, ID_A); /* the same id: nothing has changed */
    assert_false(history_rename(SLICE("short")));
    assert_string_equal(history.id, ID_B);
}

static void after_a_full_sync_nothing_of_the_former_histories_holds(void **state) {
    (void)state;
    history_branch();
    history_adopt(SLICE(ID_B));
    assert_string_equal(history.id, ID_B);
    assert_string_equal(history.former_id, NO_ID);
    assert_int_equal(history.former_end, -1);
    history_adopt(SLICE("no id"));
    assert_string_equal(history.id, NO_ID);
    assert_int_equal(match(NO_ID, 150), HISTORY_FOREIGN);
}

static void a_recalled_history_is_the_former_one(void **state) {
    (void)state;
    oplog_id = NULL;
    history_recall(ID_A, 180);
    assert_int_equal(match(ID_A, 179), HISTORY_CONTINUES);
    assert_int_equal(match(ID_A, 180), HISTORY_FOREIGN);
    assert_ptr_equal(oplog_id, history.id);
    history_recall("nonsense", 190);
    assert_string_equal(history.former_id, ID_A);
}

static void the_former_id_is_better_known_until_the_present_one_is_told(void **state) {
    (void)state;
    assert_ptr_equal(history_best_known(), history.id); /* there is no other */
    history_recall(ID_A, end + 1);
    assert_string_equal(history_best_known(), ID_A);
    end++; /* something was written, which that history does not have */
    assert_ptr_equal(history_best_known(), history.id);
    history_adopt(SLICE(ID_A));
    history_branch();
    assert_string_equal(history_best_known(), ID_A);
    assert_ptr_equal(history_tell(), history.id);
    assert_ptr_equal(history_best_known(), history.id);
    history_branch();
    assert_ptr_equal(history_best_known(), history.former_id);
    assert_true(history_rename(SLICE(ID_B))); /* the primary has told it */
    assert_ptr_equal(history_best_known(), history.id);
}

static void recall_former(const char *id, int64_t former_end) {
    struct oplog_former former = {.end = former_end};
    memcpy(former.id, id, strlen(id) + 1);
    history_recall_former(&former);
}

static void a_snapshot_tells_of_the_former_history_but_no_nonsense(void **state) {
    (void)state;
    history_adopt(SLICE(ID_B));
    recall_former("", 5);
    recall_former("nonsense", 5);
    recall_former("aaaaaaaaaaaaaaaaaaaa\r\naaaaaaaaaaaaaaaaaa", 5);
    recall_former(ID_A, 0);
    recall_former(ID_A, -1);
    recall_former(ID_A, 202); /* beyond the data */
    assert_string_equal(history.former_id, NO_ID);
    assert_string_equal(oplog_former.id, "");
    recall_former(ID_A, 201);
    assert_string_equal(history.former_id, ID_A);
    assert_int_equal(match(ID_A, 200), HISTORY_CONTINUES);
    assert_string_equal(history.id, ID_B);
    assert_string_equal(oplog_former.id, ID_A); /* the next snapshot tells it, too */
    assert_int_equal(oplog_former.end, 201);
    history_branch();
    assert_string_equal(oplog_former.id, ID_B);
    history_renew();
    assert_string_equal(oplog_former.id, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_history_has_an_id_of_its_own_and_no_former_one, begin),
        cmocka_unit_test_setup(the_log_tells_which_offsets_may_go_on, begin),
        cmocka_unit_test_setup(an_id_is_compared_without_regard_to_case_and_has_40_characters, begin),
        cmocka_unit_test_setup(a_former_history_holds_up_to_the_branch, begin),
        cmocka_unit_test_setup(a_primary_may_go_on_under_another_id, begin),
        cmocka_unit_test_setup(after_a_full_sync_nothing_of_the_former_histories_holds, begin),
        cmocka_unit_test_setup(a_recalled_history_is_the_former_one, begin),
        cmocka_unit_test_setup(the_former_id_is_better_known_until_the_present_one_is_told, begin),
        cmocka_unit_test_setup(a_snapshot_tells_of_the_former_history_but_no_nonsense, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
