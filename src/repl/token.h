/* Tokens: "<id of the history>:<offset>", a place in the log. All that the connection which asked for the token had
 * written or read lies before that place; so a server that has the place shows nothing older. */
#pragma once
#include "base/slice.h"
#include "repl/history.h"
#include <stdbool.h>
#include <stdint.h>

struct token {
    char id[HISTORY_ID_LEN + 1];
    int64_t offset; /* at least 0 */
};

/* False: the text is no token, and *token may be half filled. */
bool token_parse(struct slice text, struct token *token);

enum token_verdict {
    TOKEN_REACHED,  /* the data have what the token saw */
    TOKEN_AHEAD,    /* they will have it */
    TOKEN_UNKNOWN,  /* the token is of a history that this replica may yet learn of */
    TOKEN_DIVERGED, /* they never will: it was written to a primary that was replaced before it could pass it on */
};
/* O(1). It may change with the end of the log, the history and the role of this server. */
enum token_verdict token_judge(const struct token *token);

struct request;
void token_command(struct request *r); /* CLIENT TOKEN */
