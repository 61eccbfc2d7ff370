/* The notation in which a command's row gives its syntax, and the tree that COMMAND DOCS shows. The notation reads like
 * usage text:
 *
 *   key:key value [condition:(NX | XX)@2.6.12] [GET@6.2.0] [expiration:(EX seconds:integer@2.6.12 | KEEPTTL@6.0.0)]
 *
 *   arguments    argument { " " argument }
 *   argument     required | "[" required "]" | "[" required "]..."
 *   required     [ TOKEN " " ] value [ "..." ] [ "@" version ] [ "!" version ]
 *   value        name [ "<" text ">" ] [ ":" type ] [ "#" digit ]    a value; without a type it is a string
 *                name ":(" arguments ")"                             a block: all of them, in this order
 *                name ":(" argument " | " argument ... ")"           one of them
 *                TOKEN                                               a token by itself; its name is its lower case
 *                name "=" TOKEN                                      a token with another name; '' is an empty token
 *
 * [ ] marks an optional argument, "..." one that may be given several times; "..." behind the bracket: with its token
 * each time. "@" gives the version that brought the argument, "!" the version that deprecated it. <> is its name in
 * usage texts, where that differs. "#" is the index of its key spec; without it, a key belongs to spec 0.
 *
 * Types are key, string, integer, double, pattern and unix-time. The type stands behind the last colon, since a name
 * may contain colons. A TOKEN begins with an upper-case letter; before an argument it introduces that argument,
 * otherwise it is an argument by itself. All blanks are single. For the meaning of the parts see
 * https://redis.io/docs/latest/commands/command-docs. */
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

/* An argument. Slices point into the notation; a part that is missing has ptr NULL (a token may be there and be
 * empty). */
struct command_argument {
    enum command_argument_type type;
    unsigned flags;
    int key_spec;      /* -1: none */
    struct slice name; /* of a bare token it is the token: reply it in lower case */
    struct slice display, token, since, deprecated_since;
    int children;       /* their number */
    int child, sibling; /* indexes of the first child and of the next one of the same parent; -1: none */
};

struct command_syntax {
    struct command_argument *arguments; /* owned; the first is arguments[0] */
    int count, capacity;                /* nodes of all levels */
    int children;                       /* of the top level */
    const char *error;                  /* NULL, or a constant text */
    size_t error_at;                    /* index in the notation */
};

const char *command_syntax_type_name(enum command_argument_type type); /* "pure-token" */

/* Parse `syntax`, which must live as long as the tree; NULL means no arguments. False: error and error_at are set. Call
 * command_syntax_free() in both cases. O(length). */
bool command_syntax_parse(struct command_syntax *tree, const char *syntax);
void command_syntax_free(struct command_syntax *tree);
