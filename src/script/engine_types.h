/* What all sides of an engine know: the commands (engine.h), its inside (lua_engine.h), and the libraries. No Lua. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum engine_kind {
    ENGINE_SCRIPTS,   /* EVAL: a script is the body of a function without parameters, and KEYS and ARGV are globals */
    ENGINE_FUNCTIONS, /* FCALL: what a library registers gets the keys and the other arguments as parameters */
};

/* What redis.register_function() was given, valid during the call of found(). */
struct engine_function {
    struct slice name;
    struct slice description; /* ptr is NULL: none */
    int function;             /* what engine_run() calls and engine_drop() takes */
    unsigned flags;           /* enum script_flag */
};

/* How a library is loaded. */
struct engine_loading {
    /* NULL: taken, and the function is its own. Else why not, a constant: register_function raises it. */
    const char *(*found)(void *ctx, const struct engine_function *function);
    void *ctx;
    int64_t limit_ms; /* the library's code may run for so long; 0: for ever */
};

extern struct engine_options {
    int64_t memory_limit; /* script-memory-limit: bytes for each engine; 0: none */
} engine_options;
