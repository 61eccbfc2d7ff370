/* What a client-side cache is told to forget: one message, which may go to many clients. In RESP3 it is a push of its
 * own, in RESP2 a message on the channel "__redis__:invalidate" to a client that has subscriptions. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct client;

/* Begun with one of the two, or none, which means everything; each form of it is written when somebody needs it. */
struct invalidation {
    struct slice key;  /* one key */
    struct slice list; /* several: an array in the protocol's form */
    size_t mark;
    struct {
        size_t start, end;
    } push, message; /* in the arena; end 0: not written yet */
};

/* Until it is ended, nothing else may be written to the arena. */
void invalidation_begin(struct invalidation *i);
/* Does nothing for a client that cannot be told. `redirected`: it stands in for another one. */
void invalidation_send(struct invalidation *i, struct client *to, bool redirected);
void invalidation_end(struct invalidation *i);
/* The client has sent its invalidations to one that has gone: tell it so. */
void invalidation_lost(struct client *to, uint64_t redirection);
