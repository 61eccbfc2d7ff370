/* See wheel.h for the idea. Every level k keeps `cur`, the number (time >> 8k) of a slot before which all its slots are
 * empty, and holds the slots cur to cur + 511, at their number modulo 512. A mark goes to the lowest level whose 512
 * slots reach its deadline. Invariants:
 *   - When an advance has caught up, cur is now >> 8k on all levels, and no mark with a deadline in the future is put
 *     into slot cur of level 1 or above: so near a deadline fits the level below.
 *   - The marks of slot cur + 1 fit the level below from the moment that slot cur begins. So that slot can be drained
 *     ahead of time, and then stays empty: its period is over before it is used again.
 *   - While an advance lags (its time ran out), cur lags on all levels too, and marks added meanwhile go where they are
 *     seen in time: an advance first works off the slots at or before now, of any level. */
#include "ds/wheel.h"
#include "base/alloc.h"
#include "base/clock.h"
#include <assert.h>
#include <string.h>

#define LEVELS 6
#define SLOTS 512
#define SHIFT 8 /* a slot of a level is 1 << SHIFT slots of the level below */
#define CHUNK_MIN 64
#define CHUNK_MAX 1024
#define MARK_BYTES 5
#define LATE_MS 1000 /* the most that a clock which is set back may delay marks */

struct chunk {
    struct chunk *next; /* an older chunk: full, and not larger */
    uint16_t count;
    uint8_t size_log2;
    uint8_t marks[];
};
#define CHUNK_HEAD offsetof(struct chunk, marks)

struct level {
    struct chunk **slots; /* SLOTS lists, newest chunk first; NULL until the first use */
    uint64_t cur;
    uint64_t busy[SLOTS / 64]; /* slots that are not empty */
};

/* A list of chunks that a sweep has cut off its slot, still to be worked off as a part of that slot. */
struct sweep {
    struct chunk *list;
    unsigned level, at; /* the next slot to look at, by index */
    uint64_t number;    /* number of the list's slot, on level list_level */
    unsigned list_level;
};

/* Where wheel_read() is. A chunk that is freed hands it on to the next one. */
struct reading {
    const struct chunk *chunk;
    size_t index;       /* of the next mark in the chunk */
    unsigned level, at; /* the next slot, by index */
};

struct wheel {
    int64_t now;
    size_t marks, memory;
    struct sweep sweep;
    struct reading reading;
    struct level levels[LEVELS];
};

/* --- Chunks ---------------------------------------------------------------------------------- */

static unsigned chunk_capacity(const struct chunk *c) {
    return (unsigned)(((size_t)1 << c->size_log2) - CHUNK_HEAD) / MARK_BYTES;
}

static struct chunk *chunk_push(struct wheel *w, struct chunk *head, uint64_t mark) {
    if (!head || head->count == chunk_capacity(head)) {
        size_t size = head ? (size_t)2 << head->size_log2 : CHUNK_MIN;
        if (size > CHUNK_MAX) size = CHUNK_MAX;
        struct chunk *c = alloc_get(size);
        *c = (struct chunk){.next = head, .size_log2 = (uint8_t)__builtin_ctzl(size)};
        w->memory += size;
        head = c;
    }
    uint8_t *to = head->marks + MARK_BYTES * (size_t)head->count++;
    uint32_t low = (uint32_t)mark;
    memcpy(to, &low, 4);
    to[4] = (uint8_t)(mark >> 32);
    w->marks++;
    return head;
}

static struct chunk *chunk_free(struct wheel *w, struct chunk *c) {
    struct chunk *next = c->next;
    size_t size = (size_t)1 << c->size_log2;
    if (w->reading.chunk == c) w->reading.chunk = next;
    alloc_put(c, size);
    w->memory -= size;
    return next;
}

static uint64_t chunk_mark(const struct chunk *c, size_t i) {
    const uint8_t *from = c->marks + MARK_BYTES * i;
    uint32_t low;
    memcpy(&low, from, 4);
    return low | (uint64_t)from[4] << 32;
}

/* Take up to WHEEL_BATCH marks from a list. */
static size_t list_take(struct wheel *w, struct chunk **list, uint64_t *marks) {
    size_t n = 0;
    for (struct chunk *c; n < WHEEL_BATCH && (c = *list);) {
        while (n < WHEEL_BATCH && c->count)
            marks[n++] = chunk_mark(c, --c->count);
        if (!c->count) *list = chunk_free(w, c);
    }
    if (*list) __builtin_prefetch((*list)->next);
    w->marks -= n;
    return n;
}

static void list_free(struct wheel *w, struct chunk **list) {
    while (*list) {
        w->marks -= (*list)->count;
        *list = chunk_free(w, *list);
    }
}

/* --- Slots ----------------------------------------------------------------------------------- */

static void slot_set_busy(struct level *l, size_t at, bool busy) {
    uint64_t bit = (uint64_t)1 << at % 64;
    l->busy[at / 64] = busy ? l->busy[at / 64] | bit : l->busy[at / 64] & ~bit;
}

/* The number of the first slot with marks from cur on; UINT64_MAX if there is none. */
static uint64_t first_busy(const struct level *l) {
    size_t from = l->cur % SLOTS;
    uint64_t word = l->busy[from / 64] & ~(uint64_t)0 << from % 64;
    for (size_t i = 0, at = from / 64; i <= SLOTS / 64; i++) {
        if (word) return l->cur + (at * 64 + (size_t)__builtin_ctzl(word) - from) % SLOTS;
        at = (at + 1) % (SLOTS / 64);
        word = l->busy[at];
    }
    return UINT64_MAX;
}

/* File a mark under a deadline that is not before w->now. */
static void place_mark(struct wheel *w, uint64_t mark, uint64_t due) {
    unsigned k = 0;
    while (k < LEVELS - 1 && (due >> SHIFT * k) - w->levels[k].cur >= SLOTS)
        k++;
    struct level *l = &w->levels[k];
    uint64_t number = due >> SHIFT * k;
    if (number - l->cur >= SLOTS)
        number = l->cur + SLOTS - 1; /* beyond the last level: it will return and be filed again */
    if (!l->slots) {
        l->slots = alloc_zero(SLOTS * sizeof(struct chunk *));
        w->memory += SLOTS * sizeof(struct chunk *);
    }
    size_t at = number % SLOTS;
    l->slots[at] = chunk_push(w, l->slots[at], mark);
    slot_set_busy(l, at, true);
}

/* --- Creating and adding --------------------------------------------------------------------- */

struct wheel *wheel_new(int64_t now_ms) {
    struct wheel *w = alloc_zero(sizeof *w);
    w->now = now_ms > 0 ? now_ms : 0;
    w->memory = sizeof *w;
    for (unsigned k = 0; k < LEVELS; k++)
        w->levels[k].cur = (uint64_t)w->now >> SHIFT * k;
    return w;
}

void wheel_clear(struct wheel *w) {
    for (unsigned k = 0; k < LEVELS; k++) {
        struct level *l = &w->levels[k];
        for (size_t at = 0; l->slots && at < SLOTS; at++)
            list_free(w, &l->slots[at]);
        memset(l->busy, 0, sizeof l->busy);
    }
    list_free(w, &w->sweep.list);
    w->sweep = (struct sweep){0};
    assert(w->marks == 0);
}

void wheel_free(struct wheel *w) {
    if (!w) return;
    wheel_clear(w);
    for (unsigned k = 0; k < LEVELS; k++) {
        if (w->levels[k].slots) alloc_put(w->levels[k].slots, SLOTS * sizeof(struct chunk *));
    }
    alloc_put(w, sizeof *w);
}

void wheel_add(struct wheel *w, uint64_t mark, int64_t due_ms) {
    assert(mark >> WHEEL_MARK_BITS == 0);
    place_mark(w, mark, (uint64_t)(due_ms > w->now ? due_ms : w->now));
}

size_t wheel_marks(const struct wheel *w) {
    return w->marks;
}
size_t wheel_memory(const struct wheel *w) {
    return w->memory;
}

/* --- Working off ----------------------------------------------------------------------------- */

static bool out_of_time(uint64_t until_ticks) {
    return clock_ticks() >= until_ticks;
}

/* Resolve a batch of the list and file those that must return again. The list may grow meanwhile. */
static void resolve_batch(struct wheel *w, struct chunk **list, wheel_resolve_fn resolve, void *ctx) {
    uint64_t marks[WHEEL_BATCH];
    int64_t due_ms[WHEEL_BATCH];
    size_t n = list_take(w, list, marks);
    resolve(ctx, marks, n, due_ms);
    for (size_t i = 0; i < n; i++) {
        if (due_ms[i] == WHEEL_DROP) continue;
        place_mark(w, marks[i], (uint64_t)(due_ms[i] > w->now ? due_ms[i] : w->now + 1));
    }
}

/* Work off the level's slots up to this number, and what a sweep has cut off them. False: out of time. */
static bool drain_level(struct wheel *w, unsigned k, uint64_t last, uint64_t until_ticks, wheel_resolve_fn resolve,
                        void *ctx) {
    struct level *l = &w->levels[k];
    while (w->sweep.list && w->sweep.list_level == k && w->sweep.number <= last) {
        resolve_batch(w, &w->sweep.list, resolve, ctx);
        if (out_of_time(until_ticks)) return false;
    }
    for (uint64_t number; (number = first_busy(l)) <= last;) {
        size_t at = number % SLOTS;
        if (number <= (uint64_t)w->now >> SHIFT * k)
            l->cur = number; /* all slots before are empty: the level reaches further */
        while (l->slots[at]) {
            resolve_batch(w, &l->slots[at], resolve, ctx);
            if (!l->slots[at]) slot_set_busy(l, at, false);
            if (out_of_time(until_ticks)) return false;
        }
    }
    return true;
}

/* Set the wheel back in time: every mark is due at once, so that resolve tells its place anew. The marks become one
 * list, as if a sweep had cut it off the first slot. */
static void wheel_set_back(struct wheel *w, int64_t now_ms) {
    struct chunk *all = w->sweep.list;
    for (unsigned k = 0; k < LEVELS; k++) {
        struct level *l = &w->levels[k];
        for (size_t at = 0; l->slots && at < SLOTS; at++) {
            struct chunk **end = &l->slots[at];
            while (*end)
                end = &(*end)->next;
            *end = all;
            all = l->slots[at];
            l->slots[at] = NULL;
        }
        memset(l->busy, 0, sizeof l->busy);
        l->cur = (uint64_t)now_ms >> SHIFT * k;
    }
    w->now = now_ms;
    w->sweep = (struct sweep){.list = all, .number = (uint64_t)now_ms};
}

bool wheel_advance(struct wheel *w, int64_t now_ms, uint64_t until_ticks, wheel_resolve_fn resolve, void *ctx) {
    if (now_ms < w->now - LATE_MS && now_ms >= 0) wheel_set_back(w, now_ms);
    if (now_ms > w->now) w->now = now_ms;
    uint64_t now = (uint64_t)w->now;
    for (unsigned k = 0; k < LEVELS; k++) {
        struct level *l = &w->levels[k];
        uint64_t first = first_busy(l), number = now >> SHIFT * k;
        l->cur = first < number ? first : number; /* all slots before are empty */
        if (!drain_level(w, k, number, until_ticks, resolve, ctx)) return false;
        l->cur = number;
    }
    for (unsigned k = 1; k < LEVELS; k++) {
        if (!drain_level(w, k, w->levels[k].cur + 1, until_ticks, resolve, ctx)) break;
    }
    return true;
}

int64_t wheel_next_ms(const struct wheel *w) {
    uint64_t next = INT64_MAX;
    for (unsigned k = 0; k < LEVELS; k++) {
        uint64_t number = w->levels[k].slots ? first_busy(&w->levels[k]) : UINT64_MAX;
        if (w->sweep.list && w->sweep.list_level == k && w->sweep.number < number) number = w->sweep.number;
        if (number == UINT64_MAX) continue;
        uint64_t when = k ? (number ? number - 1 : 0) << SHIFT * k : number; /* it is drained a period ahead */
        if (when < next) next = when;
    }
    return next < (uint64_t)w->now ? w->now : (int64_t)next;
}

/* --- Sweeping -------------------------------------------------------------------------------- */

/* Cut the list of a slot off, for the sweep. */
static void slot_cut(struct wheel *w, unsigned k, size_t at) {
    struct level *l = &w->levels[k];
    w->sweep.list = l->slots[at];
    w->sweep.list_level = k;
    w->sweep.number = l->cur + (at + SLOTS - l->cur % SLOTS) % SLOTS;
    l->slots[at] = NULL;
    slot_set_busy(l, at, false);
}

/* Cut off the next slot's list for the sweep; false if all slots have been seen. Lower levels come first: a live mark
 * is filed into its own slot or a level below, so the sweep meets it again only if its deadline has moved. */
static bool sweep_next(struct wheel *w) {
    struct sweep *s = &w->sweep;
    for (; s->level < LEVELS; s->level++, s->at = 0) {
        struct level *l = &w->levels[s->level];
        while (l->slots && s->at < SLOTS) {
            size_t at = s->at++;
            if (!l->slots[at]) continue;
            slot_cut(w, s->level, at);
            return true;
        }
    }
    return false;
}

bool wheel_sweep(struct wheel *w, uint64_t until_ticks, wheel_resolve_fn resolve, void *ctx) {
    do {
        if (!w->sweep.list && !sweep_next(w)) {
            w->sweep = (struct sweep){0};
            return true;
        }
        resolve_batch(w, &w->sweep.list, resolve, ctx);
    } while (!out_of_time(until_ticks));
    return false;
}

/* --- For eviction ---------------------------------------------------------------------------- */

/* The number of the first slot of a level that has marks, those included that were cut off it; UINT64_MAX if none. */
static uint64_t first_number(const struct wheel *w, unsigned k) {
    uint64_t number = w->levels[k].slots ? first_busy(&w->levels[k]) : UINT64_MAX;
    if (w->sweep.list && w->sweep.list_level == k && w->sweep.number < number) number = w->sweep.number;
    return number;
}

int64_t wheel_first_ms(const struct wheel *w) {
    int64_t before_ms = INT64_MAX;
    for (unsigned k = 0; k < LEVELS; k++) {
        uint64_t number = first_number(w, k);
        if (number == UINT64_MAX) continue;
        int64_t end_ms = (int64_t)((number + 1) << SHIFT * k);
        if (end_ms < before_ms) before_ms = end_ms;
    }
    return before_ms;
}

/* Resolve what a sweep has cut off. False: that takes more batches than are left. */
static bool finish_list(struct wheel *w, unsigned *batches, wheel_resolve_fn resolve, void *ctx) {
    for (; w->sweep.list; --*batches) {
        if (*batches == 0) return false;
        resolve_batch(w, &w->sweep.list, resolve, ctx);
    }
    return true;
}

bool wheel_resolve_first(struct wheel *w, int64_t before_ms, unsigned *batches, wheel_resolve_fn resolve, void *ctx) {
    if (!finish_list(w, batches, resolve, ctx)) return false;
    for (unsigned k = 0; k < LEVELS; k++) {
        uint64_t number = first_number(w, k);
        if (number == UINT64_MAX || (int64_t)(number << SHIFT * k) >= before_ms) continue;
        slot_cut(w, k, number % SLOTS);
        if (!finish_list(w, batches, resolve, ctx)) return false;
    }
    return true;
}

/* The next chunk to read: of the list, of the next slot that has one, and at last of the sweep. NULL at the end. */
static const struct chunk *next_chunk(struct wheel *w, struct reading *r) {
    if (r->chunk) return r->chunk;
    for (; r->level < LEVELS; r->level++, r->at = 0) {
        const struct level *l = &w->levels[r->level];
        while (l->slots && r->at < SLOTS) {
            r->chunk = l->slots[r->at++];
            if (r->chunk) return r->chunk;
        }
    }
    if (r->level++ == LEVELS) r->chunk = w->sweep.list;
    return r->chunk;
}

bool wheel_read(struct wheel *w, size_t stride, uint64_t *mark) {
    struct reading *r = &w->reading;
    const struct chunk *c;
    r->index += stride - 1;
    for (; (c = next_chunk(w, r)) && r->index >= c->count; r->chunk = c->next)
        r->index -= c->count;
    if (c) {
        *mark = chunk_mark(c, r->index++);
        return true;
    }
    *r = (struct reading){0};
    return false;
}
