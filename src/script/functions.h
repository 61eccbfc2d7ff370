/* The libraries of functions: what FUNCTION LOAD and its kin change, FCALL calls, and snapshots carry.
 *
 * A set has libraries and an engine in which their code runs. One set is live. A snapshot that is loaded aside and
 * FUNCTION RESTORE FLUSH build another one, which takes its place when it is complete; other payloads become a set in
 * the live engine, which joins the live one. So whatever fails leaves the libraries as they were. An engine is made
 * when the first library comes. While a function runs, nothing here may change. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct engine;
struct function_library;

#define FUNCTIONS_LOAD_MS 500 /* the time that the code of a client's library may take to load */

/* Valid until its library is replaced or removed. */
struct function {
    struct function_library *library;
    struct function *next; /* of the library, in the order of their registration */
    int ref;               /* what engine_run() calls */
    unsigned flags;        /* enum script_flag */
    uint32_t name_len;
    bool is_described;
    size_t description_len;
    char text[]; /* the name, a NUL, the description */
};

/* The function of this name, in any case, among the live ones, or NULL. O(length of the name), allocates nothing. */
struct function *functions_find(struct slice name);
struct engine *functions_engine(void); /* in which the live ones run; NULL: there never was a library */

/* --- Libraries ------------------------------------------------------------------------------- */

/* Valid until it is replaced or removed. */
struct function_library {
    struct function *first, *last;
    size_t functions;
    size_t bytes; /* of this and the functions */
    struct slice name, source;
    char text[]; /* the source, then the name */
};

struct functions_load {
    struct slice source;
    bool replace;     /* a library of the same name makes room */
    int64_t limit_ms; /* the time that its code may take; 0: no limit */
};
/* Load a library. Its name is appended to *name. False: the reason was appended to *error, in the words of Redis and
 * without its code; nothing has changed. */
bool functions_load(const struct functions_load *load, struct buf *name, struct buf *error);
bool functions_delete(struct slice name); /* false: there is no such library */
/* Remove all, and the engine with them. O(1) if in_background. */
void functions_flush(bool in_background);

/* What becomes of the other libraries when those of a payload of FUNCTION DUMP come. */
enum functions_policy {
    FUNCTIONS_APPEND,  /* they stay; none of them may have the same name */
    FUNCTIONS_REPLACE, /* those of the same name go */
    FUNCTIONS_FLUSH,   /* all go */
};
/* limit_ms: the time that the code of each library may take; Redis sets none, so such a payload would stop the server
 * for good. False: as functions_load(). */
bool functions_restore(struct slice payload, enum functions_policy policy, int64_t limit_ms, struct buf *error);

/* Visit the live libraries, in no particular order. They must not change meanwhile. */
void functions_each(void (*visit)(void *ctx, const struct function_library *library), void *ctx);

/* --- Figures for INFO ------------------------------------------------------------------------ */

struct functions_metrics {
    size_t libraries, functions;
    size_t bytes;     /* of their sources, names and the tables that find them; without Lua's heap */
    size_t lua_bytes; /* Lua's heap */
};
struct functions_metrics functions_metrics(void); /* O(1) */
