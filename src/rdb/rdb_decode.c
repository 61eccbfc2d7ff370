/* A length is compared with the rest of the input before memory is allocated for it. 3 bytes of LZF make at most 264
 * bytes, which bounds the length that a compressed string may claim. */
#include "rdb/rdb_decode.h"
#include "base/alloc.h"
#include "base/num.h"
#include "rdb/rdb_format.h"
#include <errno.h>
#include <liblzf/lzf.h>
#include <stdarg.h>
#include <stdio.h>

#define LZF_GAIN_MAX 88                   /* 264 / 3 */
#define SCRATCH_KEEP ((size_t)1 << 20)    /* bytes that a scratch may keep for the next value */
#define STRING_MAX ((uint64_t)UINT32_MAX) /* bytes of a string: the length fields of keys and members have 32 bits */

void rdb_note(struct rdb_in *in, enum rdb_result result, const char *format, ...) {
    if (in->result != RDB_OK) return;
    in->result = result;
    va_list args;
    va_start(args, format);
    vsnprintf(in->message, sizeof in->message, format, args);
    va_end(args);
}

void rdb_note_end(struct rdb_in *in) {
    int error = in->reader->error;
    if (error) rdb_note(in, RDB_CUT, "reading failed: %s", strerror(error));
    rdb_note(in, RDB_CUT, "unexpected end of the data");
}

uint8_t *rdb_room(struct rdb_scratch *s, size_t n, size_t keep) {
    if (s->room >= n && s->bytes) return s->bytes;
    size_t room = s->room * 2 > n ? s->room * 2 : n < 256 ? 256 : n;
    uint8_t *bytes = alloc_try(room);
    if (!bytes) return NULL;
    if (keep > 0) memcpy(bytes, s->bytes, keep);
    alloc_put(s->bytes, s->room);
    *s = (struct rdb_scratch){bytes, room};
    return bytes;
}

static void drop_scratch(struct rdb_scratch *s) {
    alloc_put(s->bytes, s->room);
    *s = (struct rdb_scratch){NULL, 0};
}

void rdb_in_free(struct rdb_in *in) {
    struct rdb_scratch *all[] = {&in->key, &in->name, &in->text, &in->lzf, &in->pack};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        drop_scratch(all[i]);
}

void rdb_in_trim(struct rdb_in *in) {
    struct rdb_scratch *all[] = {&in->key, &in->name, &in->text, &in->lzf, &in->pack};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i]->room > SCRATCH_KEEP) drop_scratch(all[i]);
    }
}

/* --- Lengths --------------------------------------------------------------------------------- */

bool rdb_get_bytes(struct rdb_in *in, void *to, size_t n) {
    return reader_get(in->reader, to, n) || rdb_in_cut(in);
}

/* A length; with *encoded, the number of a string's encoding. */
static bool get_length(struct rdb_in *in, uint64_t *n, bool *encoded) {
    const uint8_t *p = reader_take(in->reader, 1);
    if (!p) return rdb_in_cut(in);
    unsigned first = *p;
    *encoded = first >= RDB_LENGTH_ENCODED;
    *n = first & 63;
    if (first < 64 || *encoded) return true;
    size_t more = first < 128 ? 1 : first == RDB_LENGTH_32 ? 4 : first == RDB_LENGTH_64 ? 8 : 0;
    if (more == 0) return rdb_refuse(in, RDB_CORRUPT, "a length begins with 0x%02x", first);
    p = reader_take(in->reader, more);
    if (!p) return rdb_in_cut(in);
    if (more > 1) *n = 0;
    for (size_t i = 0; i < more; i++)
        *n = *n << 8 | p[i];
    return true;
}

bool rdb_get_length(struct rdb_in *in, uint64_t *n) {
    bool encoded;
    if (!get_length(in, n, &encoded)) return false;
    return !encoded || rdb_refuse(in, RDB_CORRUPT, "an encoded string where a length should be");
}

/* True if the input has n bytes left; else refuses. */
static bool has_bytes(struct rdb_in *in, uint64_t n) {
    if (n <= reader_left(in->reader)) return n > STRING_MAX || reader_await(in->reader, n) || rdb_in_cut(in);
    return rdb_refuse(in, RDB_CUT, "a length of %llu bytes where %llu are left", (unsigned long long)n,
                      (unsigned long long)reader_left(in->reader));
}

bool rdb_get_count(struct rdb_in *in, uint64_t *n, size_t bytes_each) {
    if (!rdb_get_length(in, n)) return false;
    if (*n <= reader_left(in->reader) / bytes_each) return true;
    return rdb_refuse(in, RDB_CUT, "a count of %llu where %llu bytes are left", (unsigned long long)*n,
                      (unsigned long long)reader_left(in->reader));
}

/* --- Strings --------------------------------------------------------------------------------- */

static bool get_number(struct rdb_in *in, uint64_t kind, int64_t *number) {
    const uint8_t *p = reader_take(in->reader, (size_t)1 << kind);
    if (!p) return rdb_in_cut(in);
    uint32_t bits = p[0];
    if (kind >= RDB_STRING_INT16) bits |= (uint32_t)p[1] << 8;
    if (kind == RDB_STRING_INT32) bits |= (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    *number = kind == RDB_STRING_INT8 ? (int8_t)bits : kind == RDB_STRING_INT16 ? (int16_t)bits : (int32_t)bits;
    return true;
}

static bool get_lzf_head(struct rdb_in *in, struct rdb_string_head *head) {
    uint64_t compressed, len;
    if (!rdb_get_length(in, &compressed) || !rdb_get_length(in, &len) || !has_bytes(in, compressed)) return false;
    if (compressed == 0 || len == 0 || compressed > STRING_MAX || len > STRING_MAX ||
        len > compressed * LZF_GAIN_MAX + 3 * LZF_GAIN_MAX) {
        return rdb_refuse(in, RDB_CORRUPT, "LZF: %llu bytes cannot become %llu", (unsigned long long)compressed,
                          (unsigned long long)len);
    }
    *head = (struct rdb_string_head){.kind = RDB_COMPRESSED, .len = len, .compressed = compressed};
    return true;
}

bool rdb_get_head(struct rdb_in *in, struct rdb_string_head *head) {
    bool encoded;
    uint64_t n;
    if (!get_length(in, &n, &encoded)) return false;
    if (!encoded) {
        *head = (struct rdb_string_head){.kind = RDB_PLAIN, .len = n};
        if (n > STRING_MAX) return rdb_refuse(in, RDB_CORRUPT, "a string of %llu bytes", (unsigned long long)n);
        return has_bytes(in, n);
    }
    if (n <= RDB_STRING_INT32) {
        *head = (struct rdb_string_head){.kind = RDB_NUMBER};
        return get_number(in, n, &head->number);
    }
    if (n == RDB_STRING_LZF) return get_lzf_head(in, head);
    return rdb_refuse(in, RDB_CORRUPT, "a string of encoding %u", (unsigned)n);
}

#define no_memory(in, n) \
    ((in)->reader->error = ENOMEM, rdb_refuse(in, RDB_CUT, "no memory for a string of %zu bytes", n))

/* n bytes in a row, in the reader's block or in the scratch. */
static const uint8_t *take_bytes(struct rdb_in *in, struct rdb_scratch *scratch, size_t n) {
    const uint8_t *p;
    if (n <= READER_BLOCK / 2 || !in->reader->block) {
        p = reader_take(in->reader, n);
        if (!p) rdb_note_end(in);
        return p;
    }
    uint8_t *room = rdb_room(scratch, n, 0);
    if (!room) {
        (void)no_memory(in, n);
        return NULL;
    }
    return rdb_get_bytes(in, room, n) ? room : NULL;
}

bool rdb_get_body(struct rdb_in *in, const struct rdb_string_head *head, void *to) {
    assert(head->kind != RDB_NUMBER);
    if (head->kind == RDB_PLAIN) return rdb_get_bytes(in, to, head->len);
    const uint8_t *p = take_bytes(in, &in->lzf, head->compressed);
    if (!p) return false;
    if (lzf_decompress(p, (unsigned)head->compressed, to, (unsigned)head->len) == head->len) return true;
    return rdb_refuse(in, RDB_CORRUPT, "LZF: the compressed bytes are broken");
}

bool rdb_get_string(struct rdb_in *in, struct rdb_scratch *scratch, struct slice *s) {
    struct rdb_string_head head;
    if (!rdb_get_head(in, &head)) return false;
    if (head.kind == RDB_PLAIN) {
        const uint8_t *p = take_bytes(in, scratch, head.len);
        *s = slice_of((const char *)p, head.len);
        return p != NULL;
    }
    size_t n = head.kind == RDB_NUMBER ? NUM_I64_MAX : head.len;
    uint8_t *room = rdb_room(scratch, n, 0);
    if (!room) return no_memory(in, n);
    if (head.kind == RDB_NUMBER) {
        *s = slice_of((char *)room, (size_t)num_print_i64((char *)room, head.number));
        return true;
    }
    *s = slice_of((char *)room, head.len);
    return rdb_get_body(in, &head, room);
}

bool rdb_get_kept(struct rdb_in *in, struct rdb_scratch *scratch, struct slice *s) {
    if (!rdb_get_string(in, scratch, s)) return false;
    if (scratch->bytes && s->ptr == (const char *)scratch->bytes) return true;
    uint8_t *room = rdb_room(scratch, s->len + 1, 0); /* + 1: not NULL for an empty string */
    if (!room) return no_memory(in, s->len);
    if (s->len > 0) memcpy(room, s->ptr, s->len);
    s->ptr = (const char *)room;
    return true;
}

bool rdb_get_block(struct rdb_in *in, struct rdb_scratch *scratch, uint8_t **block, size_t *n) {
    struct slice s;
    if (!rdb_get_kept(in, scratch, &s)) return false;
    *block = scratch->bytes;
    *n = s.len;
    return true;
}
