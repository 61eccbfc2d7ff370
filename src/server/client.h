/* A client: the session of one connection. Idle, it is this struct and nothing else. */
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
    CLIENT_PUSHING = 1 << 11,
    CLIENT_PROTOCOL_ERROR = 1 << 12,
    CLIENT_MULTI = 1 << 16, /* between MULTI and EXEC */
};

struct tx;

/* What most clients never say. */
struct client_labels {
    char *name, *lib_name, *lib_version; /* owned C strings or NULL */
};

struct client {
    struct conn conn; /* first: a conn's address is its client's */
    struct db *db;
    const struct command *last_command;
    struct client_labels *labels; /* NULL until one is set */
    struct tx *tx;                /* MULTI and WATCH; NULL while it has neither */
    struct client *prev, *next;   /* all clients, in order of their ids */
    uint64_t id;
    int64_t created_ms; /* wall clock */
    int64_t active_ms;  /* wall clock of the last request */
    int32_t soft_limit_s;
    uint32_t flags;
    uint8_t resp; /* 2 or 3 */
};

extern struct client *client_first;
/* Where the cron goes on with its walk over the clients; moves on when that one is closed. */
extern struct client *client_cursor;
size_t client_count(void);
uint64_t client_next_id(void); /* the id the next client will get */

/* Take over an accepted socket. NULL if it was refused (and closed). */
struct client *client_new(int fd);
/* Close and free; the memory goes at the end of the turn. Idempotent. */
void client_close(struct client *c);
/* Kill from wherever: a client that is executing right now still gets its reply. */
void client_kill(struct client *c);
struct client *client_by_id(uint64_t id);
void client_reset(struct client *c);                                   /* RESET */
void client_label(struct client *c, char **label, struct slice value); /* "" removes */
struct client_labels *client_labels(struct client *c);                 /* allocates on first use */
/* Free the closed ones: at the end of a turn. */
void client_reap(void);
/* Output was sent, or could not be: close who wanted to go, or who is over a limit. For conn_flush(). */
void client_sent(struct conn *conn);
/* Close it if what it has left unread is over a limit: after sending, and now and then for who does not move at all. */
void client_limit_output(struct client *c);
/* Close it if its replies are over the hard limit already, before any of them is sent: however fast it would read. */
void client_limit_replies(struct client *c);
/* One line of CLIENT LIST, without the line end. `executing` is the length of its request that asks, or 0. */
struct buf;
void client_describe(const struct client *c, size_t executing, struct buf *out);
size_t client_memory(const struct client *c);
/* The client whose command is being executed, or NULL. */
extern struct client *client_current;
/* Text for `addr=` (CLIENT_LIST, KILL): as socket_peer_name. */
void client_peer(const struct client *c, char name[]);
