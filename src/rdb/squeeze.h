/* LZF for short strings.
 *
 * liblzf uses a table of 512 KB, which pays for long strings. A snapshot has millions of strings of 30 to 300 bytes,
 * for which most of that time is cache misses. Here the table has 512 bytes, or 8 KB for strings of more than 256
 * bytes.
 *
 * The format is Marc Lehmann's, as in liblzf. The compressed bytes are a sequence of
 *     000lllll, then l + 1 bytes           these bytes
 *     lllooooo oooooooo                    a copy of l + 2 bytes (l is 1 to 6) from o + 1 bytes back
 *     111ooooo llllllll oooooooo           a copy of l + 9 bytes from o + 1 bytes back
 * in which no copy begins before the first byte of the output. */
#pragma once
#include <stddef.h>

#define SQUEEZE_MAX 16384 /* bytes of a string; for longer ones liblzf is as good */

/* Compress n <= SQUEEZE_MAX bytes into at most `room`. Returns the number of compressed bytes; 0: `room` is too small.
 * O(n). */
size_t squeeze(const void *bytes, size_t n, void *to, size_t room);
