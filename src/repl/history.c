/* See history.h. Invariant: both ids have 40 characters, and former_end is -1 exactly while former_id is all zeros.
 *
 * The log names its history in files (oplog_id) as soon as somebody may know of it: it was told to replicas, or read.
 * PSYNC's number is one more than the offset up to which a replica has data, and so is former_end. */
#include "repl/history.h"
#include "base/rand.h"
#include "oplog/oplog.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NO_ID "0000000000000000000000000000000000000000"

struct history history = {.id = NO_ID, .former_id = NO_ID, .former_end = -1};

/* The log tells snapshots of the former history, too. */
static void tell_former(void) {
    snprintf(oplog_former.id, sizeof oplog_former.id, "%s", history.former_end < 0 ? "" : history.former_id);
    oplog_former.end = history.former_end;
}

static void make_id(void) {
    history.told = false;
    rand_hex(history.id, HISTORY_ID_LEN);
    history.id[HISTORY_ID_LEN] = '\0';
}

static void forget_former(void) {
    memcpy(history.former_id, NO_ID, sizeof history.former_id);
    history.former_end = -1;
    tell_former();
}

static void make_present_former(void) {
    memcpy(history.former_id, history.id, sizeof history.former_id);
    history.former_end = oplog_end() + 1;
    tell_former();
}

const char *history_tell(void) {
    history.told = true;
    return history.id;
}

const char *history_best_known(void) {
    return !history.told && oplog_end() < history.former_end ? history.former_id : history.id;
}

void history_start(void) {
    history_renew();
}

void history_renew(void) {
    make_id();
    forget_former();
}

void history_branch(void) {
    make_present_former();
    make_id();
}

static bool is_id(struct slice id) {
    return id.len == HISTORY_ID_LEN && memchr(id.ptr, '\0', id.len) == NULL && memcmp(id.ptr, NO_ID, id.len) != 0;
}

void history_adopt(struct slice id) {
    memcpy(history.id, is_id(id) ? id.ptr : NO_ID, HISTORY_ID_LEN);
    history.told = true;
    forget_former();
    oplog_id = history.id;
}

bool history_rename(struct slice id) {
    if (!is_id(id)) return false;
    if (strncasecmp(id.ptr, history.id, HISTORY_ID_LEN) == 0) return true;
    make_present_former();
    memcpy(history.id, id.ptr, HISTORY_ID_LEN);
    history.told = true;
    return true;
}

void history_recall(const char *id, int64_t former_end) {
    if (!is_id(slice_cstr(id))) return;
    memcpy(history.former_id, id, HISTORY_ID_LEN);
    history.former_end = former_end;
    tell_former();
    oplog_id = history.id;
}

void history_recall_former(const struct oplog_former *former) {
    bool is_hex = strspn(former->id, "0123456789abcdefABCDEF") == HISTORY_ID_LEN;
    if (is_hex && former->end > 0 && former->end <= oplog_end() + 1) history_recall(former->id, former->end);
}

static bool is_known(struct slice id, int64_t offset) {
    if (!is_id(id)) return false;
    if (strncasecmp(id.ptr, history.id, HISTORY_ID_LEN) == 0) return true;
    return strncasecmp(id.ptr, history.former_id, HISTORY_ID_LEN) == 0 && offset < history.former_end;
}

enum history_match history_match(struct slice id, int64_t offset) {
    if (!is_known(id, offset)) return HISTORY_FOREIGN;
    bool has = (oplog_is_kept & OPLOG_BACKLOG) && offset >= oplog_first() && offset <= oplog_end();
    return has ? HISTORY_CONTINUES : HISTORY_LOST;
}
