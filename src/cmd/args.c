#include "cmd/args.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/likely.h"
#include "base/num.h"
#include "session/reply.h"
#include "store/db.h"
#include <limits.h>
#include <math.h>

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
    if (num_parse_i64(arg, out) && *out >= min) return true;
    reply_error(c, error);
    return false;
}

bool args_count(struct client *c, struct slice arg, int64_t *out) {
    return args_at_least(c, arg, 0, "ERR value is out of range, must be positive", out);
}

bool args_is_int(struct slice arg, int *out) {
    int64_t n;
    if (!num_parse_i64(arg, &n) || n < INT_MIN || n > INT_MAX) return false;
    *out = (int)n;
    return true;
}

/* A negative one that rounds up to zero is none. What Redis adds to its clock has to stay below 2^63 ms. */
bool args_timeout(struct client *c, struct slice arg, int64_t *timeout_ms) {
    long double seconds;
    const char *error = NULL;
    if (!num_parse_ld(arg, &seconds)) {
        error = "ERR timeout is not a float or out of range";
    } else {
        long double ms = ceill(seconds * 1000);
        if (ms < 0) {
            error = "ERR timeout is negative";
        } else if (ms > (long double)(INT64_MAX - clock_now_ms())) {
            error = "ERR timeout is out of range";
        } else {
            *timeout_ms = (int64_t)ms;
        }
    }
    if (error) reply_error(c, error);
    return !error;
}

bool args_timeout_ms(struct client *c, struct slice arg, int64_t *timeout_ms) {
    const char *error = NULL;
    if (!num_parse_i64(arg, timeout_ms)) {
        error = "ERR timeout is not an integer or out of range";
    } else if (*timeout_ms < 0) {
        error = "ERR timeout is negative";
    } else if (*timeout_ms > INT64_MAX - clock_now_ms()) {
        error = "ERR timeout is out of range";
    }
    if (error) reply_error(c, error);
    return !error;
}

bool args_db(struct client *c, struct slice arg, struct db **out) {
    int64_t n;
    if (!args_i64(c, arg, &n)) return false;
    if (n < INT_MIN || n > INT_MAX) {
        reply_errorf(c, "ERR value is out of range, value must between %d and %d", INT_MIN, INT_MAX);
        return false;
    }
    if (n < 0 || n >= db_count()) {
        reply_error(c, "ERR DB index is out of range");
        return false;
    }
    *out = db_at((int)n);
    return true;
}

/* What strtoul makes of it, as that is what Redis asks: a sign is fine, nothing at all is zero. */
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
    if (parse_cursor(arg, out)) return true;
    reply_error(c, "ERR invalid cursor");
    return false;
}

bool args_scan(struct client *c, const struct slice *argv, int argc, struct slice *pattern, int64_t *count,
               struct slice *type) {
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc) goto syntax_error;
        struct slice value = argv[i + 1];
        if (slice_is(argv[i], "count")) {
            if (!args_i64(c, value, count)) return false;
            if (*count < 1) goto syntax_error;
        } else if (slice_is(argv[i], "match")) {
            *pattern = glob_is_all(value) ? slice_of(NULL, 0) : value;
        } else if (type && slice_is(argv[i], "type")) {
            *type = value;
        } else {
            goto syntax_error;
        }
    }
    return true;
syntax_error:
    reply_syntax_error(c);
    return false;
}

bool args_draws(struct client *c, int64_t count) {
    if (count >= -ARGS_DRAWS_MAX) return true;
    reply_error(c, "ERR value is out of range");
    return false;
}
