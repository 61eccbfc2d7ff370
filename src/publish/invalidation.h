/* Invalidations: a message that tells client-side caches to forget keys. It may go to many clients: in RESP3 as a push
 * of type "invalidate", in RESP2 as a message on the channel "__redis__:invalidate" to clients that have
 * subscriptions. */
#pragma once
#include "base/slice.h"
#include "net/conn.h"
#include <stdbool.h>
#include <stdint.h>

struct client;

/* Set one of key and list before invalidation_begin(), or none of them: all keys. Each of the two forms is written
 * once, when the first client needs it. */
struct invalidation {
    struct slice key;        /* one key */
    struct slice list;       /* several keys: an array in RESP */
    struct conn_range range; /* of the output arena, in which the forms are */
    struct {
        size_t start, end;
    } push, message; /* places of the RESP3 and the RESP2 form; end 0: not written yet */
};

/* From here to invalidation_end(), nothing else may be written to the output arena. */
void invalidation_begin(struct invalidation *i);
/* Send it to a client. `redirected`: the client gets it in place of another one. In RESP2, only redirected messages to
 * clients with subscriptions are sent; all others are dropped. */
void invalidation_send(struct invalidation *i, struct client *to, bool redirected);
void invalidation_end(struct invalidation *i);
/* Tell a client in RESP3 that the client with the id `redirection`, which got its messages, is closed. */
void invalidation_lost(struct client *to, uint64_t redirection);
