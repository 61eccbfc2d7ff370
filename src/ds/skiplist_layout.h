/* The blocks of a skiplist and how to read them, for skiplist.c and skiplist_walk.c alone. skiplist.h describes the
 * layout. */
#pragma once

#define LEAF_MAX 62u  /* slots: 512 bytes */
#define INNER_MAX 63u /* children: 2 KB */
#define MAX_HEIGHT 16u
#define CODE_SHIFT 44 /* the lowest bit of a slot's code */
#define CODE_MAX 0xfffffu

struct leaf {
    uint64_t base; /* the code of a key is (key >> shift) - base */
    uint8_t shift, count, room;
    uint64_t slots[];
};
struct inner {
    uint16_t count, room;
    uint64_t words[]; /* four arrays of `room` words: see the accessors */
};

/* The bits of a score as a number in the same order: those of negative scores are inverted. */
static inline uint64_t key_of_score(double score) {
    uint64_t bits;
    score += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | (uint64_t)1 << 63);
}
static inline uint64_t key_of(const struct member *m) {
    return key_of_score(member_score(m));
}
static inline uint64_t slot_make(uint64_t code, const struct member *m) {
    return code << CODE_SHIFT | (uint64_t)(uintptr_t)m >> 4;
}
static inline struct member *slot_member(uint64_t slot) {
    return (struct member *)(uintptr_t)(slot << (64 - CODE_SHIFT) >> (60 - CODE_SHIFT));
}
static inline uint64_t slot_code(uint64_t slot) {
    return slot >> CODE_SHIFT;
}

/* The four arrays of an inner block. */
static inline uint64_t *keys(const struct inner *n) {
    return (uint64_t *)(uintptr_t)n->words;
}
static inline struct member **firsts(const struct inner *n) {
    return (struct member **)(uintptr_t)(n->words + n->room);
}
static inline size_t *counts(const struct inner *n) {
    return (size_t *)(uintptr_t)(n->words + 2 * n->room);
}
static inline void **children(const struct inner *n) {
    return (void **)(uintptr_t)(n->words + 3 * n->room);
}

static inline size_t leaf_bytes(unsigned room) {
    return sizeof(struct leaf) + 8 * (size_t)room;
}
static inline size_t inner_bytes(unsigned room) {
    return sizeof(struct inner) + 32 * (size_t)room;
}
