/* Sparse strings must equal those of Redis byte by byte, since replicas and tests compare them. Two rules ensure this:
 * how a run is split (up to 64 zeros take the short form), and which neighbours are joined afterwards (runs of the same
 * value, within five steps from the run before the change). All else is free, and works on words of 8 registers. */
#include "store/hll.h"
#include "base/module.h"
#include "base/option.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define HASH_SEED 0xadc83b19u
#define INDEX_BITS 14
#define RUN_BITS (64 - INDEX_BITS) /* bits of the hash in which zeros are counted; a register is at most one more */

#define LONG_ZEROS 0x40
#define VALUE 0x80
#define SHORT_ZEROS_MAX 64
#define VALUE_MAX 32 /* of a register in a sparse run */
#define VALUE_RUN_MAX 4
#define JOIN_STEPS 5

static int64_t sparse_max_bytes = 3000;

static const struct option hll_rows[] = {
    {"hll-sparse-max-bytes", .type = OPTION_MEMORY, .address = &sparse_max_bytes, .initial = "3000"},
    {NULL},
};

/* --- Elements -------------------------------------------------------------------------------- */

/* MurmurHash64A by Austin Appleby. Like this whole file it assumes a little-endian processor. */
static uint64_t hash_element(struct slice s) {
    const uint64_t m = 0xc6a4a7935bd1e995;
    uint64_t h = HASH_SEED ^ s.len * m;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.ptr + i, 8);
        word *= m;
        word = (word ^ word >> 47) * m;
        h = (h ^ word) * m;
    }
    if (i < s.len) {
        uint64_t rest = 0;
        memcpy(&rest, s.ptr + i, s.len - i);
        h = (h ^ rest) * m;
    }
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

static unsigned register_of(uint64_t hash) {
    return hash & (HLL_REGISTERS - 1);
}

static unsigned value_of(uint64_t hash) {
    return (unsigned)__builtin_ctzll(hash >> INDEX_BITS | (uint64_t)1 << RUN_BITS) + 1;
}

/* --- The header ------------------------------------------------------------------------------ */

enum { AT_ENCODING = 4, AT_CACHE = 8 };

bool hll_is_one(struct slice s) {
    if (s.len < HLL_HEADER || memcmp(s.ptr, "HYLL", 4) != 0) return false;
    unsigned encoding = (uint8_t)s.ptr[AT_ENCODING];
    return encoding == HLL_SPARSE || (encoding == HLL_DENSE && s.len == HLL_DENSE_BYTES);
}

enum hll_encoding hll_encoding(struct slice s) {
    return s.ptr[AT_ENCODING] == HLL_SPARSE ? HLL_SPARSE : HLL_DENSE;
}

bool hll_cached(struct slice s, uint64_t *cardinality) {
    memcpy(cardinality, s.ptr + AT_CACHE, sizeof *cardinality);
    return !(*cardinality >> 63);
}

void hll_cache(char *bytes, uint64_t cardinality) {
    memcpy(bytes + AT_CACHE, &cardinality, sizeof cardinality);
}

void hll_make_stale(char *bytes) {
    bytes[AT_CACHE + 7] = (char)((uint8_t)bytes[AT_CACHE + 7] | 0x80);
}

/* --- Dense ----------------------------------------------------------------------------------- */

#define BLOCK 8       /* registers */
#define BLOCK_BYTES 6 /* of these registers */

/* Spread a block to a word of 8 bytes, the first register in the lowest byte: halves move apart, then their halves. */
static uint64_t unpack_block(const uint8_t *p) {
    uint64_t x = 0;
    memcpy(&x, p, BLOCK_BYTES);
    x = (x & 0x000000ffffff) | (x & 0xffffff000000) << 8;
    x = (x & 0x00000fff00000fff) | (x & 0x00fff00000fff000) << 4;
    return (x & 0x003f003f003f003f) | (x & 0x0fc00fc00fc00fc0) << 2;
}

static void pack_block(uint8_t *p, uint64_t x) {
    x = (x & 0x003f003f003f003f) | (x & 0x3f003f003f003f00) >> 2;
    x = (x & 0x00000fff00000fff) | (x & 0x0fff00000fff0000) >> 4;
    x = (x & 0x000000ffffff) | (x & 0x00ffffff00000000) >> 8;
    memcpy(p, &x, BLOCK_BYTES);
}

static void pack_registers(uint8_t *dense, const uint8_t *registers) {
    for (size_t i = 0; i < HLL_REGISTERS / BLOCK; i++) {
        uint64_t x;
        memcpy(&x, registers + i * BLOCK, BLOCK);
        pack_block(dense + i * BLOCK_BYTES, x);
    }
}

/* Raise one register. False: it was as high already. The second byte is touched only if the register extends into it,
 * because the last register has no byte behind it. */
static bool raise_register(uint8_t *dense, unsigned index, unsigned value) {
    unsigned bit = index * 6, shift = bit % 8;
    uint8_t *p = dense + bit / 8;
    bool two = shift > 2;
    unsigned word = two ? p[0] | (unsigned)p[1] << 8 : p[0];
    if ((word >> shift & 63) >= value) return false;
    word = (word & ~(63u << shift)) | value << shift;
    p[0] = (uint8_t)word;
    if (two) p[1] = (uint8_t)(word >> 8);
    return true;
}

bool hll_add_dense(char *bytes, struct slice element) {
    uint64_t h = hash_element(element);
    return raise_register((uint8_t *)bytes + HLL_HEADER, register_of(h), value_of(h));
}

/* --- Runs ------------------------------------------------------------------------------------ */

/* False: the second byte is missing. */
static inline bool read_run(const uint8_t *p, size_t left, struct hll_run *run) {
    unsigned first = p[0];
    if (first & VALUE) {
        *run = (struct hll_run){(first & 3) + 1, (first >> 2 & 31) + 1, 1};
    } else if (first & LONG_ZEROS) {
        if (left < 2) return false;
        *run = (struct hll_run){((first & 63) << 8 | p[1]) + 1, 0, 2};
    } else {
        *run = (struct hll_run){first + 1, 0, 1};
    }
    return true;
}

bool hll_next(struct slice s, size_t *at, struct hll_run *run) {
    if (*at >= s.len || !read_run((const uint8_t *)s.ptr + *at, s.len - *at, run)) return false;
    *at += run->bytes;
    return true;
}

/* Step to the next run in a walk over all registers; *index is its first register. False: the end, or corrupt. */
static bool next_within(struct slice s, size_t *at, unsigned *index, struct hll_run *run) {
    size_t here = *at;
    *index += run->registers;
    if (!hll_next(s, &here, run) || run->registers > HLL_REGISTERS - *index) return false;
    *at = here;
    return true;
}

/* True if the walk ended at the end of a valid string. */
static bool is_complete(struct slice s, size_t at, unsigned index) {
    return at == s.len && index == HLL_REGISTERS;
}

static size_t put_zeros(uint8_t *to, unsigned registers) {
    if (registers == 0) return 0;
    if (registers <= SHORT_ZEROS_MAX) {
        to[0] = (uint8_t)(registers - 1);
        return 1;
    }
    to[0] = (uint8_t)(LONG_ZEROS | (registers - 1) >> 8);
    to[1] = (uint8_t)(registers - 1);
    return 2;
}

static size_t put_value(uint8_t *to, unsigned registers, unsigned value) {
    if (registers == 0) return 0;
    to[0] = (uint8_t)(VALUE | (value - 1) << 2 | (registers - 1));
    return 1;
}

static size_t put_run(uint8_t *to, unsigned registers, unsigned value) {
    return value ? put_value(to, registers, value) : put_zeros(to, registers);
}

/* --- Changing runs --------------------------------------------------------------------------- */

/* A place in a sparse string: the offset of a run, and its first register. */
struct place {
    size_t at;
    unsigned first;
};

/* Search, from a known place, the run of a register (*here) and the run before it (*before; the same if there is
 * none). */
static bool find_run(const struct hll *h, unsigned index, struct place from, struct place *here, struct place *before,
                     struct hll_run *run) {
    *here = *before = from;
    while (here->at < h->len && read_run(h->bytes + here->at, h->len - here->at, run)) {
        if (index < here->first + run->registers) return true;
        *before = *here;
        here->at += run->bytes;
        here->first += run->registers;
    }
    return false;
}

static void join_neighbours(struct hll *h, size_t at) {
    uint8_t *p = h->bytes;
    for (int i = 0; i < JOIN_STEPS && at < h->len; i++) {
        unsigned one = p[at], two = at + 1 < h->len ? p[at + 1] : 0;
        unsigned registers = (one & 3) + (two & 3) + 2;
        if (!(one & VALUE)) {
            at += one & LONG_ZEROS ? 2 : 1;
        } else if ((one ^ two) & ~3u || registers > VALUE_RUN_MAX) {
            at++;
        } else {
            put_value(p + at, registers, (one >> 2 & 31) + 1);
            memmove(p + at + 1, p + at + 2, h->len - at - 2);
            h->len--;
        }
    }
}

static const struct place start = {HLL_HEADER, 0};

static enum hll_outcome promote_to_dense(struct hll *h, unsigned index, unsigned value) {
    if (!hll_make_dense(h)) return HLL_CORRUPT;
    raise_register(h->bytes + HLL_HEADER, index, value);
    return HLL_CHANGED;
}

/* Raise a register of a sparse string. The search begins at *hint: `start`, or the hint left by a call for a smaller
 * index. *hint becomes the run before the change, which does not move. */
static enum hll_outcome raise_sparse(struct hll *h, unsigned index, unsigned value, struct place *hint) {
    struct place here, before;
    struct hll_run run;
    if (value > VALUE_MAX) return promote_to_dense(h, index, value);
    if (!find_run(h, index, *hint, &here, &before, &run)) return HLL_CORRUPT;
    if (run.value >= value) return HLL_SAME;
    /* The register lies in the hint's own run: its predecessor, where joining begins, is unknown. Search from the
     * start. */
    if (here.at == hint->at) find_run(h, index, start, &here, &before, &run);

    uint8_t new[5];
    size_t n = put_run(new, index - here.first, run.value);
    n += put_value(new + n, 1, value);
    n += put_run(new + n, here.first + run.registers - 1 - index, run.value);
    size_t len = h->len - run.bytes + n;
    if (len > h->len && (len > (uint64_t)sparse_max_bytes || len > sizeof h->bytes))
        return promote_to_dense(h, index, value);
    size_t behind = here.at + run.bytes;
    memmove(h->bytes + here.at + n, h->bytes + behind, h->len - behind);
    memcpy(h->bytes + here.at, new, n);
    h->len = len;
    join_neighbours(h, before.at);
    *hint = before;
    return HLL_CHANGED;
}

/* --- Whole strings --------------------------------------------------------------------------- */

static struct slice slice_of_hll(const struct hll *h) {
    return slice_of((const char *)h->bytes, h->len);
}

void hll_create(struct hll *h) {
    memset(h->bytes, 0, HLL_HEADER);
    memcpy(h->bytes, "HYLL", 4);
    h->bytes[AT_ENCODING] = HLL_SPARSE;
    h->len = HLL_HEADER + put_zeros(h->bytes + HLL_HEADER, HLL_REGISTERS);
}

bool hll_load(struct hll *h, struct slice s) {
    if (s.len > sizeof h->bytes) return false;
    memcpy(h->bytes, s.ptr, s.len);
    h->len = s.len;
    return true;
}

bool hll_make_dense(struct hll *h) {
    if (hll_encoding(slice_of_hll(h)) == HLL_DENSE) return true;
    uint8_t registers[HLL_REGISTERS] = {0};
    if (!hll_merge(registers, slice_of_hll(h))) return false;
    h->bytes[AT_ENCODING] = HLL_DENSE;
    h->len = HLL_DENSE_BYTES;
    pack_registers(h->bytes + HLL_HEADER, registers);
    return true;
}

enum hll_outcome hll_add(struct hll *h, struct slice element) {
    if (hll_encoding(slice_of_hll(h)) == HLL_DENSE) {
        return hll_add_dense((char *)h->bytes, element) ? HLL_CHANGED : HLL_SAME;
    }
    uint64_t bits = hash_element(element);
    struct place from = start;
    return raise_sparse(h, register_of(bits), value_of(bits), &from);
}

/* The maximum of each of 8 byte pairs, all below 128: the top bit of each byte of the difference tells which is
 * larger. */
static inline uint64_t larger_bytes(uint64_t a, uint64_t b) {
    uint64_t a_wins = (((a | 0x8080808080808080) - b) & 0x8080808080808080) >> 7;
    uint64_t mask = a_wins * 255;
    return (a & mask) | (b & ~mask);
}

static void merge_dense(uint8_t *registers, const uint8_t *dense) {
    for (size_t i = 0; i < HLL_REGISTERS / BLOCK; i++) {
        uint64_t x;
        memcpy(&x, registers + i * BLOCK, BLOCK);
        x = larger_bytes(x, unpack_block(dense + i * BLOCK_BYTES));
        memcpy(registers + i * BLOCK, &x, BLOCK);
    }
}

bool hll_merge(uint8_t registers[HLL_REGISTERS], struct slice s) {
    if (hll_encoding(s) == HLL_DENSE) {
        merge_dense(registers, (const uint8_t *)s.ptr + HLL_HEADER);
        return true;
    }
    struct hll_run run = {0, 0, 0};
    size_t at = HLL_HEADER;
    unsigned index = 0;
    while (next_within(s, &at, &index, &run)) {
        for (unsigned i = 0; run.value && i < run.registers; i++)
            if (registers[index + i] < run.value) registers[index + i] = (uint8_t)run.value;
    }
    return is_complete(s, at, index);
}

void hll_write(struct hll *h, const uint8_t registers[HLL_REGISTERS]) {
    struct place hint = start;
    for (unsigned i = 0; i < HLL_REGISTERS && hll_encoding(slice_of_hll(h)) == HLL_SPARSE; i++)
        if (registers[i]) raise_sparse(h, i, registers[i], &hint);
    if (hll_encoding(slice_of_hll(h)) == HLL_DENSE) pack_registers(h->bytes + HLL_HEADER, registers);
}

/* --- The estimate ---------------------------------------------------------------------------- */

/* The number of registers with each value. Each value has four counters, so that equal neighbours do not wait for each
 * other. */
struct histogram {
    uint32_t count[4][64];
};

static void count_block(struct histogram *h, uint64_t block) {
    for (unsigned i = 0; i < BLOCK; i++)
        h->count[i % 4][block >> 8 * i & 63]++;
}

static double sigma(double x) {
    if (x == 1) return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static uint64_t estimate_histogram(const struct histogram *h) {
    const double m = HLL_REGISTERS, alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    double with[64];
    for (int i = 0; i < 64; i++)
        with[i] = (double)(h->count[0][i] + h->count[1][i] + h->count[2][i] + h->count[3][i]);
    double z = m * tau((m - with[RUN_BITS + 1]) / m);
    for (int i = RUN_BITS; i >= 1; i--)
        z = (z + with[i]) * 0.5;
    z += m * sigma(with[0] / m);
    double cardinality = alpha * m * m / z;
    /* Only a forged string gives such an estimate. Redis converts it on x86, which gives the smallest integer. */
    if (!(cardinality < 0x1p63)) return (uint64_t)1 << 63;
    return (uint64_t)llround(cardinality);
}

static bool estimate_sparse(struct slice s, uint64_t *cardinality) {
    struct histogram h = {0};
    struct hll_run run = {0, 0, 0};
    size_t at = HLL_HEADER;
    unsigned index = 0;
    while (next_within(s, &at, &index, &run))
        h.count[0][run.value] += run.registers;
    if (!is_complete(s, at, index)) return false;
    *cardinality = estimate_histogram(&h);
    return true;
}

bool hll_estimate(struct slice s, uint64_t *cardinality) {
    if (hll_encoding(s) == HLL_SPARSE) return estimate_sparse(s, cardinality);
    struct histogram h = {0};
    for (size_t i = 0; i < HLL_REGISTERS / BLOCK; i++)
        count_block(&h, unpack_block((const uint8_t *)s.ptr + HLL_HEADER + i * BLOCK_BYTES));
    *cardinality = estimate_histogram(&h);
    return true;
}

uint64_t hll_estimate_registers(const uint8_t registers[HLL_REGISTERS]) {
    struct histogram h = {0};
    for (size_t i = 0; i < HLL_REGISTERS; i += BLOCK) {
        uint64_t block;
        memcpy(&block, registers + i, BLOCK);
        count_block(&h, block);
    }
    return estimate_histogram(&h);
}

const struct module hll_module = {.options = hll_rows};
