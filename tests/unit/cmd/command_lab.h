/* For tests of cmd: runs commands in this process for one client, which has no socket, and keeps what they reply and
 * propagate. */
#pragma once
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "exec/exec.h"
#include "exec/log_reader.h"
#include "exec/propagate.h"
#include "seed.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/request.h"
#include "store/string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LAB_WORDS = 64 };

static struct client lab_client;
static struct buf lab_reply;      /* of the last command: the bytes, or by lab_run() the lines, with blanks between */
static struct buf lab_propagated; /* by the last command: "DEL k; SET k v" */

static inline void lab_on_propagated(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx;
    (void)db_id;
    (void)raw;
    if (lab_propagated.len) buf_append_cstr(&lab_propagated, "; ");
    for (int i = 0; i < argc; i++) {
        if (i) buf_append_cstr(&lab_propagated, " ");
        buf_append_slice(&lab_propagated, argv[i]);
    }
}

/* Once, at the beginning of main(). Prints the seed of rand(). `modules` ends with NULL. */
static inline void lab_start(const struct module *const *modules) {
    unsigned seed = (unsigned)seed_of_run();
    printf("seed %u\n", seed);
    srand(seed);
    clock_init();
    rand_init();
    hash_init();
    for (; *modules; modules++)
        catalog_register((*modules)->commands);
    catalog_ready();
}

/* For each test: empty databases, a new client, somebody who listens to what is propagated. */
static inline int lab_setup(void **state) {
    (void)state;
    clock_update();
    db_init(16);
    limits_options.max_bulk = STRING_MAX_DEFAULT;
    lab_client = (struct client){.db = db_at(0), .resp = 2, .flags = CLIENT_AUTHENTICATED};
    propagate_want(PROPAGATE_STREAM, true);
    log_reader_begin();
    return 0;
}

static inline int lab_teardown(void **state) {
    (void)state;
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    db_shutdown();
    buf_free(&lab_reply);
    buf_free(&lab_propagated);
    return 0;
}

#define LAB_TEST(test) cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)

/* Move what was replied since this mark out of the arena. */
static inline struct slice lab_take_reply(size_t mark) {
    lab_reply.len = 0;
    conn_copy(mark, conn_mark(), &lab_reply);
    conn_truncate(mark);
    return buf_slice(&lab_reply);
}

/* Run a command. The reply is valid until the next one. A sanitizer sees whoever reads behind the last word. */
static inline struct slice lab_call(const struct slice *words, int argc) {
    size_t bytes = (size_t)argc * sizeof *words;
    struct request r = {.client = &lab_client, .argv = alloc_get(bytes), .argc = argc};
    memcpy(r.argv, words, bytes);
    lab_propagated.len = 0;
    request_prepare(&r);
    assert_non_null(r.command);
    size_t mark = conn_mark();
    exec_run(&r);
    log_reader_run(lab_on_propagated, NULL);
    alloc_put(r.argv, bytes);
    return lab_take_reply(mark);
}

/* A reply as text: a blank stands for each end of a line. */
static inline const char *lab_lines(struct slice reply) {
    struct buf text = {0};
    for (size_t i = 0; i + 2 < reply.len; i++) {
        if (reply.ptr[i] == '\r') continue;
        buf_append(&text, reply.ptr[i] == '\n' ? " " : &reply.ptr[i], 1);
    }
    buf_append(&text, "", 1);
    buf_free(&lab_reply);
    lab_reply = text;
    return lab_reply.data;
}

/* Run a command whose words are separated by single blanks, so that two of them in a row make an empty word. Returns
 * the reply as text: "*2 $1 a :5". */
__attribute__((format(printf, 1, 2))) static inline const char *lab_run(const char *format, ...) {
    char text[4096], *end = text;
    struct slice words[LAB_WORDS];
    int argc = 0;
    va_list args;
    va_start(args, format);
    assert_in_range(vsnprintf(text, sizeof text, format, args), 1, sizeof text - 1);
    va_end(args);
    for (char *word = text; end; word = end ? end + 1 : NULL) {
        end = strchr(word, ' ');
        words[argc++] = slice_of(word, end ? (size_t)(end - word) : strlen(word));
    }
    return lab_lines(lab_call(words, argc));
}

/* The last command propagated exactly this. */
static inline void lab_expect_propagated(const char *expected) {
    buf_append(&lab_propagated, "", 1);
    assert_string_equal(lab_propagated.data, expected);
}

static inline int lab_below(int n) {
    return rand() % n;
}
