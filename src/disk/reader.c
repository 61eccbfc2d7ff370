/* The checksum of a block is computed when the block is left. Before that the unread rest moves to its beginning, so
 * that n bytes in a row can be given. */
#include "disk/reader.h"
#include "base/alloc.h"
#include "base/crc64.h"
#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void begin_reading(struct reader *r, int fd, uint64_t offset, bool checksum) {
    *r = (struct reader){.fd = fd, .start = offset, .size = UINT64_MAX, .checksum = checksum, .room = READER_BLOCK};
    r->block = alloc_get(r->room);
    r->at = r->end = r->summed = r->block;
}

void reader_from_fd(struct reader *r, int fd, uint64_t offset, bool checksum) {
    struct stat st;
    begin_reading(r, fd, offset, checksum);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return;
    off_t position = lseek(fd, 0, SEEK_CUR);
    r->size = offset + (position >= 0 && st.st_size > position ? (uint64_t)(st.st_size - position) : 0);
}

void reader_from_source(struct reader *r, reader_source_fn source, void *ctx, uint64_t size, bool checksum) {
    begin_reading(r, -1, 0, checksum);
    r->source = source;
    r->source_ctx = ctx;
    r->size = size;
}

void reader_from_memory(struct reader *r, struct slice bytes, bool checksum) {
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    *r = (struct reader){.at = p, .end = p + bytes.len, .summed = p, .fd = -1, .size = bytes.len, .checksum = checksum};
}

void reader_free(struct reader *r) {
    alloc_put(r->block, r->room);
    r->block = NULL;
    r->at = r->end = r->summed = NULL;
}

static void fail_reading(struct reader *r, int error) {
    r->failed = true;
    if (!r->error) r->error = error;
    r->summed = r->at = r->end; /* no bytes are left */
}

void reader_stop(struct reader *r, int error) {
    fail_reading(r, error);
}

struct slice reader_rest(const struct reader *r) {
    return slice_of((const char *)r->at, r->block ? (size_t)(r->end - r->at) : 0);
}

uint64_t reader_crc(struct reader *r) {
    if (!r->checksum) return 0;
    r->crc = crc64(r->crc, r->summed, (size_t)(r->at - r->summed));
    r->summed = r->at;
    return r->crc;
}

/* In memory there is no block, and `size` is the offset of the end. */
uint64_t reader_offset(const struct reader *r) {
    if (!r->block) return r->size - (uint64_t)(r->end - r->at);
    return r->start + (uint64_t)(r->at - r->block);
}

uint64_t reader_left(const struct reader *r) {
    if (r->failed) return 0;
    if (!r->block) return (uint64_t)(r->end - r->at);
    if (r->size == UINT64_MAX) return UINT64_MAX;
    uint64_t offset = reader_offset(r);
    return r->size > offset ? r->size - offset : 0;
}

uint64_t reader_foreseen(const struct reader *r) {
    uint64_t left = reader_left(r);
    return left == UINT64_MAX ? READER_BLOCK : left;
}

/* Bytes of a source that were not asked for yet. */
static size_t unasked(const struct reader *r, const uint8_t *end, size_t most) {
    if (r->size == UINT64_MAX) return most;
    uint64_t left = r->size - r->start - (uint64_t)(end - r->block);
    return left < most ? (size_t)left : most;
}

/* Read at most n bytes, once. 0: the end, or an error (noted). */
static size_t read_some(struct reader *r, void *to, size_t n) {
    for (;;) {
        ssize_t got = n == 0 ? 0 : r->source ? r->source(r->source_ctx, to, n) : read(r->fd, to, n);
        if (r->failed) return 0;
        if (got >= 0) return (size_t)got;
        if (errno == EINTR && !r->source) continue;
        fail_reading(r, errno);
        return 0;
    }
}

static void tell_progress(struct reader *r) {
    if (r->progress) r->progress(r->progress_ctx, reader_offset(r));
}

/* The unread bytes move to the beginning of the block, which has this room from now on. False: there is no memory. */
static bool move_to_front(struct reader *r, size_t room) {
    size_t unread = (size_t)(r->end - r->at);
    reader_crc(r);
    r->start += (uint64_t)(r->at - r->block);
    if (unread) memmove(r->block, r->at, unread);
    uint8_t *block = room == r->room ? r->block : alloc_try_resize(r->block, r->room, room);
    if (block) {
        r->block = block;
        r->room = room;
    }
    r->at = r->summed = r->block;
    r->end = r->block + unread;
    return block != NULL;
}

/* Read until n bytes are unread, for which the block has room. */
static bool fill_block(struct reader *r, size_t n) {
    for (size_t unread = (size_t)(r->end - r->block); unread < n;) {
        size_t room = r->room - unread;
        size_t got = read_some(r, r->block + unread, r->source ? unasked(r, r->end, room) : room);
        if (got == 0) {
            fail_reading(r, 0);
            return false;
        }
        unread += got;
        r->end += got;
    }
    tell_progress(r);
    return !r->failed;
}

const uint8_t *reader_take_slowly(struct reader *r, size_t n) {
    assert(n <= READER_BLOCK / 2 || !r->block);
    if (!r->block || r->failed) {
        fail_reading(r, 0);
        return NULL;
    }
    bool shrinks = r->room > READER_BLOCK && (size_t)(r->end - r->at) < READER_BLOCK / 2;
    if (!move_to_front(r, shrinks ? READER_BLOCK : r->room)) fail_reading(r, ENOMEM);
    if (r->failed || !fill_block(r, n)) return NULL;
    r->at += n;
    return r->block;
}

/* The block doubles as often as it is full: so it has twice the bytes that have come. */
bool reader_await(struct reader *r, size_t n) {
    if (!r->source || n <= READER_BLOCK / 2) return true;
    while (!r->failed && (size_t)(r->end - r->at) < n) {
        size_t unread = (size_t)(r->end - r->at), room = r->room;
        if (unread > room / 2) room *= 2;
        if (!move_to_front(r, room))
            fail_reading(r, ENOMEM);
        else
            fill_block(r, n < room ? n : room);
    }
    return !r->failed;
}

/* Read n bytes, too many for the block, directly into `to`. */
static bool get_direct(struct reader *r, uint8_t *to, size_t n) {
    reader_crc(r);
    r->start = reader_offset(r);
    r->at = r->end = r->summed = r->block;
    while (n > 0 && !r->failed) {
        size_t most = n < READER_BLOCK ? n : READER_BLOCK;
        size_t got = read_some(r, to, r->source ? unasked(r, r->block, most) : most);
        if (got == 0) {
            fail_reading(r, 0);
            return false;
        }
        if (r->checksum) r->crc = crc64(r->crc, to, got);
        r->start += got;
        to += got;
        n -= got;
        tell_progress(r);
    }
    return !r->failed;
}

bool reader_get(struct reader *r, void *to, size_t n) {
    size_t there = (size_t)(r->end - r->at), first = n < there ? n : there;
    if (first > 0) memcpy(to, r->at, first);
    r->at += first;
    if (first == n) return true;
    uint8_t *rest = (uint8_t *)to + first;
    n -= first;
    if (!r->block || r->failed || n > READER_BLOCK / 2) {
        if (r->block && !r->failed) return get_direct(r, rest, n);
        fail_reading(r, 0);
        return false;
    }
    const uint8_t *p = reader_take_slowly(r, n);
    if (p) memcpy(rest, p, n);
    return p != NULL;
}

bool reader_skip(struct reader *r, uint64_t n) {
    while (n > 0 && !r->failed) {
        size_t there = (size_t)(r->end - r->at);
        if (there == 0) {
            if (!reader_take_slowly(r, 1)) return false;
            n--;
            continue;
        }
        size_t step = n < there ? (size_t)n : there;
        r->at += step;
        n -= step;
    }
    return !r->failed;
}
