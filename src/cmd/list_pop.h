/* What the list commands that block share with those that do not. */
#pragma once
#include "ds/quicklist.h"
#include "session/request.h"

bool list_pop_parse_end(struct request *r, struct slice arg, enum quicklist_end *end); /* LEFT or RIGHT */

/* Reply the element at this end, and remove it. */
void list_pop_one(struct request *r, const struct key *key, struct entry *e, enum quicklist_end end);
/* From the list at r->key, which is there, to that at argv[2]; replies the element. False: a wrong type was replied. */
bool list_pop_move(struct request *r, struct entry *source, enum quicklist_end from, enum quicklist_end end);

/* numkeys key... LEFT|RIGHT [COUNT n] */
struct list_pop_many {
    const struct slice *keys;
    int64_t key_count, n;
    enum quicklist_end end;
};
/* From argv[at] on. False: an error was replied. */
bool list_pop_parse_many(struct request *r, int at, struct list_pop_many *m);
/* Pop from the first of the keys that is there. False: none is, and nothing was replied. */
bool list_pop_many(struct request *r, const struct list_pop_many *m);
