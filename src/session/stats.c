/* Error counts and rates. Error codes are few, so a list searched from its front is enough; an
 * attacker who makes up codes (possible once scripts come) fills at most ERROR_CODES entries. */
#include "session/stats.h"
#include "base/clock.h"
#include "catalog/catalog.h"
#include "net/conn.h"
#include "store/db.h"
#include "store/expire.h"

#define ERROR_CODES 128
#define ERROR_CODE_MAX 64
#define RATE_SAMPLES 16

struct stats stats;

static struct {
    char code[ERROR_CODE_MAX];
    size_t len;
    uint64_t count;
} errors[ERROR_CODES];
static size_t error_codes;

void stats_count_error(struct slice text) {
    stats.errors++;
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

size_t stats_error_count(void) {
    return error_codes;
}

void stats_error_at(size_t i, struct slice *code, uint64_t *count) {
    *code = slice_of(errors[i].code, errors[i].len);
    *count = errors[i].count;
}

/* --- rates ----------------------------------------------------------------------------------- */

static struct {
    uint64_t last[STATS_RATES];
    uint64_t samples[STATS_RATES][RATE_SAMPLES];
    int64_t last_us;
    unsigned next;
} rates;

void stats_sample(void) {
    uint64_t now[STATS_RATES] = {stats.commands, conn_metrics.bytes_in, conn_metrics.bytes_out, stats.turns,
                                 stats.turn_ticks};
    int64_t now_us = clock_mono_us(), passed_us = now_us - rates.last_us;
    for (int i = 0; i < STATS_RATES; i++) {
        uint64_t delta = now[i] >= rates.last[i] ? now[i] - rates.last[i] : now[i];
        if (rates.last_us && passed_us > 0) rates.samples[i][rates.next] = delta * 1000000 / (uint64_t)passed_us;
        rates.last[i] = now[i];
    }
    rates.next = (rates.next + 1) % RATE_SAMPLES;
    rates.last_us = now_us;
}

uint64_t stats_rate(enum stats_rate rate) {
    uint64_t sum = 0;
    for (int i = 0; i < RATE_SAMPLES; i++)
        sum += rates.samples[rate][i];
    return sum / RATE_SAMPLES;
}

void stats_reset(void) {
    int64_t started_ms = stats.started_ms;
    stats = (struct stats){.started_ms = started_ms};
    error_codes = 0;
    memset(&rates, 0, sizeof rates);
    catalog_reset_stats();
    conn_metrics.reads = conn_metrics.writes = conn_metrics.bytes_in = conn_metrics.bytes_out = 0;
    db_metrics.hits = db_metrics.misses = db_metrics.expired = db_metrics.expired_stale_permille = 0;
    entry_lazyfreed = 0;
    expire_metrics.ticks = expire_metrics.capped = 0;
}
