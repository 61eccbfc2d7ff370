/* Shadows: which of three ranks would serve best, tried out.
 *
 * Under LFU a key can be ranked by what was learned of its count and its age (rank.h), by its count alone, or by its
 * age alone. The first is better where popularity changes, by up to 50 points of the hit ratio; the second by 1 or 2
 * where it does not, since it has nothing to learn. So all are tried on a small scale: three caches of keys without
 * values answer a sample of the look-ups, each by its own rank, and the one that had more hits lately decides. A sample
 * by hash behaves as the whole does ("miniature simulation", USENIX ATC 2017, is the source).
 *
 * A shadow has at most 2048 cells of 8 bytes: 48 KB for all three. */
#pragma once
#include "store/codes.h"
#include "store/rank.h"
#include <stddef.h>
#include <stdint.h>

/* Make shadows of a cache of this many keys; 0 frees them. They begin anew if the keys change by a quarter. */
void shadows_resize(size_t keys);
void shadows_look_up(uint64_t hash); /* a key was asked for */
enum shadows_rank {
    SHADOWS_LEARNED, /* rank.h */
    SHADOWS_COUNT,   /* the hits that are left of the count */
    SHADOWS_AGE,     /* all are worth the same, so the oldest goes */
    SHADOWS_N,
};
extern enum shadows_rank shadows_best; /* the one with the most hits lately */

/* The worth of a key by a rank: at least 0. */
static inline float shadows_worth(enum shadows_rank rank, unsigned code, uint32_t age) {
    if (rank == SHADOWS_COUNT) return codes_left(code, age) + 64;
    return rank == SHADOWS_LEARNED ? rank_of(codes_class(code), age) : 1;
}
