/* A replica from its primary's side: what it has been sent, what it has acknowledged, and what it may still ask for.
 *
 * A feed is a cursor in the log (oplog/oplog.h). Before the replies of a wave leave, each feed that streams gets what
 * the log has behind its cursor, straight from the log's blocks to its socket. A replica that is slow has its cursor
 * behind; that is all of its buffer. A second cursor, its place, stands where the replica's last acknowledgement was,
 * since bytes in the sockets are lost when a connection breaks. The place outlives the connection: a replica that was
 * cut continues from there, until repl-timeout is over or what waits for it reaches the limits of its class. Once
 * repl-backlog-size is set, that size alone decides which replicas may continue.
 *
 * A client may announce what it can (REPLCONF) long before it becomes a replica. So a client has a feed when it has
 * sent a REPLCONF, and is a replica once CLIENT_REPLICA is set. feed.c knows of link.h, and by this which server has a
 * primary; role, failover and acks include this file and are told by the hooks below. */
#pragma once
#include "base/slice.h"
#include "oplog/oplog.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum feed_state {
    /*                  INFO says            meaning */
    FEED_ANNOUNCES,     /* -                    no replica yet: it has sent REPLCONF only */
    FEED_WAITS_START,   /* wait_bgsave          for a snapshot to begin */
    FEED_WAITS_END,     /* wait_bgsave          the snapshot becomes a file, or goes to its socket from the child */
    FEED_SENDS,         /* send_bulk            the file goes to its socket */
    FEED_WAITS_CHANNEL, /* wait_rdb_channel     its second connection has yet to get a snapshot */
    FEED_STREAMS,       /* send_bulk_and_stream it gets the stream; its second connection is being sent the snapshot */
    FEED_WAITS_ACK,     /* online               it has the snapshot, and the stream begins with its first ACK */
    FEED_ONLINE,        /* online               it gets the stream */
};

enum feed_flag {
    FEED_EOF = 1 << 0,          /* capa eof: takes a snapshot whose length is not known */
    FEED_PSYNC2 = 1 << 1,       /* capa psync2 */
    FEED_CAN_CHANNEL = 1 << 2,  /* capa rdb-channel-repl: can take the snapshot by a second connection */
    FEED_IS_CHANNEL = 1 << 3,   /* is such a second connection: no replica by itself, and it gets no stream */
    FEED_RDB_ONLY = 1 << 4,     /* wants the snapshot and nothing else */
    FEED_NO_DATA = 1 << 5,      /* rdb-filter-only without data: a snapshot without keys */
    FEED_NO_FUNCTIONS = 1 << 6, /* the same without functions */
    FEED_OLD = 1 << 7,          /* came by SYNC: it does not acknowledge */
    FEED_HOLDS = 1 << 8,        /* its socket is in the hands of the child that sends the snapshot */
    FEED_FRESH = 1 << 9,        /* has not been level since its full sync */
    FEED_ACKED = 1 << 10,       /* acknowledged its snapshot before the end of the child that sent it was known */
};

/* A feed lives as long as its client. */
struct feed {
    struct client *client;
    struct feed *prev, *next; /* all replicas, in the order in which they came; not for FEED_ANNOUNCES */
    struct feed *other;       /* its second connection; of that one: the first. NULL: none */
    enum feed_state state;
    unsigned flags;             /* enum feed_flag */
    struct oplog_cursor cursor; /* the next byte for it. Nowhere before a snapshot has begun for it */
    struct oplog_cursor place;  /* where it may continue when its connection breaks; nowhere: not kept */
    int64_t start;              /* offset: where its stream began; valid with a placed cursor */
    int64_t acked, acked_aof;   /* offsets: applied; on its disk. 0: none told. Never beyond what it was sent */
    int64_t acked_ms;           /* clock_steady_ms() at its last ACK; before one, when it came online */
    int64_t took_ms;            /* clock_steady_ms() when its socket took something last; 0: it takes all at once */
    int64_t asked_ms;           /* clock_steady_ms() when it asked for its full sync */
    int64_t not_before_ms;      /* clock_steady_ms() before which no snapshot begins for it */
    int64_t soft_since_ms;      /* clock_steady_ms() since when it is above the soft limit; 0: it is not */
    char *announced_ip;         /* REPLCONF ip-address; NULL: that of its socket */
    int port;                   /* REPLCONF listening-port; 0: none */
    uint64_t main_id;           /* REPLCONF main-ch-client-id: with FEED_IS_CHANNEL, the id of its first connection */
    /* The file that it is sent, in FEED_SENDS. */
    int file; /* -1: none */
    int64_t file_bytes, file_sent;
};

/* --- All replicas ---------------------------------------------------------------------------- */

extern struct feed *feed_first; /* second connections too: skip FEED_IS_CHANNEL to list replicas */
size_t feed_count(void);        /* replicas, without second connections. O(1) */
/* Call `act` for each, second connections too. It may close the one that it is called for. */
void feed_each(void (*act)(struct feed *feed, void *ctx), void *ctx);
/* The replica whose announced or real address and port these are, or NULL. O(replicas). */
struct feed *feed_for_address(struct slice host, int port);

/* What INFO and ROLE print. `text` has FEED_IP_MAX bytes; so has a name, "ip:port", which Redis prints in its log. */
#define FEED_IP_MAX 320
const char *feed_ip(const struct feed *feed, char *text);
const char *feed_name(const struct feed *feed, char *text);
const char *feed_state_name(const struct feed *feed);
static inline bool feed_is_online(const struct feed *feed) {
    return feed->state == FEED_ONLINE || feed->state == FEED_WAITS_ACK;
}
int64_t feed_lag_s(const struct feed *feed); /* since its last ACK, as INFO and min-replicas-max-lag count it */
size_t feed_behind(const struct feed *feed); /* bytes of the log that it was not sent yet */

/* --- Acknowledgements ------------------------------------------------------------------------ */

/* Online replicas whose last ACK is at most so old; that have applied the log up to an offset; that have it on their
 * disks. O(replicas). */
int feed_count_good(int64_t max_lag_s);
int feed_count_acked(int64_t offset);
int feed_count_acked_aof(int64_t offset);
/* All replicas are asked to acknowledge at once, by a GETACK in the log before this wave is sent. On a server that has
 * a primary nothing is asked. */
void feed_ask_for_acks(void);
/* REPLCONF ACK offset [FACK offset]: -1: no FACK. Numbers beyond what was sent, or backwards, count as nothing. */
void feed_take_ack(struct feed *feed, int64_t offset, int64_t aof_offset);
/* Hook: an ACK has come, or a replica came online or went. NULL: not used. */
extern void (*feed_acked)(void);

/* --- The stream ------------------------------------------------------------------------------ */

/* Give each replica what the log has for it. Wave listener WAVE_REPLICAS. Without replicas it trims the backlog, and
 * without that it is one branch. Closes clients whose sockets break. */
void feed_send_all(void);
bool feed_is_unsettled(void); /* some replica could have been sent more */
extern bool feed_is_quiet;    /* set while a failover or a shutdown waits for replicas: no PING goes to them */

/* --- Endings --------------------------------------------------------------------------------- */

/* Close all replicas: the data are about to be of another history, and no cursor may be placed. Kept places go too. */
void feed_close_all(void);
/* Close them so that they ask again: the same history goes on under another id. Their places are kept. */
void feed_close_subreplicas(void);

/* --- Metrics --------------------------------------------------------------------------------- */

struct feed_metrics {
    uint64_t sync_full, sync_partial_ok, sync_partial_err;
    uint64_t bytes_out;   /* to replicas: total_net_repl_output_bytes */
    int64_t last_full_ms; /* how long the last full sync took, from its request to its last byte; -1: there was none */
};
extern struct feed_metrics feed_metrics;
size_t feed_memory(void); /* what all replicas take, their part of the log (feed_behind()) included. O(replicas) */

/* --- For repl/sync, repl/primary_watch and repl/primary_commands ----------------------------- */

struct feed *feed_of(struct client *c); /* its feed, made on first use */
/* The client is a replica from now on: its socket belongs to the feed. */
void feed_begin(struct feed *feed, enum feed_state state);
/* Stand at the log's end, from where the stream will begin: a snapshot is about to be made of the data. */
void feed_place(struct feed *feed);
/* Let it go on behind this offset. False: the log has that no more. */
bool feed_continue(struct feed *feed, int64_t offset);
/* It has its snapshot: the stream begins now (FEED_ONLINE), or with its first ACK (FEED_WAITS_ACK). A replica that
 * wants nothing else is closed. */
void feed_go_online(struct feed *feed, enum feed_state state);
/* It gets this file, which the feed owns, then the stream. */
void feed_send_file(struct feed *feed, int file, int64_t bytes);
/* Write a few bytes straight to the socket. False: it did not take all of them, and the client is closed. */
bool feed_write(struct feed *feed, struct slice bytes);
/* Close it, and give up its place in the log. */
void feed_drop(struct feed *feed);
/* It has not got the stream for too long, or too much of it waits: close it, logged. True: it was closed. */
bool feed_drop_if_over_limit(struct feed *feed);
/* Hook of repl/sync: called at the beginning of feed_send_all(). NULL: nothing is due. */
extern void (*feed_before_send)(void);
