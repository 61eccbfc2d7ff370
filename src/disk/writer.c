/* The checksum of a block is computed when the block is written, while it is still in the cache. */
#include "disk/writer.h"
#include "base/alloc.h"
#include "base/crc64.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MEMORY_ROOM 512 /* bytes at first */

static void begin_writing(struct writer *w, int fd, size_t room, bool checksum) {
    *w = (struct writer){.fd = fd, .room = room, .checksum = checksum, .block = alloc_get(room)};
    w->at = w->summed = w->block;
    w->end = w->block + room;
}

void writer_to_fd(struct writer *w, int fd, bool checksum, bool incremental_sync) {
    begin_writing(w, fd, WRITER_BLOCK, checksum);
    w->sync_step = incremental_sync ? WRITER_SYNC_STEP : 0;
}

void writer_to_memory(struct writer *w, bool checksum) {
    begin_writing(w, -1, MEMORY_ROOM, checksum);
}

void writer_to_some_memory(struct writer *w, bool checksum, size_t most) {
    writer_to_memory(w, checksum);
    w->may_fail = true;
    w->most = most;
}

void writer_free(struct writer *w) {
    alloc_put(w->block, w->room);
    w->block = w->at = w->end = w->summed = NULL;
}

uint64_t writer_crc(struct writer *w) {
    if (!w->checksum) return 0;
    w->crc = crc64(w->crc, w->summed, (size_t)(w->at - w->summed));
    w->summed = w->at;
    return w->crc;
}

/* Begin to write out the last step, and wait for the step before. So at most two steps of the file are only in memory,
 * and nothing waits for the newest. A descriptor that cannot be synced in this way (a pipe) is left alone. */
static void sync_step(struct writer *w) {
    if (w->passed - w->synced < (uint64_t)w->sync_step) return;
    off_t end = lseek(w->fd, 0, SEEK_CUR), step = (off_t)(w->passed - w->synced);
    w->synced = w->passed;
    if (end < step) return;
    sync_file_range(w->fd, end - step, step, SYNC_FILE_RANGE_WRITE);
    if (end > 2 * step) {
        sync_file_range(w->fd, end - 2 * step, step,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    }
}

static void send_out(struct writer *w, const uint8_t *p, size_t n) {
    w->passed += n;
    while (n > 0 && !w->error) {
        ssize_t written = write(w->fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            w->error = written < 0 ? errno : EIO;
            return;
        }
        p += written;
        n -= (size_t)written;
    }
    if (w->sync_step && !w->error) sync_step(w);
}

static void empty_block(struct writer *w) {
    writer_crc(w);
    send_out(w, w->block, (size_t)(w->at - w->block));
    w->at = w->summed = w->block;
}

static void use_block(struct writer *w, uint8_t *block, size_t room, size_t used, size_t summed) {
    w->block = block;
    w->room = room;
    w->at = block + used;
    w->summed = block + summed;
    w->end = block + room;
}

static void enlarge_block(struct writer *w, size_t n) {
    size_t used = (size_t)(w->at - w->block), summed = (size_t)(w->summed - w->block), room = w->room;
    while (room - used < n)
        room *= 2;
    use_block(w, alloc_resize(w->block, w->room, room), room, used, summed);
}

/* The same where memory may fail: after an error, each write begins at the front again. */
static void enlarge_some(struct writer *w, size_t n) {
    size_t used = (size_t)(w->at - w->block), summed = (size_t)(w->summed - w->block), room = w->room;
    while (room - used < n)
        room *= 2;
    uint8_t *block = NULL;
    if (!w->error) block = n > w->most || used > w->most - n ? NULL : alloc_try_resize(w->block, w->room, room);
    if (block) {
        use_block(w, block, room, used, summed);
        return;
    }
    if (!w->error) w->error = n > w->most || used > w->most - n ? EFBIG : ENOMEM;
    use_block(w, w->block, w->room, 0, 0);
    if (n <= WRITER_BLOCK && w->room < n) enlarge_block(w, n);
}

void writer_make_room(struct writer *w, size_t n) {
    if (w->fd < 0 && w->may_fail) {
        enlarge_some(w, n);
    } else if (w->fd < 0) {
        enlarge_block(w, n);
    } else {
        assert(n <= WRITER_BLOCK);
        empty_block(w);
    }
}

void writer_put_long(struct writer *w, const void *bytes, size_t n) {
    if (w->fd >= 0 && n >= WRITER_BLOCK) {
        empty_block(w);
        if (w->checksum) w->crc = crc64(w->crc, bytes, n);
        send_out(w, bytes, n);
        return;
    }
    writer_make_room(w, n);
    if ((size_t)(w->end - w->at) < n) return; /* there was an error */
    memcpy(w->at, bytes, n);
    w->at += n;
}

bool writer_flush(struct writer *w) {
    if (w->fd >= 0) empty_block(w);
    return w->error == 0;
}

bool writer_sync(struct writer *w) {
    if (writer_flush(w) && fsync(w->fd) != 0) w->error = errno;
    return w->error == 0;
}
