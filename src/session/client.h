/* A client: the session of one connection. Idle, it is this struct and nothing else: a module that has to remember
 * something for some clients has one pointer here, NULL until it does, and is a part of the client (client_part). */
#pragma once
#include "net/conn.h"
#include <stdbool.h>
#include <stdint.h>

enum client_flag {
    CLIENT_AUTHENTICATED = 1 << 0,
    CLIENT_CLOSE_AFTER_REPLY = 1 << 1, /* QUIT, protocol errors */
    CLIENT_CLOSE_NOW = 1 << 2,         /* killed: nothing more is sent; freed at the end of the turn */
    CLIENT_REPLY_OFF = 1 << 3,
    CLIENT_REPLY_SKIP = 1 << 4, /* for the request being executed */
    CLIENT_REPLY_SKIP_NEXT = 1 << 5,
    CLIENT_UNIX_SOCKET = 1 << 6,
    CLIENT_NO_EVICT = 1 << 7,
    CLIENT_NO_TOUCH = 1 << 8,
    CLIENT_SOFT_LIMIT = 1 << 9, /* over the soft output limit since soft_limit_s */
    CLIENT_FAILED = 1 << 10,    /* the request being executed replied an error */
    CLIENT_MONITOR = 1 << 11,   /* gets a line for every request: publish/monitor.h */
    CLIENT_UNPARSED = 1 << 12,  /* its stashed input goes on behind a request that had to wait */
    CLIENT_MULTI = 1 << 13,     /* between MULTI and EXEC */
    CLIENT_TRACKS = 1 << 14,    /* the keys it reads are remembered: publish/tracking.h */
    CLIENT_CACHING = 1 << 15,   /* CLIENT CACHING was said for the next command */
    CLIENT_ENDING = 1 << 16,    /* its SHUTDOWN waits for the end, or for the news that there is none */
    CLIENT_WAITS = 1 << 17,     /* for a key or for the end of a pause: exec/block.h */
};

struct buf;
struct command;
struct db;
struct subscriber;
struct tracker;
struct tx;
struct waiter;

/* Names that a client may give itself: CLIENT SETNAME, SETINFO. Most have none. */
struct client_labels {
    char *name, *lib_name, *lib_version; /* owned C strings or NULL */
};

struct client {
    struct conn conn; /* first: a conn's address is its client's */
    struct db *db;
    const struct command *last_command;
    struct client_labels *labels;       /* NULL until one is set */
    struct client_addresses *addresses; /* NULL until asked for */
    struct subscriber *subscriber;      /* pubsub.c: NULL without subscriptions */
    struct tx *tx;                      /* tx.c, MULTI and WATCH: NULL while it has neither */
    struct waiter *waiter;              /* block.c: NULL unless a request of its waits */
    struct tracker *tracker;            /* tracking.c: NULL if it never tracked */
    struct client *prev, *next;         /* all clients, in order of their ids */
    uint64_t id;
    int64_t created_ms; /* wall clock */
    int64_t active_ms;  /* wall clock of the last request */
    int32_t soft_limit_s;
    uint32_t flags;
    uint8_t resp; /* 2 or 3 */
};

static inline void client_clear(struct client *c, unsigned flags) {
    c->flags &= ~flags;
}

/* Nothing more of it is executed. */
static inline bool client_is_leaving(const struct client *c) {
    return c->flags & (CLIENT_CLOSE_NOW | CLIENT_CLOSE_AFTER_REPLY);
}

/* A subscriber in RESP2: whatever it is sent has the form of a message. */
static inline bool client_has_only_messages(const struct client *c) {
    return c->subscriber && c->resp == 2;
}

/* The client whose command is being executed, or NULL. */
extern struct client *client_current;
/* The client whose range of replies is open at the output arena's tail, or NULL; a command
 * that is executed on behalf of another client meanwhile has a range of its own inside of it. */
extern struct client *client_writing;

/* --- all of them ----------------------------------------------------------------------------- */

extern struct client *client_first;
/* The next client for the cron to inspect; client_close() moves it on. */
extern struct client *client_cursor;
size_t client_count(void);
struct client *client_by_id(uint64_t id); /* or NULL. O(n) */

/* --- coming and going ------------------------------------------------------------------------ */

/* Take over an accepted socket, whose events `ready` handles. NULL: it was refused and closed; logged. */
struct client *client_new(int fd, void (*ready)(struct loop_source *source, uint32_t events));
/* Close it, from whatever state, and let every part forget it. The struct stays until client_reap(), so that holders of
 * the pointer can test CLIENT_CLOSE_NOW. Idempotent. */
void client_close(struct client *c);
/* Close it or, if its command is being executed right now, close it after its reply. */
void client_kill(struct client *c);
/* Free the closed clients: at the end of a turn. */
void client_reap(void);
void client_reset(struct client *c); /* RESET */

/* --- limits on its output -------------------------------------------------------------------- */

/* The class (enum limits_class) whose output limits apply. */
int client_class(const struct client *c);
/* Output was sent, or could not be: close the client if it is leaving, or over a limit. For conn_flush(). */
void client_sent(struct conn *conn);
/* Close the client if its unsent output exceeds a limit. Called after each send, and by the cron for clients that read
 * nothing. */
void client_limit_output(struct client *c);
/* Close it if its replies exceed the hard limit before any of them is sent, however fast it would read. */
void client_limit_replies(struct client *c);
/* The same for a message that another client's command sends it: it gets no more, and is closed after sending. */
void client_limit_pushes(struct client *c);

/* --- its parts ------------------------------------------------------------------------------- */

/* What a line of CLIENT LIST says beside what the client itself knows. */
struct client_line {
    uint64_t letters; /* of flags=, see client_line_flag() */
    size_t channels, patterns, shard_channels;
    int queued; /* requests since MULTI; -1: no MULTI */
    size_t queue_bytes;
    int64_t redirect; /* id of the client that gets its invalidations; 0: itself; -1: it does not track */
};

static inline void client_line_flag(struct client_line *line, char letter) {
    line->letters |= (uint64_t)1 << (letter - 'A');
}

/* A module that keeps something for a client is a part of it. Each function may be NULL. */
struct client_part {
    void (*forget)(struct client *c);         /* the client is closed */
    void (*reset)(struct client *c);          /* RESET */
    size_t (*memory)(const struct client *c); /* bytes that it keeps for the client */
    void (*describe)(const struct client *c, struct client_line *line);
};
/* At boot. Parts are asked in the order of their registration. `part` must live on. */
void client_register(const struct client_part *part);

/* --- what is told of it ---------------------------------------------------------------------- */

struct client_labels *client_labels(struct client *c);   /* allocates on first use */
void client_set_label(char **label, struct slice value); /* copies; "" removes */
/* One line of CLIENT LIST, without the line end. `executing` is the length of its request that asks, or 0. */
void client_describe(struct client *c, size_t executing, struct buf *out);
/* Bytes of memory, those of its parts included. */
size_t client_memory(const struct client *c);
/* The texts of socket_peer_name() and socket_local_name(). The first call asks the kernel and keeps both; they stay valid
 * as long as the struct. */
struct slice client_peer(struct client *c);
struct slice client_local(struct client *c);
