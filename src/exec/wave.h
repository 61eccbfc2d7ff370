/* Waves: all that is ready is read, parsed, looked up and prefetched together, then executed and answered.
 *
 * One epoll_wait names many readable clients. Up to 32 of them are read into a shared arena and
 * parsed; as each request is found, its command is looked up and its first key hashed; then the
 * table lines of a batch are prefetched, then the entries, then they are executed in order per
 * client, and the replies leave with one send per client. Cache misses of different requests and
 * clients overlap that way, where a server that serves one client after another waits for each. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop_source;

/* Handles the events of a client's socket (client_new): the client is served in this turn. */
void wave_ready(struct loop_source *source, uint32_t events);
/* Serve all clients that are ready, then send their replies. */
void wave_run(void);
/* Send now what there is to send: after a wave, or after messages that were published without one. */
void wave_send(void);
/* Nothing goes out after this turn's wave_run(): let the listeners finish their work before the loop sleeps. */
void wave_settle(void);
/* A listener wants the next turn at once. */
bool wave_is_unsettled(void);

/* How many times the usual number of clients and requests a wave may have: more than 1 where before_send costs so much
 * that all clients that are ready should share it. */
extern int wave_width;

/* --- listeners ------------------------------------------------------------------------------- */

/* The order in which listeners are asked: messages are written before the log is, and the log before replies leave. */
enum wave_listener { WAVE_TRACKING, WAVE_DURABILITY, WAVE_LISTENERS };

/* Each function may be NULL. */
struct wave_hooks {
    /* Bring a key that a request names into the cache, in two steps, as db_prefetch_line() and db_prefetch_entry(). */
    void (*prefetch_line)(uint64_t hash);
    void (*prefetch_key)(uint64_t hash);
    void (*before_send)(void);  /* once before replies and messages leave */
    bool (*is_unsettled)(void); /* before_send left something over */
};
/* Listen with these hooks, which must live on, or stop with NULL. */
void wave_listen(enum wave_listener listener, const struct wave_hooks *hooks);
