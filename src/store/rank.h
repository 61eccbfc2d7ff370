/* The learned rank: how many hits a key may be expected to give for the time that it will stay.
 *
 * Nothing is known of a key but how often it has been used and how long ago: its class and its age. So for each class
 * and each age it is counted how many keys were hit and how many evicted there. Take all keys that ever got as far as
 * this class and age: some were hit sooner, some later, the others were evicted in the end. The number of hits, divided
 * by the time that all of them together took up from here on until their hit or their end, is the rank. The key with
 * the lowest gives the least for its place. (LHD, "least hit density", NSDI 2018, is the source.)
 *
 * Where hits become rarer with age, the oldest key has the lowest rank: that is LRU. Where most new keys never return
 * (a scan), a new class sinks fast. In a loop that is larger than the cache old keys are just about to be hit, so a
 * part of the loop is kept. Nobody has to choose. */
#pragma once
#include <stdint.h>

#define RANK_CLASSES 16 /* 0: used once */
#define RANK_BUCKETS 72 /* of ages in ticks: four an octave */

void rank_reset(void); /* forget; until the next rank_learn() all ranks are equal */
void rank_hit(unsigned class, uint32_t age);
void rank_eviction(unsigned class, uint32_t age);
/* Make the ranks from what was counted, the last time counting most. O(classes * buckets): some microseconds. */
void rank_learn(void);
float rank_of(unsigned class, uint32_t age); /* at least 0 */
unsigned rank_bucket(uint32_t age);
float rank_width(unsigned bucket); /* ticks */
