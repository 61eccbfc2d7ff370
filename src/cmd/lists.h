/* What the list commands that block share with those that do not. */
#pragma once
#include "server/exec.h"
#include "store/list.h"

struct client;

bool lists_parse_end(struct request *r, struct slice arg, enum quicklist_end *end); /* LEFT or RIGHT */

/* e, which may be NULL, is a list or nothing. False: the error was replied. */
bool lists_check(struct request *r, const struct entry *e);
/* Reply the element at this end, and remove it. */
void lists_pop(struct request *r, const struct key *key, struct entry *e, enum quicklist_end end);
/* From the list at r->key, which is there, to that at argv[2]; replies the element. False: a wrong type was replied. */
bool lists_move(struct request *r, struct entry *source, enum quicklist_end from, enum quicklist_end end);

/* numkeys key... LEFT|RIGHT [COUNT n] */
struct lists_mpop {
    const struct slice *keys;
    int64_t key_count, n;
    enum quicklist_end end;
};
bool lists_parse_mpop(struct request *r, int at,
                      struct lists_mpop *m);                    /* from argv[at] on; false: an error was replied */
bool lists_mpop(struct request *r, const struct lists_mpop *m); /* false: no list is there, nothing was replied */
