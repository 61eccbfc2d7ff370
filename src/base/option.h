/* The shape of an option: one row per directive, kept by the module that obeys it. The configuration file, the command
 * line, CONFIG GET, SET and REWRITE all work from the rows; conf/config does that work. A module exports its rows as
 * `<module>_rows`, an array that ends with a row without a name, and keeps the values in `<module>_options`. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum option_type {
    /*                 address         form in the file */
    OPTION_BOOL,   /* bool *          "yes" or "no" */
    OPTION_INT,    /* int *           a decimal number */
    OPTION_I64,    /* int64_t *       a decimal number */
    OPTION_MEMORY, /* int64_t *       bytes, with an optional unit: "100mb" */
    OPTION_ENUM,   /* int *           one of the names */
    OPTION_FLAGS,  /* int *           any of the names, joined by blanks; the value is the OR of theirs */
    OPTION_STRING, /* char **         text without NUL bytes; allocated, never NULL once the row is registered */
    OPTION_BYTES,  /* struct slice *  any bytes, such as a password; allocated, a NUL follows them */
    OPTION_OCTAL,  /* int *           an octal number: "700" */
    OPTION_CUSTOM, /* not used        set() reads the words, get() prints them: bind, save ... */
};

enum option_flag {
    OPTION_IMMUTABLE = 1 << 0,    /* can be set at start-up only */
    OPTION_SENSITIVE = 1 << 1,    /* a password: no record of a request may show its value */
    OPTION_PROTECTED = 1 << 2,    /* CONFIG SET needs the permission of enable-protected-configs */
    OPTION_HIDDEN = 1 << 3,       /* CONFIG GET shows it only if asked by its exact name, not by a pattern */
    OPTION_MULTI = 1 << 4,        /* takes several words; several lines in the file add up: bind, save ... */
    OPTION_PERCENT = 1 << 5,      /* OPTION_MEMORY takes a percentage too: "5%" is kept as -5 */
    OPTION_DENY_LOADING = 1 << 6, /* cannot be set while the dataset is being loaded */
    OPTION_DECISION = 1 << 11,    /* to set it is a decision: apply() runs, even if the value was the same before */
    /* Kept and shown, but without effect in this version. Such a row is one of three kinds: */
    OPTION_HARMLESS = 1 << 7,   /* kura does what it asks for anyway, or needs nothing of the kind: silent */
    OPTION_MISSING = 1 << 8,    /* an operator would miss it: the log says so once */
    OPTION_PROTECTIVE = 1 << 9, /* without it the server would be open, or lose or leak data: refused */
    OPTION_UNSIGNED = 1 << 10,  /* OPTION_MEMORY takes 64 bits: the address is that of a uint64_t */
};

struct buf;

/* A name that OPTION_ENUM or OPTION_FLAGS takes. If two names have the same value, the first is printed. */
struct option_name {
    const char *name;
    int value;
};

struct option {
    const char *name;
    const char *alias; /* the name that it had in earlier versions of Redis, or NULL */
    enum option_type type;
    unsigned flags;                  /* enum option_flag */
    void *address;                   /* NULL: no module reads the value, the register keeps it */
    const char *initial;             /* the default, as it would stand in the file; NULL: set() has none */
    int64_t min, max;                /* inclusive, for numbers; max 0: the largest value of the type */
    const struct option_name *names; /* OPTION_ENUM and OPTION_FLAGS; ends with {NULL, 0} */
    /* Let a new value take effect; runs after it was written, at start-up and at run time, but not for the default.
     * False with *error (a text that outlives the call): the former value comes back. */
    bool (*apply)(const char **error);
    /* OPTION_CUSTOM. set(): false with *error as above; nothing has changed then. get(): the words as in the file. */
    bool (*set)(const char *const *words, int count, const char **error);
    void (*get)(struct buf *out);
    /* The lines that CONFIG REWRITE writes, each with its line end, where they are not just the name and the value. */
    void (*lines)(struct buf *out);
};
