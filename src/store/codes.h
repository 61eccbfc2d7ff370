/* Codes: a number of hits in eleven bits.
 *
 * The upper eight are the counter of Redis's LFU: a new key has 5, and a hit adds one with probability 1 / ((counter -
 * 5) * lfu-log-factor + 1). So each counter stands for the number of hits that it takes on average to get there, and
 * the lower three bits are eighths on the way to the next counter, in equal ratios: the steps are finer and mean the
 * same. Counters below 5 are what decay has left; they stand for halves, quarters ... of one hit. */
#pragma once
#include <stdint.h>

#define CODES_OF(counter) ((unsigned)(counter) << 3)
#define CODES_NEW CODES_OF(5) /* or a new key would be the first victim */
#define CODES_MAX CODES_OF(255)
#define CODES_CLASSES 16

void codes_make(int log_factor);     /* make the tables, if the factor has changed */
float codes_hits(unsigned code);     /* the hits that it stands for */
unsigned codes_class(unsigned code); /* twice the logarithm of that to base 2, within 0 and 15 */

/* The code after some hits more; and the one for some hits, of at most `limit`. Where hits are less than a step, `luck`
 * in [0, 1) decides. */
unsigned codes_add(unsigned code, float hits, double luck);
unsigned codes_below(float hits, unsigned limit, double luck);
