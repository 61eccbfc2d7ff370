/* Ghosts: what is remembered of keys that were evicted.
 *
 * A key that comes back soon after it was evicted was evicted too early. So that it need not begin anew, 12 bits of its
 * hash and a grade of 4 bits, its use, are kept in a cell, for the last so many victims (S3-FIFO, and 2Q before it,
 * have a queue for that). There are half as many cells as keys: 1 byte a key. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Make room for this many keys; 0 frees all. Forgets everything if the room changes, which a change of the keys by less
 * than a quarter does not ask for. */
void ghosts_resize(size_t keys);
void ghosts_put(uint64_t hash, unsigned grade); /* at most 15; the caller knows its meaning */
/* The grade of the key, which is forgotten then, or -1 if it is not remembered. One of a thousand keys that never were
 * put is taken for another that was. */
int ghosts_take(uint64_t hash);
size_t ghosts_memory(void); /* bytes */
