/* What the commands of sets share. */
#pragma once
#include "session/request.h"

/* The set under the request's first key, *e NULL if there is none. False: it is no set, and that has been replied. */
bool sets_read(struct request *r, struct entry **e);
bool sets_write(struct request *r, struct entry **e);
/* So many members of a set came or went. */
void sets_changed(struct db *db, const struct key *key, const char *event, int64_t members);
void sets_remove_if_empty(struct db *db, const struct key *key, struct entry *e);
