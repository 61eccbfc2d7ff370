/* Numbers and text.
 *
 * A double prints as the shortest digits that read back as the same double, laid out as in Redis 7.2 (which uses Night
 * Shift's fpconv for the digits). With the digits d and the value d * 10^k:
 *   - an integer of magnitude at most 2^62 prints as an integer, "-0" keeps its sign;
 *   - 0 <= k < 8 prints the digits and k zeros (2^63 is 9223372036854776000);
 *   - k < 0 with k > -7, or a decimal exponent of magnitude below 4, prints a decimal point in place;
 *   - all other values print as d.ddde+X: always with the sign, the exponent without padding. */
#include "base/num.h"
#include "base/alloc.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Integers -------------------------------------------------------------------------------- */

bool num_parse_u64(struct slice s, uint64_t *out) {
    if (s.len == 0 || s.len > 20) return false;
    if (s.ptr[0] == '0') {
        if (s.len != 1) return false;
        *out = 0;
        return true;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
        if (digit > 9) return false;
        /* 19 digits always fit; only the twentieth can overflow. */
        if (i == 19 && (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                        __builtin_add_overflow(value, (uint64_t)digit, &value)))
            return false;
        if (i < 19) value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool num_parse_i64(struct slice s, int64_t *out) {
    bool negative = s.len > 1 && s.ptr[0] == '-';
    uint64_t magnitude;
    if (!num_parse_u64(slice_of(s.ptr + negative, s.len - negative), &magnitude)) return false;
    if (negative && magnitude == 0) return false;
    if (magnitude > (uint64_t)INT64_MAX + negative) return false;
    *out = (int64_t)(negative ? -magnitude : magnitude);
    return true;
}

int num_digits_u64(uint64_t value) {
    static const uint64_t power[] = {
        0,
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    /* bits * log10(2), then one more if the power is reached. */
    int guess = (64 - __builtin_clzll(value | 1)) * 1233 >> 12;
    return guess + (value >= power[guess]);
}

int num_print_u64(char *to, uint64_t value) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    int len = num_digits_u64(value);
    char *p = to + len;
    for (; value >= 100; value /= 100) {
        p -= 2;
        memcpy(p, pairs + value % 100 * 2, 2);
    }
    if (value >= 10)
        memcpy(p - 2, pairs + value * 2, 2);
    else
        p[-1] = (char)('0' + value);
    return len;
}

int num_print_i64(char *to, int64_t value) {
    if (value >= 0) return num_print_u64(to, (uint64_t)value);
    *to = '-';
    return 1 + num_print_u64(to + 1, -(uint64_t)value);
}

/* --- Reading floating point ------------------------------------------------------------------ */

static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Up to 15 digits with a point somewhere, which nearly all scores have: both the digits and the power of ten are exact
 * doubles, so one division rounds as strtod() would (Clinger 1990). */
static bool parse_simple_f64(struct slice s, double *out) {
    size_t i = s.len > 0 && s.ptr[0] == '-';
    bool negative = i, point = false;
    int64_t digits = 0;
    unsigned count = 0, behind = 0;
    if (s.len > 17) return false;
    for (; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
        if (digit <= 9) {
            digits = digits * 10 + digit;
            count++;
            behind += point;
        } else if (s.ptr[i] == '.' && !point) {
            point = true;
        } else {
            return false;
        }
    }
    if (count == 0 || count > 15) return false;
    double value = (double)digits / exact_power[behind];
    *out = negative ? -value : value;
    return true;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool strtod_whole(const char *text, size_t len, double *out) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if ((size_t)(end - text) != len || isnan(value)) return false;
    if (errno == ERANGE && (isinf(value) || value == 0)) return false;
    *out = value;
    return true;
}

bool num_parse_f64(struct slice s, double *out) {
    if (parse_simple_f64(s, out)) return true;
    if (s.len == 0 || is_space(s.ptr[0])) return false;
    char small[256];
    char *text = s.len < sizeof small ? small : alloc_try(s.len + 1);
    if (!text) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    bool ok = strtod_whole(text, s.len, out);
    if (text != small) alloc_put(text, s.len + 1);
    return ok;
}

bool num_parse_ld(struct slice s, long double *out) {
    char text[NUM_LD_MAX];
    if (s.len == 0 || s.len >= sizeof text || is_space(s.ptr[0])) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    char *end;
    errno = 0;
    long double value = strtold(text, &end);
    if ((size_t)(end - text) != s.len || isnan(value)) return false;
    if (errno == ERANGE && (isinf(value) || value == 0)) return false;
    *out = value;
    return true;
}

/* --- Printing floating point ----------------------------------------------------------------- */

struct decimal {
    char digits[24]; /* no leading and no trailing zero */
    int count;
    int exponent; /* the value is digits * 10^exponent */
};

static void drop_zeros(struct decimal *d) {
    while (d->count > 1 && d->digits[d->count - 1] == '0') {
        d->count--;
        d->exponent++;
    }
}

/* A fast way for prices, coordinates and the like, without snprintf(): the value is an integer of up to 15 digits over
 * 10^k for a small k. strtod() computes that same quotient from the text, and with at most 15 digits no other text,
 * except for trailing zeros, is as short and reads back as the same double. */
static bool find_simple(struct decimal *d, double value) {
    for (int k = 1; k <= 9; k++) {
        double scaled = value * exact_power[k];
        if (scaled >= 1e15) return false;
        int64_t digits = (int64_t)(scaled + 0.5);
        if (digits == 0 || (double)digits / exact_power[k] != value) continue;
        d->count = num_print_i64(d->digits, digits);
        d->exponent = -k;
        drop_zeros(d);
        return true;
    }
    return false;
}

/* The shortest digits of a positive finite value. A normal double needs 15 to 17 digits, since 15 always survive; a
 * subnormal one may need fewer. */
static void find_digits(struct decimal *d, double value) {
    if (find_simple(d, value)) return;
    char text[32];
    int precision = value < 0x1p-1022 ? 1 : 15;
    for (;; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (precision == 17 || strtod(text, NULL) == value) break;
    }
    const char *mark = strchr(text, 'e');
    d->count = 0;
    for (const char *p = text; p < mark; p++)
        if (*p != '.') d->digits[d->count++] = *p;
    d->exponent = (int)strtol(mark + 1, NULL, 10) - (d->count - 1);
    drop_zeros(d);
}

static int print_decimal(char *to, const struct decimal *d) {
    int n = d->count, k = d->exponent;
    int leading = k + n - 1; /* the exponent of the first digit */
    char *p = to;
    if (k >= 0 && k < 8) {
        memcpy(p, d->digits, (size_t)n);
        memset(p + n, '0', (size_t)k);
        return n + k;
    }
    if (k < 0 && (k > -7 || abs(leading) < 4)) {
        int before = n + k; /* digits in front of the point */
        if (before > 0) {
            memcpy(p, d->digits, (size_t)before);
            p[before] = '.';
            memcpy(p + before + 1, d->digits + before, (size_t)(n - before));
            return n + 1;
        }
        memcpy(p, "0.", 2);
        memset(p + 2, '0', (size_t)-before);
        memcpy(p + 2 - before, d->digits, (size_t)n);
        return 2 - before + n;
    }
    *p++ = d->digits[0];
    if (n > 1) {
        *p++ = '.';
        memcpy(p, d->digits + 1, (size_t)n - 1);
        p += n - 1;
    }
    *p++ = 'e';
    *p++ = leading < 0 ? '-' : '+';
    p += num_print_u64(p, (uint64_t)abs(leading));
    return (int)(p - to);
}

static int put_text(char *to, const char *text) {
    size_t n = strlen(text);
    memcpy(to, text, n);
    return (int)n;
}

int num_print_f64(char *to, double value) {
    if (isnan(value)) return put_text(to, "nan");
    if (isinf(value)) return put_text(to, value > 0 ? "inf" : "-inf");
    if (value == 0) return put_text(to, signbit(value) ? "-0" : "0");
    if (fabs(value) <= 0x1p62 && value == (double)(int64_t)value) return num_print_i64(to, (int64_t)value);
    struct decimal d;
    find_digits(&d, fabs(value));
    int sign = value < 0;
    if (sign) *to = '-';
    return sign + print_decimal(to + sign, &d);
}

int num_print_ld(char *to, long double value) {
    if (isnan(value)) return put_text(to, "nan");
    if (isinf(value)) return put_text(to, value > 0 ? "inf" : "-inf");
    int n = snprintf(to, NUM_LD_MAX, "%.17Lf", value);
    assert(n > 0 && n < NUM_LD_MAX);
    while (to[n - 1] == '0')
        n--; /* stops at the point */
    if (to[n - 1] == '.') n--;
    if (n == 2 && to[0] == '-' && to[1] == '0') return put_text(to, "0");
    return n;
}

/* --- Memory sizes ---------------------------------------------------------------------------- */

static uint64_t mul_at_most(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t add_at_most(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Redis keeps the largest number for digits that exceed it, and takes a product modulo 2^64: a limit of 17179869185gb
 * is one of 1gb there. */
bool num_parse_memory(struct slice s, uint64_t *bytes) {
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {
        {"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
        {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30},
    };
    uint64_t value = 0;
    size_t i = 0;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
        value = add_at_most(mul_at_most(value, 10), (uint64_t)(s.ptr[i] - '0'));
    /* No digits count as 0 ("kb", ""), as in Redis: files may rely on it. */
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        if (slice_is(slice_of(s.ptr + i, s.len - i), units[u].name)) {
            *bytes = mul_at_most(value, units[u].factor);
            return true;
        }
    return false;
}

int num_print_fixed(char *to, uint64_t value, int decimals) {
    uint64_t scale = 1;
    for (int i = 0; i < decimals; i++)
        scale *= 10;
    int n = num_print_u64(to, value / scale);
    if (decimals == 0) return n;
    to[n++] = '.';
    for (uint64_t rest = value % scale; scale > 1; n++) {
        scale /= 10;
        to[n] = (char)('0' + rest / scale % 10);
    }
    return n;
}

int num_print_memory(char *to, uint64_t bytes) {
    static const char letters[] = "KMGTP";
    if (bytes < 1024 || bytes >= UINT64_C(1) << 60) {
        int n = num_print_u64(to, bytes);
        to[n] = 'B';
        return n + 1;
    }
    int step = (63 - __builtin_clzll(bytes)) / 10; /* 1 for K, 2 for M... */
    unsigned __int128 scaled = (unsigned __int128)bytes * 100, unit = (unsigned __int128)1 << 10 * step;
    uint64_t hundredths = (uint64_t)(scaled / unit), twice = (uint64_t)(scaled % unit) * 2;
    if (twice > unit || (twice == unit && hundredths % 2)) hundredths++; /* half to even, as printf rounds */
    int n = num_print_fixed(to, hundredths, 2);
    to[n] = letters[step - 1];
    return n + 1;
}
