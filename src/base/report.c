/* Each function reserves room for its whole line once, and writes behind the end of the buffer. */
#include "base/report.h"
#include "base/likely.h"
#include "base/num.h"

#define NUMBER_MAX (2 * NUM_I64_MAX) /* bytes of a number: digits, a point, zeros behind it */

/* "name:", with room behind it for a value of `room` bytes and the line end. Returns where the value goes. */
static inline char *begin_line(struct buf *out, const char *name, size_t room) {
    size_t len = strlen(name);
    char *to = buf_reserve(out, len + 1 + room + 2);
    memcpy(to, name, len);
    to[len] = ':';
    return to + len + 1;
}

/* Copy the end of the value and end the line. */
static inline void end_line(struct buf *out, char *to, const char *rest, size_t len) {
    memcpy(to, rest, len);
    memcpy(to + len, "\r\n", 2);
    out->len = (size_t)(to + len + 2 - out->data);
}

void report_int(struct buf *out, const char *name, int64_t value) {
    char *to = begin_line(out, name, NUMBER_MAX);
    end_line(out, to + num_print_i64(to, value), "", 0);
}

void report_text(struct buf *out, const char *name, const char *value) {
    size_t len = strlen(value);
    char *to = begin_line(out, name, len);
    end_line(out, to, value, len);
    for (size_t i = 0; i < len; i++)
        if (unlikely(to[i] == '\r' || to[i] == '\n')) to[i] = '_';
}

void report_fixed(struct buf *out, const char *name, uint64_t value, int decimals, const char *unit) {
    size_t len = strlen(unit);
    char *to = begin_line(out, name, NUMBER_MAX + len);
    end_line(out, to + num_print_fixed(to, value, decimals), unit, len);
}

void report_ratio(struct buf *out, const char *name, double part, double whole, const char *unit) {
    report_fixed(out, name, whole > 0 ? (uint64_t)(part / whole * 100 + 0.5) : 0, 2, unit);
}
