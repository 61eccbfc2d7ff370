/* The table holds, for each hash of three bytes, the last position at which bytes with this hash begin. */
#include "rdb/squeeze.h"
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SHORT 256 /* bytes of a string for which the small table is used */
#define SMALL_BITS 8
#define LARGE_BITS 12
#define MATCH_MIN 3
#define MATCH_MAX 264
#define FAR 8192      /* bytes back that a copy reaches at most */
#define RUN_MAX 32    /* literal bytes behind one head */
#define FIRST_LONG 9u /* bytes: longer copies have a byte for their length */

struct output {
    uint8_t *at, *end;
};

static uint32_t load3(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline unsigned hash3(uint32_t three, unsigned bits) {
    return (three * 0x9e3779b1u) >> (32 - bits);
}

static bool put_literals(struct output *out, const uint8_t *p, size_t n) {
    while (n > 0) {
        size_t run = n < RUN_MAX ? n : RUN_MAX;
        if ((size_t)(out->end - out->at) < run + 1) return false;
        *out->at++ = (uint8_t)(run - 1);
        memcpy(out->at, p, run);
        out->at += run;
        p += run;
        n -= run;
    }
    return true;
}

static bool put_copy(struct output *out, size_t back, size_t n) {
    if (out->end - out->at < 3) return false;
    size_t offset = back - 1;
    if (n < FIRST_LONG) {
        *out->at++ = (uint8_t)((n - 2) << 5 | offset >> 8);
    } else {
        *out->at++ = (uint8_t)(7 << 5 | offset >> 8);
        *out->at++ = (uint8_t)(n - FIRST_LONG);
    }
    *out->at++ = (uint8_t)offset;
    return true;
}

static size_t match_length(const uint8_t *a, const uint8_t *b, size_t max) {
    size_t n = MATCH_MIN;
    if (max > MATCH_MAX) max = MATCH_MAX;
    while (n < max && a[n] == b[n])
        n++;
    return n;
}

static inline __attribute__((always_inline)) size_t squeeze_with(const uint8_t *in, size_t n, struct output *out,
                                                                 uint16_t *seen, unsigned bits) {
    const uint8_t *begin = out->at;
    size_t literals = 0, i = 0; /* the first byte that is not written yet; the present position */
    while (i + MATCH_MIN <= n) {
        uint32_t three = load3(in + i);
        uint16_t *slot = &seen[hash3(three, bits)];
        size_t from = *slot; /* counted from 1 */
        *slot = (uint16_t)(i + 1);
        if (from == 0 || i - (from - 1) > FAR || load3(in + from - 1) != three) {
            i++;
            continue;
        }
        size_t len = match_length(in + from - 1, in + i, n - i);
        if (!put_literals(out, in + literals, i - literals) || !put_copy(out, i - (from - 1), len)) return 0;
        i += len;
        literals = i;
        if (i + 1 < n) seen[hash3(load3(in + i - 1), bits)] = (uint16_t)i;
    }
    return put_literals(out, in + literals, n - literals) ? (size_t)(out->at - begin) : 0;
}

size_t squeeze(const void *bytes, size_t n, void *to, size_t room) {
    assert(n <= SQUEEZE_MAX);
    struct output out = {to, (uint8_t *)to + room};
    if (n <= SHORT) {
        uint16_t seen[1 << SMALL_BITS] = {0};
        return squeeze_with(bytes, n, &out, seen, SMALL_BITS);
    }
    uint16_t seen[1 << LARGE_BITS] = {0};
    return squeeze_with(bytes, n, &out, seen, LARGE_BITS);
}
