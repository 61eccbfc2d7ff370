/* The talk of a replica with its primary before the snapshot or the stream begins. It is a table of steps; the second
 * connection of a full sync (rdb-channel) has a table of its own. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define HANDSHAKE_ID_LEN 40
#define HANDSHAKE_CLIENT_MAX 24 /* bytes of the primary's name for the first connection */

/* What the replica is, and what it wants. The texts must stay valid meanwhile. */
struct handshake_question {
    int fd;                        /* the connected socket, non-blocking; the caller's */
    const char *user;              /* "": the default one */
    struct slice password;         /* "": no AUTH */
    int port;                      /* under which it serves */
    const char *ip;                /* the same; "": the one that the primary sees */
    char id[HANDSHAKE_ID_LEN + 1]; /* of the history that it has; "": none */
    int64_t offset;                /* and up to which it has that history */
    bool takes_channel;            /* a second connection for the snapshot is welcome */
    bool bids;                     /* the primary-to-be is bidden to take the lead: FAILOVER */
    /* The first connection, for which this is the second one; "": this is a first one. */
    char main_client[HANDSHAKE_CLIENT_MAX];
};

enum handshake_outcome {
    HANDSHAKE_CONTINUES, /* the stream follows. `id` is the history's from here on; "": it was not told */
    HANDSHAKE_FULL,      /* a snapshot follows, then the stream: `id`, `offset` */
    HANDSHAKE_CHANNEL,   /* the snapshot is to be asked for on a second connection, in the name of `main_client` */
    HANDSHAKE_OLD,       /* the primary knows no PSYNC. A snapshot follows, of an untold history */
    HANDSHAKE_LATER,     /* it cannot at the moment; logged */
    HANDSHAKE_FAILED,    /* logged */
};

struct handshake_answer {
    enum handshake_outcome outcome;
    char id[HANDSHAKE_ID_LEN + 1];
    int64_t offset;
    char main_client[HANDSHAKE_CLIENT_MAX];
    const char *reply; /* the last line of the primary, or why there was none; valid during the call */
};

/* `ended` is called once, from the loop or from in here, and the loop does not watch the socket then. One handshake at
 * a time. */
void handshake_begin(const struct handshake_question *question, void (*ended)(const struct handshake_answer *answer));
void handshake_cancel(void);      /* `ended` is not called */
int64_t handshake_heard_ms(void); /* clock_steady_ms() of the last line */
