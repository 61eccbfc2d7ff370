/* A hierarchical timing wheel of marks, the index of deadlines.
 *
 * A mark is 40 bits that mean something to the caller only (a few bits of a key's hash). A mark
 * does not carry its deadline: when its slot comes up, the caller's resolve function says when it
 * has to come back, or that it is done with. So a key that dies, or whose deadline moves, is not looked for:
 * its mark goes stale and is dropped when it surfaces.
 *
 * Level k has 512 slots of 256^k ms: 1 ms, 256 ms, 65 s, 4.6 h, 49 d, 34 y. Twice as many slots as
 * the ratio between levels lets a coarse slot be drained into the level below at any time during the
 * period before it begins. That is done in spare time and in slices, so that even a slot of 100
 * million marks makes no pause at the moment it begins.
 *
 *     level 0  [ now ......... now + 511 ms ]
 *     level 1  [ cur | next | ...           ]    next: being drained into level 0
 *     level 2  [ cur | next | ...           ]    next: being drained into levels 0 and 1
 *
 * A slot is a list of chunks of packed 5-byte marks. A chunk is twice as big as the one before it, from 64 to
 * 1024 bytes, so a sparse slot is small and a dense one takes 5.1 bytes a mark. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_DROP INT64_MIN /* resolve's answer for a mark that is done with */
#define WHEEL_BATCH 16       /* marks given to resolve at once, at most */
#define WHEEL_MARK_BITS 40

struct wheel;

/* Looks at n (1 to WHEEL_BATCH) marks and says for each when it must come back (absolute ms), or WHEEL_DROP:
 * also for one whose time has come and that has been dealt with. (A time that has passed means: again in
 * the next millisecond.) It may add marks meanwhile, but call nothing else of the wheel. */
typedef void (*wheel_resolve_fn)(void *ctx, const uint64_t *marks, size_t n, int64_t *due_ms);

struct wheel *wheel_new(int64_t now_ms);
void wheel_free(struct wheel *w);  /* w may be NULL */
void wheel_clear(struct wheel *w); /* forget every mark. O(marks / 200) */

/* The mark will be resolved by the first wheel_advance at or after due_ms; the next one if that is past. O(1). */
void wheel_add(struct wheel *w, uint64_t mark, int64_t due_ms);

/* Resolve every mark that is due by now_ms; then, in spare time, drain coming coarse slots. Stops when
 * clock_ticks() passes until_ticks, after at least one batch. True when nothing that is due remains. A clock
 * that jumps ahead makes many marks due at once. One that is set back by a second or less makes marks late
 * until it has caught up; by more, all marks are resolved early, in O(marks / 200) and then in slices. */
bool wheel_advance(struct wheel *w, int64_t now_ms, uint64_t until_ticks, wheel_resolve_fn resolve, void *ctx);

/* When wheel_advance has work next, due or spare: at most the time of the last advance if at once,
 * INT64_MAX if never. O(1). */
int64_t wheel_next_ms(const struct wheel *w);

/* Resolve every mark once, early, in slices, to be rid of stale ones. True when the sweep is complete
 * (the next call begins another one); goes on where the last call stopped. Marks added meanwhile may or may
 * not be seen. Stops as wheel_advance does. */
bool wheel_sweep(struct wheel *w, uint64_t until_ticks, wheel_resolve_fn resolve, void *ctx);

size_t wheel_marks(const struct wheel *w);
size_t wheel_memory(const struct wheel *w); /* bytes, O(1) */
