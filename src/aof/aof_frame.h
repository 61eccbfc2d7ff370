/* Frames: the parts of an append-only file that vouch for themselves. A frame begins with an annotation of 32 bytes, a
 * line that Redis and its tools skip, as it begins with '#':
 *
 *     #K:<CRC-64 of the payload, 16 hex digits> <its length in bytes, 10 hex digits> CR LF
 *
 * and the payload follows. A frame is valid if and only if
 *     (1) the annotation has this form, with lower-case digits and a length that is not 0,
 *     (2) the file has as many bytes behind it,
 *     (3) their CRC-64 is the one in the annotation, and
 *     (4) they are complete commands.
 * So a reader finds a write that did not reach the disk as a whole, and every bit that has changed since, before it
 * applies anything of the frame; and all frames before are proved sound. A frame that satisfies (1) to (3) is called
 * sound: nothing but a writer of frames makes one. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AOF_FRAME_LINE 32 /* bytes of the annotation */

/* Fill in the annotation of a frame with this payload: AOF_FRAME_LINE bytes at `line`. */
void aof_frame_print(char *line, const char *payload, size_t len);
/* False: these AOF_FRAME_LINE bytes are not an annotation as in (1). */
bool aof_frame_parse(const char *line, uint64_t *crc, uint64_t *len);

/* What stands behind a damaged place. */
struct aof_behind {
    uint64_t from;   /* offset of the first sound frame */
    uint64_t frames; /* sound frames from there on. 0: there are none, and `from` has no meaning */
};
/* Look for sound frames in a file of `size` bytes, behind the damage at offset `bad`: they tell rot in the middle from
 * a torn end. What stands inside the commands of a torn frame does not count: values may look like anything.
 * O(size). */
struct aof_behind aof_frame_search(int fd, uint64_t bad, uint64_t size);
