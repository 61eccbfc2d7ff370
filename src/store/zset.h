/* The sorted set type in its two encodings.
 *
 * A small one is a pack (ds/pack.h) in the entry: member, score, member, score, in order. OBJECT ENCODING reports it as
 * listpack. A big one, or one with a long member, is a table (by member) and a skiplist (by score, then member), which
 * share their records. zset-max-listpack-entries and -value decide, as in Redis. A big one never becomes small again,
 * unless a whole new value is stored.
 *
 * Every query for a range gives a span of ranks, which is walked from either end. Ranks count from 0. Functions that
 * take struct entry ** may move the entry. Members are found in O(1) and ranks in O(log n), in a pack both in O(n). */
#pragma once
#include "ds/skiplist.h"
#include "store/db.h"

enum zset_encoding { ZSET_LISTPACK, ZSET_SKIPLIST = ENTRY_OUT_OF_LINE };

/* The big encoding. A result is built as one, too, before it is stored. */
struct zset {
    struct table members;
    struct skiplist order;
};

extern const struct value_ops zset_ops;

size_t zset_count(const struct entry *e);                                   /* O(1) */
bool zset_score(const struct entry *e, struct slice member, double *score); /* false: no such member */
/* The rank and the score of a member. False: no such member. */
bool zset_rank(const struct entry *e, struct slice member, size_t *rank, double *score);
/* Fetch the memory that look-ups of these members will touch: every step-th of the array, n of them. Takes the first
 * 16. */
void zset_prefetch(const struct entry *e, const struct slice *members, int n, int step);

enum zset_condition {
    ZSET_NX = 1 << 0,
    ZSET_XX = 1 << 1,
    ZSET_GT = 1 << 2,
    ZSET_LT = 1 << 3,
    ZSET_INCR = 1 << 4, /* add the score to the present one */
};
enum zset_outcome { ZSET_NOTHING, ZSET_SAME, ZSET_ADDED, ZSET_UPDATED, ZSET_NAN };
/* Add a member or change its score if the conditions (enum zset_condition) hold. *score becomes the score of the
 * member, unless the outcome is ZSET_NOTHING (a condition did not hold) or ZSET_NAN (inf - inf). *e may be NULL
 * (creates the key). */
enum zset_outcome zset_add(struct db *db, const struct key *key, struct entry **e, struct slice member, double *score,
                           unsigned conditions);
/* Remove a member (false: there is none), or n members from a rank on. The caller removes the key of an empty value. */
bool zset_remove(struct db *db, struct entry **e, struct slice member);
void zset_remove_span(struct db *db, struct entry **e, size_t first, size_t n);

/* --- Ranges ---------------------------------------------------------------------------------- */

struct zset_span {
    size_t first, n;
};
struct zset_score_range {
    double min, max;
    bool min_open, max_open; /* exclude the end itself */
};
struct zset_lex_range {
    struct slice min, max;
    bool min_open, max_open;
    int8_t min_infinite, max_infinite; /* -1: before all members, 1: behind all; 0: at min or max */
};
struct zset_span zset_span_by_score(const struct entry *e, const struct zset_score_range *r);
struct zset_span zset_span_by_lex(const struct entry *e, const struct zset_lex_range *r);

#define ZSET_WALK_BACK 64
#define ZSET_WALK_RUN 16
struct zset_walk {
    const uint8_t *pack, *at, *end;                 /* `pack` is NULL for a skiplist */
    uint16_t offsets[ZSET_WALK_BACK], last, behind; /* of the last `behind` members before `at` */
    struct skiplist_place place;
    struct member *run[ZSET_WALK_RUN]; /* the members before `place`; [run_at, run_end) come next */
    uint8_t run_at, run_end;
    struct slice member;
    double score;
    char digits[24]; /* the text of a member that is an integer in the pack */
};
/* Begin before the member of this rank, which is at most the count. Any change of the value invalidates the walk. */
void zset_walk_from(struct zset_walk *w, const struct entry *e, size_t rank);
/* Step over one member, forward or backward: w->member (valid until the next step) and w->score. False: at the end. */
bool zset_walk_next(struct zset_walk *w);
bool zset_walk_prev(struct zset_walk *w);

/* One step of ZSCAN, as table_scan(). A pack is visited in one step, which returns 0. */
typedef void (*zset_visit_fn)(void *ctx, struct slice member, double score);
uint64_t zset_scan(const struct entry *e, uint64_t cursor, zset_visit_fn visit, void *ctx);

/* --- Whole values ---------------------------------------------------------------------------- */

struct zset *zset_new(void); /* empty; the caller owns it */
void zset_free(struct zset *z);
/* Remove n members from rank `first` on. Returns the value, which may be another one. */
struct zset *zset_cut(struct zset *z, size_t first, size_t n);
struct member *zset_find(const struct zset *z, struct slice member);
void zset_insert(struct zset *z, struct slice member, double score); /* a new member */
void zset_set_score(struct zset *z, struct member *m, double score); /* the record may move */
/* Set a key, without a deadline, to z, in the encoding that fits. z is not empty, and is taken over. `old` is the key's
 * entry or NULL. */
struct entry *zset_store(struct db *db, const struct key *key, struct entry *old, struct zset *z);
/* The pack for z: *used bytes in an allocation of *room, which the caller frees. NULL: z must stay big. */
uint8_t *zset_pack(const struct zset *z, size_t *room, size_t *used);
/* May a listpack of this many members and bytes, from a snapshot, keep that encoding? */
bool zset_keeps_listpack(size_t count, size_t bytes);
