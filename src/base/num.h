/* Numbers and text, strictly: what parses is exactly what prints (no blanks, no '+', no leading
 * zero, no overflow), as Redis defines its integers. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define NUM_I64_MAX 21  /* bytes that num_print_i64 can write ("-9223372036854775808") and one spare */
#define NUM_F64_MAX 320 /* bytes that num_print_f64 can write (it needs 25) */
#define NUM_LD_MAX 5120 /* bytes that num_print_ld can write: 1e4932 has that many digits */

/* Strict decimal integer (Redis: string2ll). False leaves *out alone. */
bool num_parse_i64(struct slice s, int64_t *out);
bool num_parse_u64(struct slice s, uint64_t *out);
/* A double: blanks in front or behind, trailing text, NaN and the empty string are refused; "inf",
 * "+inf", "-inf" and hexadecimal pass, and so does what strtod takes otherwise. */
bool num_parse_f64(struct slice s, double *out);
/* The same for long double; text of NUM_LD_MAX bytes or more is refused. */
bool num_parse_ld(struct slice s, long double *out);
/* "100mb" and the like: b, k, kb, m, mb, g, gb without regard to case; k = 1000, kb = 1024. */
bool num_parse_memory(struct slice s, uint64_t *bytes);

int num_print_i64(char *to, int64_t value); /* returns the length; no terminator */
int num_print_u64(char *to, uint64_t value);
/* Shortest text that reads back as the same double, "%.17g" in form; inf, -inf, nan as Redis prints. */
int num_print_f64(char *to, double value);
/* 17 fractional digits, fixed, trailing zeros removed: INCRBYFLOAT's form. `to` has NUM_LD_MAX bytes. */
int num_print_ld(char *to, long double value);
int num_print_memory(char *to, uint64_t bytes); /* "1.50M", as INFO's *_human fields */
int num_digits_u64(uint64_t value);

/* Checked arithmetic: false on overflow, *out unspecified then. */
static inline bool num_add_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool num_mul_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
