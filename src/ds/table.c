/* See table.h for the layout. Two invariants matter everywhere:
 *   - A record is in its home line or, if that and the lines between are full, in a later line of the same segment;
 *     each line it was pushed past has counted it. If a removal leaves a hole in a line that has pushed records, one of
 *     them fills it, so that churn does not lengthen the searches.
 *   - The tag and further bits of a slot depend only on the hash and the depth of the segment.
 *
 * A line's counter that has reached 255 means "many" and stays until the segment is rebuilt.
 *
 * This file changes tables; table_walk.c only reads them. */
#include "ds/table.h"
#include "base/alloc.h"
#include "ds/table_layout.h"
#include <assert.h>
#include <string.h>

#define SIZES 19
#define MAX_DEPTH 32 /* depth and tag must fit a cursor's 48 bits */
#define PUSHED_MAX 255
#define WORD_ONE ((uint64_t)1 << 48) /* one record, in a segment word */
#define MERGE_MAX 256                /* records of two segments that may merge; a split has over 400 */
#define CASCADE_MAX 64               /* a merged segment of at most this many records merges again at once */

/* jemalloc's size classes, in lines: no slack. */
const uint8_t table_sizes[64] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56};

static bool resizing_allowed = true;

/* --- Words and slots ------------------------------------------------------------------------- */

static uint64_t word_make(unsigned depth, size_t used, const uint64_t *slots, unsigned size) {
    return (uint64_t)depth << 58 | (uint64_t)used << 48 | (uint64_t)(uintptr_t)slots | size;
}

/* The directory index of the first word of the segment with this depth to which the hash belongs. */
static size_t word_index(const struct table *t, uint64_t hash, unsigned depth) {
    return depth ? (size_t)(hash >> (64 - depth)) << (t->depth - depth) : 0;
}

/* Set all words of the segment with the word's depth to which the hash belongs. */
static void word_set(struct table *t, uint64_t hash, uint64_t word) {
    unsigned depth = word_depth(word);
    uint64_t *first = words_of(t) + word_index(t, hash, depth);
    for (size_t i = 0; i < (size_t)1 << (t->depth - depth); i++)
        first[i] = word;
}

/* A bit for each empty slot of the line, as in table_match(). There is no branch that could be mispredicted. */
static unsigned empty_slots(const uint64_t *line) {
#ifdef __SSE2__
    const __m128 *v = (const __m128 *)line;
    const __m128i low_mask = _mm_set1_epi32((int)(TABLE_ADDRESS & 0xffffffff));
    __m128i empty[2];
    for (unsigned i = 0; i < 2; i++) {
        __m128i low = _mm_castps_si128(_mm_shuffle_ps(v[2 * i], v[2 * i + 1], 0x88));
        __m128i high = _mm_castps_si128(_mm_shuffle_ps(v[2 * i], v[2 * i + 1], 0xdd));
        __m128i address = _mm_or_si128(_mm_and_si128(low, low_mask), _mm_slli_epi32(high, 16));
        empty[i] = _mm_cmpeq_epi32(address, _mm_setzero_si128());
    }
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi32(empty[0], empty[1])) & 0x5555u;
#else
    unsigned empty = 0;
    for (unsigned i = 0; i < 8; i++)
        empty |= (unsigned)slot_empty(line[i]) << 2 * i;
    return empty;
#endif
}

/* How many of the three further bits of a slot are used at this depth. */
static unsigned further_bits(unsigned depth) {
    return 3 - depth % 4;
}
static uint64_t slot_make(uint64_t hash, unsigned depth, const void *record) {
    uint64_t rest = hash << depth;
    uint64_t further = (rest >> 45) & (7u & ~(7u >> further_bits(depth)));
    return (rest >> 48) << 48 | (uint64_t)(uintptr_t)record | further << 1;
}
/* The slot one level deeper, at a depth that has further bits: they move up into the tag. */
static uint64_t slot_deeper(uint64_t slot) {
    uint64_t tag = (slot >> 48 << 1 | (slot >> 3 & 1)) & 0xffff;
    return tag << 48 | (slot & TABLE_ADDRESS) | (slot << 1 & 0xc);
}
/* The slot one level up; child tells from which half it comes. */
static uint64_t slot_shallower(uint64_t slot, unsigned depth, unsigned child) {
    uint64_t tag = (uint64_t)child << 15 | slot >> 49;
    uint64_t further = (slot >> 48 & 1) << 3 | (slot >> 1 & 6);
    if (further_bits(depth - 1) == 0) further = 0;
    return tag << 48 | (slot & TABLE_ADDRESS) | further;
}

static unsigned pushed_get(const uint64_t *line) {
    unsigned n = 0;
    for (unsigned i = 0; i < 8; i++)
        n |= (unsigned)(line[i] & 1) << i;
    return n;
}
static void pushed_set(uint64_t *line, unsigned n) {
    for (unsigned i = 0; i < 8; i++)
        line[i] = (line[i] & ~(uint64_t)1) | (n >> i & 1);
}
static void pushed_more(uint64_t *line) {
    unsigned n = pushed_get(line);
    if (n < PUSHED_MAX) pushed_set(line, n + 1);
}
static void pushed_less(uint64_t *line) {
    unsigned n = pushed_get(line);
    if (n < PUSHED_MAX) pushed_set(line, n - 1);
}

/* --- Building segments ----------------------------------------------------------------------- */

/* A segment that is being built. Slots may come in any order; home order is fastest. */
struct build {
    uint64_t *slots;
    unsigned lines, size, used;
    uint8_t fill[TABLE_MAX_LINES], pushed[TABLE_MAX_LINES];
};

/* The index of the smallest size at which this many records fill at most fill/64 of the slots. */
static unsigned segment_size_for(unsigned used, unsigned fill) {
    unsigned size = 0;
    while (size < SIZES - 1 && used * 8 > table_sizes[size] * fill)
        size++;
    return size;
}

static void build_start(struct build *b, unsigned size) {
    b->lines = table_sizes[size];
    b->size = size;
    b->used = 0;
    b->slots = alloc_lines(64 * (size_t)b->lines);
    memset(b->fill, 0, b->lines);
    memset(b->pushed, 0, b->lines);
}

/* The counter bit of slot must be 0. */
static inline void build_add(struct build *b, uint64_t slot) {
    unsigned line = home_of(slot_tag(slot), b->lines);
    while (b->fill[line] == 8) {
        if (b->pushed[line] < PUSHED_MAX) b->pushed[line]++;
        if (++line == b->lines) line = 0;
    }
    b->slots[8 * line + b->fill[line]++] = slot;
    b->used++;
}

static uint64_t build_end(struct build *b, unsigned depth) {
    for (unsigned line = 0; line < b->lines; line++) {
        uint64_t *slots = b->slots + 8 * line;
        for (unsigned i = b->fill[line]; i < 8; i++)
            slots[i] = 0;
        if (b->pushed[line]) pushed_set(slots, b->pushed[line]);
    }
    return word_make(depth, b->used, b->slots, b->size);
}

static void segment_free(struct table *t, uint64_t word) {
    t->lines -= word_lines(word);
    alloc_put(word_slots(word), 64 * (size_t)word_lines(word));
}

/* Rebuild the segment of this word in another size, without reading records. */
static void segment_resize(struct table *t, uint64_t hash, uint64_t word, unsigned size) {
    const uint64_t *slots = word_slots(word);
    struct build b;
    build_start(&b, size);
    for (unsigned i = 0; i < 8 * word_lines(word); i++) {
        if (!slot_empty(slots[i])) build_add(&b, slots[i] & ~(uint64_t)1);
    }
    t->lines += b.lines;
    segment_free(t, word);
    word_set(t, hash, build_end(&b, word_depth(word)));
}

/* --- The directory --------------------------------------------------------------------------- */

static void directory_double(struct table *t) {
    assert(t->depth < MAX_DEPTH);
    size_t n = (size_t)1 << t->depth;
    uint64_t *old = words_of(t), *dir = alloc_get(2 * n * sizeof *dir);
    for (size_t i = 0; i < n; i++)
        dir[2 * i] = dir[2 * i + 1] = old[i];
    if (t->depth) alloc_put(old, n * sizeof *old);
    t->dir = dir;
    t->depth++;
    t->deepest = 0;
}

/* Drop levels of the directory that no segment needs. */
static void directory_trim(struct table *t) {
    while (t->depth && !t->deepest) {
        size_t n = (size_t)1 << --t->depth;
        uint64_t *old = t->dir;
        if (!t->depth) {
            t->root = old[0];
        } else {
            t->dir = alloc_get(n * sizeof *old);
            for (size_t i = 0; i < n; i++) {
                t->dir[i] = old[2 * i];
                if (word_depth(old[2 * i]) == t->depth) t->deepest++;
            }
        }
        alloc_put(old, 2 * n * sizeof *old);
    }
}

/* --- Splitting and merging ------------------------------------------------------------------- */

static uint64_t hash_of(const struct table *t, uint64_t slot) {
    return t->type->hash(table_record(slot));
}

/* The records of the upper child: a split chooses the sizes of both children beforehand. */
static unsigned count_upper_half(const uint64_t *slots, unsigned end) {
    unsigned n = 0;
    for (unsigned i = 0; i < end; i++)
        n += (unsigned)(slots[i] >> 63); /* an empty slot's tag is 0 */
    return n;
}

static void segment_split(struct table *t, uint64_t hash, uint64_t word) {
    enum { AHEAD = 24, FILL = 56 };
    const uint64_t *slots = word_slots(word);
    unsigned depth = word_depth(word), end = 8 * word_lines(word), upper = count_upper_half(slots, end);
    bool read = further_bits(depth) == 0;
    struct build child[2];
    build_start(&child[0], segment_size_for(word_used(word) - upper, FILL));
    build_start(&child[1], segment_size_for(upper, FILL));
    for (unsigned i = 0; read && i < AHEAD; i++)
        __builtin_prefetch(table_record(slots[i]));
    for (unsigned i = 0; i < end; i++) {
        uint64_t slot = slots[i];
        if (read && i + AHEAD < end) __builtin_prefetch(table_record(slots[i + AHEAD]));
        if (slot_empty(slot)) continue;
        uint64_t deeper = read ? slot_make(hash_of(t, slot), depth + 1, table_record(slot)) : slot_deeper(slot);
        build_add(&child[slot >> 63], deeper);
    }
    if (depth == t->depth) directory_double(t);
    if (depth + 1 == t->depth) t->deepest += 2;
    t->lines += child[0].lines + child[1].lines;
    segment_free(t, word);
    uint64_t bit = (uint64_t)1 << (63 - depth);
    word_set(t, hash & ~bit, build_end(&child[0], depth + 1));
    word_set(t, hash | bit, build_end(&child[1], depth + 1));
}

/* Merge two segments that differ in the last bit of their depth, without reading records. */
static void segment_merge(struct table *t, uint64_t hash, const uint64_t words[2]) {
    enum { FILL = 52 };
    unsigned depth = word_depth(words[0]);
    struct build b;
    build_start(&b, segment_size_for(word_used(words[0]) + word_used(words[1]), FILL));
    for (unsigned child = 0; child < 2; child++) {
        const uint64_t *slots = word_slots(words[child]);
        for (unsigned i = 0; i < 8 * word_lines(words[child]); i++) {
            if (!slot_empty(slots[i])) build_add(&b, slot_shallower(slots[i], depth, child));
        }
        segment_free(t, words[child]);
    }
    t->lines += b.lines;
    if (depth == t->depth) t->deepest -= 2;
    word_set(t, hash, build_end(&b, depth - 1));
    directory_trim(t);
}

/* Merge the segment of the hash with its buddy, if both are small. False: they stay. */
static bool segment_try_merge(struct table *t, uint64_t hash) {
    uint64_t word = word_of(t, hash);
    unsigned depth = word_depth(word);
    if (!depth) return false;
    uint64_t bit = (uint64_t)1 << (64 - depth);
    uint64_t words[2] = {word_of(t, hash & ~bit), word_of(t, hash | bit)};
    if (word_depth(words[0]) != word_depth(words[1])) return false;
    if (word_used(words[0]) + word_used(words[1]) > MERGE_MAX) return false;
    segment_merge(t, hash, words);
    return true;
}

static bool segment_is_sparse(uint64_t word) {
    return word_used(word) * 20 < word_lines(word) * 8 * 9; /* 45 % */
}

static void segment_shrink(struct table *t, uint64_t hash) {
    enum { FILL = 52 };
    bool merged = false;
    while (segment_try_merge(t, hash)) {
        merged = true;
        if (word_used(word_of(t, hash)) > CASCADE_MAX) break;
    }
    if (t->count == 0 && t->depth < 8) {
        table_clear(t, NULL, NULL);
    } else if (!merged) {
        uint64_t word = word_of(t, hash);
        unsigned size = segment_size_for(word_used(word), FILL);
        if (size < (word & 63)) segment_resize(t, hash, word, size);
    }
}

/* --- Changing the table ---------------------------------------------------------------------- */

void table_init(struct table *t, const struct table_type *type) {
    *t = (struct table){.type = type};
}

void table_set_resizing(bool allowed) {
    resizing_allowed = allowed;
}

void table_clear(struct table *t, table_visit_fn drop, void *ctx) {
    if (drop) {
        struct table_iter it;
        table_iter_init(&it, t);
        for (void *record; (record = table_iter_next(&it));)
            drop(ctx, record);
    }
    uint64_t *words = words_of(t);
    for (size_t i = 0; i < word_count(t); i += (size_t)1 << (t->depth - word_depth(words[i]))) {
        if (words[i]) segment_free(t, words[i]);
    }
    if (t->depth) alloc_put(t->dir, word_count(t) * sizeof *t->dir);
    table_init(t, t->type);
}

/* The number of records at which a segment grows: all slots of one or two lines, else 29/32 of them; while a child
 * lives nearly all. */
static unsigned limit_of(unsigned lines) {
    if (lines <= 2) return 8 * lines;
    return resizing_allowed ? lines * 29 / 4 : lines * 63 / 8;
}

/* Make room in the segment of the hash; returns its word. */
static __attribute__((noinline)) uint64_t segment_grow(struct table *t, uint64_t hash) {
    uint64_t word = word_of(t, hash);
    if (!word) {
        struct build b;
        build_start(&b, 0);
        t->lines = 1;
        return t->root = build_end(&b, 0);
    }
    while (word_used(word) >= limit_of(word_lines(word))) {
        unsigned size = word & 63;
        if (size < SIZES - 1) {
            segment_resize(t, hash, word, size + 1);
        } else {
            segment_split(t, hash, word);
        }
        word = word_of(t, hash);
    }
    return word;
}

void table_insert(struct table *t, uint64_t hash, void *record) {
    assert(!((uintptr_t)record & ~(uintptr_t)TABLE_ADDRESS));
    uint64_t word = word_of(t, hash);
    if (!word || word_used(word) >= limit_of(word_lines(word))) word = segment_grow(t, hash);
    uint64_t slot = slot_make(hash, word_depth(word), record), *slots = word_slots(word);
    unsigned lines = word_lines(word), n = home_of(slot_tag(slot), lines);
    for (;;) {
        uint64_t *line = slots + 8 * (size_t)n;
        unsigned empty = empty_slots(line);
        if (empty) {
            uint64_t *to = line + (unsigned)__builtin_ctz(empty) / 2;
            *to = slot | (*to & 1);
            word_set(t, hash, word + WORD_ONE);
            t->count++;
            return;
        }
        pushed_more(line);
        if (++n == lines) n = 0;
    }
}

/* The slot that holds the record, or NULL. p->line becomes its line. */
static uint64_t *locate_slot(struct table_place *p, const void *record) {
    if (!p->segment) return NULL;
    for (unsigned left = p->lines; left; left--) {
        uint64_t *line = p->segment + 8 * (size_t)p->line;
        for (unsigned match = table_match(line, p->tag); match; match &= match - 1) {
            uint64_t *slot = line + (unsigned)__builtin_ctz(match) / 2;
            if (table_record(*slot) == record) return slot;
        }
        if (!table_pushed(line)) return NULL;
        if (++p->line == p->lines) p->line = 0;
    }
    return NULL;
}

/* A slot of line n has become free. Fill it with a record that was pushed past that line, then fill the hole which that
 * leaves, and so on. Such a record is before the next line past which none was pushed. */
static void fill_hole(uint64_t *slots, unsigned lines, unsigned n, uint64_t *hole) {
    unsigned at = n;
    for (unsigned left = lines - 1; left && table_pushed(slots + 8 * (size_t)at); left--) {
        if (++at == lines) at = 0;
        uint64_t *line = slots + 8 * (size_t)at;
        for (unsigned i = 0; i < 8; i++) {
            unsigned home = home_of(slot_tag(line[i]), lines);
            /* It was pushed past n if its way from home to here passes n. */
            unsigned way = (at + lines - home) % lines, back = (at + lines - n) % lines;
            if (slot_empty(line[i]) || way < back) continue;
            *hole = (line[i] & ~(uint64_t)1) | (*hole & 1);
            line[i] &= 1;
            for (unsigned k = n; k != at; k = k + 1 == lines ? 0 : k + 1)
                pushed_less(slots + 8 * (size_t)k);
            hole = &line[i];
            n = at;
            left = lines;
            break;
        }
    }
}

bool table_remove(struct table *t, uint64_t hash, const void *record) {
    struct table_place p = table_place(t, hash);
    unsigned home = p.line;
    uint64_t *slot = locate_slot(&p, record);
    if (!slot) return false;
    *slot &= 1;
    for (unsigned k = home; k != p.line; k = k + 1 == p.lines ? 0 : k + 1)
        pushed_less(p.segment + 8 * (size_t)k);
    if (table_pushed(p.segment + 8 * (size_t)p.line)) fill_hole(p.segment, p.lines, p.line, slot);
    uint64_t word = word_of(t, hash) - WORD_ONE;
    word_set(t, hash, word);
    t->count--;
    if (segment_is_sparse(word) && resizing_allowed) segment_shrink(t, hash);
    return true;
}

void table_replace(struct table *t, uint64_t hash, const void *old_record, void *record) {
    assert(!((uintptr_t)record & ~(uintptr_t)TABLE_ADDRESS));
    struct table_place p = table_place(t, hash);
    uint64_t *slot = locate_slot(&p, old_record);
    assert(slot);
    *slot = (*slot & ~(uint64_t)TABLE_ADDRESS) | (uint64_t)(uintptr_t)record;
}

void table_reserve(struct table *t, size_t records) {
    enum { FILL = 56, MEAN = 350 }; /* the fullest of many segments has about 80 more than the mean */
    if (t->lines || records < 8) return;
    unsigned depth = 0;
    while (records >> depth > MEAN && depth < MAX_DEPTH)
        depth++;
    size_t n = (size_t)1 << depth;
    unsigned size = segment_size_for((unsigned)(records >> depth), FILL);
    uint64_t *dir = depth ? alloc_get(n * sizeof *dir) : &t->root;
    for (size_t i = 0; i < n; i++) {
        struct build b;
        build_start(&b, size);
        dir[i] = build_end(&b, depth);
    }
    if (depth) t->dir = dir;
    t->depth = (uint8_t)depth;
    t->deepest = depth ? (uint32_t)n : 0;
    t->lines = n * table_sizes[size];
}

size_t table_memory(const struct table *t) {
    return 64 * t->lines + (t->depth ? word_count(t) * sizeof *t->dir : 0);
}

/* --- Checking -------------------------------------------------------------------------------- */

/* Checks one segment. Returns the number of lines looked at to find each of its records. */
static size_t check_segment(const struct table *t, uint64_t word, uint64_t prefix) {
    unsigned depth = word_depth(word), lines = word_lines(word), used = 0;
    unsigned pushed[TABLE_MAX_LINES] = {0};
    const uint64_t *slots = word_slots(word);
    size_t looked = 0;
    for (unsigned i = 0; i < 8 * lines; i++) {
        if (slot_empty(slots[i])) {
            assert(!(slots[i] >> 1));
            continue;
        }
        used++;
        uint64_t hash = hash_of(t, slots[i]);
        assert((slots[i] & ~(uint64_t)1) == slot_make(hash, depth, table_record(slots[i])));
        assert(!depth || hash >> (64 - depth) == prefix);
        unsigned at = home_of(slot_tag(slots[i]), lines);
        for (looked++; at != i / 8; at = at + 1 == lines ? 0 : at + 1, looked++)
            pushed[at]++;
    }
    for (unsigned i = 0; i < lines; i++) {
        const uint64_t *line = slots + 8 * (size_t)i;
        unsigned n = pushed_get(line);
        assert(n == pushed[i] || (n == PUSHED_MAX && pushed[i] < n));
        for (unsigned k = 0; n && n < PUSHED_MAX && k < 8; k++)
            assert(!slot_empty(line[k]));
    }
    assert(used == word_used(word));
    return looked;
}

size_t table_check(const struct table *t) {
    size_t count = 0, lines = 0, deepest = 0, looked = 0;
    const uint64_t *words = words_of(t);
    for (size_t i = 0; t->lines && i < word_count(t);) {
        uint64_t word = words[i];
        unsigned up = t->depth - word_depth(word);
        assert(word_depth(word) <= t->depth && word_slots(word));
        looked += check_segment(t, word, i >> up);
        count += word_used(word);
        lines += word_lines(word);
        if (!up && t->depth) deepest++;
        for (size_t end = i + ((size_t)1 << up); i < end; i++)
            assert(words[i] == word);
    }
    assert(count == t->count && lines == t->lines && deepest == t->deepest);
    assert(!t->depth || deepest || !resizing_allowed);
    if (!t->lines) assert(!t->depth && !t->root);
    return looked;
}
