/* SHA-1, by OpenSSL: names of scripts and digests of data. It protects nothing. O(n); the main thread only. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define SHA1_BYTES 20
#define SHA1_DIGITS (2 * SHA1_BYTES)

void sha1_digest(struct slice bytes, uint8_t digest[SHA1_BYTES]);
/* In lower case; without a NUL. */
void sha1_hex(struct slice bytes, char digits[SHA1_DIGITS]);
