/* The shape of a configuration directive: one row, which belongs to the module that obeys it. CONFIG GET, SET and
 * REWRITE, the configuration file and the command line all work from these rows. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum option_type {
    OPTION_BOOL,    /* bool *        "yes" / "no" */
    OPTION_INT,     /* int *         bounds inclusive */
    OPTION_I64,     /* int64_t *     bounds inclusive */
    OPTION_MEMORY,  /* int64_t *     bytes, with units: "100mb"; OPTION_PERCENT allows "-5" for 5 % */
    OPTION_ENUM,    /* int *         one of names */
    OPTION_FLAGS,   /* int *         any of names, joined by blanks */
    OPTION_STRING,  /* char **       owned, never NULL */
    OPTION_BYTES,   /* struct slice *  owned, with a NUL behind it; may hold NULs itself: passwords */
    OPTION_OCTAL,   /* int *         "700" */
    OPTION_CUSTOM,  /* set and get do it all: bind, save, client-output-buffer-limit... */
    OPTION_IGNORED, /* a directive of Redis 7.2 that does nothing here: a string that is kept */
};

enum option_flag {
    OPTION_IMMUTABLE = 1 << 0,     /* cannot be set at run time */
    OPTION_SENSITIVE = 1 << 1,     /* its value is not shown in logs */
    OPTION_PROTECTED = 1 << 2,     /* set at run time only if enable-protected-configs allows */
    OPTION_HIDDEN = 1 << 3,        /* CONFIG GET shows it only by its exact name */
    OPTION_MULTI = 1 << 4,         /* takes several words; repeated lines add up (save, bind ...) */
    OPTION_EMPTY_IS_NULL = 1 << 5, /* "" means unset */
    OPTION_PERCENT = 1 << 6,       /* OPTION_MEMORY may be a percentage */
    OPTION_DENY_LOADING = 1 << 7,
    OPTION_PLANNED = 1 << 8, /* stored and shown, but what it asks for comes with a later version: warn once when set */
};

struct buf;

struct option_name {
    const char *name;
    int value;
};

struct option {
    const char *name;
    const char *alias; /* the old name ("slaveof"), or NULL */
    enum option_type type;
    unsigned flags;
    void *address;
    const char *initial;             /* as it would stand in the file */
    int64_t min, max;                /* OPTION_INT, OPTION_I64, OPTION_MEMORY */
    const struct option_name *names; /* OPTION_ENUM and OPTION_FLAGS; ends with {NULL, 0} */
    /* After the address was written, at start-up and at run time. False (and *error, a static text) undoes it. */
    bool (*apply)(const char **error);
    /* OPTION_CUSTOM */
    bool (*set)(const char *const *words, int count, const char **error);
    void (*get)(struct buf *out); /* as it would stand behind the name in the file */
    /* The complete lines of CONFIG REWRITE, each with its line end, where they are not just the name and the value. */
    void (*lines)(struct buf *out);
};
