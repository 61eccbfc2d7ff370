/* Connecting to another server without waiting. A thread looks the name up, unless it is an address. Then the addresses
 * are tried one after the other, IPv4 and IPv6, and each has its share of the time: one that does not answer leaves
 * enough for the next. */
#pragma once
#include <stdint.h>

struct dial;

/* `done` is called once, from the loop, and never from in here: with a connected socket (non-blocking, close-on-exec,
 * TCP_NODELAY), which belongs to it, or with -1 and the reason, which is valid during the call. Then the dial is gone.
 * host and source are copied. source: the numeric address to connect from, as far as it is one of this machine; NULL or
 * "": any. All calls are for the main thread. */
struct dial *dial_begin(const char *host, int port, const char *source, int64_t timeout_ms,
                        void (*done)(void *ctx, int fd, const char *error), void *ctx);
/* Give up: `done` is not called. Not from inside of it. dial may be NULL. */
void dial_cancel(struct dial *dial);
