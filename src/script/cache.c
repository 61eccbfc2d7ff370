/* See cache.h. A table finds a script by its SHA-1, which EVALSHA gives. EVAL gives the text, and to compute the SHA-1
 * each time would take longer than a short script does. So the texts seen last are remembered in an array. A few bytes
 * of a text tell its place there, and the whole text is compared; only what is not there pays for the SHA-1.
 *
 * Hex digits are compared eight at a time, and never converted: the bit that tells lower from upper case is ignored
 * where the script's own digit is a letter. */
#include "script/cache.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/likely.h"
#include "base/module.h"
#include "base/option.h"
#include "base/worker.h"
#include "ds/table.h"
#include "script/engine.h"
#include "script/shebang.h"
#include "store/entry.h"
#include <assert.h>

#define SHA_WORDS (SHA1_DIGITS / 8)
#define LOWER 0x2020202020202020u  /* set in lower case letters and in digits */
#define LETTER 0x4040404040404040u /* set in letters, not in digits */
#define PLACES_LOG2 11
#define PLACES (1u << PLACES_LOG2)

struct cache_options cache_options;

static uint64_t hash_script(const void *record);
static const struct table_type script_type = {.hash = hash_script};

static struct {
    struct engine *engine; /* NULL: no script has come yet */
    struct table scripts;
    struct cache_script *youngest, *oldest; /* of those that came by EVAL */
    size_t evals;                           /* how many these are */
    size_t bytes;                           /* of all scripts */
    uint64_t evicted;
} cache = {.scripts = {.type = &script_type}};

/* The text that was seen last at each place, or NULL. */
static struct cache_script *texts[PLACES];

/* --- SHA-1 ----------------------------------------------------------------------------------- */

/* The first words suffice: nobody can make many texts whose SHA-1 agree in 64 bits. */
static uint64_t hash_digits(const char *sha) {
    uint64_t first = hash_load64(sha) | LOWER, second = hash_load64(sha + 8) | LOWER;
    return hash_fold(first ^ hash_secret[1], second ^ hash_secret[2]);
}

static uint64_t hash_script(const void *record) {
    return hash_digits(((const struct cache_script *)record)->sha);
}

static bool same_digits(const void *record, const void *digits) {
    const char *own = ((const struct cache_script *)record)->sha, *other = digits;
    uint64_t difference = 0;
    for (int i = 0; i < SHA_WORDS; i++) {
        uint64_t word = hash_load64(own + 8 * i);
        difference |= (word ^ hash_load64(other + 8 * i)) & ~((word & LETTER) >> 1);
    }
    return difference == 0;
}

static struct cache_script *find_digits(const char *sha) {
    return table_find(&cache.scripts, hash_digits(sha), same_digits, sha);
}

/* --- The order of the last calls ------------------------------------------------------------- */

static void leave_order(struct cache_script *s) {
    *(s->younger ? &s->younger->older : &cache.youngest) = s->older;
    *(s->older ? &s->older->younger : &cache.oldest) = s->younger;
    cache.evals--;
}

static void enter_order(struct cache_script *s) {
    s->younger = NULL;
    s->older = cache.youngest;
    *(s->older ? &s->older->younger : &cache.oldest) = s;
    cache.youngest = s;
    cache.evals++;
}

static struct cache_script *touch(struct cache_script *s) {
    if (s->younger) { /* those that stay have no neighbours */
        leave_order(s);
        enter_order(s);
    }
    return s;
}

static void keep(struct cache_script *s) {
    if (s->stays) return;
    leave_order(s);
    s->younger = s->older = NULL;
    s->stays = true;
}

/* --- Scripts --------------------------------------------------------------------------------- */

static size_t script_bytes(size_t len) {
    return sizeof(struct cache_script) + len;
}

static void free_script(void *ctx, void *record) {
    (void)ctx;
    alloc_put(record, script_bytes(((const struct cache_script *)record)->len));
}

static void evict(struct cache_script *s) {
    leave_order(s);
    bool found = table_remove(&cache.scripts, hash_script(s), s);
    assert(found);
    (void)found;
    if (texts[s->place] == s) texts[s->place] = NULL;
    engine_drop(cache.engine, s->function);
    cache.bytes -= alloc_class(script_bytes(s->len));
    cache.evicted++;
    free_script(NULL, s);
}

static struct cache_script *add(struct slice text, const char *sha, int function, unsigned flags) {
    if (cache.evals == CACHE_EVALS) evict(cache.oldest);
    struct cache_script *s = alloc_get(script_bytes(text.len));
    *s = (struct cache_script){.flags = flags, .function = function, .len = text.len};
    memcpy(s->sha, sha, SHA1_DIGITS);
    memcpy(s->text, text.ptr, text.len);
    table_insert(&cache.scripts, hash_script(s), s);
    enter_order(s);
    cache.bytes += alloc_class(script_bytes(text.len));
    return s;
}

struct engine *cache_engine(void) {
    if (unlikely(!cache.engine)) cache.engine = engine_new(ENGINE_SCRIPTS);
    return cache.engine;
}

static struct cache_script *compile(struct slice text, const char *sha, struct buf *error) {
    unsigned flags;
    struct slice code;
    if (!shebang_read_script(text, &flags, &code, error)) return NULL;
    int function = engine_compile(cache_engine(), code, error);
    return function ? add(text, sha, function, flags) : NULL;
}

/* --- Texts ----------------------------------------------------------------------------------- */

/* Made of the length and up to four samples, for speed. Of texts with the same place, only the last is known there. */
static uint32_t place_of(struct slice text) {
    uint64_t sum = text.len;
    if (text.len <= 16) {
        sum = hash_bytes(text.ptr, text.len);
    } else {
        const char *end = text.ptr + text.len - 8;
        sum = hash_fold(sum ^ hash_load64(text.ptr), hash_load64(end) ^ hash_secret[1]);
        sum = hash_fold(sum ^ hash_load64(end - text.len / 4), hash_load64(end - text.len / 2) ^ hash_secret[2]);
    }
    return (uint32_t)(sum >> (64 - PLACES_LOG2));
}

/* The text is not where it was seen last, if it ever was. */
static __attribute__((noinline)) struct cache_script *find_text(struct slice text, uint32_t place, struct buf *error) {
    char sha[SHA1_DIGITS];
    sha1_hex(text, sha);
    struct cache_script *s = find_digits(sha);
    if (!s) s = compile(text, sha, error);
    if (!s) return NULL;
    s->place = place;
    texts[place] = s;
    return s;
}

static struct cache_script *script_of(struct slice text, struct buf *error) {
    uint32_t place = place_of(text);
    struct cache_script *s = texts[place];
    if (likely(s && s->len == text.len && memcmp(s->text, text.ptr, text.len) == 0)) return s;
    return find_text(text, place, error);
}

/* --- Public ---------------------------------------------------------------------------------- */

struct cache_script *cache_find(struct slice sha) {
    struct cache_script *s = sha.len == SHA1_DIGITS ? find_digits(sha.ptr) : NULL;
    return s ? touch(s) : NULL;
}

const struct cache_script *cache_peek(struct slice sha) {
    return sha.len == SHA1_DIGITS ? find_digits(sha.ptr) : NULL;
}

struct cache_script *cache_eval(struct slice text, struct buf *error) {
    struct cache_script *s = script_of(text, error);
    return s ? touch(s) : NULL;
}

struct cache_script *cache_load(struct slice text, struct buf *error) {
    struct cache_script *s = script_of(text, error);
    if (!s) return NULL;
    keep(s);
    engine_collect(cache.engine);
    return s;
}

/* --- Flush ----------------------------------------------------------------------------------- */

/* What is to be freed. */
struct remains {
    struct table scripts;
    size_t announced; /* to entry_lazyfree_begins() */
};

static void free_remains(void *arg) {
    struct remains *r = arg;
    table_clear(&r->scripts, free_script, NULL);
    entry_lazyfree_done(r->announced);
    alloc_put(r, sizeof *r);
}

static void free_scripts(bool in_background) {
    struct remains *r = alloc_get(sizeof *r);
    *r = (struct remains){.scripts = cache.scripts};
    if (!in_background) {
        free_remains(r);
        return;
    }
    r->announced = cache.scripts.count;
    entry_lazyfree_begins(r->announced);
    worker_submit_free(free_remains, r, sizeof *r + cache.bytes + table_memory(&cache.scripts));
}

void cache_flush(bool in_background) {
    if (!cache.engine) return;
    (in_background ? engine_free_later : engine_free)(cache.engine);
    cache.engine = NULL;
    free_scripts(in_background);
    table_init(&cache.scripts, &script_type);
    cache.youngest = cache.oldest = NULL;
    cache.evals = cache.bytes = 0;
    memset(texts, 0, sizeof texts);
}

/* --- Figures --------------------------------------------------------------------------------- */

struct cache_metrics cache_metrics(void) {
    return (struct cache_metrics){
        .scripts = cache.scripts.count,
        .bytes = cache.bytes + table_memory(&cache.scripts),
        .lua_bytes = cache.engine ? engine_memory(cache.engine) : 0,
        .evicted = cache.evicted,
    };
}

void cache_reset_metrics(void) {
    cache.evicted = 0;
}

static const struct option cache_rows[] = {
    {"lazyfree-lazy-user-flush", .type = OPTION_BOOL, .address = &cache_options.lazy_flush, .initial = "no"},
    {NULL},
};

const struct module cache_module = {.options = cache_rows};
