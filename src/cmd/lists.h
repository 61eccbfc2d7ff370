/* What the files of list commands share. */
#pragma once
#include "ds/quicklist.h"
#include "session/request.h"

/* Reply n elements from this index on, all of which must be there; backwards if they are taken from QUICKLIST_TAIL. */
void lists_reply_elements(struct client *c, const struct quicklist *q, size_t index, size_t n, enum quicklist_end from);

extern const char *const lists_push_events[]; /* by enum quicklist_end */
/* Publish, under this event, that the list lost n elements. If e is NULL, it has lost its last, and its key is gone. */
void lists_removed(struct request *r, const struct key *key, const struct entry *e, const char *event, size_t n);
