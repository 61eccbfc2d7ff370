/* A replica's link to its primary: from the name to the applied stream, again and again. A table of steps is the
 * handshake (link.c), intake.h receives the snapshot, apply.h the stream.
 *
 * A link that breaks is built again at once, then each second; a second passes too after a sync that failed. What was
 * applied stays: the next PSYNC asks to continue behind it. Nothing here waits: names are looked up by a thread,
 * and while a snapshot is loaded the loop is turned.
 *
 * The files that include this one (role.c) hear of it by the hooks below. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum link_state {
    /*               ROLE says     meaning */
    LINK_OFF,        /* -          this server follows nobody */
    LINK_WAITS,      /* connect    for the next try */
    LINK_CONNECTING, /* connecting the name is looked up, or the socket connects */
    LINK_HANDSHAKE,  /* handshake  from PING to the reply of PSYNC */
    LINK_SYNCS,      /* sync       a snapshot is awaited, received or loaded */
    LINK_UP,         /* connected  the stream is applied */
};

struct link_status {
    enum link_state state;
    int64_t down_ms;  /* clock_steady_ms() since when the link is down, or since link_begin(). Not valid in LINK_UP */
    int64_t heard_ms; /* clock_steady_ms() of the last bytes from the primary, newlines included */
};
extern struct link_status link_status;
const char *link_state_name(void); /* as ROLE says it; "" if it is off. Static */

/* The snapshot that is coming in: for master_sync_* of INFO. Only valid in LINK_SYNCS. */
struct link_progress {
    int64_t total_bytes; /* 0: not known yet, or never (diskless) */
    int64_t read_bytes;
    int64_t heard_ms; /* clock_steady_ms() of its last bytes */
};
struct link_progress link_progress(void);

/* Follow this primary; the text is copied. A link that there is ends. What it has applied, or link_keep_place() has
 * named, is where the next one asks to continue. The first try begins in this turn. */
void link_begin(const char *host, int port);
/* As link_begin(), but the first PSYNC bids the replica there to take the lead: its fourth word is FAILOVER.
 * link_handed_over() tells what came of it. */
void link_hand_over(const char *host, int port);
/* Follow nobody, and forget the place. Does nothing if there is no link. */
void link_end(void);
/* The data are those of this server's history at oplog_end(): a primary is about to follow another one, or files told
 * the place. The next PSYNC asks to continue there. */
void link_keep_place(void);
bool link_has_place(void);
/* Cut the connection, if there is one, as if it had broken: it is built again at once. For CLIENT KILL and DEBUG. */
void link_cut(void);

const char *link_host(void); /* as it was given to link_begin(); "": none. Valid until the next link_begin/link_end */
int link_port(void);         /* 0: none */
/* The primary as a client (CLIENT_PRIMARY), while the state is LINK_UP; else NULL. */
struct client *link_client(void);
/* slave_read_repl_offset: as oplog_end(), but received bytes that are not applied yet count too. */
int64_t link_read_offset(void);
size_t link_memory(void); /* bytes of buffers: the stream that waits, the unit that is not complete */

/* Hooks; may be NULL. None may call link_begin() or the like from inside. */
extern void (*link_changed)(void); /* link_status.state has changed */
/* The data are about to become those of another history, and the log begins anew: no cursor may be placed any more. */
extern void (*link_data_replaced)(void);
extern void (*link_history_changed)(void); /* the data are of another history, or it goes on under another id */
/* After link_hand_over(): the primary-to-be has accepted, or not. `reply` is its line, or why there was none. */
extern void (*link_handed_over)(bool accepted, const char *reply);

struct link_options {
    char *user;            /* masteruser; "": none */
    struct slice password; /* masterauth; "": none */
    char *announce_ip;     /* replica-announce-ip; "": none */
    int announce_port;     /* replica-announce-port; 0: the listening one */
    char *source_address;  /* bind-source-addr; "": any */
    int timeout_s;         /* repl-timeout: both sides of replication obey it */
    bool rdb_channel;      /* repl-rdb-channel: full syncs use a second connection; both sides obey it */
};
extern struct link_options link_options;

struct link_metrics {
    uint64_t bytes_in;  /* from primaries: total_net_repl_input_bytes */
    uint64_t bytes_out; /* to primaries */
    int64_t
        last_sync_ms; /* how long the last full sync took, from PSYNC's reply to the applied stream; -1: none so far */
};
extern struct link_metrics link_metrics;
