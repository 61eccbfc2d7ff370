/* The id of an entry of a stream: Unix time in ms, and a number among those of that ms. 0-0 is no entry's id. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})
#define STREAM_ID_BYTES 16 /* of an id in its binary form: both halves, big endian */

/* Below, equal or above 0, as a is to b. */
static inline int stream_id_compare(struct stream_id a, struct stream_id b) {
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}
static inline bool stream_id_equal(struct stream_id a, struct stream_id b) {
    return a.ms == b.ms && a.seq == b.seq;
}
static inline bool stream_id_is_zero(struct stream_id id) {
    return (id.ms | id.seq) == 0;
}
/* Step to the next or the previous possible id. False, and no change: it is the greatest or 0-0. */
static inline bool stream_id_up(struct stream_id *id) {
    if (id->seq == UINT64_MAX && id->ms == UINT64_MAX) return false;
    if (++id->seq == 0) id->ms++;
    return true;
}
static inline bool stream_id_down(struct stream_id *id) {
    if (stream_id_is_zero(*id)) return false;
    if (id->seq-- == 0) id->ms--;
    return true;
}
/* Where an id between low and high probably is among n things that are sorted by ids: ids come at a steady pace. Below
 * n. low is less than high. */
static inline size_t stream_id_guess(struct stream_id low, struct stream_id high, struct stream_id id, size_t n) {
    double part = low.ms != high.ms ? (double)(id.ms - low.ms) / (double)(high.ms - low.ms)
                                    : (double)(id.seq - low.seq) / (double)(high.seq - low.seq);
    size_t at = (size_t)(part * (double)n);
    return at < n ? at : n - 1;
}

/* Row i of an array whose rows are `stride` bytes and begin with an id. */
static inline struct stream_id stream_id_of_row(const void *rows, size_t stride, size_t i) {
    return *(const struct stream_id *)((const char *)rows + i * stride);
}
/* The last of these rows, which are sorted and at least one, whose id is at most this; 0 if there is none. Two guesses
 * nearly always find it. O(log count). */
static inline size_t stream_id_search(const void *rows, size_t stride, size_t count, struct stream_id id) {
    size_t low = 0, high = count - 1; /* the row is at low or between the two */
    if (stream_id_compare(id, stream_id_of_row(rows, stride, high)) >= 0) return high;
    for (unsigned round = 0; high - low > 1; round++) {
        struct stream_id from = stream_id_of_row(rows, stride, low), to = stream_id_of_row(rows, stride, high);
        size_t at = round < 4 ? low + stream_id_guess(from, to, id, high - low) : (low + high) / 2;
        if (at == low) at++;
        if (stream_id_compare(stream_id_of_row(rows, stride, at), id) <= 0) {
            low = at;
            if (stream_id_compare(id, stream_id_of_row(rows, stride, at + 1)) < 0) break;
        } else {
            high = at;
        }
    }
    return low;
}
