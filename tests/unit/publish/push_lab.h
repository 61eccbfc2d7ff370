/* For tests of publish: stands in for session/push. It notes which client is sent what, so clients need no sockets. */
#pragma once
#include "base/buf.h"
#include "net/conn.h"
#include "session/client.h"
#include "session/push.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { LAB_CLIENTS = 32 };

static struct client lab_clients[LAB_CLIENTS + 1];
static struct buf lab_pushed; /* "1 >3 $7 message $1 c $2 hi; " a message: each line end is a blank */

static bool lab_referred; /* the last message referred to a blob, of which it had no copy */

bool push_kept;

void push_copy(struct client *to, size_t start, size_t end) {
    struct buf bytes = {0};
    conn_copy(start, end, &bytes);
    lab_referred = bytes.len > end - start;
    buf_printf(&lab_pushed, "%llu", (unsigned long long)to->id);
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] == '\n') continue;
        if (i == 0) buf_append(&lab_pushed, " ", 1);
        buf_append(&lab_pushed, bytes.data[i] == '\r' ? " " : &bytes.data[i], 1);
    }
    lab_pushed.len--; /* the blank of the last line end */
    buf_append_cstr(&lab_pushed, "; ");
    buf_free(&bytes);
}

void push_settle(struct client *c) {
    (void)c;
}

/* The client with this id, a new one if it was not used before. It has no socket. */
static inline struct client *lab_client(uint64_t id, int resp) {
    assert_true(id > 0 && id <= LAB_CLIENTS);
    struct client *c = &lab_clients[id];
    c->id = id;
    c->resp = (uint8_t)resp;
    c->conn.source.fd = -1;
    return c;
}

/* The messages since the last call are exactly these, in this order. */
static inline void expect_pushed(const char *expected) {
    if (!slice_eq(buf_slice(&lab_pushed), slice_cstr(expected)))
        fail_msg("pushed \"%.*s\", not \"%s\"", (int)lab_pushed.len, lab_pushed.data ? lab_pushed.data : "", expected);
    buf_free(&lab_pushed);
    assert_int_equal(conn_mark(), 0); /* nothing is left in the arena */
}
