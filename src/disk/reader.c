/* The checksum of a block is computed when the block is left. Before that the unread rest moves to its beginning, so
 * that n bytes in a row can be given. */
#include "disk/reader.h"
#include "base/alloc.h"
#include "base/crc64.h"
#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void reader_from_fd(struct reader *r, int fd, uint64_t offset, bool checksum) {
    struct stat st;
    *r = (struct reader){.fd = fd, .start = offset, .size = UINT64_MAX, .checksum = checksum, .room = READER_BLOCK};
    r->block = alloc_get(r->room);
    r->at = r->end = r->summed = r->block;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return;
    off_t position = lseek(fd, 0, SEEK_CUR);
    r->size = offset + (position >= 0 && st.st_size > position ? (uint64_t)(st.st_size - position) : 0);
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

/* One read(2) of at most n bytes. 0: the end, or an error (noted). */
static size_t read_some(struct reader *r, void *to, size_t n) {
    for (;;) {
        ssize_t got = read(r->fd, to, n);
        if (got >= 0) return (size_t)got;
        if (errno == EINTR) continue;
        fail_reading(r, errno);
        return 0;
    }
}

static void tell_progress(struct reader *r) {
    if (r->progress) r->progress(r->progress_ctx, reader_offset(r));
}

const uint8_t *reader_take_slowly(struct reader *r, size_t n) {
    assert(n <= READER_BLOCK / 2 || !r->block);
    if (!r->block || r->failed) {
        fail_reading(r, 0);
        return NULL;
    }
    reader_crc(r);
    size_t unread = (size_t)(r->end - r->at);
    r->start += (uint64_t)(r->at - r->block);
    memmove(r->block, r->at, unread);
    r->at = r->summed = r->block;
    r->end = r->block + unread;
    while (unread < n) {
        size_t got = read_some(r, r->block + unread, r->room - unread);
        if (got == 0) {
            fail_reading(r, 0);
            return NULL;
        }
        unread += got;
        r->end += got;
    }
    tell_progress(r);
    r->at += n;
    return r->block;
}

/* Read n bytes, too many for the block, directly into `to`. */
static bool get_direct(struct reader *r, uint8_t *to, size_t n) {
    reader_crc(r);
    r->start = reader_offset(r);
    r->at = r->end = r->summed = r->block;
    while (n > 0) {
        size_t got = read_some(r, to, n < READER_BLOCK ? n : READER_BLOCK);
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
    return true;
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
