/* For tests of streams: entries whose pairs follow from their ids, so that a model needs to know the ids only; and
 * random groups. */
#pragma once
#include "base/rand.h"
#include "store/stream.h"
#include <stdio.h>

#define STREAM_LAB_PAIRS 40

static inline uint64_t stream_lab_mix(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

struct stream_lab_entry {
    struct slice pairs[2 * STREAM_LAB_PAIRS];
    size_t count; /* pairs */
    char text[2 * STREAM_LAB_PAIRS][NUM_I64_MAX];
    char long_text[20000];
};

/* The pairs of the entry with this id: mostly the same names, values of all sizes. */
static inline void stream_lab_entry(struct stream_lab_entry *e, struct stream_id id) {
    uint64_t state = id.ms * 31 + id.seq;
    bool same = stream_lab_mix(&state) % 8 > 0;
    e->count = same ? 2 + id.ms / 1000 % 2 : 1 + stream_lab_mix(&state) % (stream_lab_mix(&state) % 20 ? 5 : 40);
    memset(e->long_text, 'v', sizeof e->long_text);
    for (size_t i = 0; i < 2 * e->count; i++) {
        bool is_name = i % 2 == 0;
        uint64_t number = same && is_name ? i : stream_lab_mix(&state);
        unsigned kind = same && is_name ? 0 : (unsigned)(stream_lab_mix(&state) % 40);
        int len = kind < 20 ? sprintf(e->text[i], "field:%d", (int)(number % 1000))
                            : num_print_i64(e->text[i], (int64_t)(number << (number % 34)) - 500);
        e->pairs[i] = slice_of(e->text[i], (size_t)len);
        if (kind == 39) e->pairs[i] = slice_of(e->long_text, number % (number % 10 ? 100 : sizeof e->long_text));
    }
}

static inline void stream_lab_append(struct stream *s, struct stream_id id) {
    static struct stream_lab_entry e;
    stream_lab_entry(&e, id);
    stream_append(s, id, e.pairs, e.count);
}

/* An id behind the last one: nearly always close to it. False: there is none. */
static inline bool stream_lab_next_id(const struct stream *s, struct stream_id *id) {
    *id = s->last_id;
    switch (rand_below(200)) {
    case 0: id->ms += rand_below(1000000); break;
    case 1: id->seq += rand_below(1000000); break;
    case 2: id->ms += rand_below(2) ? 0 : rand_u64() >> rand_below(64); break;
    default:
        if (rand_below(2)) *id = (struct stream_id){id->ms + rand_below(5), rand_below(3)};
    }
    if (stream_id_compare(*id, s->last_id) > 0) return true;
    *id = s->last_id;
    return stream_id_up(id);
}

static inline struct slice stream_lab_name(char to[24], const char *kind, size_t n) {
    return slice_of(to, (size_t)sprintf(to, "%s:%zu", kind, n));
}

/* Deliver, claim, acknowledge. The ids are those of entries, mostly. */
static inline void stream_lab_use_group(struct stream *s, struct stream_group *g) {
    char name[24];
    struct stream_iter it;
    struct slice who = stream_lab_name(name, "consumer", rand_below(30));
    struct stream_consumer *c = stream_group_consumer(g, who);
    if (!c) c = stream_group_add_consumer(g, who, (int64_t)rand_below(100000));
    struct stream_nack nack = {STREAM_ID_MIN, c, (int64_t)rand_below(100), 1 + rand_below(3)};
    stream_iter_start_unread(&it, s, g);
    for (size_t n = rand_below(60); n > 0 && stream_iter_next(&it); n--) {
        stream_advance(s, g, &it);
        nack.id = it.id;
        stream_group_deliver(g, &nack);
    }
    struct stream_group_walk w;
    stream_group_walk(&w, g, NULL, STREAM_ID_MIN);
    while (stream_group_walk_next(&w)) {
        if (rand_below(3) == 0) stream_group_walk_drop(&w);
    }
}

/* A stream after n random steps. The caller frees it. */
static inline struct stream *stream_lab_new(size_t n) {
    struct stream *s = stream_new();
    struct stream_id id;
    char name[24];
    while (n-- > 0) {
        struct slice group = stream_lab_name(name, "group", rand_below(4));
        switch (rand_below(20)) {
        case 0:
            if (stream_iter_find(&(struct stream_iter){.stream = s}, s->last_id)) stream_delete(s, s->last_id);
            break;
        case 1: stream_delete(s, stream_first_id(s)); break;
        case 2:
            for (struct stream_iter it = {.stream = s, .to = STREAM_ID_MAX}; stream_iter_next(&it);) {
                if (rand_below(20) || it.id.seq == 0) continue;
                stream_delete(s, it.id);
                break;
            }
            break;
        case 3:
            if (rand_below(10)) break;
            stream_trim(s, &(struct stream_trim){.by = STREAM_MAXLEN, .max_length = s->length - s->length / 3});
            break;
        case 4:
            if (stream_group(s, group))
                stream_lab_use_group(s, stream_group(s, group));
            else
                stream_add_group(s, group, STREAM_ID_MIN, STREAM_UNREAD);
            break;
        default:
            if (stream_lab_next_id(s, &id)) stream_lab_append(s, id);
        }
    }
    return s;
}
