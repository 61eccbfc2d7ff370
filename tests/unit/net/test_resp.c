/* The request parser. Every request is fed as a whole and split at every place, and must come out the same. Wrong
 * requests must be refused with Redis's texts. Random bytes must neither crash the parser nor make it read beyond the
 * region. */
#include "base/buf.h"
#include "base/rand.h"
#include "net/resp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct resp_limits open_limits = {.max_bulk = 512 << 20, .authenticated = true};
static const struct resp_limits tiny_limits = {.max_bulk = 512 << 20, .authenticated = false};

/* The arguments as text: "[a|b|c]" for each request. */
static void print_request(struct buf *out, const struct resp_parser *parser) {
    buf_append_cstr(out, "[");
    for (uint32_t i = 0; i < parser->argc; i++) {
        if (i) buf_append_cstr(out, "|");
        buf_append_slice(out, parser->argv[i]);
    }
    buf_append_cstr(out, "]");
}

/* Parse all complete requests. */
static enum resp_status drain(struct resp_parser *parser, const char *end, const struct resp_limits *limits,
                              struct buf *out) {
    enum resp_status status;
    while ((status = resp_parse(parser, end, limits)) == RESP_REQUEST)
        print_request(out, parser);
    if (status == RESP_ERROR) buf_append_cstr(out, parser->error);
    return status;
}

/* Feed `input` in two regions of memory, each exactly as long as its contents, so that a sanitizer sees a read beyond
 * it. */
static void feed_split(struct slice input, size_t at, const struct resp_limits *limits, struct buf *out) {
    struct resp_parser parser;
    resp_init(&parser);
    char *first = malloc(at ? at : 1);
    memcpy(first, input.ptr, at);
    resp_begin(&parser, first);
    enum resp_status status = drain(&parser, first + at, limits, out);
    if (status == RESP_MORE) {
        size_t done = (size_t)(parser.start - first), left = input.len - done;
        char *second = malloc(left ? left : 1);
        memcpy(second, input.ptr + done, left);
        resp_rebase(&parser, second);
        drain(&parser, second + left, limits, out);
        free(second);
    }
    free(first);
    resp_free(&parser);
}

static void expect_limited(struct slice input, const char *expected, const struct resp_limits *limits) {
    for (size_t at = 0; at <= input.len; at++) {
        struct buf out = {0};
        feed_split(input, at, limits, &out);
        if (!slice_eq(buf_slice(&out), slice_cstr(expected)))
            fail_msg("split at %zu: got %.*s, expected %s", at, (int)out.len, out.data ? out.data : "", expected);
        buf_free(&out);
    }
}

#define expect(input, expected) expect_limited(SLICE(input), expected, &open_limits)

static void requests(void **state) {
    (void)state;
    expect("*1\r\n$4\r\nPING\r\n", "[PING]");
    expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "[SET|k|][GET|k]");
    expect("*2\r\n$4\r\nECHO\r\n$12\r\n12345678\r\n\r\n\r\n", "[ECHO|12345678\r\n\r\n]");
    expect("*0\r\n*-1\r\n*1\r\n$1\r\na\r\n", "[][][a]");
    expect("*2\r\n$1\r\na\r\n", "");
    expect("*1\r\n$01\r\na\r\n", "Protocol error: invalid bulk length");
}

static void inline_requests(void **state) {
    (void)state;
    expect("PING\r\n", "[PING]");
    expect("\r\n\nSET  a b\n", "[][][SET|a|b]");
    expect("set \"a b\" 'c\\'d' \"\\x41\\n\\\"\"\r\n", "[set|a b|c'd|A\n\"]");
    expect("set a\"b\"\r\n", "[set|ab]");
    expect("set \"a\"b\r\n", "Protocol error: unbalanced quotes in request");
    expect("set \"a\r\n", "Protocol error: unbalanced quotes in request");
    expect("get a\n*1\r\n$4\r\nPING\r\n", "[get|a][PING]");
}

static void line_ends(void **state) {
    (void)state;
    expect("*1\r\n$4\r\nPINGxx", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$4\r\nPING\r\r", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$4\r\nPING\n\r", "Protocol error: invalid CRLF in request");
    expect("*2\r\n$4\r\nECHO\r\n$1\r\nab\r\n", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$0\r\nab", "Protocol error: invalid CRLF in request");
    expect("*1\rx$4\r\nPING\r\n", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$4\rxPING\r\n", "Protocol error: invalid CRLF in request");
    expect("*10\rx", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$12\r\r123456789012\r\n", "Protocol error: invalid CRLF in request");
    expect("*1000\r\r", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$1000\r\r", "Protocol error: invalid CRLF in request");
    expect("*1\r\n$1\r\n\r\r\n", "[\r]");
}

/* A command must not be executed without its end. */
static void nul_bytes_inline(void **state) {
    (void)state;
    expect("DEL a\0b\r\n", "Protocol error: NUL byte in inline request");
    expect("\0PING\n", "Protocol error: NUL byte in inline request");
    expect("PING\0\n", "Protocol error: NUL byte in inline request");
    expect("SET k \"\\x07\"\nPING\n\0\n", "[SET|k|\a][PING]Protocol error: NUL byte in inline request");
}

static void tls_handshakes(void **state) {
    (void)state;
    static const char hello[] = "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\nx\n";
    struct resp_parser parser;
    resp_init(&parser);
    for (size_t n = 1; n < sizeof hello; n++) {
        resp_begin(&parser, hello);
        assert_int_equal(resp_parse(&parser, hello + n, &tiny_limits), n == 1 ? RESP_MORE : RESP_TLS);
    }
    resp_free(&parser);
    expect("\x16\x02\n", "[\x16\x02]");
}

static void refusals(void **state) {
    (void)state;
    expect("*x\r\n", "Protocol error: invalid multibulk length");
    expect("*2147483648\r\n", "Protocol error: invalid multibulk length");
    expect("*99999999999999999999\r\n", "Protocol error: invalid multibulk length");
    expect("*1\r\nx1\r\n", "Protocol error: expected '$', got 'x'");
    expect("*1\r\n$-1\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length");
    expect("*1\r\n$9223372036854775808\r\n", "Protocol error: invalid bulk length");
    expect_limited(SLICE("*11\r\n"), "Protocol error: unauthenticated multibulk length", &tiny_limits);
    expect_limited(SLICE("*1\r\n$16385\r\n"), "Protocol error: unauthenticated bulk length", &tiny_limits);
}

/* If proto-max-bulk-len is at its maximum, a length plus its line end must not overflow. */
static void longest_bulk(void **state) {
    (void)state;
    const struct resp_limits no_limits = {.max_bulk = INT64_MAX, .authenticated = true};
    static const char text[] = "*2\r\n$4\r\nECHO\r\n$9223372036854775807\r\nabc";
    struct resp_parser parser;
    resp_init(&parser);
    resp_begin(&parser, text);
    assert_int_equal(resp_parse(&parser, text + sizeof text - 1, &no_limits), RESP_MORE);
    assert_int_equal(parser.bulk_len, INT64_MAX);
    assert_int_equal(parser.argc, 1);
    resp_free(&parser);
}

/* A line without an end is refused after RESP_LINE_MAX bytes. */
static void endless_lines(void **state) {
    (void)state;
    static char line[RESP_LINE_MAX + 2];
    const struct {
        const char *head, *error;
    } cases[] = {
        {"*", "Protocol error: too big mbulk count string"},
        {"*1\r\n$", "Protocol error: too big bulk count string"},
        {"", "Protocol error: too big inline request"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf input = {0}, out = {0};
        memset(line, '1', sizeof line);
        buf_append_cstr(&input, cases[i].head);
        buf_append(&input, line, sizeof line);
        feed_split(buf_slice(&input), 0, &open_limits, &out);
        assert_true(slice_eq(buf_slice(&out), slice_cstr(cases[i].error)));
        buf_free(&input);
        buf_free(&out);
    }
}

static void bulk_from_elsewhere(void **state) {
    (void)state;
    static const char head[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n";
    struct resp_parser parser;
    resp_init(&parser);
    resp_begin(&parser, head);
    assert_int_equal(resp_parse(&parser, head + sizeof head - 1, &open_limits), RESP_MORE);
    assert_int_equal(parser.bulk_len, 5);
    resp_supply_bulk(&parser, slice_of("hello\r\n", 5));
    assert_int_equal(resp_parse(&parser, parser.next, &open_limits), RESP_REQUEST);
    assert_int_equal(parser.argc, 3);
    assert_true(slice_eq(parser.argv[2], SLICE("hello")));
    resp_begin(&parser, head);
    assert_int_equal(resp_parse(&parser, head + sizeof head - 1, &open_limits), RESP_MORE);
    resp_supply_bulk(&parser, slice_of("hello\n\n", 5));
    assert_int_equal(resp_parse(&parser, parser.next, &open_limits), RESP_ERROR);
    assert_string_equal(parser.error, "Protocol error: invalid CRLF in request");
    resp_free(&parser);
}

/* Well-formed requests with some bytes changed, split at a random place: the whole and the pieces must give the
 * same. */
static void mutations(void **state) {
    (void)state;
    const char *seed_text = getenv("SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 20261122;
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    static const char alphabet[] = "*$\r\n0123456789-ab \"'\\x";
    for (int round = 0; round < 20000; round++) {
        char text[] = "*3\r\n$3\r\nSET\r\n$2\r\nab\r\n$10\r\n0123456789\r\nPING\r\n*1\r\n$4\r\nPING\r\n";
        struct slice input = slice_of(text, sizeof text - 1);
        for (uint64_t n = rand_below(4); n > 0; n--)
            text[rand_below(input.len)] = alphabet[rand_below(sizeof alphabet - 1)];
        struct buf whole = {0}, split = {0};
        feed_split(input, input.len, &open_limits, &whole);
        feed_split(input, rand_below(input.len + 1), &open_limits, &split);
        if (!slice_eq(buf_slice(&whole), buf_slice(&split)))
            fail_msg("seed %llu round %d: %.*s", (unsigned long long)seed, round, (int)input.len, text);
        buf_free(&whole);
        buf_free(&split);
    }
}

static void written_requests_read_back(void **state) {
    (void)state;
    struct buf out = {0};
    resp_put_header(&out, '*', 5);
    resp_put_word(&out, SLICE("SET"));
    resp_put_word(&out, SLICE(""));
    resp_put_word(&out, SLICE("a\r\nb"));
    resp_put_int(&out, 0);
    resp_put_int(&out, INT64_MIN);
    struct slice wire =
        SLICE("*5\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$1\r\n0\r\n$20\r\n-9223372036854775808\r\n");
    assert_true(slice_eq(buf_slice(&out), wire));
    expect_limited(wire, "[SET||a\r\nb|0|-9223372036854775808]", &open_limits);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(inline_requests),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(nul_bytes_inline),
        cmocka_unit_test(tls_handshakes),
        cmocka_unit_test(refusals),
        cmocka_unit_test(endless_lines),
        cmocka_unit_test(bulk_from_elsewhere),
        cmocka_unit_test(mutations),
        cmocka_unit_test(longest_bulk),
        cmocka_unit_test(written_requests_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
