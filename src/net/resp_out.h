/* The reply side of the protocol, as far as it is the same in RESP2 and RESP3: elements are written at the tail of the
 * output arena (net/conn.h), for no client in particular. Messages that many clients get are made of these; replies to
 * one client are those of session/reply.h. All are O(bytes written). None can fail: if the open range takes no more,
 * nothing is written, and the range says so. */
#pragma once
#include "base/num.h"
#include "base/slice.h"
#include "net/conn.h"
#include <stdint.h>
#include <string.h>

#define RESP_OUT_HEADER_MAX (NUM_I64_MAX + 3) /* a type byte, a number, a line end */

/* "<type><value>\r\n" at p, which has RESP_OUT_HEADER_MAX bytes; returns its end. Headers of everyday sizes are put
 * together by hand: a pipelined GET would spend more on its reply's header than on the look-up. */
static inline char *resp_out_put_header(char *p, char type, int64_t value) {
    *p++ = type;
    if (value >= 0 && value < 10) {
        *p++ = (char)('0' + value);
    } else if (value >= 10 && value < 100) {
        *p++ = (char)('0' + value / 10);
        *p++ = (char)('0' + value % 10);
    } else {
        p += num_print_i64(p, value);
    }
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

/* The bytes at p; returns their end. Most are short, and not worth a call then. */
static inline char *resp_out_put_bytes(char *p, struct slice s) {
    if (s.len >= 8 && s.len <= 16) {
        uint64_t first, last;
        memcpy(&first, s.ptr, 8);
        memcpy(&last, s.ptr + s.len - 8, 8);
        memcpy(p, &first, 8);
        memcpy(p + s.len - 8, &last, 8);
    } else {
        memcpy(p, s.ptr, s.len);
    }
    return p + s.len;
}

/* What was written at conn_tail() ends here: it is part of the output from now on. */
static inline void resp_out_commit(const char *end) {
    conn_arena.len = (size_t)(end - conn_arena.data);
}

/* A number by itself (type ':'), or what begins an aggregate or a string: its type and its length. */
static inline void resp_out_header(char type, int64_t value) {
    if (!conn_has_room(RESP_OUT_HEADER_MAX)) return;
    resp_out_commit(resp_out_put_header(conn_tail(), type, value));
}

static inline void resp_out_bulk(struct slice bytes) {
    if (!conn_has_room(bytes.len + RESP_OUT_HEADER_MAX + 2)) return;
    char *p = resp_out_put_header(conn_tail(), '$', (int64_t)bytes.len);
    p = resp_out_put_bytes(p, bytes);
    *p++ = '\r';
    *p++ = '\n';
    resp_out_commit(p);
}

void resp_out_blob(struct blob *blob);            /* a bulk by reference: takes a hold of its own */
void resp_out_line(char type, struct slice text); /* "<type><text>\r\n" */
/* The same for a text that may hold CR and LF, which become blanks, since the first would end the line. */
void resp_out_clean_line(char type, struct slice text);
/* Such a text without a type and an end. */
void resp_out_clean(struct slice text);
