/* A client: the session of one connection. An idle client is this struct and nothing else: a module that remembers
 * something for some clients has one pointer here, NULL until it does, and is a part of the client (client_part). */
#pragma once
#include "net/conn.h"
#include <stdbool.h>
#include <stdint.h>

enum client_flag {
    CLIENT_AUTHENTICATED = 1 << 0,     /* gave the password, or needed none when it connected */
    CLIENT_CLOSE_AFTER_REPLY = 1 << 1, /* closed when its output is sent: after QUIT, a protocol error, client_kill() */
    CLIENT_CLOSE_NOW = 1 << 2,         /* closed: it gets nothing more, and is freed at the end of the turn */
    CLIENT_REPLY_OFF = 1 << 3,         /* CLIENT REPLY OFF */
    CLIENT_REPLY_SKIP = 1 << 4,        /* CLIENT REPLY SKIP: drop the reply of the request being executed */
    CLIENT_REPLY_SKIP_NEXT = 1 << 5,   /* drop that of the next request */
    CLIENT_UNIX_SOCKET = 1 << 6,
    CLIENT_NO_EVICT = 1 << 7,    /* CLIENT NO-EVICT */
    CLIENT_NO_TOUCH = 1 << 8,    /* CLIENT NO-TOUCH: its commands leave the access clocks of keys alone */
    CLIENT_SOFT_LIMIT = 1 << 9,  /* above the soft output limit since soft_limit_s */
    CLIENT_FAILED = 1 << 10,     /* the request being executed replied an error */
    CLIENT_MONITOR = 1 << 11,    /* gets a line for every request: publish/monitor.c */
    CLIENT_UNPARSED = 1 << 12,   /* its stashed input holds requests to be parsed when its wait is over */
    CLIENT_MULTI = 1 << 13,      /* between MULTI and EXEC */
    CLIENT_TRACKS = 1 << 14,     /* the keys it reads are remembered: publish/tracking.h */
    CLIENT_CACHING = 1 << 15,    /* CLIENT CACHING holds for the next command */
    CLIENT_ENDING = 1 << 16,     /* its SHUTDOWN waits until the process ends or fails to */
    CLIENT_WAITS = 1 << 17,      /* for a key or for the end of a pause: exec/block.h */
    CLIENT_REPLICA = 1 << 18,    /* a replica of this server: repl/feed.h */
    CLIENT_PRIMARY = 1 << 19,    /* the primary of this server: repl/link.h */
    CLIENT_REDIRECTS = 1 << 20,  /* CLIENT CAPA redirect: it goes where -REDIRECT says */
    CLIENT_READS_HERE = 1 << 21, /* the same after READONLY: it reads from replicas */
};

struct buf;
struct client_weight;
struct command;
struct db;
struct feed;
struct subscriber;
struct tracker;
struct tx;
struct waiter;

/* Names that a client may give itself: CLIENT SETNAME, SETINFO. Most have none. */
struct client_labels {
    char *name, *lib_name, *lib_version; /* owned C strings or NULL */
    size_t bytes;                        /* of all of them */
};

struct client {
    struct conn conn;                   /* first: a conn's address is its client's */
    struct db *db;                      /* the selected one */
    const struct command *last_command; /* NULL: it has sent no known command */
    struct client_labels *labels;       /* NULL until one is set */
    struct client_addresses *addresses; /* NULL until asked for */
    struct subscriber *subscriber;      /* pubsub.c: NULL without subscriptions */
    struct tx *tx;                      /* tx.c, MULTI and WATCH: NULL while it has neither */
    struct waiter *waiter;              /* block.c: NULL while it has no request that waits or is held */
    struct tracker *tracker;            /* tracking.c: NULL if it never tracked */
    struct feed *feed;                  /* repl/feed.h: NULL unless it is a replica, or has said that it will be one */
    struct client_weight *weight;       /* client_evict.c: NULL while there is no limit */
    struct client *prev, *next;         /* all clients, in order of their ids */
    uint64_t id;                        /* unique, growing */
    int64_t created_ms;                 /* clock_steady_ms(), as the next two */
    int64_t active_ms;                  /* the client sent or received something */
    int64_t written;                    /* offset in the log behind what it wrote last; 0: nothing */
    int32_t soft_limit_s;               /* in seconds, valid with CLIENT_SOFT_LIMIT */
    uint32_t flags;                     /* enum client_flag */
    uint8_t resp;                       /* its protocol: 2 or 3. While its script runs, the script's */
};

static inline void client_clear(struct client *c, unsigned flags) {
    c->flags &= ~flags;
}

/* The client is closed or about to be: no further request of it is executed. */
static inline bool client_is_leaving(const struct client *c) {
    return c->flags & (CLIENT_CLOSE_NOW | CLIENT_CLOSE_AFTER_REPLY);
}

/* The client whose script runs, and its own protocol; or NULL (exec/inner.h). */
struct client_scripting {
    const struct client *client;
    uint8_t resp;
};
extern struct client_scripting client_scripting;
/* The protocol of messages to a client. */
static inline uint8_t client_message_resp(const struct client *c) {
    return c == client_scripting.client ? client_scripting.resp : c->resp;
}

/* A subscriber in RESP2: all that it is sent must have the form of a message, replies too. */
static inline bool client_has_only_messages(const struct client *c) {
    return c->subscriber && client_message_resp(c) == 2;
}

/* The client whose command is being executed, or NULL. */
extern struct client *client_current;
/* The client whose range of replies is open at the output arena's tail, or NULL. A command that is executed for another
 * client meanwhile (a waiting one that is served) has its own range inside of that one. */
extern struct client *client_writing;
/* A password is set: new clients are not authenticated. auth.c decides. */
extern bool client_needs_password;

/* --- All clients ----------------------------------------------------------------------------- */

extern struct client *client_first;
/* The next client for the cron to inspect; client_close() moves it on. */
extern struct client *client_cursor;
size_t client_count(void);
struct client *client_by_id(uint64_t id); /* or NULL. O(n) */

/* --- Coming and going ------------------------------------------------------------------------ */

/* A client for an accepted socket, which it owns from now on; `ready` handles its events. NULL: the loop refused the
 * socket, which is closed; logged. */
struct client *client_new(int fd, void (*ready)(struct loop_source *source, uint32_t events));
/* The same for a connection that this server has made itself: it is not counted as received, and needs no password. */
struct client *client_new_outgoing(int fd, void (*ready)(struct loop_source *source, uint32_t events));
/* Close it, from whatever state, and let every part forget it. The struct stays until client_reap(), so that holders of
 * the pointer can test CLIENT_CLOSE_NOW. Idempotent. */
void client_close(struct client *c);
/* Close it or, if its command is being executed right now, close it after its reply. */
void client_kill(struct client *c);
/* Free the closed clients. At the end of a turn, when nobody holds a pointer to them. */
void client_reap(void);
/* RESET: the client is as if it had just connected, except that its socket, its id and its library's name stay. */
void client_reset(struct client *c);

/* --- Limits on its output -------------------------------------------------------------------- */

/* The class (enum limits_class) whose output limits apply. */
int client_class(const struct client *c);
/* To be called after each attempt to send (conn_flush(), conn_writable()): closes the client if its connection is
 * broken, if it is leaving and all is sent, or if it exceeds a limit. */
void client_sent(struct conn *conn);
/* Close the client if its unsent output exceeds a limit. Called after each send, and by the cron for clients that read
 * nothing. */
void client_limit_output(struct client *c);
/* A range of the client's replies: it refuses what exceeds the hard limit, before any of it is sent, however fast the
 * client would read. */
void client_open_replies(const struct client *c, struct conn_range *range);
/* Close the range, as conn_keep() and conn_push() do. If it has refused bytes, the client gets none of it: keeping
 * closes the client at once, pushing when the wave's output is sent. */
void client_keep_replies(struct client *c, struct conn_range *range);
void client_push_replies(struct client *c, struct conn_range *range);
/* May so many bytes wait for the end of the client's own command? If not, it gets nothing more, and client_sent()
 * closes it. */
bool client_may_owe(struct client *c, size_t bytes);
/* Log and count a client that is to be closed for its output. */
void client_report_limit(struct client *c);
/* As client_limit_output(), after a message of another client's command. The client must not be closed there: it gets
 * no further message, and client_sent() closes it. */
void client_limit_pushes(struct client *c);

/* --- Its parts ------------------------------------------------------------------------------- */

/* What the parts of a client say for its line of CLIENT LIST. */
struct client_line {
    uint64_t letters;                          /* of flags=: bit i is the letter 'A' + i */
    size_t channels, patterns, shard_channels; /* its subscriptions */
    int queued;                                /* requests since MULTI; -1: no MULTI */
    size_t queue_bytes;                        /* memory of its transaction */
    size_t held_bytes;                         /* memory of requests that wait to be executed */
    size_t log_blocks, log_bytes;              /* of the log of changes, that wait to be sent to a replica */
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
/* At boot. Parts are asked in the order of their registration. `part` must live on. At most CLIENT_PARTS_MAX. */
#define CLIENT_PARTS_MAX 16
void client_register(const struct client_part *part);

/* --- Descriptions ---------------------------------------------------------------------------- */

/* Its labels, for setting one. Allocates them on first use; valid until the client is closed. */
struct client_labels *client_labels(struct client *c);
/* Set one of the client's labels to a copy of the value, which has no NUL; an empty one removes the label. */
void client_set_label(struct client *c, char **label, struct slice value);
/* The request that asks for a line of CLIENT LIST, if it is this client's; else zeros. */
struct client_executing {
    size_t raw_bytes, args_bytes;
};
/* Append its line of CLIENT LIST, without the line end. */
void client_describe(struct client *c, struct client_executing executing, struct buf *out);
/* Bytes of memory, those of its parts included. */
size_t client_memory(const struct client *c);
/* The texts of socket_peer_name() and socket_local_name(): `addr=` and `laddr=` of CLIENT LIST. The first call asks the
 * kernel and keeps both; they are valid as long as the struct. */
struct slice client_peer(struct client *c);
struct slice client_local(struct client *c);
