/* See args.h. What a number, a timeout, a cursor or an index may look like is Redis's choice, down to the blanks; where
 * that is odd, a comment says so. */
#include "cmd/args.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/likely.h"
#include "base/num.h"
#include "store/db.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

/* --- Numbers --------------------------------------------------------------------------------- */

bool args_i64(struct client *c, struct slice arg, int64_t *out) {
    if (likely(num_parse_i64(arg, out))) return true;
    reply_not_integer(c);
    return false;
}

bool args_signed(struct client *c, struct slice arg, int64_t *out) {
    if (!args_i64(c, arg, out)) return false;
    if (*out != INT64_MIN) return true;
    reply_errorf(c, "ERR value is out of range, value must between %lld and %lld", (long long)-INT64_MAX,
                 (long long)INT64_MAX);
    return false;
}

bool args_at_least(struct client *c, struct slice arg, int64_t min, const char *error, int64_t *out) {
    return (num_parse_i64(arg, out) && *out >= min) || args_refuse(c, error);
}

bool args_count(struct client *c, struct slice arg, int64_t *out) {
    return args_at_least(c, arg, 0, "ERR value is out of range, must be positive", out);
}

/* The deadline, which is the clock plus the timeout, must fit 63 bits. A long double holds any int64_t. */
static bool accept_timeout(struct client *c, long double ms, int64_t *timeout_ms) {
    if (ms < 0) return args_refuse(c, "ERR timeout is negative");
    if (ms > (long double)(INT64_MAX - clock_now_ms())) return args_refuse(c, "ERR timeout is out of range");
    *timeout_ms = (int64_t)ms;
    return true;
}

/* Fractions are rounded up, so that -0.0004 is 0 and is accepted. */
bool args_timeout(struct client *c, struct slice arg, int64_t *timeout_ms) {
    long double seconds;
    if (!num_parse_ld(arg, &seconds)) return args_refuse(c, "ERR timeout is not a float or out of range");
    return accept_timeout(c, ceill(seconds * 1000), timeout_ms);
}

bool args_timeout_ms(struct client *c, struct slice arg, int64_t *timeout_ms) {
    int64_t ms;
    if (!num_parse_i64(arg, &ms)) return args_refuse(c, "ERR timeout is not an integer or out of range");
    return accept_timeout(c, (long double)ms, timeout_ms);
}

bool args_strtod(struct slice text, double *out) {
    char near[256], *copy = text.len < sizeof near ? near : alloc_get(text.len + 1), *end;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *out = strtod(copy, &end);
    bool is_number = *end == '\0' && !isnan(*out);
    if (copy != near) alloc_put(copy, text.len + 1);
    return is_number;
}

/* --- Words ------------------------------------------------------------------------------------ */

bool args_is_flush(struct slice arg, bool *in_background) {
    bool is_async = slice_is(arg, "async");
    if (!is_async && !slice_is(arg, "sync")) return false;
    *in_background = is_async;
    return true;
}

/* --- Indexes --------------------------------------------------------------------------------- */

bool args_is_int(struct slice arg, int *out) {
    int64_t n;
    if (!num_parse_i64(arg, &n) || n < INT_MIN || n > INT_MAX) return false;
    *out = (int)n;
    return true;
}

bool args_db(struct client *c, struct slice arg, struct db **out) {
    int64_t n;
    if (!args_i64(c, arg, &n)) return false;
    if (n < INT_MIN || n > INT_MAX) {
        reply_errorf(c, "ERR value is out of range, value must between %d and %d", INT_MIN, INT_MAX);
        return false;
    }
    if (n < 0 || n >= db_count()) return args_refuse(c, "ERR DB index is out of range");
    *out = db_at((int)n);
    return true;
}

/* --- SCAN, and members drawn at random ------------------------------------------------------- */

/* Redis reads cursors by strtoul(): a sign may come first (a minus wraps around), and the empty text is 0. */
static bool parse_cursor(struct slice s, uint64_t *out) {
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = negative || (s.len > 0 && s.ptr[0] == '+');
    uint64_t n = 0;
    if (i == 1 && s.len == 1) return false;
    for (; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n)) return false;
    }
    *out = negative ? -n : n;
    return true;
}

bool args_cursor(struct client *c, struct slice arg, uint64_t *out) {
    return parse_cursor(arg, out) || args_refuse(c, "ERR invalid cursor");
}

bool args_scan(struct client *c, const struct slice *argv, int argc, struct slice *pattern, int64_t *count,
               struct slice *type) {
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc) return args_syntax_error(c);
        struct slice value = argv[i + 1];
        if (slice_is(argv[i], "count")) {
            if (!args_i64(c, value, count)) return false;
            if (*count < 1) return args_syntax_error(c);
        } else if (slice_is(argv[i], "match")) {
            *pattern = glob_is_all(value) ? slice_of(NULL, 0) : value;
        } else if (type && slice_is(argv[i], "type")) {
            *type = value;
        } else {
            return args_syntax_error(c);
        }
    }
    return true;
}

/* Redis refuses counts that it could not double, but only where the word asks for two replies a draw. */
bool args_draw_options(struct client *c, const struct slice *argv, int argc, const char *word, int64_t *count) {
    if (!args_signed(c, argv[0], count)) return false;
    if (argc == 1) return true;
    if (argc > 2 || !slice_is(argv[1], word)) return args_syntax_error(c);
    if (*count >= -INT64_MAX / 2 && *count <= INT64_MAX / 2) return true;
    return args_refuse(c, "ERR value is out of range");
}

/* --- Ids of entries of a stream -------------------------------------------------------------- */

#define ID_MAX 127 /* bytes of an id that is looked at */

/* Redis reads what is no plain number by strtoull(): blanks and a plus may come first, zeros lead, and a minus wraps
 * around unless the number is a plain one. */
static bool parse_half(struct slice text, uint64_t *out) {
    char copy[ID_MAX + 1], *end;
    int64_t negative;
    if (likely(num_parse_u64(text, out))) return true;
    if (text.len == 0 || text.len > ID_MAX || num_parse_i64(text, &negative)) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *out = strtoull(copy, &end, 10);
    return errno == 0 && *end == '\0' && end > copy;
}

/* What Redis sees of an argument, which it takes for a C string. */
static struct slice visible(struct slice arg) {
    const char *end = memchr(arg.ptr, '\0', arg.len);
    return end ? slice_of(arg.ptr, (size_t)(end - arg.ptr)) : arg;
}

/* `find_seq` NULL: `ms-*` is not wanted. */
static bool parse_id(struct slice arg, uint64_t seq, struct stream_id *out, bool *find_seq) {
    if (arg.len > ID_MAX) return false;
    arg = visible(arg);
    const char *dash = memchr(arg.ptr, '-', arg.len);
    if (find_seq) *find_seq = false;
    out->seq = seq;
    if (!dash) return parse_half(arg, &out->ms);
    struct slice behind = slice_of(dash + 1, arg.len - (size_t)(dash + 1 - arg.ptr));
    if (!parse_half(slice_of(arg.ptr, (size_t)(dash - arg.ptr)), &out->ms)) return false;
    if (!find_seq || !slice_eq(behind, SLICE("*"))) return parse_half(behind, &out->seq);
    *find_seq = true;
    out->seq = 0;
    return true;
}

static bool refuse_id(struct client *c) {
    return args_refuse(c, "ERR Invalid stream ID specified as stream command argument");
}

bool args_is_id(struct slice arg, uint64_t seq, struct stream_id *out) {
    return parse_id(arg, seq, out, NULL);
}

bool args_id(struct client *c, struct slice arg, uint64_t seq, struct stream_id *out) {
    return parse_id(arg, seq, out, NULL) || refuse_id(c);
}

bool args_new_id(struct client *c, struct slice arg, struct stream_id *out, bool *find_seq) {
    return parse_id(arg, 0, out, find_seq) || refuse_id(c);
}

bool args_edge_id(struct client *c, struct slice arg, uint64_t seq, struct stream_id *out) {
    struct slice shown = arg.len > ID_MAX ? arg : visible(arg);
    bool is_min = slice_eq(shown, SLICE("-")), is_max = slice_eq(shown, SLICE("+"));
    if (!is_min && !is_max) return args_id(c, arg, seq, out);
    *out = is_min ? STREAM_ID_MIN : STREAM_ID_MAX;
    return true;
}

/* The id behind an open bracket must be a plain one. */
static bool is_open(struct slice *arg) {
    if (arg->len < 2 || arg->ptr[0] != '(') return false;
    *arg = slice_of(arg->ptr + 1, arg->len - 1);
    return true;
}

bool args_first_id(struct client *c, struct slice arg, struct stream_id *out) {
    if (!is_open(&arg)) return args_edge_id(c, arg, 0, out);
    if (!args_id(c, arg, 0, out)) return false;
    return stream_id_up(out) || args_refuse(c, "ERR invalid start ID for the interval");
}

bool args_last_id(struct client *c, struct slice arg, struct stream_id *out) {
    if (!is_open(&arg)) return args_edge_id(c, arg, UINT64_MAX, out);
    if (!args_id(c, arg, UINT64_MAX, out)) return false;
    return stream_id_down(out) || args_refuse(c, "ERR invalid end ID for the interval");
}
