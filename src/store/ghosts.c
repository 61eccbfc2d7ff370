/* See ghosts.h. A bucket of four cells is one word, the newest cell lowest. So a cell is put in by a shift, which drops
 * the oldest of the four. */
#include "store/ghosts.h"
#include "base/alloc.h"

#define KEYS_A_BUCKET 8
#define CELL_BITS 16
#define FINGERPRINT 0x0fffu
#define GRADE_SHIFT 12

static uint64_t *buckets;
static size_t n_buckets;

void ghosts_resize(size_t keys) {
    size_t wanted = keys ? keys / KEYS_A_BUCKET + 1 : 0, slack = wanted / 4;
    if (wanted + slack >= n_buckets && n_buckets + slack >= wanted && (wanted == 0) == (n_buckets == 0)) return;
    alloc_put(buckets, n_buckets * sizeof *buckets);
    buckets = wanted ? alloc_zero(wanted * sizeof *buckets) : NULL;
    n_buckets = wanted;
}

size_t ghosts_memory(void) {
    return n_buckets * sizeof *buckets;
}

static uint64_t *bucket_of(uint64_t hash) {
    return &buckets[(hash & UINT32_MAX) * n_buckets >> 32];
}

/* Never 0, which is an empty cell. */
static unsigned fingerprint_of(uint64_t hash) {
    unsigned bits = (unsigned)(hash >> 48) & FINGERPRINT;
    return bits ? bits : 1;
}

void ghosts_put(uint64_t hash, unsigned grade) {
    if (n_buckets == 0) return;
    uint64_t *bucket = bucket_of(hash);
    *bucket = *bucket << CELL_BITS | (grade << GRADE_SHIFT | fingerprint_of(hash));
}

int ghosts_take(uint64_t hash) {
    if (n_buckets == 0) return -1;
    uint64_t *bucket = bucket_of(hash);
    for (unsigned shift = 0; shift < 64; shift += CELL_BITS) {
        unsigned cell = (unsigned)(*bucket >> shift) & 0xffff;
        if ((cell & FINGERPRINT) != fingerprint_of(hash)) continue;
        uint64_t newer = *bucket & (((uint64_t)1 << shift) - 1), older = *bucket >> shift >> CELL_BITS << shift;
        *bucket = older | newer;
        return (int)(cell >> GRADE_SHIFT);
    }
    return -1;
}
