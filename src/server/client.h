/* A client: the session of one connection. Idle, it is this struct and nothing else: a module that has to remember
 * something for some clients has one pointer here, NULL until it does, and a <module>_forget() for client_close(). */
#pragma once
#include "net/conn.h"
#include "server/exec.h"
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
    CLIENT_MONITOR = 1 << 11,   /* gets a line for every request: server/monitor.h */
    CLIENT_UNPARSED = 1 << 12,  /* its stashed input goes on behind a request that had to wait */
    CLIENT_MULTI = 1 << 13,     /* between MULTI and EXEC */
    CLIENT_TRACKS = 1 << 14,    /* the keys it reads are remembered: server/tracking.h */
    CLIENT_CACHING = 1 << 15,   /* CLIENT CACHING was said for the next command */
    CLIENT_ENDING = 1 << 16,    /* its SHUTDOWN waits for the end, or for the news that there is none */
};

struct buf;
struct subscriber;
struct tracker;
struct tx;
struct waiter;

/* What most clients never say. */
struct client_labels {
    char *name, *lib_name, *lib_version; /* owned C strings or NULL */
};

struct client {
    struct conn conn; /* first: a conn's address is its client's */
    struct db *db;
    const struct command *last_command;
    struct client_labels *labels;  /* NULL until one is set */
    struct subscriber *subscriber; /* pubsub.c: NULL without subscriptions */
    struct tx *tx;                 /* tx.c, MULTI and WATCH: NULL while it has neither */
    struct waiter *waiter;         /* block.c: NULL unless a request of its waits */
    struct tracker *tracker;       /* tracking.c: NULL if it never tracked */
    struct client *prev, *next;    /* all clients, in order of their ids */
    uint64_t id;
    int64_t created_ms; /* wall clock */
    int64_t active_ms;  /* wall clock of the last request */
    int32_t soft_limit_s;
    uint32_t flags;
    uint8_t resp; /* 2 or 3 */
};

/* The client whose command is being executed, or NULL. */
extern struct client *client_current;
/* The client whose range of replies is open at the output arena's tail, or NULL; a command
 * that is executed on behalf of another client meanwhile has a range of its own inside of it. */
extern struct client *client_writing;

/* --- all of them ----------------------------------------------------------------------------- */

extern struct client *client_first;
/* Where the cron goes on with its walk over the clients; moves on when that one is closed. */
extern struct client *client_cursor;
size_t client_count(void);
struct client *client_by_id(uint64_t id); /* or NULL. O(n) */

/* --- coming and going ------------------------------------------------------------------------ */

/* Take over an accepted socket. NULL if it was refused (and closed). */
struct client *client_new(int fd);
/* The one way out, from whatever state: close, and let every module forget it. The struct is there until
 * client_reap(), so that who holds it can see CLIENT_CLOSE_NOW. Idempotent. */
void client_close(struct client *c);
/* Kill from wherever: a client that is executing right now still gets its reply. */
void client_kill(struct client *c);
/* Free the closed ones: at the end of a turn. */
void client_reap(void);
void client_reset(struct client *c); /* RESET */

/* --- limits on its output -------------------------------------------------------------------- */

/* Whose limits are its: subscribers have others than those who ask for what they get. An enum limits_class. */
int client_class(const struct client *c);
/* Output was sent, or could not be: close who wanted to go, or who is over a limit. For conn_flush(). */
void client_sent(struct conn *conn);
/* Close it if what it has left unread is over a limit: after sending, and now and then for who does not move at all. */
void client_limit_output(struct client *c);
/* Close it if its replies are over the hard limit already, before any of them is sent: however fast it would read. */
void client_limit_replies(struct client *c);
/* The same for a message to it, in the middle of somebody's command: it gets no more, and is closed after sending. */
void client_limit_pushes(struct client *c);

/* --- what is told of it ---------------------------------------------------------------------- */

struct client_labels *client_labels(struct client *c);                 /* allocates on first use */
void client_label(struct client *c, char **label, struct slice value); /* copies; "" removes */
/* One line of CLIENT LIST, without the line end. `executing` is the length of its request that asks, or 0. */
void client_describe(const struct client *c, size_t executing, struct buf *out);
/* Bytes of memory, those of the modules that keep something for it included. */
size_t client_memory(const struct client *c);
/* Text for `addr=` (CLIENT LIST, KILL): as socket_peer_name. */
void client_peer(const struct client *c, char name[]);
