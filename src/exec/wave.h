/* Waves: all clients that are ready are read, their requests parsed, looked up and prefetched together, then executed
 * and answered.
 *
 * One epoll_wait names many readable clients. They are read into a shared arena and parsed. As each request is found,
 * its command is looked up and its first key hashed. Then the table lines of a batch of requests are prefetched, then
 * the entries; then the requests are executed, those of one client in their order, and the replies leave with one send
 * per client. So the cache misses of different requests and clients overlap, where a server that serves one client
 * after another waits for each miss. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop_source;
struct table;

/* Handles the events of a client's socket (client_new()): the client is served in this turn, or closed. */
void wave_ready(struct loop_source *source, uint32_t events);
/* Serve all clients that are ready, then send their replies. May close clients. */
void wave_run(void);
/* Outside of commands, a key for which clients wait may have become ready, or gone: serve them as well. */
void wave_serve_waiting(void);
/* Send what there is to send: at the end of a wave, or after messages that were published outside of one. */
void wave_send(void);
/* A listener wants the next turn at once. */
bool wave_is_unsettled(void);

/* A wave may have this many times the usual number of clients and requests: more than 1 where before_send costs so much
 * that all clients that are ready should share it. */
extern int wave_width;

/* --- A wave inside of a command -------------------------------------------------------------- */

struct client;

/* A command is busy (exec/busy.h), and others are to be served: from here to wave_leave(), a wave of their own runs in
 * the middle of it. Its replies leave without the listeners below, except that wave_enter() itself sends what was
 * complete before the command, if that can be. Not twice. */
void wave_enter(void);
void wave_leave(void);
/* In between: the client is not to be served, since the command is executed for it, or its input is in use. */
bool wave_holds(const struct client *c);

/* --- Listeners ------------------------------------------------------------------------------- */

/* The order in which listeners are asked: messages are written before the log is, and the log before replies leave: to
 * the file, then to replicas. The question for acknowledgements (GETACK) is in the log before: the place that the file
 * tells counts it, so that no replica is ahead of the file. */
enum wave_listener { WAVE_TRACKING, WAVE_ACKS, WAVE_DURABILITY, WAVE_REPLICAS, WAVE_LISTENERS };

/* Each member may be NULL. */
struct wave_hooks {
    /* Records by the hash of a key: those of the keys that requests name are brought into the cache before the requests
     * run. Only one listener may have such a table. */
    const struct table *keys;
    void (*before_send)(void);  /* before replies and messages leave: once for each wave_send() */
    bool (*is_unsettled)(void); /* before_send left something over */
};
/* Listen with these hooks, which must live on, or stop with NULL. */
void wave_listen(enum wave_listener listener, const struct wave_hooks *hooks);
