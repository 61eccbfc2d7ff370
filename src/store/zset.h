/* Sorted sets across their two encodings. No client, no reply.
 *
 * A small one is a pack (ds/pack.h) in its key's entry: member, score, member, score, in order, and says listpack. A big one, or one with
 * a long member, is a table (by member) and a skiplist (by score, then member) that share their records. Which
 * is which follows zset-max-listpack-entries and -value, as in Redis; nothing turns a big one back but storing
 * a whole new value.
 *
 * Whatever asks for a range gets a span of ranks, and walks it from either end. Ranks count from 0. */
#pragma once
#include "ds/skiplist.h"
#include "store/db.h"

enum zset_encoding { ZSET_LISTPACK, ZSET_SKIPLIST = ENTRY_OUT_OF_LINE };

/* The big encoding; also how a result is put together before it is stored. */
struct zset {
    struct table members;
    struct skiplist order;
};

extern const struct value_ops zset_ops;

size_t zset_count(const struct entry *e);                                   /* O(1) */
bool zset_score(const struct entry *e, struct slice member, double *score); /* false: no such member */
bool zset_rank(const struct entry *e, struct slice member, size_t *rank, double *score);
/* Fetch what looking these members up will touch. n is small. */
void zset_prefetch(const struct entry *e, const struct slice *members, int n, int step);

enum zset_condition {
    ZSET_NX = 1 << 0,
    ZSET_XX = 1 << 1,
    ZSET_GT = 1 << 2,
    ZSET_LT = 1 << 3,
    ZSET_INCR = 1 << 4, /* the score is added to the one that is there */
};
enum zset_outcome { ZSET_NOTHING, ZSET_SAME, ZSET_ADDED, ZSET_UPDATED, ZSET_NAN };
/* Add a member or change its score, under the conditions. *score becomes the member's score unless the outcome is
 * ZSET_NOTHING (a condition did not hold) or ZSET_NAN (inf - inf). *e may be NULL (a new key) and may move. */
enum zset_outcome zset_add(struct db *db, const struct key *key, struct entry **e, struct slice member, double *score,
                           unsigned conditions);
/* Removing leaves an empty value behind: the caller removes its key. *e may move. */
bool zset_remove(struct db *db, struct entry **e, struct slice member);
void zset_remove_span(struct db *db, struct entry **e, size_t first, size_t n);

/* --- Ranges ---------------------------------------------------------------------------------- */

struct zset_span {
    size_t first, n;
};
struct zset_score_range {
    double min, max;
    bool min_open, max_open; /* the end itself is not in it */
};
struct zset_lex_range {
    struct slice min, max;
    bool min_open, max_open;
    int8_t min_infinite, max_infinite; /* -1: before everything, 1: behind everything; then min or max says nothing */
};
struct zset_span zset_span_by_score(const struct entry *e, const struct zset_score_range *r);
struct zset_span zset_span_by_lex(const struct entry *e, const struct zset_lex_range *r);

#define ZSET_WALK_BACK 64
#define ZSET_WALK_RUN 16
struct zset_walk {
    const uint8_t *pack, *at, *end;                 /* pack NULL: a skiplist */
    uint16_t offsets[ZSET_WALK_BACK], last, behind; /* of members before `at`, `behind` of which are known */
    struct skiplist_place place;
    struct member *run[ZSET_WALK_RUN]; /* those before the place: the next ones, from run_at to run_end */
    uint8_t run_at, run_end;
    struct slice member;
    double score;
    char digits[24]; /* a member that is an integer in the pack */
};
/* At the gap before the member of this rank (at most the count). Any change of the value invalidates the walk. */
void zset_walk_from(struct zset_walk *w, const struct entry *e, size_t rank);
/* Step forward or backward; w->member (valid until the next step) and w->score are what was stepped over. False at the
 * end. */
bool zset_walk_next(struct zset_walk *w);
bool zset_walk_prev(struct zset_walk *w);

/* A step of ZSCAN: as table_scan. Of a listpack all members are visited at once. */
typedef void (*zset_visit_fn)(void *ctx, struct slice member, double score);
uint64_t zset_scan(const struct entry *e, uint64_t cursor, zset_visit_fn visit, void *ctx);

/* --- Whole values ---------------------------------------------------------------------------- */

struct zset *zset_new(void);
void zset_free(struct zset *z);
/* Take n members from rank first on out of the value: what is left of it, which may be another one. */
struct zset *zset_cut(struct zset *z, size_t first, size_t n);
struct member *zset_find(const struct zset *z, struct slice member);
void zset_insert(struct zset *z, struct slice member, double score); /* must not be present */
void zset_set_score(struct zset *z, struct member *m, double score); /* the record may move */
/* Make z, which is not empty and is consumed, the value of a key, in the encoding that fits; no deadline. */
struct entry *zset_store(struct db *db, const struct key *key, struct entry *old, struct zset *z);
/* The pack that the options want z to be: *used bytes in memory of *room for the caller to release; NULL: it stays big. */
uint8_t *zset_pack(const struct zset *z, size_t *room, size_t *used);
/* May a listpack of so many members and bytes, which comes from a snapshot, stay small? */
bool zset_keeps_listpack(size_t count, size_t bytes);
