/* SHA-1 digests of keys and values. For equal contents they equal those of DEBUG DIGEST and DEBUG DIGEST-VALUE of Redis
 * 7.0. It counts whether a key has a deadline, but not which. Encodings do not count, nor does the order of elements in
 * types that have no order. */
#pragma once
#include "store/entry.h"
#include <stdint.h>

#define DIGEST_BYTES 20

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct digest digest_value(const struct entry *e); /* all zeros for NULL. O(bytes of the value) */
struct digest digest_everything(void);             /* of all databases; all zeros if they are empty. O(bytes) */
