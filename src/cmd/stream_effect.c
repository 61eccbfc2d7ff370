/* See stream_effect.h. The collected ids are kept as text, in their places among the words of the command. */
#include "cmd/stream_effect.h"
#include "base/num.h"
#include "cmd/streams.h"

enum { IDS = 1000, HEAD = 5, TAIL = 8 }; /* ids of a command; words before and behind them */

static struct {
    const struct stream_effect *effect;
    const struct stream_group *group;
    size_t count;
    bool settled; /* time and deliveries are those of an entry */
    int64_t time_ms;
    uint64_t deliveries;
    struct slice words[HEAD + IDS + TAIL];
    char text[IDS][STREAMS_ID_MAX];
} claims;

void stream_effect_new_consumer(const struct stream_effect *e, enum propagate_rest rest) {
    struct slice words[] = {SLICE("XGROUP"), SLICE("CREATECONSUMER"), e->key, e->group, e->consumer};
    propagate_now(e->db, words, 5, rest);
}

void stream_effect_position(const struct stream_effect *e, const struct stream_group *g, enum propagate_rest rest) {
    char id[STREAMS_ID_MAX], digits[NUM_I64_MAX];
    if (!propagate_wanted) return;
    struct slice read = slice_of(digits, (size_t)num_print_i64(digits, g->entries_read));
    struct slice last_id = streams_print_id(id, g->last_id);
    struct slice words[] = {SLICE("XGROUP"), SLICE("SETID"), e->key, e->group, last_id, SLICE("ENTRIESREAD"), read};
    propagate_now(e->db, words, 7, rest);
}

void stream_effect_claims(const struct stream_effect *e, const struct stream_group *g) {
    claims.effect = e;
    claims.group = g;
    claims.count = 0;
    claims.settled = false;
}

static void write_claims(enum propagate_rest rest) {
    const struct stream_effect *e = claims.effect;
    char time[NUM_I64_MAX], times[NUM_I64_MAX], last_id[STREAMS_ID_MAX];
    int64_t time_ms = claims.settled ? claims.time_ms : 0;
    uint64_t deliveries = claims.settled ? claims.deliveries : 0;
    struct slice head[HEAD] = {SLICE("XCLAIM"), e->key, e->group, e->consumer, SLICE("0")};
    struct slice tail[TAIL] = {SLICE("TIME"),       slice_of(time, (size_t)num_print_i64(time, time_ms)),
                               SLICE("RETRYCOUNT"), slice_of(times, (size_t)num_print_u64(times, deliveries)),
                               SLICE("FORCE"),      SLICE("JUSTID"),
                               SLICE("LASTID"),     streams_print_id(last_id, claims.group->last_id)};
    memcpy(claims.words, head, sizeof head);
    memcpy(claims.words + HEAD + claims.count, tail, sizeof tail);
    propagate_now(e->db, claims.words, (int)(HEAD + claims.count + TAIL), rest);
    claims.count = 0;
    claims.settled = false;
}

void stream_effect_end_claims(enum propagate_rest rest) {
    if (claims.count) write_claims(rest);
}

bool stream_effect_has_claims(void) {
    return claims.count > 0;
}

static void add_id(struct stream_id id) {
    if (claims.count == IDS) write_claims(PROPAGATE_MORE);
    claims.words[HEAD + claims.count] = streams_print_id(claims.text[claims.count], id);
    claims.count++;
}

void stream_effect_claim(struct stream_id id, int64_t time_ms, uint64_t deliveries) {
    if (!propagate_wanted) return;
    if (claims.settled && (claims.time_ms != time_ms || claims.deliveries != deliveries)) write_claims(PROPAGATE_MORE);
    add_id(id);
    claims.settled = true;
    claims.time_ms = time_ms;
    claims.deliveries = deliveries;
}

void stream_effect_claim_gone(struct stream_id id) {
    if (propagate_wanted) add_id(id);
}
