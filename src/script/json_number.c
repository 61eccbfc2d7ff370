/* Most numbers in JSON are short: integers below 10^14, and fractions between 10^-4 and 10^14. For these, value times a
 * power of ten fits 128 bits exactly, so rounding it to an integer rounds as printf does, ties to even included. */
#include "script/json_number.h"
#include "base/likely.h"
#include "base/num.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_DIGITS = 15 }; /* integers of so many digits, and such powers of ten, are exact as doubles */

static const uint64_t powers[] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
};

/* The exponent of ten of a value from 10^-4 to 10^14. At the limits below 1, which doubles do not hold exactly, it may
 * be one too large; rounding then gives the same digits. */
static int decimal_exponent(double value) {
    if (value < 1) return value >= 0.1 ? -1 : value >= 0.01 ? -2 : value >= 0.001 ? -3 : -4;
    int exponent = 0;
    while (value >= (double)powers[exponent + 1])
        exponent++;
    return exponent;
}

/* value * 10^scale, rounded to an integer, ties to even. The value is from 10^-4 to 10^14 and scale from 0 to 17:
 * 53 bits times 57 bits, and from 6 to 66 of them lie behind the point. */
static uint64_t scale_and_round(double value, int scale) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = (bits & ((1ull << 52) - 1)) | 1ull << 52;
    int fraction_bits = 1075 - (int)(bits >> 52 & 0x7ff);
    unsigned __int128 product = (unsigned __int128)mantissa * powers[scale];
    unsigned __int128 half = (unsigned __int128)1 << (fraction_bits - 1);
    unsigned __int128 rest = product & (2 * half - 1);
    uint64_t whole = (uint64_t)(product >> fraction_bits);
    return whole + (rest > half || (rest == half && (whole & 1)));
}

/* The digits of a number that begins at 10^exponent, with a point; zeros behind the point are left out at the end. */
static int print_digits(char *to, uint64_t digits, int exponent) {
    char text[NUM_I64_MAX];
    int len = num_print_u64(text, digits), at;
    while (len > 1 && len > exponent + 1 && text[len - 1] == '0')
        len--;
    if (exponent < 0) {
        memcpy(to, "0.000", 5);
        at = 1 - exponent;
        memcpy(to + at, text, (size_t)len);
        return at + len;
    }
    memcpy(to, text, (size_t)exponent + 1);
    at = exponent + 1;
    if (len == at) return at;
    to[at] = '.';
    memcpy(to + at + 1, text + at, (size_t)(len - at));
    return len + 1;
}

/* A positive value from 10^-4 to 10^14. 0: printf would use an exponent. */
static int print_plain(char *to, double value, int precision) {
    int exponent = decimal_exponent(value);
    if (exponent >= precision) return 0;
    uint64_t digits = scale_and_round(value, precision - 1 - exponent);
    if (digits == powers[precision]) {
        digits = powers[precision - 1];
        if (++exponent >= precision) return 0;
    }
    return print_digits(to, digits, exponent);
}

int json_print_number(char *to, double value, int precision) {
    double size = fabs(value);
    if (size < (double)powers[precision] && size == (double)(int64_t)size) {
        if (unlikely(value == 0 && signbit(value))) return memcpy(to, "-0", 2), 2;
        return num_print_i64(to, (int64_t)value);
    }
    if (size >= 1e-4 && size < 1e14) {
        int sign = value < 0;
        *to = '-';
        int len = print_plain(to + sign, size, precision);
        if (len) return sign + len;
    }
    return snprintf(to, JSON_NUMBER_MAX, "%.*g", precision, value);
}

static const char *read_slowly(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end == text ? NULL : end;
}

static const char *skip_digits(const char *p, uint64_t *value) {
    uint64_t v = *value;
    for (; *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    *value = v;
    return p;
}

/* Few digits, with a point or without, are an integer over a power of ten: both are exact, and so the one division
 * rounds as strtod() does. All else is left to strtod(). */
const char *json_read_number(const char *text, double *value) {
    const char *p = text + (*text == '-'), *first = p;
    uint64_t whole = 0;
    p = skip_digits(p, &whole);
    if (p == first || (*first == '0' && (*p == 'x' || *p == 'X'))) return read_slowly(text, value);
    const char *point = p;
    if (*p == '.') p = skip_digits(p + 1, &whole);
    if (p - first > EXACT_DIGITS || *p == 'e' || *p == 'E') return read_slowly(text, value);
    double v = (double)whole;
    if (p - point > 1) v /= (double)powers[p - point - 1];
    *value = *text == '-' ? -v : v;
    return p;
}
