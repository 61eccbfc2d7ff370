/* Metrics that belong to no single module: counts of what the server did, of errors by their code, and rates. */
#pragma once
#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

struct server_metrics {
    int64_t started_s;  /* wall clock */
    int64_t started_ms; /* clock_steady_ms() */
    uint64_t connections_received, connections_rejected;
    uint64_t commands, errors;  /* that were called; error replies */
    uint64_t turns, turn_ticks; /* of the loop, and the time they took: clock_ticks() */
    uint64_t logins_failed;     /* with a wrong user or password; CONFIG RESETSTAT keeps it, as in Redis */
    uint64_t unexpected_errors; /* of commands of the append-only file */
    uint64_t protocol_disconnects, query_limit_disconnects, output_limit_disconnects;
    uint64_t evicted_clients; /* closed because all clients together took too much memory */
};
extern struct server_metrics server_metrics;

/* Count an error reply, and its code: the first word of `text`. At most 128 codes are told apart, as in Redis; longer
 * codes than 63 bytes are counted as errors only. Characters that would end a field of INFO become '_'. */
void server_metrics_count_error(struct slice text);
size_t server_metrics_error_codes(void); /* how many codes were seen */
/* The code with index i, in the order in which they were first seen, and its count. The code is valid until
 * server_metrics_reset(). */
void server_metrics_error_at(size_t i, struct slice *code, uint64_t *count);

/* Rates per second: the mean of the last 16 samples, which the cron takes. */
enum server_rate { RATE_COMMANDS, RATE_BYTES_IN, RATE_BYTES_OUT, RATE_TURNS, RATE_TURN_TICKS, RATES };
void server_metrics_sample(void);
uint64_t server_metrics_rate(enum server_rate rate);

/* Memory of the largest input and of the largest unsent output that one connection had lately: at any time of the last
 * seven seconds, as the cron's samples tell, and up to a second before. */
struct server_peaks {
    size_t input, output;
};
struct server_peaks server_metrics_peaks(void);

/* CONFIG RESETSTAT: set all of these to 0, but for the start, logins_failed and the peaks, and the counts of the
 * command table, the connections, the keyspace and expiry. */
void server_metrics_reset(void);
