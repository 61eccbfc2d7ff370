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
#define PEAK_SECONDS 8

struct server_metrics server_metrics;

static struct {
    char code[ERROR_CODE_MAX];
    size_t len;
    uint64_t count;
} errors[ERROR_CODES];
static size_t error_codes;

/* A code becomes the name of a field of INFO. */
static void copy_code(char *to, const char *code, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] = code[i] == '#' || code[i] == ':' || code[i] == '\r' || code[i] == '\n' ? '_' : code[i];
}

void server_metrics_count_error(struct slice text) {
    server_metrics.errors++;
    const char *blank = memchr(text.ptr, ' ', text.len);
    size_t len = blank ? (size_t)(blank - text.ptr) : text.len;
    if (len == 0 || len >= ERROR_CODE_MAX) return;
    char code[ERROR_CODE_MAX];
    copy_code(code, text.ptr, len);
    for (size_t i = 0; i < error_codes; i++) {
        if (errors[i].len != len || memcmp(errors[i].code, code, len) != 0) continue;
        errors[i].count++;
        return;
    }
    if (error_codes == ERROR_CODES) return;
    memcpy(errors[error_codes].code, code, len);
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

/* --- Rates ----------------------------------------------------------------------------------- */

static struct {
    uint64_t last[RATES]; /* the totals at the last sample */
    uint64_t samples[RATES][RATE_SAMPLES];
    int64_t last_us; /* monotonic; 0: there was no sample */
    unsigned next;   /* the sample to be replaced */
} rates;

/* --- Peaks ----------------------------------------------------------------------------------- */

static struct {
    struct server_peaks of_second[PEAK_SECONDS]; /* second s is in s % PEAK_SECONDS */
    int64_t second;                              /* the latest */
} peaks;

static void raise_to(size_t *largest, size_t bytes) {
    if (bytes > *largest) *largest = bytes;
}

static void sample_peaks(void) {
    int64_t now_s = clock_steady_ms() / 1000;
    if (now_s - peaks.second > PEAK_SECONDS) peaks.second = now_s - PEAK_SECONDS;
    while (peaks.second < now_s)
        peaks.of_second[++peaks.second % PEAK_SECONDS] = (struct server_peaks){0, 0};
    struct server_peaks *now = &peaks.of_second[peaks.second % PEAK_SECONDS];
    raise_to(&now->input, conn_metrics.largest_input);
    raise_to(&now->output, conn_metrics.largest_output);
    conn_metrics.largest_input = conn_metrics.largest_output = 0;
}

struct server_peaks server_metrics_peaks(void) {
    struct server_peaks all = {conn_metrics.largest_input, conn_metrics.largest_output};
    for (int i = 0; i < PEAK_SECONDS; i++) {
        raise_to(&all.input, peaks.of_second[i].input);
        raise_to(&all.output, peaks.of_second[i].output);
    }
    return all;
}

/* --- Samples --------------------------------------------------------------------------------- */

void server_metrics_sample(void) {
    sample_peaks();
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
    server_metrics = (struct server_metrics){.started_s = server_metrics.started_s,
                                             .started_ms = server_metrics.started_ms,
                                             .logins_failed = server_metrics.logins_failed};
    error_codes = 0;
    memset(&rates, 0, sizeof rates);
    catalog_reset_metrics();
    conn_metrics.reads = conn_metrics.writes = conn_metrics.bytes_in = conn_metrics.bytes_out = 0;
    db_metrics.hits = db_metrics.misses = db_metrics.expired = db_metrics.expired_stale_permille = 0;
    db_metrics.evicted = 0;
    entry_lazyfreed_reset();
    expire_metrics.ticks = expire_metrics.capped = 0;
}
