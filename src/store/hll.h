/* HyperLogLog: how many different elements were seen, within 0.81 %, in at most 12 KB. No client, no database.
 *
 * It is a string of Redis's format, so that a dump, a replica and a client that GETs it see the same bytes:
 *
 *     "HYLL"  encoding (1)  zeros (3)  cached cardinality (8, little endian; its top bit: stale)  registers
 *
 * There are 2^14 registers. The low 14 bits of an element's hash choose one, which keeps the longest run of zeros, plus
 * one, that the other 50 bits began with. Dense: 6 bits each, the low bits of a byte first. Sparse: runs,
 *
 *     00nnnnnn            n + 1 registers are 0
 *     01nnnnnn nnnnnnnn   the same, for up to 16384
 *     1vvvvvnn            n + 1 registers are v + 1
 *
 * until a value does not fit or the string would be longer than hll-sparse-max-bytes. The estimator is Ertl's,
 * https://arxiv.org/abs/1702.01284. A client can SET any bytes: each function that reads runs refuses what does not
 * add up to 16384 registers, or stops at the register that it wants. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define HLL_REGISTERS 16384
#define HLL_HEADER 16                                         /* bytes */
#define HLL_DENSE_BYTES (HLL_HEADER + HLL_REGISTERS * 6 / 8)  /* exactly */
#define HLL_SPARSE_BYTES_MAX (HLL_HEADER + HLL_REGISTERS * 2) /* what is longer has too many registers */

enum hll_encoding { HLL_DENSE, HLL_SPARSE };
enum hll_outcome { HLL_SAME, HLL_CHANGED, HLL_CORRUPT };

/* A copy to work on: sparse, it grows and shrinks, and may become dense. */
struct hll {
    size_t len;
    uint8_t bytes[HLL_SPARSE_BYTES_MAX];
};

/* Is the header right, and the length where it is dense? Everything below asks for that. */
bool hll_is_one(struct slice bytes);
enum hll_encoding hll_encoding(struct slice bytes);

void hll_create(struct hll *h);                   /* empty, sparse, the cached cardinality 0 */
bool hll_load(struct hll *h, struct slice bytes); /* false: corrupt, in that it is too long */
bool hll_make_dense(struct hll *h);               /* false: corrupt, and unchanged */
/* O(length) while it is sparse, else O(1). HLL_CORRUPT leaves it unchanged. */
enum hll_outcome hll_add(struct hll *h, struct slice element);
/* The same in place: `bytes` are HLL_DENSE_BYTES of a dense one. */
bool hll_add_dense(char *bytes, struct slice element);

/* Raise registers, a byte each, to those of a string. False: corrupt; some are raised then. */
bool hll_merge(uint8_t registers[HLL_REGISTERS], struct slice bytes);
/* Raise h, whose own were merged before, to registers. It stays sparse if it can. */
void hll_write(struct hll *h, const uint8_t registers[HLL_REGISTERS]);

bool hll_estimate(struct slice bytes, uint64_t *cardinality); /* false: corrupt. About 10 us when dense */
uint64_t hll_estimate_registers(const uint8_t registers[HLL_REGISTERS]);

/* The cached cardinality. False: there is none. */
bool hll_cached(struct slice bytes, uint64_t *cardinality);
void hll_cache(char *bytes, uint64_t cardinality);
void hll_make_stale(char *bytes);

/* A run of a sparse one. */
struct hll_run {
    unsigned registers, value; /* value 0: zeros */
    unsigned bytes;            /* that it takes: 1 or 2 */
};
/* The run at *at, which moves behind it. False: the end, or no complete run. */
bool hll_next(struct slice bytes, size_t *at, struct hll_run *run);
