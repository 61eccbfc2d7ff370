/* Connections over socketpairs. Input: requests are the same wherever the stream is cut, and a large bulk arrives in a
 * blob. Output: the peer reads what was written, in order, through ranges, pushes, inserts, references to blobs and
 * sockets that accept only a little at a time. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/rand.h"
#include "net/conn.h"
#include "seed.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const struct resp_limits limits = {.max_bulk = 512 << 20, .authenticated = true};

static void never_ready(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

/* A connection and the other end of its socket. */
struct pair {
    struct conn conn;
    int peer;
};

static void pair_open(struct pair *p) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    conn_init(&p->conn, fds[0], never_ready);
    assert_true(loop_add(&p->conn.source, LOOP_READ));
    p->peer = fds[1];
}

static void pair_close(struct pair *p) {
    conn_close(&p->conn);
    close(p->peer);
    assert_int_equal(conn_metrics.input_bytes, 0);
    assert_int_equal(conn_metrics.output_bytes, 0);
}

static struct blob *blob_filled(size_t len, char with) {
    struct blob *b = blob_new(len);
    memset(b->data, with, len);
    b->len = len;
    return b;
}

/* --- Input ----------------------------------------------------------------------------------- */

/* Read and parse once, as a wave does; requests go to `out` as "[a|b]". */
static enum conn_read serve(struct conn *c, struct buf *out) {
    struct resp_parser *parser;
    const char *end;
    enum conn_read result = conn_read(c, &parser, &end);
    if (result != CONN_READ_SOME) return result;
    enum resp_status status;
    while ((status = resp_parse(parser, end, &limits)) == RESP_REQUEST) {
        for (uint32_t i = 0; i < parser->argc; i++) {
            buf_append_cstr(out, i ? "|" : "[");
            buf_append_slice(out, parser->argv[i]);
        }
        if (parser->argc) buf_append_cstr(out, "]");
    }
    assert_int_equal(status, RESP_MORE);
    conn_stash(c, parser, end);
    conn_input_reset();
    return result;
}

/* Send all bytes, and serve the connection until its socket is empty. */
static void feed(struct pair *p, struct slice bytes, struct buf *out) {
    char byte;
    while (bytes.len && !(p->conn.flags & CONN_BROKEN)) {
        ssize_t n = write(p->peer, bytes.ptr, bytes.len);
        assert_true(n > 0 || errno == EAGAIN);
        if (n > 0) bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
        while (!(p->conn.flags & CONN_BROKEN) && recv(p->conn.source.fd, &byte, 1, MSG_PEEK) > 0)
            serve(&p->conn, out);
    }
}

static void expect_text(struct buf *got, struct slice expected) {
    if (!slice_eq(buf_slice(got), expected))
        fail_msg("got %zu bytes: %.*s", got->len, got->len < 200 ? (int)got->len : 200, got->data ? got->data : "");
    buf_free(got);
}

static const char *const stream = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n"
                                  "set 'a b' c\n*0\r\n*1\r\n$4\r\nPING\r\n";
static const char *const requests = "[SET|k|][GET|k][PING][set|a b|c][PING]";

static void cut_anywhere(void **state) {
    (void)state;
    size_t len = strlen(stream);
    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second += 1 + rand_below(7)) {
            struct pair p;
            struct buf out = {0};
            pair_open(&p);
            feed(&p, slice_of(stream, first), &out);
            feed(&p, slice_of(stream + first, second - first), &out);
            feed(&p, slice_of(stream + second, len - second), &out);
            assert_null(p.conn.input); /* an idle connection owns nothing */
            expect_text(&out, slice_cstr(requests));
            pair_close(&p);
        }
    }
}

static void byte_by_byte(void **state) {
    (void)state;
    struct pair p;
    struct buf out = {0};
    pair_open(&p);
    for (size_t i = 0; i < strlen(stream); i++)
        feed(&p, slice_of(stream + i, 1), &out);
    expect_text(&out, slice_cstr(requests));
    pair_close(&p);
}

/* Two connections that receive by turns share the arena, and must not mix their bytes. */
static void interleaved(void **state) {
    (void)state;
    struct pair a, b;
    struct buf from_a = {0}, from_b = {0};
    pair_open(&a);
    pair_open(&b);
    feed(&a, SLICE("*2\r\n$4\r\nECHO\r\n$3\r\na"), &from_a);
    feed(&b, SLICE("*2\r\n$4\r\nEC"), &from_b);
    feed(&a, SLICE("aa\r"), &from_a);
    feed(&b, SLICE("HO\r\n$3\r\nbbb\r\n"), &from_b);
    feed(&a, SLICE("\n"), &from_a);
    expect_text(&from_a, SLICE("[ECHO|aaa]"));
    expect_text(&from_b, SLICE("[ECHO|bbb]"));
    pair_close(&a);
    pair_close(&b);
}

/* Random requests, some larger than every threshold of the input, in random pieces. */
static void large_requests_in_pieces(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    static const size_t sizes[] = {0, 1, 100, BLOB_MIN - 1, BLOB_MIN, BLOB_MIN + 1, 40000, 300000};
    struct buf input = {0}, expected = {0}, out = {0};
    for (int i = 0; i < 60; i++) {
        int args = 1 + (int)rand_below(i % 10 == 0 ? 3000 : 4); /* many arguments: its own buffer is used */
        buf_printf(&input, "*%d\r\n", args);
        for (int k = 0; k < args; k++) {
            size_t len = args > 4 ? rand_below(40) : sizes[rand_below(sizeof sizes / sizeof *sizes)];
            buf_printf(&input, "$%zu\r\n", len);
            memset(buf_reserve(&input, len), 'a' + k % 26, len);
            buf_append_cstr(&expected, k ? "|" : "[");
            buf_append(&expected, input.data + input.len, len);
            input.len += len;
            buf_append_cstr(&input, "\r\n");
        }
        buf_append_cstr(&expected, "]");
    }
    struct pair p;
    pair_open(&p);
    for (size_t at = 0; at < input.len;) {
        size_t n = 1 + rand_below(rand_below(2) ? 100 : 70000);
        if (n > input.len - at) n = input.len - at;
        feed(&p, slice_of(input.data + at, n), &out);
        at += n;
    }
    expect_text(&out, buf_slice(&expected));
    assert_null(p.conn.input);
    pair_close(&p);
    buf_free(&input);
    buf_free(&expected);
}

static void a_bulk_in_a_blob_is_taken(void **state) {
    (void)state;
    struct pair p;
    struct buf out = {0};
    pair_open(&p);
    size_t used = alloc_used();
    feed(&p, SLICE("*2\r\n$4\r\nKEEP\r\n$20000\r\nx"), &out);
    assert_true(conn_input_bytes(&p.conn) > 0);
    assert_true(conn_input_memory(&p.conn) >= 20000);
    char *rest = malloc(20001);
    memset(rest, 'x', 19999);
    memcpy(rest + 19999, "\r\n", 2);
    assert_int_equal(write(p.peer, rest, 20001), 20001);
    struct resp_parser *parser;
    const char *end;
    assert_int_equal(conn_read(&p.conn, &parser, &end), CONN_READ_SOME);
    assert_int_equal(resp_parse(parser, end, &limits), RESP_REQUEST);
    assert_true(conn_region_is_own(&p.conn));
    assert_null(conn_take_blob(&p.conn, parser->argv[0].ptr));
    assert_null(conn_find_blob(&p.conn, parser->argv[0].ptr));
    struct blob *found = conn_find_blob(&p.conn, parser->argv[1].ptr);
    struct blob *blob = conn_take_blob(&p.conn, parser->argv[1].ptr);
    assert_non_null(blob);
    assert_ptr_equal(found, blob);
    assert_ptr_equal(conn_find_blob(&p.conn, parser->argv[1].ptr), blob); /* still, until the request ends */
    assert_null(conn_take_blob(&p.conn, parser->argv[1].ptr));            /* it was taken already */
    assert_int_equal(blob->holders, 2); /* the argument stays until the request ends */
    assert_int_equal(resp_parse(parser, end, &limits), RESP_MORE);
    conn_stash(&p.conn, parser, end);
    assert_null(p.conn.input);
    assert_null(conn_find_blob(&p.conn, blob->data));
    assert_int_equal(blob->holders, 1);
    assert_int_equal(blob->len, 20000);
    assert_memory_equal(blob->data, rest, 19999);
    blob_drop(blob);
    assert_int_equal(alloc_used(), used);
    free(rest);
    pair_close(&p);
    buf_free(&out);
}

/* A client that announces a gigabyte does not get the memory for it. */
static void a_length_alone_takes_little(void **state) {
    (void)state;
    struct pair p;
    struct buf out = {0};
    pair_open(&p);
    feed(&p, SLICE("*2\r\n$3\r\nSET\r\n$500000000\r\n"), &out);
    assert_true(conn_input_memory(&p.conn) < 2 << 20);
    pair_close(&p);
    assert_int_equal(out.len, 0);
}

static void the_end_of_a_stream(void **state) {
    (void)state;
    struct pair p;
    struct buf out = {0};
    pair_open(&p);
    assert_int_equal(serve(&p.conn, &out), CONN_READ_NOTHING);
    feed(&p, SLICE("*1\r\n"), &out);
    shutdown(p.peer, SHUT_WR);
    assert_int_equal(serve(&p.conn, &out), CONN_READ_CLOSED);
    assert_true(p.conn.flags & CONN_BROKEN);
    pair_close(&p);
    assert_int_equal(out.len, 0);
}

/* --- Output ---------------------------------------------------------------------------------- */

static void read_peer(struct pair *p, struct buf *got) {
    for (;;) {
        ssize_t n = read(p->peer, buf_reserve(got, 65536), 65536);
        if (n <= 0) return;
        got->len += (size_t)n;
    }
}

static void say(const char *text) {
    conn_write(text, strlen(text));
}

static void expect_peer(struct pair *p, const char *expected) {
    struct buf got = {0};
    read_peer(p, &got);
    expect_text(&got, slice_cstr(expected));
    assert_int_equal(conn_unsent(&p->conn), 0);
}

static int served;
static void count_served(struct conn *c) {
    (void)c;
    served++;
}

static void ranges_of_two(void **state) {
    (void)state;
    struct pair a, b;
    pair_open(&a);
    pair_open(&b);
    uint64_t writes = conn_metrics.writes;
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    say("one ");
    conn_keep(&a.conn, &range);
    conn_open(&range, CONN_NO_LIMIT);
    say("two ");
    conn_keep(&a.conn, &range); /* begins where the first range ended: still one range */
    conn_open(&range, CONN_NO_LIMIT);
    say("b");
    conn_keep(&b.conn, &range);
    conn_open(&range, CONN_NO_LIMIT);
    say("three"); /* it is behind b's range: moved to chunks */
    conn_keep(&a.conn, &range);
    conn_open(&range, CONN_NO_LIMIT);
    conn_keep(&b.conn, &range); /* an empty range */
    assert_int_equal(conn_unsent(&a.conn), 13);
    served = 0;
    conn_flush(count_served);
    assert_int_equal(served, 2);
    assert_int_equal(conn_metrics.writes - writes, 3);
    expect_peer(&a, "one two three");
    expect_peer(&b, "b");
    pair_close(&a);
    pair_close(&b);
}

/* While a's range is open, pushes to b nest in it. A push to a itself goes behind a's unsent output. */
static void pushes_nest(void **state) {
    (void)state;
    struct pair a, b;
    pair_open(&a);
    pair_open(&b);
    struct conn_range outer, inner;
    conn_open(&outer, CONN_NO_LIMIT);
    say("reply ");
    conn_open(&inner, CONN_NO_LIMIT);
    say("push");
    conn_push(&b.conn, &inner);
    say("goes on");
    conn_keep(&a.conn, &outer);
    conn_open(&outer, CONN_NO_LIMIT);
    say(" push to a");
    conn_push(&a.conn, &outer);
    conn_open(&outer, CONN_NO_LIMIT);
    say(" reply again");
    conn_keep(&a.conn, &outer); /* behind the push, not before it */
    conn_flush(NULL);
    expect_peer(&a, "reply goes on push to a reply again");
    expect_peer(&b, "push");
    pair_close(&a);
    pair_close(&b);
}

static void insert_and_truncate(void **state) {
    (void)state;
    struct pair p;
    pair_open(&p);
    struct blob *x = blob_filled(BLOB_MIN, 'x'), *y = blob_filled(BLOB_MIN, 'y');
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    say("<");
    size_t place = conn_mark();
    say("(");
    conn_write_blob(x);
    say(")");
    size_t dropped = conn_mark();
    say("[");
    conn_write_blob(y);
    say("]");
    assert_int_equal(y->holders, 2);
    conn_truncate(dropped);
    assert_int_equal(y->holders, 1);
    conn_insert(place, "two:", 4); /* the reference moves with the bytes */
    conn_write_blob(y);
    say(">");
    conn_keep(&p.conn, &range);
    conn_flush(NULL);
    struct buf got = {0}, expected = {0};
    buf_append_cstr(&expected, "<two:(");
    buf_append_slice(&expected, blob_slice(x));
    buf_append_cstr(&expected, ")");
    buf_append_slice(&expected, blob_slice(y));
    buf_append_cstr(&expected, ">");
    read_peer(&p, &got);
    expect_text(&got, buf_slice(&expected));
    assert_int_equal(x->holders, 1);
    assert_int_equal(y->holders, 1);
    blob_drop(x);
    blob_drop(y);
    buf_free(&expected);
    pair_close(&p);
}

static void expect_piece(struct conn_walk *walk, struct slice bytes, const struct blob *blob) {
    struct conn_piece piece;
    assert_true(conn_walk_next(walk, &piece));
    assert_true(slice_eq(piece.bytes, bytes));
    assert_ptr_equal(piece.blob, blob);
}

static void what_was_written_can_be_read(void **state) {
    (void)state;
    struct blob *x = blob_filled(BLOB_MIN, 'x'), *y = blob_filled(BLOB_MIN, 'y');
    struct conn_range range;
    struct conn_piece piece;
    conn_open(&range, CONN_NO_LIMIT);
    size_t start = conn_mark();
    say("<");
    conn_write_blob(x);
    say(">");
    size_t mark = conn_mark();
    assert_true(conn_is_plain(mark) && !conn_is_plain(start));
    assert_int_equal(conn_written(mark).len, 0);
    say("plain");
    assert_true(conn_is_plain(mark));
    assert_true(slice_eq(conn_written(mark), SLICE("plain")));
    conn_truncate(mark);
    assert_int_equal(conn_mark(), mark);
    conn_write_blob(y); /* at the mark itself */
    say("-");
    conn_write_blob(x);
    conn_write_blob(y); /* with no bytes between them */
    assert_false(conn_is_plain(mark));
    struct conn_walk walk = conn_walk(mark, conn_mark());
    expect_piece(&walk, blob_slice(y), y);
    expect_piece(&walk, SLICE("-"), NULL);
    assert_false(conn_is_plain(mark + 1));
    conn_insert(mark, "in", 2);
    assert_false(conn_is_plain(mark + 3));
    walk = conn_walk(mark, conn_mark());
    expect_piece(&walk, SLICE("in"), NULL);
    conn_truncate(mark + 2);
    assert_true(conn_is_plain(mark));
    assert_int_equal(y->holders, 1);
    walk = conn_walk(start, conn_mark());
    expect_piece(&walk, SLICE("<"), NULL);
    expect_piece(&walk, blob_slice(x), x);
    expect_piece(&walk, SLICE(">in"), NULL);
    assert_false(conn_walk_next(&walk, &piece));
    conn_take_back(&range);
    assert_true(conn_is_plain(0));
    assert_int_equal(x->holders, 1);
    blob_drop(x);
    blob_drop(y);
}

/* Read, and let the connection send, until everything has arrived. */
static void drain(struct pair *p, struct buf *got) {
    while (conn_unsent(&p->conn)) {
        read_peer(p, got);
        conn_writable(&p->conn);
    }
    read_peer(p, got);
}

/* A random sequence of replies and pushes, with and without blobs, to two peers that read slowly from tiny sockets. */
static void slow_readers(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    struct pair pairs[2];
    struct buf expected[2] = {{0}}, got[2] = {{0}};
    struct blob *blob = blob_filled(50000, 'b');
    for (int i = 0; i < 2; i++) {
        pair_open(&pairs[i]);
        setsockopt(pairs[i].conn.source.fd, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
    }
    for (int step = 0; step < 1500; step++) {
        int i = (int)rand_below(2);
        struct conn_range range;
        conn_open(&range, CONN_NO_LIMIT);
        for (uint64_t parts = rand_below(100) == 0 ? 100 : rand_below(4); parts > 0; parts--) {
            char line[64];
            int len = snprintf(line, sizeof line, "<%d:%d:%llu>", step, i, (unsigned long long)parts);
            conn_write(line, (size_t)len);
            buf_append(&expected[i], line, (size_t)len);
            if (rand_below(4) == 0) {
                conn_write_blob(blob);
                buf_append_slice(&expected[i], blob_slice(blob));
                conn_write("\r\n", 2);
                buf_append_cstr(&expected[i], "\r\n");
            }
        }
        if (rand_below(3))
            conn_keep(&pairs[i].conn, &range);
        else
            conn_push(&pairs[i].conn, &range);
        if (rand_below(3) == 0) conn_flush(NULL);
        if (rand_below(20) == 0 && pairs[i].conn.range_len == 0)
            drain(&pairs[i], &got[i]); /* start again with an empty socket */
        if (rand_below(2) == 0) read_peer(&pairs[i], &got[i]);
        if (pairs[i].conn.flags & CONN_WAITS_WRITE) {
            assert_true(pairs[i].conn.source.events & LOOP_WRITE);
            if (rand_below(2)) conn_writable(&pairs[i].conn);
        }
    }
    conn_flush(NULL);
    for (int i = 0; i < 2; i++) {
        drain(&pairs[i], &got[i]);
        assert_int_equal(pairs[i].conn.source.events, LOOP_READ); /* EPOLLOUT is no longer waited for */
        assert_int_equal(pairs[i].conn.out_chunks, 0);
        expect_text(&got[i], buf_slice(&expected[i]));
        buf_free(&expected[i]);
    }
    assert_int_equal(conn_metrics.output_bytes, 0);
    for (int i = 0; i < 2; i++)
        pair_close(&pairs[i]);
    assert_int_equal(blob->holders, 1);
    blob_drop(blob);
}

/* --- Ranges that refuse ---------------------------------------------------------------------- */

static void a_range_refuses_what_exceeds_its_limit(void **state) {
    (void)state;
    struct pair p;
    pair_open(&p);
    struct blob *blob = blob_filled(BLOB_MIN, 'x');
    struct conn_range range;
    conn_open(&range, BLOB_MIN + 20);
    say("0123456789");
    conn_write_blob(blob);
    size_t mark = conn_mark();
    say("0123456789");
    assert_false(conn_arena.refuses);
    say("x"); /* one too many */
    assert_true(conn_arena.refuses);
    assert_int_equal(range.refusal, CONN_OVER_LIMIT);
    assert_int_equal(conn_mark(), mark + 10);
    conn_write_blob(blob);
    assert_int_equal(blob->holders, 2);
    conn_insert(range.start, "", 0);
    assert_false(conn_has_room(1));
    conn_truncate(mark); /* what was too much is gone */
    say("9876543210");
    assert_int_equal(range.refusal, CONN_REFUSES_NOTHING);
    conn_truncate(range.start); /* the blob too */
    say("0123456789012345678901234567890123456789");
    assert_int_equal(range.refusal, CONN_REFUSES_NOTHING);
    conn_write_blob(blob);
    assert_int_equal(range.refusal, CONN_OVER_LIMIT);
    assert_int_equal(blob->holders, 1);
    conn_keep(&p.conn, &range); /* an incomplete reply is not sent */
    assert_int_equal(conn_mark(), range.start);
    assert_true(p.conn.flags & CONN_BROKEN);
    served = 0;
    conn_flush(count_served);
    assert_int_equal(served, 1);
    assert_false(conn_arena.refuses);
    expect_peer(&p, "");
    blob_drop(blob);
    pair_close(&p);
}

/* A message to b in the middle of the reply to a, which has reached its limit. */
static void ranges_inside_have_limits_of_their_own(void **state) {
    (void)state;
    struct pair a, b, c;
    pair_open(&a);
    pair_open(&b);
    pair_open(&c);
    struct conn_range outer, inner;
    conn_open(&outer, 10);
    say("reply that is too long");
    assert_true(conn_arena.refuses);
    conn_open(&inner, CONN_NO_LIMIT);
    assert_false(conn_arena.refuses);
    say("a message of any length");
    conn_push(&b.conn, &inner);
    assert_true(conn_arena.refuses);
    conn_open(&inner, 10);
    say("never sent");
    conn_take_back(&inner);
    say("reply goes on");
    assert_int_equal(conn_mark(), outer.start);
    conn_open(&inner, 2);
    say("abc");
    conn_push(&c.conn, &inner);
    conn_keep(&a.conn, &outer);
    conn_flush(NULL);
    assert_true(a.conn.flags & c.conn.flags & CONN_BROKEN);
    expect_peer(&a, "");
    expect_peer(&b, "a message of any length");
    expect_peer(&c, "");
    pair_close(&a);
    pair_close(&b);
    pair_close(&c);
}

/* What a socket does not take of a large range is not copied, and the next wave does not overwrite it. */
static void large_rests_stay_where_they_are(void **state) {
    (void)state;
    enum { LARGE = 6000000, SMALL = 100000 };
    size_t before = alloc_used();
    struct pair a, b;
    struct buf expected[2] = {{0}}, got[2] = {{0}};
    pair_open(&a);
    pair_open(&b);
    for (int wave = 0; wave < 3; wave++) {
        size_t used = alloc_used() - expected[0].cap - expected[1].cap;
        for (int i = 0; i < 2; i++) {
            struct conn_range range;
            conn_open(&range, CONN_NO_LIMIT);
            for (int n = i ? SMALL : LARGE; n > 0; n -= 10) {
                char line[24];
                snprintf(line, sizeof line, "%d:%08d", wave, n);
                say(line);
                buf_append(&expected[i], line, 10);
            }
            conn_keep(i ? &b.conn : &a.conn, &range); /* from the second wave on behind unsent output */
        }
        conn_flush(NULL);
        assert_true(alloc_used() - expected[0].cap - expected[1].cap - used < LARGE * 3 / 2);
    }
    drain(&a, &got[0]);
    drain(&b, &got[1]);
    for (int i = 0; i < 2; i++) {
        expect_text(&got[i], buf_slice(&expected[i]));
        buf_free(&expected[i]);
    }
    pair_close(&a);
    pair_close(&b);
    assert_true(alloc_used() < before + 100000);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static void limit_memory(size_t bytes) {
    char line[64] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    assert_true(f && fgets(line, sizeof line, f));
    fclose(f);
    size_t have = (size_t)strtoul(line, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
    struct rlimit limit = {bytes ? have + bytes : RLIM_INFINITY, RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

static void write_until_refused(struct conn_range *range) {
    static const char bytes[65536];
    conn_open(range, CONN_NO_LIMIT);
    while (!conn_arena.refuses)
        conn_write(bytes, sizeof bytes);
}

/* Where memory ends, a reply ends; what is to be sent to others is still there. */
static void memory_that_ends_costs_one_connection(void **state) {
    (void)state;
    struct pair a, b;
    pair_open(&a);
    pair_open(&b);
    struct conn_range range, inner;
    conn_open(&range, CONN_NO_LIMIT);
    say("fine");
    conn_keep(&b.conn, &range);
    limit_memory(200 << 20);
    write_until_refused(&range);
    assert_int_equal(range.refusal, CONN_NO_MEMORY);
    assert_true(conn_mark() > 20 << 20);
    conn_open(&inner, CONN_NO_LIMIT);
    conn_take_back(&inner);
    assert_false(conn_has_room(1));
    conn_keep(&a.conn, &range);
    conn_flush(NULL);
    assert_true(a.conn.flags & CONN_BROKEN);
    expect_peer(&b, "fine");
    conn_open(&range, CONN_NO_LIMIT);
    say("again");
    conn_keep(&b.conn, &range);
    conn_flush(NULL);
    expect_peer(&b, "again");
    limit_memory(0);
    pair_close(&a);
    pair_close(&b);
}

/* The same for output that has to be copied, and for an argument that arrives. */
static void memory_that_ends_while_bytes_move(void **state) {
    (void)state;
    enum { LARGE = 100 << 20 };
    struct pair a, b;
    struct buf out = {0};
    pair_open(&a);
    pair_open(&b);
    struct conn_range outer, inner;
    conn_open(&outer, CONN_NO_LIMIT);
    conn_open(&inner, CONN_NO_LIMIT);
    assert_true(conn_has_room(LARGE));
    conn_arena.len += LARGE;
    limit_memory(LARGE / 2);
    conn_push(&a.conn, &inner); /* it is inside of another one, and must be copied */
    conn_take_back(&outer);
    assert_true(a.conn.flags & CONN_BROKEN);
    conn_flush(NULL);
    char *bytes = alloc_zero(1 << 20);
    feed(&b, SLICE("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\n"), &out);
    while (!(b.conn.flags & CONN_BROKEN))
        feed(&b, slice_of(bytes, 1 << 18), &out);
    limit_memory(0);
    alloc_put(bytes, 1 << 20);
    buf_free(&out);
    conn_close(&b.conn);
    pair_close(&a);
    close(b.peer);
}

#else

static void memory_that_ends_costs_one_connection(void **state) {
    (void)state;
    skip(); /* a sanitizer ends the process instead */
}

static void memory_that_ends_while_bytes_move(void **state) {
    (void)state;
    skip();
}

#endif

static void close_from_sent(struct conn *c) {
    conn_close(c);
}

/* A peer that closes breaks its own connection and no other; its queued output is dropped. */
static void a_peer_that_has_gone(void **state) {
    (void)state;
    struct pair a, b;
    pair_open(&a);
    pair_open(&b);
    struct blob *blob = blob_filled(BLOB_MIN, 'x');
    close(a.peer);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    conn_write_blob(blob);
    say("\r\n");
    conn_keep(&a.conn, &range);
    conn_open(&range, CONN_NO_LIMIT);
    say("fine");
    conn_keep(&b.conn, &range);
    conn_flush(NULL);
    assert_true(a.conn.flags & CONN_BROKEN);
    assert_int_equal(conn_unsent(&a.conn), 0);
    assert_int_equal(blob->holders, 1);
    expect_peer(&b, "fine");
    conn_open(&range, CONN_NO_LIMIT);
    say("more");
    conn_keep(&a.conn, &range); /* dropped */
    conn_flush(close_from_sent);
    conn_close(&a.conn);
    pair_close(&b);
    blob_drop(blob);
}

/* conn_close() removes a queued connection from the flush; one that `sent` closes is not served again. */
static void closed_while_queued(void **state) {
    (void)state;
    struct pair a, b;
    pair_open(&a);
    pair_open(&b);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    say("never");
    conn_keep(&a.conn, &range);
    conn_open(&range, CONN_NO_LIMIT);
    say("last words");
    conn_keep(&b.conn, &range);
    conn_close(&a.conn);
    conn_flush(close_from_sent);
    assert_int_equal(b.conn.source.fd, -1);
    expect_peer(&b, "last words");
    struct buf got = {0};
    read_peer(&a, &got);
    assert_int_equal(got.len, 0);
    buf_free(&got);
    close(a.peer);
    close(b.peer);
}

static int open_loop(void **state) {
    (void)state;
    return loop_init(16) ? 0 : -1;
}

static int close_loop(void **state) {
    (void)state;
    loop_close();
    return 0;
}

/* --- Output that lies elsewhere -------------------------------------------------------------- */

/* Read what there is at the peer; returns the number of bytes that continue the pattern i * 7 from `at` on. */
static size_t read_pattern(struct pair *p, size_t at) {
    unsigned char bytes[8192];
    size_t got = 0;
    for (ssize_t n; (n = read(p->peer, bytes, sizeof bytes)) > 0; got += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], (unsigned char)((at + got + (size_t)i) * 7));
    return got;
}

enum { PATTERN = 3 << 20 };

static unsigned char *make_pattern(void) {
    unsigned char *bytes = alloc_get(PATTERN);
    for (size_t i = 0; i < PATTERN; i++)
        bytes[i] = (unsigned char)(i * 7);
    return bytes;
}

/* Up to four pieces of random lengths from `from` on. */
static size_t offer_pieces(struct conn *c, const unsigned char *bytes, size_t from) {
    struct iovec pieces[4];
    int n = 0;
    for (size_t at = from; n < 4 && at < PATTERN; n++) {
        size_t len = 1 + rand_below(200000);
        if (len > PATTERN - at) len = PATTERN - at;
        pieces[n] = (struct iovec){(void *)(bytes + at), len};
        at += len;
    }
    return conn_send_pieces(c, pieces, n);
}

static void pieces_go_to_the_socket_as_it_takes_them(void **state) {
    (void)state;
    struct pair p;
    pair_open(&p);
    unsigned char *bytes = make_pattern();
    uint64_t before = conn_metrics.bytes_out;
    size_t sent = 0, got = 0, full = 0;
    while (got < PATTERN) {
        sent += offer_pieces(&p.conn, bytes, sent);
        assert_int_equal(conn_metrics.bytes_out - before, sent);
        if (p.conn.flags & CONN_WAITS_WRITE) {
            full++;
            assert_true(p.conn.source.events & LOOP_WRITE);
            assert_int_equal(offer_pieces(&p.conn, bytes, sent), 0); /* it is busy, whatever the socket would take */
            got += read_pattern(&p, got);
            assert_int_equal(offer_pieces(&p.conn, bytes, sent), 0);
            conn_writable(&p.conn);
            assert_false(p.conn.source.events & LOOP_WRITE);
        }
        got += read_pattern(&p, got);
    }
    assert_int_equal(sent, PATTERN);
    assert_true(full > 0);
    assert_int_equal(conn_send_pieces(&p.conn, NULL, 0), 0);
    assert_false(conn_is_busy(&p.conn));
    alloc_put(bytes, PATTERN);
    pair_close(&p);
}

static void a_file_goes_to_the_socket_as_it_takes_it(void **state) {
    (void)state;
    struct pair p;
    pair_open(&p);
    unsigned char *bytes = make_pattern();
    FILE *file = tmpfile();
    assert_int_equal(fwrite(bytes, 1, PATTERN, file), PATTERN);
    assert_int_equal(fflush(file), 0);
    off_t offset = 0;
    size_t sent = 0, got = 0;
    while (got < PATTERN) {
        sent += conn_send_file(&p.conn, fileno(file), &offset, PATTERN - sent);
        assert_int_equal(offset, sent);
        got += read_pattern(&p, got);
        if (p.conn.flags & CONN_WAITS_WRITE) conn_writable(&p.conn);
    }
    assert_false(conn_is_busy(&p.conn));
    assert_int_equal(conn_send_file(&p.conn, fileno(file), &offset, 1), 0); /* it has no further byte */
    assert_true(p.conn.flags & CONN_BROKEN);
    fclose(file);
    alloc_put(bytes, PATTERN);
    pair_close(&p);
}

static void pieces_do_not_overtake_other_output(void **state) {
    (void)state;
    struct pair p;
    struct conn_range range;
    struct iovec piece = {"late", 4};
    pair_open(&p);
    conn_open(&range, CONN_NO_LIMIT);
    say("first");
    conn_keep(&p.conn, &range);
    assert_int_equal(conn_send_pieces(&p.conn, &piece, 1), 0);
    conn_open(&range, CONN_NO_LIMIT);
    say(" then");
    conn_push(&p.conn, &range);
    assert_int_equal(conn_send_pieces(&p.conn, &piece, 1), 0);
    conn_flush(NULL);
    assert_int_equal(conn_send_pieces(&p.conn, &piece, 1), 4);
    expect_peer(&p, "first thenlate");
    close(p.peer);
    assert_int_equal(conn_send_pieces(&p.conn, &piece, 1), 0);
    assert_true(p.conn.flags & CONN_BROKEN);
    assert_false(p.conn.flags & CONN_WAITS_WRITE);
    conn_close(&p.conn);
}

/* A forked child has a descriptor of the same socket: here it is a duplicate. */
static void a_shared_connection_ends_for_everybody(void **state) {
    (void)state;
    struct pair p;
    char byte;
    for (int shared = 0; shared < 2; shared++) {
        pair_open(&p);
        int childs = dup(p.conn.source.fd);
        if (shared) p.conn.flags |= CONN_SHARED;
        conn_close(&p.conn);
        assert_int_equal(recv(p.peer, &byte, 1, MSG_DONTWAIT), shared ? 0 : -1);
        assert_int_equal(send(childs, "x", 1, MSG_NOSIGNAL), shared ? -1 : 1);
        close(childs);
        pair_close(&p);
    }
}

static void the_bytes_of_the_open_range_are_counted(void **state) {
    (void)state;
    struct conn_range outer, inner;
    assert_int_equal(conn_range_written(), 0);
    conn_open(&outer, CONN_NO_LIMIT);
    assert_int_equal(conn_range_written(), 0);
    conn_write("abc", 3);
    assert_int_equal(conn_range_written(), 3);
    conn_open(&inner, CONN_NO_LIMIT);
    assert_int_equal(conn_range_written(), 0);
    conn_take_back(&inner);
    assert_int_equal(conn_range_written(), 3);
    conn_take_back(&outer);
    assert_int_equal(conn_range_written(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(interleaved),
        cmocka_unit_test(large_requests_in_pieces),
        cmocka_unit_test(a_bulk_in_a_blob_is_taken),
        cmocka_unit_test(a_length_alone_takes_little),
        cmocka_unit_test(the_end_of_a_stream),
        cmocka_unit_test(ranges_of_two),
        cmocka_unit_test(pushes_nest),
        cmocka_unit_test(insert_and_truncate),
        cmocka_unit_test(slow_readers),
        cmocka_unit_test(a_range_refuses_what_exceeds_its_limit),
        cmocka_unit_test(ranges_inside_have_limits_of_their_own),
        cmocka_unit_test(large_rests_stay_where_they_are),
        cmocka_unit_test(memory_that_ends_costs_one_connection),
        cmocka_unit_test(memory_that_ends_while_bytes_move),
        cmocka_unit_test(a_peer_that_has_gone),
        cmocka_unit_test(closed_while_queued),
        cmocka_unit_test(pieces_go_to_the_socket_as_it_takes_them),
        cmocka_unit_test(a_file_goes_to_the_socket_as_it_takes_it),
        cmocka_unit_test(pieces_do_not_overtake_other_output),
        cmocka_unit_test(a_shared_connection_ends_for_everybody),
        cmocka_unit_test(the_bytes_of_the_open_range_are_counted),
        cmocka_unit_test(what_was_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
