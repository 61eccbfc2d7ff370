/* HyperLogLog: estimates the number of different elements, with a standard error of 0.81 %, in at most 12 KB.
 *
 * A HyperLogLog is a string in the format of Redis, so that dumps, replicas and clients that GET it see the same bytes:
 *
 *     "HYLL"  encoding (1)  zeros (3)  cached cardinality (8, little endian; top bit set: stale)  registers
 *
 * There are 2^14 registers. The low 14 bits of an element's hash choose one. The register keeps the maximum of one plus
 * the number of zeros at the low end of the other 50 bits. The dense encoding has 6 bits a register, from the low bits
 * of a byte on. The sparse encoding consists of runs:
 *
 *     00nnnnnn            n + 1 registers are 0
 *     01nnnnnn nnnnnnnn   the same, for up to 16384 registers
 *     1vvvvvnn            n + 1 registers are v + 1
 *
 * A sparse string is valid if and only if (1) each run is complete and (2) the registers of all runs add up to 16384.
 * It becomes dense when a value exceeds 32 or the string would exceed hll-sparse-max-bytes. The estimator is Ertl's,
 * https://arxiv.org/abs/1702.01284. Since a client can SET any bytes, each function that reads runs refuses an invalid
 * string, or reads no further than the register that it wants. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define HLL_REGISTERS 16384
#define HLL_HEADER 16                                         /* bytes */
#define HLL_DENSE_BYTES (HLL_HEADER + HLL_REGISTERS * 6 / 8)  /* exactly */
#define HLL_SPARSE_BYTES_MAX (HLL_HEADER + HLL_REGISTERS * 2) /* a longer string has too many registers */

enum hll_encoding { HLL_DENSE, HLL_SPARSE };
enum hll_outcome { HLL_SAME, HLL_CHANGED, HLL_CORRUPT };

/* A working copy. A sparse one grows and shrinks, and may become dense. */
struct hll {
    size_t len;
    uint8_t bytes[HLL_SPARSE_BYTES_MAX];
};

/* True if the header is valid, and the length of a dense one. All functions below require it. */
bool hll_is_one(struct slice bytes);
enum hll_encoding hll_encoding(struct slice bytes);

void hll_create(struct hll *h);                   /* empty, sparse, the cached cardinality 0 */
bool hll_load(struct hll *h, struct slice bytes); /* false: corrupt, as it is too long */
bool hll_make_dense(struct hll *h);               /* false: corrupt, and unchanged */
/* O(length) for a sparse one, O(1) for a dense one. HLL_CORRUPT: it is unchanged. */
enum hll_outcome hll_add(struct hll *h, struct slice element);
/* Add to a dense one in place: `bytes` are HLL_DENSE_BYTES. True: a register changed. O(1). */
bool hll_add_dense(char *bytes, struct slice element);

/* Raise registers (one byte each) to those of a string. False: corrupt, and some may have been raised. */
bool hll_merge(uint8_t registers[HLL_REGISTERS], struct slice bytes);
/* Raise h to these registers, into which its own were merged before. It stays sparse if it fits. */
void hll_write(struct hll *h, const uint8_t registers[HLL_REGISTERS]);

bool hll_estimate(struct slice bytes, uint64_t *cardinality); /* false: corrupt; about 10 us for a dense one */
uint64_t hll_estimate_registers(const uint8_t registers[HLL_REGISTERS]);

/* The cached cardinality. False: it is stale. */
bool hll_cached(struct slice bytes, uint64_t *cardinality);
void hll_cache(char *bytes, uint64_t cardinality);
void hll_make_stale(char *bytes);

/* A run of the sparse encoding. */
struct hll_run {
    unsigned registers, value; /* value 0: a run of zeros */
    unsigned bytes;            /* its own: 1 or 2 */
};
/* Read the run at *at and advance *at. False: the end, or the run is incomplete. */
bool hll_next(struct slice bytes, size_t *at, struct hll_run *run);
