/* The stream that arrives while the snapshot comes in on a second connection: it waits here, as the primary need not
 * keep it then. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Room for bytes, as many as *room, to be counted by stash_add(). NULL: `limit` bytes wait already (0: no limit). */
char *stash_room(size_t limit, size_t *room);
void stash_add(size_t n);
/* Take out at most n bytes, in their order. Returns how many; 0: it is empty. */
size_t stash_take(char *to, size_t n);
size_t stash_bytes(void);
size_t stash_peak(void); /* the most since it was empty */
void stash_drop(void);
