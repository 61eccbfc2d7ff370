/* LZF for short strings. liblzf keeps a table of 512 KB, which pays for long strings; on one of 30 to 300 bytes, of which a
 * snapshot has millions, most of its time is cache misses. Here the table is 512 bytes, or 8 KB.
 *
 * Format (Marc Lehmann's, as in liblzf):   000lllll + l + 1 literal bytes
 *     lllooooo oooooooo                    copy l + 2 bytes (l is 1 to 6) from o + 1 bytes back
 *     111ooooo llllllll oooooooo           copy l + 9 bytes */
#pragma once
#include <stddef.h>

#define SQUEEZE_MAX 16384 /* bytes of a string: for longer ones liblzf is as good */

/* Compress n bytes into at most `room`. Returns how many it took; 0: more than that. */
size_t squeeze(const void *bytes, size_t n, void *to, size_t room);
