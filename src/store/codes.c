/* See codes.h. */
#include "store/codes.h"
#include <math.h>

#define COUNTER_NEW (CODES_NEW >> 3)
#define FADE (0.03f / 256) /* doublings a tick */

static float hits_of[CODES_MAX + 2], log_of[CODES_MAX + 1];
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
        log_of[code] = log2f(hits_of[code]);
        long class = lroundf(2 * log_of[code]);
        class_of[code] = (uint8_t)(class < 0 ? 0 : class < CODES_CLASSES ? class : CODES_CLASSES - 1);
    }
}

unsigned codes_class(unsigned code) {
    return class_of[code];
}

float codes_left(unsigned code, uint32_t ticks) {
    return log_of[code] - FADE * (float)ticks;
}

/* The code for some hits, of at most `limit`. */
static unsigned code_below(float hits, unsigned limit, double luck) {
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

unsigned codes_fade(unsigned code, uint32_t ticks, double luck) {
    return code_below(exp2f(codes_left(code, ticks)), code, luck);
}

unsigned codes_for(float hits, double luck) {
    return code_below(hits, CODES_MAX, luck);
}

unsigned codes_hit(unsigned code, double luck) {
    if (code < CODES_NEW) return code + CODES_OF(1);
    float hits = 1, step = 1;
    while (code < CODES_MAX && (step = hits_of[code + 1] - hits_of[code]) <= hits) {
        hits -= step;
        code++;
    }
    return code < CODES_MAX && luck * (double)step < (double)hits ? code + 1 : code;
}
