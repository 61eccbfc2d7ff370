/* The notation in which a command's row tells its syntax, and the tree that COMMAND DOCS makes of it.
 *
 * It reads like usage text:
 *
 *   key:key value [condition:(NX | XX)@2.6.12] [GET@6.2.0] [expiration:(EX seconds:integer@2.6.12 | KEEPTTL@6.0.0)]
 *
 *   arguments    argument { " " argument }
 *   argument     required | "[" required "]" | "[" required "]..."
 *   required     [ TOKEN " " ] value [ "..." ] [ "@" version ] [ "!" version ]
 *   value        name [ "<" text ">" ] [ ":" type ] [ "#" digit ]    a value; its type is string if it is not said
 *                name ":(" arguments ")"                             a block: all of them, in this order
 *                name ":(" argument " | " argument ... ")"           one of them
 *                TOKEN                                               a token by itself; its name is its lower case
 *                name "=" TOKEN                                      the same under another name; '' is the empty one
 *
 * [ ] is an optional argument, "..." one that may be given several times; behind the
 * bracket: its token is repeated too. "@" is the version that brought it, "!" the one that
 * deprecated it. <> is how usage texts call it, where not by its name. "#" is the key spec
 * it belongs to; an argument of the type key belongs to spec 0 if nothing is said.
 *
 * Types are key, string, integer, double, pattern and unix-time; the type stands behind
 * the last colon, since a name may have others. TOKEN begins with an upper-case letter;
 * before an argument it introduces that argument, and otherwise it is one. All blanks are
 * single. What the parts mean: https://redis.io/docs/latest/commands/command-docs. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

enum command_argument_type {
    ARGUMENT_STRING,
    ARGUMENT_INTEGER,
    ARGUMENT_DOUBLE,
    ARGUMENT_KEY,
    ARGUMENT_PATTERN,
    ARGUMENT_UNIX_TIME,
    ARGUMENT_PURE_TOKEN,
    ARGUMENT_ONEOF,
    ARGUMENT_BLOCK,
};

enum command_argument_flag { ARGUMENT_OPTIONAL = 1 << 0, ARGUMENT_MULTIPLE = 1 << 1, ARGUMENT_MULTIPLE_TOKEN = 1 << 2 };

/* An argument. Slices point into the notation; one that is missing has ptr NULL (a token may be there and be empty). */
struct command_argument {
    enum command_argument_type type;
    unsigned flags;
    int key_spec;      /* -1: none */
    struct slice name; /* of a bare token it is the token: reply it in lower case */
    struct slice display, token, since, deprecated_since;
    int children;       /* how many */
    int child, sibling; /* indexes of the first child and of the next one of the same parent; -1: none */
};

struct command_syntax {
    struct command_argument *arguments; /* owned; the first is arguments[0] */
    int count, capacity;                /* nodes of all levels */
    int children;                       /* of the top level */
    const char *error;                  /* what is wrong, or NULL; a constant text */
    size_t error_at;                    /* where in the notation */
};

const char *command_syntax_type_name(enum command_argument_type type); /* "pure-token" */

/* Parse; NULL is no arguments; false with error and error_at set. command_syntax_free() in both cases. O(length). */
bool command_syntax_parse(struct command_syntax *tree, const char *syntax);
void command_syntax_free(struct command_syntax *tree);
