/* The checksum of RDB files: CRC-64 with the polynomial of Jones (ad93d23594c935a9, reflected, starting at 0, nothing
 * xored in the end). crc64(0, "123456789", 9) is e9c6d914c4b8d9ca. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Go on with the checksum of what came before (0: nothing did). Any thread. About 10 GB/s where the processor
 * multiplies polynomials, 1 GB/s elsewhere. */
uint64_t crc64(uint64_t crc, const void *bytes, size_t n);
/* The same without the processor's help: what crc64() is on others, and is tested against. */
uint64_t crc64_portable(uint64_t crc, const void *bytes, size_t n);
