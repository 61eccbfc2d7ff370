/* Waves: all that is ready is read, parsed, looked up and prefetched together, then executed and answered.
 *
 * One epoll_wait names many readable clients. Up to 32 of them are read into a shared arena and
 * parsed; as each request is found, its command is looked up and its first key hashed; then the
 * table lines of a batch are prefetched, then the entries, then they are executed in order per
 * client, and the replies leave with one send per client. Cache misses of different requests and
 * clients overlap that way, where a server that serves one client after another waits for each. */
#pragma once
#include "server/client.h"

/* A client's socket is readable: serve it in this turn. */
void wave_add(struct client *c);
/* Serve all that were added, then flush what there is to send. */
void wave_run(void);
/* Send what there is to send now: behind a wave, or behind what was published without one. */
void wave_send(void);
/* The first argument-sized blob of r's argument i, if it came in one: the body may keep it as a value. */
struct blob *wave_take_blob(struct request *r, int i);

/* Called before replies leave, once a wave: persistence puts the log on disk here. NULL: nothing to do. */
extern void (*wave_before_send)(void);
/* How many times the usual number of clients and requests a wave may have: more than 1 where wave_before_send costs so
 * much that all who are ready should share it. */
extern int wave_width;
