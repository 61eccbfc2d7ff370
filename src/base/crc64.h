/* The checksum of RDB files: CRC-64 with the polynomial of Jones (ad93d23594c935a9, reflected, starting at 0, nothing
 * xored in the end). crc64(0, "123456789", 9) is e9c6d914c4b8d9ca. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Continue the checksum `crc` of the bytes before (0 if there are none). Any thread may call. O(n): about 10 GB/s if
 * the processor has a carry-less multiplication (PCLMULQDQ), else 1 GB/s. */
uint64_t crc64(uint64_t crc, const void *bytes, size_t n);
/* The same without that instruction: crc64() on other processors, and its test reference. */
uint64_t crc64_portable(uint64_t crc, const void *bytes, size_t n);
