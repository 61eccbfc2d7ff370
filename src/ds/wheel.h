/* A hierarchical timing wheel of marks: the index of deadlines.
 *
 * A mark is 40 bits with a meaning for the caller only (some bits of a key's hash). A mark does not carry its deadline:
 * when its slot is due, the caller's resolve function tells when the mark must return, or that it is done with. So if a
 * key dies or its deadline moves, its mark is not searched for: it becomes stale and is dropped when it is due.
 *
 * Level k has 512 slots of 256^k ms: 1 ms, 256 ms, 65 s, 4.6 h, 49 d, 34 y. There are twice as many slots as the ratio
 * between levels. So a coarse slot can be drained into the level below at any time during the period before it begins.
 * That is done in spare time and in slices, so that even a slot of 100 million marks causes no pause at the moment when
 * it begins.
 *
 *     level 0  [ now ......... now + 511 ms ]
 *     level 1  [ cur | next | ...           ]    next: being drained into level 0
 *     level 2  [ cur | next | ...           ]    next: being drained into levels 0 and 1
 *
 * A slot is a list of chunks of packed 5-byte marks. Each chunk is twice as big as the one before it, from 64 to 1024
 * bytes, so a sparse slot is small and a dense one takes 5.1 bytes per mark.
 *
 * All times are absolute, in ms. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_DROP INT64_MIN /* resolve's answer for a mark that is done */
#define WHEEL_BATCH 16       /* the most marks that resolve gets at once */
#define WHEEL_MARK_BITS 40

struct wheel;

/* For each of n (1 to WHEEL_BATCH) marks, sets due_ms to the time at which it must return, or to WHEEL_DROP if it is
 * stale or its deadline has been dealt with. (A time that has passed means: in the next millisecond.) It may add marks,
 * but must call no other function of the wheel. */
typedef void (*wheel_resolve_fn)(void *ctx, const uint64_t *marks, size_t n, int64_t *due_ms);

struct wheel *wheel_new(int64_t now_ms);
void wheel_free(struct wheel *w);  /* w may be NULL */
void wheel_clear(struct wheel *w); /* forgets every mark; O(marks / 200) */

/* The first wheel_advance() at or after due_ms will resolve the mark, or the next one if that has passed. O(1). */
void wheel_add(struct wheel *w, uint64_t mark, int64_t due_ms);

/* Resolve every mark that is due by now_ms; then, in spare time, drain the coarse slots that come next. Stops when
 * clock_ticks() passes until_ticks, but after at least one batch. True if no due mark remains.
 *
 * A clock that jumps ahead makes many marks due at once. If it is set back by a second or less, marks are late until it
 * has caught up; by more, all marks are resolved early, in O(marks / 200) and then in slices. */
bool wheel_advance(struct wheel *w, int64_t now_ms, uint64_t until_ticks, wheel_resolve_fn resolve, void *ctx);

/* When wheel_advance() will have work, due or spare: at most the time of the last advance if now, INT64_MAX if never.
 * O(1). */
int64_t wheel_next_ms(const struct wheel *w);

/* Resolve every mark once, early and in slices, to drop the stale ones; continues where the last call stopped. True if
 * the sweep is complete (the next call begins another one). Marks added meanwhile may or may not be seen. Stops as
 * wheel_advance() does. */
bool wheel_sweep(struct wheel *w, uint64_t until_ticks, wheel_resolve_fn resolve, void *ctx);

/* A time such that the mark that is due first is due before it, if it is not stale, and all that are due before it lie
 * in the first slot of some level. INT64_MAX if there are no marks. O(1). */
int64_t wheel_first_ms(const struct wheel *w);
/* Resolve, early, the marks of all first slots that begin before this time, in up to so many batches, which are counted
 * down. False: these were not enough. Some other marks may come first. */
bool wheel_resolve_first(struct wheel *w, int64_t before_ms, unsigned *batches, wheel_resolve_fn resolve, void *ctx);
/* Read a mark that may be stale, `stride` (at least 1) marks behind the one that was read last, in an order that goes
 * through all of them. False at the end; the next call begins again. O(1) on average where most chunks are full. */
bool wheel_read(struct wheel *w, size_t stride, uint64_t *mark);

size_t wheel_marks(const struct wheel *w);
size_t wheel_memory(const struct wheel *w); /* bytes; O(1) */
