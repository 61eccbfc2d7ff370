/* What the files of set commands share. */
#pragma once
#include "store/db.h"

/* Publish that `members` members of a set came or went: Redis counts each as a change. */
void sets_changed(struct db *db, const struct key *key, const char *event, int64_t members);
/* Publish that members went, and remove the key if they were the last. */
void sets_removed(struct db *db, const struct key *key, struct entry *e, const char *event, int64_t members);
