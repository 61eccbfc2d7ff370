/* What the list commands that may wait share with those that may not. */
#pragma once
#include "cmd/multi_pop.h"
#include "ds/quicklist.h"

extern const struct multi_pop list_pop_type;

/* LEFT or RIGHT. False: the error was replied. */
bool list_pop_parse_end(struct request *r, struct slice arg, enum quicklist_end *end);
/* Move an element from the list `source`, the value of r->key, to the list at argument 2, and reply it. False: one of
 * the two is no list; replied. */
bool list_pop_move(struct request *r, struct entry *source, enum quicklist_end from, enum quicklist_end to);
