/* What is propagated for commands that read for a group: the outcome, by commands that Redis knows.
 *
 * Entries that one command gives to one consumer, with the same time and number of deliveries, are one XCLAIM with all
 * their ids, where Redis writes a command for each entry. Everything is written at once (propagate_now()); nothing
 * happens while nobody wants it. */
#pragma once
#include "exec/propagate.h"
#include "store/stream.h"

struct stream_effect {
    struct db *db;
    struct slice key, group, consumer;
};

void stream_effect_new_consumer(const struct stream_effect *e, enum propagate_rest rest); /* XGROUP CREATECONSUMER */
/* XGROUP SETID key group id ENTRIESREAD n */
void stream_effect_position(const struct stream_effect *e, const struct stream_group *g, enum propagate_rest rest);

/* Between these two, entries are collected; they are of one effect. */
void stream_effect_claims(const struct stream_effect *e, const struct stream_group *g);
void stream_effect_end_claims(enum propagate_rest rest);
bool stream_effect_has_claims(void); /* some wait for the end */
void stream_effect_claim(struct stream_id id, int64_t time_ms, uint64_t deliveries);
/* A pending entry that is in the stream no more: it is dropped elsewhere, too, by being claimed. */
void stream_effect_claim_gone(struct stream_id id);
