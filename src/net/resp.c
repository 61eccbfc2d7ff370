/* Requests: "*<args>\r\n" and then "$<length>\r\n<bytes>\r\n" for each argument, or a line of words.
 *
 * Nothing is copied, and nothing is allocated for a request of up to argv_cap arguments. The fast ways through a line
 * with a length (read_short_length, read_length) accept what well-behaved clients send. All other lines go to the
 * careful way (find_length), which decides between "not complete yet" and the error text that Redis gives. */
#include "net/resp.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/likely.h"
#include "base/num.h"
#include "base/words.h"
#include <assert.h>
#include <stdio.h>

void resp_init(struct resp_parser *parser) {
    *parser = (struct resp_parser){.args_left = -1, .bulk_len = -1};
}

void resp_free(struct resp_parser *parser) {
    alloc_put(parser->argv, parser->argv_cap * sizeof *parser->argv);
    alloc_put(parser->words, parser->words_cap);
    resp_init(parser);
}

void resp_begin(struct resp_parser *parser, const char *from) {
    parser->start = parser->next = from;
    parser->args_left = parser->bulk_len = -1;
    parser->argc = 0;
}

static enum resp_status parse_fail(struct resp_parser *parser, const char *what) {
    snprintf(parser->error, sizeof parser->error, "Protocol error: %s", what);
    return RESP_ERROR;
}

static void args_reserve(struct slice **argv, uint32_t *cap, uint64_t wanted) {
    if (wanted <= *cap) return;
    uint64_t grown = *cap ? (uint64_t)*cap * 2 : 16;
    if (grown < wanted) grown = wanted;
    assert(grown <= UINT32_MAX);
    *argv = alloc_resize(*argv, *cap * sizeof **argv, grown * sizeof **argv);
    *cap = (uint32_t)grown;
}

static inline void args_add(struct resp_parser *parser, struct slice bytes) {
    if (unlikely(parser->argc == parser->argv_cap))
        args_reserve(&parser->argv, &parser->argv_cap, (uint64_t)parser->argc + 1);
    parser->argv[parser->argc++] = bytes;
}

#define NO_LINE_END "invalid CRLF in request"
#define BULK_WITHOUT_LINE_END (-2)

static inline bool is_line_end(const char *p) {
    return memcmp(p, "\r\n", 2) == 0; /* one comparison */
}

/* The fast way for one or two digits between p and "\r\n": nearly all lengths. Returns the place behind the line, or
 * NULL: another form, or not complete. */
static inline const char *read_short_length(const char *p, const char *end, int64_t *value) {
    if (end - p < 4) return NULL;
    unsigned tens = (unsigned char)p[0] - '0', ones = (unsigned char)p[1] - '0';
    if (tens > 9) return NULL;
    if (is_line_end(p + 1)) {
        *value = tens;
        return p + 3;
    }
    if (tens == 0 || ones > 9 || !is_line_end(p + 2)) return NULL;
    *value = tens * 10 + ones;
    return p + 4;
}

/* The same for up to nine digits. */
static const char *read_length(const char *p, const char *end, int64_t *value) {
    if (p == end || *p < '1' || *p > '9') return NULL;
    const char *stop = end - p < 9 ? end : p + 9;
    int64_t n = 0;
    for (; p < stop && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (*p - '0');
    if (end - p < 2 || !is_line_end(p)) return NULL;
    *value = n;
    return p + 2;
}

/* The careful way: *line becomes the text up to the CR; the line end is skipped. */
static enum resp_status find_length(struct resp_parser *parser, const char *end, const char *what, struct slice *line) {
    size_t have = (size_t)(end - parser->next);
    const char *cr = memchr(parser->next, '\r', have);
    if (cr == NULL || end - cr < 2) {
        if (cr == NULL && have > RESP_LINE_MAX) return parse_fail(parser, what);
        return RESP_MORE;
    }
    if (!is_line_end(cr)) return parse_fail(parser, NO_LINE_END);
    *line = slice_of(parser->next, (size_t)(cr - parser->next));
    parser->next = cr + 2;
    return RESP_REQUEST;
}

static enum resp_status parse_count(struct resp_parser *parser, const char *end, const struct resp_limits *limits) {
    int64_t count;
    const char *after = read_length(parser->next + 1, end, &count);
    if (after) {
        parser->next = after;
    } else {
        struct slice line;
        enum resp_status status = find_length(parser, end, "too big mbulk count string", &line);
        if (status != RESP_REQUEST) return status;
        if (!num_parse_i64(slice_of(line.ptr + 1, line.len - 1), &count) || count > INT32_MAX)
            return parse_fail(parser, "invalid multibulk length");
    }
    if (count > RESP_UNAUTHENTICATED_ARGS && !limits->authenticated)
        return parse_fail(parser, "unauthenticated multibulk length");
    parser->args_left = count > 0 ? count : 0;
    return RESP_REQUEST;
}

static enum resp_status parse_bulk_length(struct resp_parser *parser, const char *end,
                                          const struct resp_limits *limits) {
    int64_t length;
    const char *after = NULL;
    if (parser->next < end && *parser->next == '$') after = read_length(parser->next + 1, end, &length);
    if (after) {
        parser->next = after;
    } else {
        struct slice line;
        enum resp_status status = find_length(parser, end, "too big bulk count string", &line);
        if (status != RESP_REQUEST) return status;
        if (line.ptr[0] != '$') {
            snprintf(parser->error, sizeof parser->error, "Protocol error: expected '$', got '%c'", line.ptr[0]);
            return RESP_ERROR;
        }
        if (!num_parse_i64(slice_of(line.ptr + 1, line.len - 1), &length) || length < 0)
            return parse_fail(parser, "invalid bulk length");
    }
    if (length > limits->max_bulk) return parse_fail(parser, "invalid bulk length");
    if (length > RESP_UNAUTHENTICATED_BULK && !limits->authenticated)
        return parse_fail(parser, "unauthenticated bulk length");
    parser->bulk_len = length;
    return RESP_REQUEST;
}

/* The bulks of a request. The loop works on local variables, which stay in registers: argv could point anywhere, so the
 * compiler would have to store and load the parser's fields around every argument. */
static enum resp_status parse_bulks(struct resp_parser *parser, const char *end, const struct resp_limits *limits) {
    const char *p = parser->next;
    int64_t left = parser->args_left, length = parser->bulk_len;
    uint32_t argc = parser->argc;
    enum resp_status status = RESP_REQUEST;
    for (; left > 0; left--, length = -1) {
        if (length < 0) {
            const char *after = p < end && *p == '$' ? read_short_length(p + 1, end, &length) : NULL;
            if (after == NULL) {
                parser->next = p;
                status = parse_bulk_length(parser, end, limits);
                if (status != RESP_REQUEST) break;
                after = parser->next;
                length = parser->bulk_len;
            }
            p = after;
        }
        if ((uint64_t)(end - p) < (uint64_t)length + 2) { /* proto-max-bulk-len may be INT64_MAX */
            status = RESP_MORE;
            break;
        }
        if (argc == parser->argv_cap) args_reserve(&parser->argv, &parser->argv_cap, (uint64_t)argc + 1);
        parser->argv[argc++] = slice_of(p, (size_t)length);
        p += length;
        if (unlikely(!is_line_end(p))) {
            status = parse_fail(parser, NO_LINE_END);
            break;
        }
        p += 2;
    }
    parser->next = p;
    parser->args_left = left;
    parser->bulk_len = length;
    parser->argc = argc;
    return status;
}

static enum resp_status parse_multibulk(struct resp_parser *parser, const char *end, const struct resp_limits *limits) {
    if (parser->args_left < 0) {
        int64_t count;
        const char *after = read_short_length(parser->next + 1, end, &count);
        if (after && count <= RESP_UNAUTHENTICATED_ARGS) {
            parser->next = after;
            parser->args_left = count;
        } else {
            enum resp_status status = parse_count(parser, end, limits);
            if (status != RESP_REQUEST) return status;
        }
    }
    return parse_bulks(parser, end, limits);
}

/* The first bytes of a TLS record with a handshake. No inline request begins with them. */
static enum resp_status find_tls(const char *p, size_t have) {
    if (p[0] != 0x16 || (have > 1 && p[1] != 0x03)) return RESP_REQUEST;
    return have > 1 ? RESP_TLS : RESP_MORE;
}

static enum resp_status parse_inline(struct resp_parser *parser, const char *end) {
    size_t have = (size_t)(end - parser->next);
    enum resp_status tls = find_tls(parser->next, have);
    if (tls != RESP_REQUEST) return tls;
    const char *lf = memchr(parser->next, '\n', have);
    if (lf == NULL) return have > RESP_LINE_MAX ? parse_fail(parser, "too big inline request") : RESP_MORE;
    struct slice line = slice_of(parser->next, (size_t)(lf - parser->next));
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    if (memchr(line.ptr, '\0', line.len)) return parse_fail(parser, "NUL byte in inline request");
    int words = words_cut(line, &parser->argv, &parser->argv_cap, &parser->words, &parser->words_cap);
    if (words < 0) return parse_fail(parser, "unbalanced quotes in request");
    parser->next = lf + 1;
    parser->argc = (uint32_t)words;
    return RESP_REQUEST;
}

enum resp_status resp_parse(struct resp_parser *parser, const char *end, const struct resp_limits *limits) {
    enum resp_status status;
    if (parser->args_left < 0) {
        parser->start = parser->next;
        parser->argc = 0;
        if (parser->next == end) return RESP_MORE;
        status = *parser->next == '*' ? parse_multibulk(parser, end, limits) : parse_inline(parser, end);
    } else if (parser->bulk_len == BULK_WITHOUT_LINE_END) {
        return parse_fail(parser, NO_LINE_END);
    } else {
        status = parse_multibulk(parser, end, limits);
    }
    if (status == RESP_REQUEST) parser->args_left = -1;
    return status;
}

void resp_supply_bulk(struct resp_parser *parser, struct slice bytes) {
    assert(parser->args_left > 0 && parser->bulk_len == (int64_t)bytes.len);
    if (!is_line_end(bytes.ptr + bytes.len)) {
        parser->bulk_len = BULK_WITHOUT_LINE_END;
        return;
    }
    args_add(parser, bytes);
    parser->bulk_len = -1;
    parser->args_left--;
}

void resp_rebase(struct resp_parser *parser, const char *new_start) {
    const char *old_start = parser->start, *old_next = parser->next;
    for (uint32_t i = 0; i < parser->argc; i++)
        if (parser->argv[i].ptr >= old_start && parser->argv[i].ptr <= old_next)
            parser->argv[i].ptr = new_start + (parser->argv[i].ptr - old_start);
    parser->start = new_start;
    parser->next = new_start + (old_next - old_start);
}

void resp_move(struct resp_parser *to, struct resp_parser *from) {
    struct slice *argv = to->argv;
    uint32_t cap = to->argv_cap;
    if (from->args_left >= 0 && from->argc) {
        args_reserve(&argv, &cap, from->argc);
        memcpy(argv, from->argv, from->argc * sizeof *argv);
    }
    to->start = from->start;
    to->next = from->next;
    to->args_left = from->args_left;
    to->bulk_len = from->bulk_len;
    to->argc = from->args_left >= 0 ? from->argc : 0;
    to->argv = argv;
    to->argv_cap = cap;
    resp_begin(from, from->next);
}

/* --- Writing --------------------------------------------------------------------------------- */

void resp_put_header(struct buf *out, char prefix, int64_t n) {
    char *to = buf_reserve(out, 1 + NUM_I64_MAX + 2);
    to[0] = prefix;
    int len = 1 + num_print_i64(to + 1, n);
    memcpy(to + len, "\r\n", 2);
    out->len += (size_t)len + 2;
}

void resp_put_word(struct buf *out, struct slice word) {
    resp_put_header(out, '$', (int64_t)word.len);
    buf_append_slice(out, word);
    buf_append(out, "\r\n", 2);
}

void resp_put_int(struct buf *out, int64_t n) {
    char digits[NUM_I64_MAX];
    resp_put_word(out, slice_of(digits, (size_t)num_print_i64(digits, n)));
}
