/* The handshake: which words are said in which order, and what each reply leads to. */
#include "base/clock.h"
#include "base/log.h"
#include "net/loop.h"
#include "repl/handshake.h"
#include "seed.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "0123456789012345678901234567890123456789"

static int here, there, answers;
static struct handshake_answer last;
static char last_reply[1200];
static struct handshake_question question;

static void answered(const struct handshake_answer *answer) {
    answers++;
    last = *answer;
    snprintf(last_reply, sizeof last_reply, "%s", answer->reply);
}

static int no_wait(void) {
    return 0;
}

static int setup(void **state) {
    int pair[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return -1;
    here = pair[0];
    there = pair[1];
    answers = 0;
    question = (struct handshake_question){
        .fd = here, .user = "", .password = SLICE(""), .port = 6380, .ip = "", .offset = 99};
    return fcntl(here, F_SETFL, O_NONBLOCK) || fcntl(there, F_SETFL, O_NONBLOCK);
}

static int teardown(void **state) {
    (void)state;
    handshake_cancel();
    close(here);
    close(there);
    return 0;
}

static void say(const char *bytes) {
    assert_int_equal(write(there, bytes, strlen(bytes)), strlen(bytes));
    loop_poll(no_wait);
}

/* What the replica has said since the last call, its words joined by blanks, its requests by ", ". */
static const char *heard(void) {
    static char bytes[4096], text[4096];
    ssize_t n = read(there, bytes, sizeof bytes - 1);
    bytes[n > 0 ? n : 0] = '\0';
    text[0] = '\0';
    for (char *rest, *line = strtok_r(bytes, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (line[0] == '$') continue;
        const char *gap = text[0] && line[0] != '*' && strcmp(text + strlen(text) - 2, ", ") != 0 ? " " : "";
        if (line[0] == '*') {
            if (text[0]) strcat(text, ", ");
            continue;
        }
        strcat(strcat(text, gap), line);
    }
    return text;
}

static void begin(void) {
    handshake_begin(&question, answered);
}

static void begin_psync(void) {
    begin();
    say("+PONG\r\n");
    say("+OK\r\n+OK\r\n");
    heard();
    assert_int_equal(answers, 0);
}

static void expect(enum handshake_outcome outcome) {
    assert_int_equal(answers, 1);
    assert_int_equal(last.outcome, outcome);
    char left[16];
    say("anything\r\n"); /* nobody listens any more */
    assert_int_equal(answers, 1);
    assert_int_equal(read(here, left, sizeof left), 10);
}

static void the_words_come_in_their_order(void **state) {
    (void)state;
    question.user = "joe";
    question.password = SLICE("secret");
    question.ip = "10.0.0.1";
    question.takes_channel = true;
    begin();
    assert_string_equal(heard(), "PING");
    say("-NOAUTH Authentication required.\r\n");
    assert_string_equal(heard(), "AUTH joe secret, REPLCONF listening-port 6380, REPLCONF ip-address 10.0.0.1, "
                                 "REPLCONF capa eof capa psync2 capa rdb-channel-repl");
    say("+OK\r\n+OK\r\n-ERR no\r\n");
    assert_string_equal(heard(), "");
    say("-ERR unknown\r\n");
    assert_string_equal(heard(), "PSYNC ? -1");
    assert_int_equal(answers, 0);
}

static void only_what_is_set_is_said(void **state) {
    (void)state;
    strcpy(question.id, ID);
    begin();
    heard();
    say("+PONG\r\n");
    assert_string_equal(heard(), "REPLCONF listening-port 6380, REPLCONF capa eof capa psync2");
    say("+OK\r\n+OK\r\n");
    assert_string_equal(heard(), "PSYNC " ID " 100");
    handshake_cancel();
    question.bids = true;
    begin_psync();
    say("+CONTINUE\r\n");
    expect(HANDSHAKE_CONTINUES);
}

static void the_second_connection_has_words_of_its_own(void **state) {
    (void)state;
    question.password = SLICE("p");
    strcpy(question.main_client, "42");
    begin();
    assert_string_equal(heard(), "AUTH p, REPLCONF capa eof rdb-only 1 rdb-channel 1 main-ch-client-id 42 "
                                 "listening-port 6380");
    say("+OK\r\n+OK\r\n");
    assert_string_equal(heard(), "PSYNC ? -1");
    say("+FULLRESYNC " ID " 7\r\n");
    expect(HANDSHAKE_FULL);
    assert_string_equal(last.id, ID);
    assert_int_equal(last.offset, 7);
}

static void psync_has_many_answers(void **state) {
    static const struct {
        const char *reply;
        enum handshake_outcome outcome;
        const char *id;
        int64_t offset;
    } cases[] = {
        {"\n\r\n+FULLRESYNC " ID " 12345\r\n", HANDSHAKE_FULL, ID, 12345},
        {"+FULLRESYNC " ID " 0\r\n", HANDSHAKE_FULL, ID, 0},
        {"+FULLRESYNC " ID "\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+FULLRESYNC " ID " -1\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+FULLRESYNC " ID " 9223372036854775808\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+FULLRESYNC " ID "0 1\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+FULLRESYNC\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+FULLRESYNC 01234567890123456789\x01"
         "1234567890123456789 1\r\n",
         HANDSHAKE_FAILED, NULL, 0},
        {"+CONTINUE\r\n", HANDSHAKE_CONTINUES, "", 0},
        {"+CONTINUE " ID "\r\n", HANDSHAKE_CONTINUES, ID, 0},
        {"+CONTINUE short\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+CONTINUED\r\n", HANDSHAKE_OLD, NULL, 0},
        {"+RDBCHANNELSYNC 77\r\n", HANDSHAKE_CHANNEL, NULL, 0},
        {"+RDBCHANNELSYNC\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"+RDBCHANNELSYNC 123456789012345678901234\r\n", HANDSHAKE_FAILED, NULL, 0},
        {"-NOMASTERLINK Can't SYNC\r\n", HANDSHAKE_LATER, NULL, 0},
        {"-LOADING\r\n", HANDSHAKE_LATER, NULL, 0},
        {"-ERR unknown command\r\n", HANDSHAKE_OLD, NULL, 0},
        {"hello\r\n", HANDSHAKE_OLD, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strcpy(question.id, ID);
        question.takes_channel = true;
        answers = 0;
        begin_psync();
        say(cases[i].reply);
        expect(cases[i].outcome);
        if (cases[i].id) assert_string_equal(last.id, cases[i].id);
        if (cases[i].outcome == HANDSHAKE_FULL) assert_int_equal(last.offset, cases[i].offset);
        if (cases[i].outcome == HANDSHAKE_CHANNEL) assert_string_equal(last.main_client, "77");
        if (cases[i].outcome == HANDSHAKE_OLD) {
            char words[16] = "";
            assert_int_equal(read(there, words, sizeof words), 6);
            assert_memory_equal(words, "SYNC\r\n", 6);
        }
        heard();
    }
}

static void nobody_who_did_not_ask_may_continue(void **state) {
    (void)state;
    begin_psync();
    say("+CONTINUE " ID "\r\n");
    expect(HANDSHAKE_FAILED);
    answers = 0;
    begin_psync();
    say("+RDBCHANNELSYNC 5\r\n");
    expect(HANDSHAKE_FAILED);
}

static void a_bid_that_is_refused_is_not_followed_by_sync(void **state) {
    (void)state;
    strcpy(question.id, ID);
    question.bids = true;
    begin_psync();
    say("-ERR no\r\n");
    expect(HANDSHAKE_FAILED);
    assert_string_equal(last_reply, "-ERR no");
    assert_string_equal(heard(), "");
}

static void errors_end_it(void **state) {
    (void)state;
    begin();
    say("-ERR go away\r\n");
    expect(HANDSHAKE_FAILED);
    answers = 0;
    question.password = SLICE("wrong");
    begin();
    say("+PONG\r\n");
    say("-WRONGPASS no\r\n");
    expect(HANDSHAKE_FAILED);
    answers = 0;
    begin();
    close(there);
    loop_poll(no_wait);
    assert_int_equal(answers, 1);
    assert_int_equal(last.outcome, HANDSHAKE_FAILED);
}

/* Whatever is said, there is at most one answer, and no byte behind the line of the answer is taken. */
static void random_replies_do_no_harm(void **state) {
    static const char *const pieces[] = {"+PONG\r\n", "+OK\r\n", "-ERR x\r\n", "\n",      "+FULLRESYNC ", ID,
                                         " ",         "12",      "\r\n",       "-",       "+CONTINUE",    "x",
                                         "\r",        "$5\r\n",  "+",          "-LOADING"};
    (void)state;
    unsigned seed = (unsigned)seed_of_run();
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 2000; round++) {
        answers = 0;
        strcpy(question.id, rand() % 2 ? ID : "");
        begin();
        for (int i = 0; i < 12 && !answers; i++)
            say(pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)]);
        assert_in_range(answers, 0, 1);
        handshake_cancel();
        char drain[4096];
        while (read(here, drain, sizeof drain) > 0) {
        }
        while (read(there, drain, sizeof drain) > 0) {
        }
    }
}

int main(void) {
    log_set_level(LOG_NOTHING);
    clock_init();
    clock_update();
    assert_true(loop_init(16));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_words_come_in_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_is_set_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(the_second_connection_has_words_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(psync_has_many_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_who_did_not_ask_may_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bid_that_is_refused_is_not_followed_by_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(random_replies_do_no_harm, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    loop_close();
    return failed;
}
