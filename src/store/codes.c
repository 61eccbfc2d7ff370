/* See codes.h. */
#include "store/codes.h"
#include <math.h>

#define COUNTER_NEW (CODES_NEW >> 3)

static float hits_of[CODES_MAX + 2];
static uint8_t class_of[CODES_MAX + 1];
static int made_for = -1; /* the factor */

/* Hits that lead to a counter. */
static double hits_to(int counter, int factor) {
    double steps = counter - (int)COUNTER_NEW;
    return steps < 0 ? exp2(steps) : 1 + steps + (double)factor * steps * (steps - 1) / 2;
}

void codes_make(int factor) {
    if (factor == made_for) return;
    made_for = factor;
    for (unsigned code = 0; code <= CODES_MAX + 1; code++) {
        double low = hits_to((int)(code >> 3), factor), high = hits_to((int)(code >> 3) + 1, factor);
        hits_of[code] = (float)(low * pow(high / low, (code & 7) / 8.0));
    }
    for (unsigned code = 0; code <= CODES_MAX; code++) {
        long class = lround(2 * log2(hits_of[code]));
        class_of[code] = (uint8_t)(class < 0 ? 0 : class < CODES_CLASSES ? class : CODES_CLASSES - 1);
    }
}

float codes_hits(unsigned code) {
    return hits_of[code];
}

unsigned codes_class(unsigned code) {
    return class_of[code];
}

unsigned codes_add(unsigned code, float hits, double luck) {
    if (code < CODES_NEW) return code + CODES_OF(1);
    float step_hits = 1;
    while (code < CODES_MAX && (step_hits = hits_of[code + 1] - hits_of[code]) <= hits) {
        hits -= step_hits;
        code++;
    }
    return code < CODES_MAX && luck * (double)step_hits < (double)hits ? code + 1 : code;
}

unsigned codes_below(float hits, unsigned limit, double luck) {
    unsigned low = 0, high = limit;
    while (low < high) { /* hits_of[low] <= hits, unless low is 0 */
        unsigned middle = (low + high + 1) / 2;
        if (hits_of[middle] <= hits) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if (low == limit) return low;
    return low + (luck * (double)(hits_of[low + 1] - hits_of[low]) < (double)(hits - hits_of[low]));
}
