/* What all list commands share. */
#pragma once
#include "cmd/lookup.h"
#include "ds/quicklist.h"
#include "session/request.h"

/* e, which may be NULL, is a list or nothing. False: the error was replied. */
static inline bool lists_check(struct request *r, const struct entry *e) {
    return lookup_is(r->client, e, ENTRY_LIST);
}

void lists_reply_element(struct client *c, struct listpack_value v);
/* n elements from this index on, all of which are there; from QUICKLIST_TAIL, backwards. */
void lists_reply_elements(struct client *c, const struct quicklist *q, size_t index, size_t n, enum quicklist_end from);

extern const char *const lists_push_events[]; /* by enum quicklist_end */
/* The list lost n elements, and is gone if `e` is NULL: say so, as this event. */
void lists_removed(struct request *r, const struct key *key, const struct entry *e, const char *event, size_t n);
