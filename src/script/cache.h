/* The scripts that this server knows: the text and the compiled function of each under the SHA-1 of the text.
 *
 * Scripts that came by EVAL are at most CACHE_EVALS: a new one drops the one whose last call is the longest ago. What
 * SCRIPT LOAD has brought stays until SCRIPT FLUSH. FLUSHALL and syncs of replicas leave the cache alone. It is not
 * saved. */
#pragma once
#include "base/sha1.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_EVALS 500

struct buf;
struct engine;

/* Valid until it is dropped: by a flush, or by a new script if this is one of EVAL. */
struct cache_script {
    char sha[SHA1_DIGITS + 1]; /* in lower case, a NUL behind it */
    bool stays;                /* SCRIPT LOAD has brought it, so it has no place in the order below */
    unsigned flags;            /* enum script_flag */
    int function;              /* for engine_run() */
    /* Private: */
    uint32_t place;                       /* of its text among the texts seen last */
    struct cache_script *younger, *older; /* in the order of the last calls; NULL at the ends */
    size_t len;
    char text[];
};

/* The script with the SHA-1 of so many hex digits, in any case; NULL: it is not known. Allocates nothing. O(1). */
struct cache_script *cache_find(struct slice sha);
const struct cache_script *cache_peek(struct slice sha); /* the same, without its counting as a call */
/* The script with this text, which is compiled if it is not known: to be called at once, or to stay. NULL: the reason,
 * without its code, was appended to *error. O(length). */
struct cache_script *cache_eval(struct slice text, struct buf *error);
struct cache_script *cache_load(struct slice text, struct buf *error);

/* Forget all scripts, and the Lua state in which they were compiled. O(scripts), or O(1) in the background. */
void cache_flush(bool in_background);
/* The Lua state of the scripts, which the first one makes. */
struct engine *cache_engine(void);

struct cache_metrics {
    size_t scripts;   /* known now */
    size_t bytes;     /* their texts, and what finds them by their SHA-1; Lua's heap is not in it */
    size_t lua_bytes; /* Lua's heap */
    uint64_t evicted; /* scripts of EVAL that were dropped for new ones, since the start or cache_reset_metrics() */
};
struct cache_metrics cache_metrics(void); /* O(1) */
void cache_reset_metrics(void);

extern struct cache_options {
    bool lazy_flush; /* lazyfree-lazy-user-flush: SCRIPT FLUSH and FUNCTION FLUSH without a word are ASYNC */
} cache_options;
