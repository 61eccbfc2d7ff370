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
unsigned codes_class(unsigned code); /* twice the logarithm to base 2 of the hits, within 0 and 15 */
unsigned codes_for(unsigned log);    /* for so many doublings of one hit and a half, or for one hit if that is 0 */

/* The code after a hit. Where hits are less than a step, `luck`, any number, decides. */
unsigned codes_hit(unsigned code, uint32_t luck);
/* While look-ups make the ticks, a count loses 0.03 doublings a turnover. The code after so many ticks, and the
 * logarithm of the hits that are left then. */
unsigned codes_fade(unsigned code, uint32_t ticks, uint32_t luck);
float codes_left(unsigned code, uint32_t ticks);
