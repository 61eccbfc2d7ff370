/* The libraries of functions: what FUNCTION LOAD and its kin change, FCALL calls, and snapshots carry.
 *
 * A set has libraries and an engine in which their code runs. One set is live. A snapshot and FUNCTION RESTORE FLUSH build
 * another one beside it, which takes its place when it is complete. So whatever fails leaves the libraries as they were.
 * An engine is made when the first library comes. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct engine;
struct function_set;

#define FUNCTIONS_LOAD_MS 500 /* the time that a client's library may take to load */

/* Valid until its library is replaced or removed: not while it runs. */
struct function {
    struct function_library *library;
    const char *name; /* a NUL behind it */
    const char *description;
    size_t name_len, description_len;
    int ref;        /* what engine_run() calls */
    unsigned flags; /* enum script_flag */
    bool is_described;
};

/* The function of this name among the live ones, or NULL. O(length of the name), allocates nothing. */
const struct function *functions_find(struct slice name);
struct engine *functions_engine(void); /* in which the live ones run; NULL: there never was a library */

/* --- Libraries ------------------------------------------------------------------------------- */

struct function_library {
    struct function_set *set;
    struct function *functions; /* in the order of their registration */
    size_t count, cap;
    char *name; /* a NUL behind it, and none in it */
    char *source;
    size_t source_len;
};

/* Load a library, and put its name into *name. False: the reason was appended to *error, in the words of Redis and without
 * "ERR"; nothing has changed. limit_ms: the time that its code may take; 0: no limit. */
struct functions_load {
    struct slice source;
    bool replace; /* a library of the same name makes room */
    int64_t limit_ms;
};
bool functions_load(const struct functions_load *load, struct buf *name, struct buf *error);
bool functions_delete(struct slice name); /* false: there is no such library */
/* Remove all, and the engine with them. O(1) if in_background. */
void functions_flush(bool in_background);

/* What a payload of FUNCTION DUMP becomes. */
enum functions_policy {
    FUNCTIONS_APPEND,  /* its libraries come to the others; none of these may have the same name */
    FUNCTIONS_REPLACE, /* they replace those of the same name */
    FUNCTIONS_FLUSH,   /* they replace all */
};
/* As functions_load(). The payload is checked first, and nothing has changed after an error. */
bool functions_restore(struct slice payload, enum functions_policy policy, struct buf *error);

/* The live libraries, one after the other: start with NULL; NULL is the end. In no order that means anything; they must
 * not change meanwhile. */
const struct function_library *functions_next(const struct function_library *library);

/* --- Figures for INFO ------------------------------------------------------------------------ */

struct functions_metrics {
    size_t libraries, functions;
    size_t bytes;     /* of their sources, names and the tables that find them; without Lua's heap */
    size_t lua_bytes; /* Lua's heap */
};
struct functions_metrics functions_metrics(void); /* O(1) */
