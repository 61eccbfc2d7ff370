/* SHA-1 digests of what keys hold, equal to those of DEBUG DIGEST and DEBUG DIGEST-VALUE of Redis 7.0 for equal contents:
 * encodings, the order of what has none, and when a deadline is do not count, that there is one does.
 *
 * Two ways to put bytes into a digest: xor with their SHA-1, after which order is forgotten; and mixing, which is
 * the same and then the SHA-1 of the digest, after which it is not. */
#pragma once
#include "store/entry.h"
#include <stdint.h>

#define DIGEST_BYTES 20

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct digest digest_value(const struct entry *e); /* all zeros for NULL. O(elements) */
struct digest digest_everything(void);             /* of all databases. All zeros when nothing is there. */
