/* See token.h. A token must hold as long as the history that it names: so the first one starts the backlog, and with it
 * a history that lasts. */
#include "repl/token.h"
#include "base/num.h"
#include "oplog/oplog.h"
#include "repl/backlog.h"
#include "repl/link.h"
#include "repl/role.h"
#include "session/reply.h"
#include "session/request.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_hex(struct slice text) {
    static const char digits[] = "0123456789abcdefABCDEF";
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || !strchr(digits, text.ptr[i])) return false;
    return true;
}

bool token_parse(struct slice text, struct token *token) {
    if (text.len < HISTORY_ID_LEN + 2 || text.ptr[HISTORY_ID_LEN] != ':') return false;
    struct slice id = slice_of(text.ptr, HISTORY_ID_LEN);
    struct slice number = slice_of(text.ptr + HISTORY_ID_LEN + 1, text.len - HISTORY_ID_LEN - 1);
    if (!is_hex(id) || !num_parse_i64(number, &token->offset) || token->offset < 0) return false;
    memcpy(token->id, id.ptr, HISTORY_ID_LEN);
    token->id[HISTORY_ID_LEN] = '\0';
    return true;
}

/* A replica hears late of a new history, so it rules out only what went on in the former one behind the branch. While a
 * snapshot replaces its data, or has failed to, these are no place in any history. */
enum token_verdict token_judge(const struct token *token) {
    if (role_is_replica() && !link_has_place()) return TOKEN_UNKNOWN;
    if (history_match(slice_cstr(token->id), token->offset) != HISTORY_FOREIGN) {
        if (token->offset <= oplog_end()) return TOKEN_REACHED;
        return role_is_replica() ? TOKEN_AHEAD : TOKEN_DIVERGED;
    }
    bool is_former = strcasecmp(token->id, history.former_id) == 0;
    return role_is_replica() && !is_former ? TOKEN_UNKNOWN : TOKEN_DIVERGED;
}

/* The history of a primary without replicas would begin anew with the first one; with a backlog, this one lasts. */
void token_command(struct request *r) {
    char text[HISTORY_ID_LEN + NUM_I64_MAX + 2];
    if (!role_is_replica()) backlog_start(true);
    int n = snprintf(text, sizeof text, "%s:%lld", history.id, (long long)oplog_end());
    reply_bulk(r->client, slice_of(text, (size_t)n));
}
