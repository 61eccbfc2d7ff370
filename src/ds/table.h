/* A hash table of pointers to records, for the keyspace and for big collections.
 *
 * Extendible hashing over segments of 64-byte lines. A line has eight slots; a slot is a record's address (low 48 bits,
 * 16-byte aligned) below a 16-bit tag (high bits). The table is ordered by hash:
 *
 *     hash:  | depth bits: which segment | 16 bits: the tag | rest |
 *
 * The directory maps the top bits of the hash to segments. In a segment of L lines the home line is (tag * L) >> 16, so
 * home lines are in hash order too. A full line overflows into the next ones (wrapping at the end of the segment).
 * Every line counts the records that were pushed past it, so that a search ends at the first line past which none was
 * pushed. A segment grows by a quarter or less at a time, through the sizes in which jemalloc provides memory; past the
 * largest size it splits in two. So there is no rehash of everything, no second table and no pause; 9.3 to 10 bytes per
 * record and 1.2 lines per search.
 *
 *     slot:  | 63..48 tag | 47..4 address, 0 if empty | 3..1 further bits | 0 a bit of the line's counter |
 *
 * Growing and shrinking by less than a split reads no records: tags determine the home lines. A split needs one more
 * bit of each hash. The further bits provide it: they hold the bits after the tag up to the next depth that divides by
 * four. So records are read, and their hashes computed, only in every fourth split.
 *
 * Since everything is in hash order, a SCAN cursor is a point of the hash space (its top 48 bits): splits, merges and
 * resizing cannot make it miss or repeat a record.
 *
 * A table never owns its records, and its struct may be moved in memory. Hashes must be well mixed in their top 48
 * bits: the table cannot hold thousands of records that agree in all of those. */
#pragma once
#include "base/likely.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct table_type {
    uint64_t (*hash)(const void *record); /* recomputes the hash when a segment splits */
};

/* The fields are private to table.c and the inlines below, except `count`. {.type = &t} is an empty table.
 *
 * The directory has 2^depth segment words:
 *     63..58 the segment's own depth | 57..48 records in it | 47..6 address | 5..0 index of its size
 * A segment with a smaller depth than the directory has several equal words side by side. */
struct table {
    union {
        uint64_t root; /* depth 0: the only word; 0 if nothing is allocated */
        uint64_t *dir; /* depth > 0: 1 << depth words */
    };
    size_t count; /* records */
    const struct table_type *type;
    size_t lines;     /* of all segments */
    uint32_t deepest; /* segments with the depth of the directory */
    uint8_t depth;
};

typedef void (*table_visit_fn)(void *ctx, void *record);
typedef bool (*table_equal_fn)(const void *record, const void *key);

void table_init(struct table *t, const struct table_type *type); /* allocates nothing */
/* Back to the empty state; drop (may be NULL) gets every record. O(n). */
void table_clear(struct table *t, table_visit_fn drop, void *ctx);

/* Below, hash is always the whole hash of the record; records are 16-byte aligned. All are O(1), except that now and
 * then one segment is rebuilt (at most 448 records) or the directory doubled. */
void table_insert(struct table *t, uint64_t hash, void *record);                          /* must not be present */
bool table_remove(struct table *t, uint64_t hash, const void *record);                    /* false: it is not there */
void table_replace(struct table *t, uint64_t hash, const void *old_record, void *record); /* the record moved */

/* Visit the records of the home line that contains the cursor's point, from that point on. Returns the cursor of the
 * next line; 0 at the end. Start with 0; cursors are below 2^48. visit must not change the table. A record that is
 * present from the first call to the last is visited exactly once. O(1) per call. */
uint64_t table_scan(const struct table *t, uint64_t cursor, table_visit_fn visit, void *ctx);
/* Visit every record whose hash begins with the top `bits` bits of prefix (1 to 64). Only bits that the tags hold are
 * compared (16 and the segment's depth), so other records may be visited too: visit must check. */
void table_visit_prefix(const struct table *t, uint64_t prefix, unsigned bits, table_visit_fn visit, void *ctx);

void *table_random(const struct table *t); /* uniform over the records; NULL if empty */
/* A random point in the range of hashes such that all lines are equally likely to be the one where a search for the
 * point begins. So all records are equally likely to be among those of table_line(), which is what sampling needs. O(1)
 * on average; the table must not be empty. (A table with 4,000 times as many lines as it needs may answer less fairly.)
 * A point stays good while the table changes, and it can be fetched ahead like a hash: table_prefetch_line(). */
uint64_t table_draw(const struct table *t);
/* The records of the line where a search for hash begins. Returns how many, at most TABLE_LINE. */
#define TABLE_LINE 8
size_t table_line(const struct table *t, uint64_t hash, void *records[TABLE_LINE]);
/* Up to max records (at least TABLE_LINE), the lines of some such points; one may come twice. Few cache misses. Returns
 * how many; 0 only if the table or many lines are empty. */
size_t table_sample(const struct table *t, void **records, size_t max);

/* Iterates over all records, segments in hash order. The table must not change meanwhile; but a record that was
 * returned may change or be freed (table_clear() does so). */
struct table_iter {
    const struct table *table;
    uint64_t *slots; /* the segment's first slot, NULL before the first one */
    size_t slot, end;
    uint64_t next; /* directory index of the segment after this one */
};
void table_iter_init(struct table_iter *it, const struct table *t);
void *table_iter_next(struct table_iter *it); /* NULL at the end */

/* Make room for this many records, for loading. Does nothing unless the table is empty. The caller bounds a number that
 * comes from outside: the memory is allocated at once. */
void table_reserve(struct table *t, size_t records);
size_t table_memory(const struct table *t); /* bytes of directory and segments, O(1) */
/* For each line with n records add 1 to counts[n]. O(lines). */
void table_count_lines(const struct table *t, size_t counts[9]);
/* For all tables: false while a forked child lives. Nothing shrinks or merges then, and segments grow only when they
 * are nearly full, so that fewer pages are copied. */
void table_set_resizing(bool allowed);
/* For tests: asserts every invariant. Returns the number of lines looked at to find every record once. O(n). */
size_t table_check(const struct table *t);

/* --- The layout, for the inlines ------------------------------------------------------------- */

#define TABLE_ADDRESS 0x0000fffffffffff0u /* of a record in a slot */
#define TABLE_SEGMENT 0x0000ffffffffffc0u /* of a segment in a word */
extern const uint8_t table_sizes[64];     /* lines, by a word's low six bits */

/* The first slot of the line where a search for hash begins; *tag is what to look for. */
struct table_place {
    uint64_t *segment; /* NULL: the table is empty */
    unsigned line, lines, tag;
};
static inline __attribute__((always_inline)) struct table_place table_place(const struct table *t, uint64_t hash) {
    uint64_t word = t->depth ? t->dir[hash >> (64 - t->depth)] : t->root;
    struct table_place p;
    p.segment = (uint64_t *)(uintptr_t)(word & TABLE_SEGMENT);
    p.tag = (unsigned)(hash << (word >> 58) >> 48);
    p.lines = table_sizes[word & 63];
    p.line = p.tag * p.lines >> 16;
    return p;
}

/* A bit for each slot of the line with this tag: bits 0, 2, ... 14. An empty slot has tag 0, and so may match. */
static inline __attribute__((always_inline)) unsigned table_match(const uint64_t *line, unsigned tag) {
#ifdef __SSE2__
    const __m128 *v = (const __m128 *)line;
    __m128i a = _mm_srai_epi32(_mm_castps_si128(_mm_shuffle_ps(v[0], v[1], 0xdd)), 16);
    __m128i b = _mm_srai_epi32(_mm_castps_si128(_mm_shuffle_ps(v[2], v[3], 0xdd)), 16);
    __m128i equal = _mm_cmpeq_epi16(_mm_packs_epi32(a, b), _mm_set1_epi16((short)tag));
    return (unsigned)_mm_movemask_epi8(equal) & 0x5555u;
#else
    unsigned match = 0;
    for (unsigned i = 0; i < 8; i++)
        match |= (unsigned)(line[i] >> 48 == tag) << 2 * i;
    return match;
#endif
}
static inline void *table_record(uint64_t slot) {
    return (void *)(uintptr_t)(slot & TABLE_ADDRESS);
}
/* True if any record was pushed past this line. The lowest bits of the eight slots are the counter. */
static inline __attribute__((always_inline)) bool table_pushed(const uint64_t *line) {
    return (line[0] | line[1] | line[2] | line[3] | line[4] | line[5] | line[6] | line[7]) & 1;
}

/* The record for which equal(record, key) is true among those with this hash; NULL if there is none. */
static inline __attribute__((always_inline)) void *table_find(const struct table *t, uint64_t hash,
                                                              table_equal_fn equal, const void *key) {
    struct table_place p = table_place(t, hash);
    if (!p.segment) return NULL;
    for (unsigned left = p.lines;;) {
        const uint64_t *line = p.segment + 8 * (size_t)p.line;
        for (unsigned match = table_match(line, p.tag); match; match &= match - 1) {
            void *record = table_record(line[(unsigned)__builtin_ctz(match) / 2]);
            if (record && equal(record, key)) return record;
        }
        if (likely(!table_pushed(line)) || --left == 0) return NULL;
        if (++p.line == p.lines) p.line = 0;
    }
}

/* Prefetch. The empty asm keeps gcc from treating a function that only prefetches as one without effect, and dropping
 * calls of it. */
static inline void table_fetch(const void *p) {
    __builtin_prefetch(p);
    __asm__ volatile("");
}

/* Two steps that hide the cache misses of a later table_find(). The first fetches the home line and returns its place.
 * The second, some time later, fetches the first 64 bytes of the record that is probably meant. */
static inline struct table_place table_prefetch_line(const struct table *t, uint64_t hash) {
    struct table_place p = table_place(t, hash);
    if (p.segment) table_fetch(p.segment + 8 * (size_t)p.line);
    return p;
}
/* The second step, with the place that the first one returned; the table must not have changed since. */
static inline void table_prefetch_place(struct table_place p) {
    if (!p.segment) return;
    const uint64_t *line = p.segment + 8 * (size_t)p.line;
    unsigned match = table_match(line, p.tag);
    if (match) {
        const char *record = table_record(line[(unsigned)__builtin_ctz(match) / 2]);
        table_fetch(record);
        table_fetch(record + 48);
    } else if (table_pushed(line)) {
        table_fetch(p.segment + 8 * (size_t)(p.line + 1 == p.lines ? 0 : p.line + 1));
    }
}
