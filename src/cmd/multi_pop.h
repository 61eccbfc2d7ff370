/* Popping from the first of several keys that exists: (B)LMPOP, BLPOP, BRPOP, (B)ZMPOP, BZPOPMIN and BZPOPMAX.
 *
 * If no key exists, a command that may wait does so (exec/block.h), and runs again from the start when a key may have
 * come. Such a command is propagated as the pop of a single key, LPOP or ZPOPMIN, so that replicas need not search. */
#pragma once
#include "session/request.h"
#include "store/entry.h"

/* A type of value that has two ends. */
struct multi_pop {
    enum entry_type type;
    const char *first, *last;                 /* the words for the ends in LMPOP and ZMPOP, in lower case */
    struct slice first_command, last_command; /* the commands that pop there */
    size_t parts;                             /* of the reply of BLPOP: the key, and what `one` replies */
    /* Reply one element, bare, and remove it. The value is not empty, and its key goes with the last element. */
    void (*one)(struct request *r, const struct key *key, struct entry *e, bool last);
    /* Reply n elements as an array, or all if there are fewer, and remove them. Returns how many they are. n >= 1. */
    size_t (*many)(struct request *r, const struct key *key, struct entry *e, bool last, int64_t n);
};

/* The whole body of a command with the arguments "key... timeout". */
void multi_pop_one(struct request *r, const struct multi_pop *type, bool last);
/* The whole body of one with "numkeys key... END [COUNT n]"; a timeout goes before these if it may wait. */
void multi_pop_many(struct request *r, const struct multi_pop *type, bool may_wait);
