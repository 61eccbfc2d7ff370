/* See server_metrics.h. Invariant: no two entries of errors[] have the same code. Codes are few, so the list is
 * searched from its front; a client that makes up codes (possible when scripts come) fills at most ERROR_CODES
 * entries. */
#include "session/server_metrics.h"
#include "base/clock.h"
#include "catalog/catalog.h"
#include "net/conn.h"
#include "store/db.h"
#include "store/expire.h"

#define ERROR_CODES 128
#define ERROR_CODE_MAX 64
#define RATE_SAMPLES 16

struct server_metrics server_metrics;

static struct {
    char code[ERROR_CODE_MAX];
    size_t len;
    uint64_t count;
} errors[ERROR_CODES];
static size_t error_codes;

void server_metrics_count_error(struct slice text) {
    server_metrics.errors++;
    const char *blank = memchr(text.ptr, ' ', text.len);
    size_t len = blank ? (size_t)(blank - text.ptr) : text.len;
    if (len == 0 || len >= ERROR_CODE_MAX) return;
    for (size_t i = 0; i < error_codes; i++) {
        if (errors[i].len != len || memcmp(errors[i].code, text.ptr, len) != 0) continue;
        errors[i].count++;
        return;
    }
    if (error_codes == ERROR_CODES) return;
    memcpy(errors[error_codes].code, text.ptr, len);
    errors[error_codes].len = len;
    errors[error_codes++].count = 1;
}

size_t server_metrics_error_codes(void) {
    return error_codes;
}

void server_metrics_error_at(size_t i, struct slice *code, uint64_t *count) {
    *code = slice_of(errors[i].code, errors[i].len);
    *count = errors[i].count;
}

/* --- rates ----------------------------------------------------------------------------------- */

static struct {
    uint64_t last[RATES]; /* the totals at the last sample */
    uint64_t samples[RATES][RATE_SAMPLES];
    int64_t last_us; /* monotonic; 0: there was no sample */
    unsigned next;   /* the sample to be replaced */
} rates;

void server_metrics_sample(void) {
    uint64_t now[RATES] = {server_metrics.commands, conn_metrics.bytes_in, conn_metrics.bytes_out, server_metrics.turns,
                           server_metrics.turn_ticks};
    int64_t now_us = clock_mono_us(), passed_us = now_us - rates.last_us;
    for (int i = 0; i < RATES; i++) {
        uint64_t delta = now[i] >= rates.last[i] ? now[i] - rates.last[i] : now[i];
        if (rates.last_us && passed_us > 0) rates.samples[i][rates.next] = delta * 1000000 / (uint64_t)passed_us;
        rates.last[i] = now[i];
    }
    rates.next = (rates.next + 1) % RATE_SAMPLES;
    rates.last_us = now_us;
}

uint64_t server_metrics_rate(enum server_rate rate) {
    uint64_t sum = 0;
    for (int i = 0; i < RATE_SAMPLES; i++)
        sum += rates.samples[rate][i];
    return sum / RATE_SAMPLES;
}

void server_metrics_reset(void) {
    int64_t started_ms = server_metrics.started_ms;
    server_metrics = (struct server_metrics){.started_ms = started_ms};
    error_codes = 0;
    memset(&rates, 0, sizeof rates);
    catalog_reset_stats();
    conn_metrics.reads = conn_metrics.writes = conn_metrics.bytes_in = conn_metrics.bytes_out = 0;
    db_metrics.hits = db_metrics.misses = db_metrics.expired = db_metrics.expired_stale_permille = 0;
    db_metrics.evicted = 0;
    entry_lazyfreed = 0;
    expire_metrics.ticks = expire_metrics.capped = 0;
}
