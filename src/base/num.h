/* Numbers and text. Integers are read strictly, as Redis defines them: exactly what num_print_*() writes (no blanks, no
 * '+', no leading zero, no overflow).
 *
 * num_parse_*() return false for all other text, and *out is then unspecified; only the integer readers promise to
 * leave it alone. num_print_*() return the length and write no terminator. O(digits). */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define NUM_I64_MAX 21  /* bytes that num_print_i64 can write ("-9223372036854775808") and one spare */
#define NUM_F64_MAX 320 /* bytes that num_print_f64 can write (it needs 25) */
#define NUM_LD_MAX 5120 /* bytes that num_print_ld can write: 1e4932 has that many digits */

/* A strict decimal integer. False leaves *out alone. */
bool num_parse_i64(struct slice s, int64_t *out);
bool num_parse_u64(struct slice s, uint64_t *out);
/* A double, as strtod() reads it, with "inf", "+inf", "-inf" and hexadecimal. Refused are blanks in front or behind,
 * trailing text, NaN, overflow and the empty string. */
bool num_parse_f64(struct slice s, double *out);
/* The same for long double; text of NUM_LD_MAX bytes or more is refused. */
bool num_parse_ld(struct slice s, long double *out);
/* "100mb" and the like: b, k, kb, m, mb, g, gb without regard to case; k = 1000, kb = 1024. More than 64 bits hold
 * are UINT64_MAX. */
bool num_parse_memory(struct slice s, uint64_t *bytes);

int num_print_i64(char *to, int64_t value);
int num_print_u64(char *to, uint64_t value);
/* The shortest text that reads back as the same double, "%.17g" in form; inf, -inf, nan as Redis prints them. */
int num_print_f64(char *to, double value);
/* 17 fractional digits without trailing zeros, never an exponent: INCRBYFLOAT's form. `to` has NUM_LD_MAX bytes. */
int num_print_ld(char *to, long double value);
/* value / 10^decimals with all its decimals (at most 19): 1205 with 2 is "12.05". */
int num_print_fixed(char *to, uint64_t value, int decimals);
int num_print_memory(char *to, uint64_t bytes); /* "1.50M", as in the *_human fields of INFO */
int num_digits_u64(uint64_t value);

/* The value of a hex digit, in either case; -1: it is none. */
static inline int num_hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Checked arithmetic: false on overflow, and *out is unspecified then. */
static inline bool num_add_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool num_mul_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
