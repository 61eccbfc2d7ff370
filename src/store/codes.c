/* See codes.h. A use of a key costs a table look-up: what a hit does to each code is worked out beforehand. */
#include "store/codes.h"
#include <math.h>
#include <stdbool.h>

#define COUNTER_NEW (CODES_NEW >> 3)
#define FADE (0.03f / 256) /* doublings a tick */
#define LUCK 0x1p32        /* as many numbers may be drawn */

static struct code {
    float log;       /* of the hits, to base 2 */
    uint32_t chance; /* of LUCK, that a hit leads to the code after `next` */
    uint16_t next;   /* a hit leads to it at least */
    uint8_t class;
} codes[CODES_MAX + 1];
static int made_for = -1; /* the factor */

/* Hits that lead to a counter. */
static double hits_to(int counter, int factor) {
    double steps = counter - (int)COUNTER_NEW;
    return steps < 0 ? exp2(steps) : 1 + steps + (double)factor * steps * (steps - 1) / 2;
}

static double hits_of(unsigned code, int factor) {
    double low = hits_to((int)(code >> 3), factor), high = hits_to((int)(code >> 3) + 1, factor);
    return low * pow(high / low, (code & 7) / 8.0);
}

/* One hit goes as many whole steps as it can, and the next one by chance. From below 5 it leads to the next counter. */
static void make_hit(unsigned from, int factor) {
    double hits = 1, step = 1;
    unsigned code = from;
    while (code < CODES_MAX && (step = hits_of(code + 1, factor) - hits_of(code, factor)) <= hits) {
        hits -= step;
        code++;
    }
    bool is_sure = code == CODES_MAX || from < CODES_NEW;
    codes[from].next = (uint16_t)(from < CODES_NEW ? from + CODES_OF(1) : code);
    codes[from].chance = is_sure ? 0 : (uint32_t)(hits / step * LUCK);
}

void codes_make(int factor) {
    if (factor == made_for) return;
    made_for = factor;
    for (unsigned code = 0; code <= CODES_MAX; code++) {
        codes[code].log = (float)log2(hits_of(code, factor));
        long class = lroundf(2 * codes[code].log);
        codes[code].class = (uint8_t)(class < 0 ? 0 : class < CODES_CLASSES ? class : CODES_CLASSES - 1);
        make_hit(code, factor);
    }
}

unsigned codes_class(unsigned code) {
    return codes[code].class;
}

unsigned codes_for(unsigned log) {
    unsigned code = CODES_NEW;
    while (log > 0 && code < CODES_MAX && codes[code + 1].log <= (float)log + 0.5f)
        code++;
    return code;
}

unsigned codes_hit(unsigned code, uint32_t luck) {
    return codes[code].next + (luck < codes[code].chance);
}

float codes_left(unsigned code, uint32_t ticks) {
    return codes[code].log - FADE * (float)ticks;
}

unsigned codes_fade(unsigned code, uint32_t ticks, uint32_t luck) {
    float loss = FADE * (float)ticks, step = 0;
    while (code > 0 && loss >= (step = codes[code].log - codes[code - 1].log)) {
        loss -= step;
        code--;
    }
    return code > 0 && (float)luck * step < loss * (float)LUCK ? code - 1 : code;
}
