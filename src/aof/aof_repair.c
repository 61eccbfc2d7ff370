/* A file is cut in place, but only a copy that replaces it can lose a part of its middle. */
#include "aof/aof_repair.h"
#include "aof/aof_frame.h"
#include "base/alloc.h"
#include "base/num.h"
#include "disk/files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1 << 20)
#define SELECT_HEAD "$6\r\nSELECT\r\n$"
#define SELECT_MAX 48 /* bytes of this head, a length and a number */

/* --- Copying --------------------------------------------------------------------------------- */

/* Copy the bytes from `at` up to `end`, or up to the end of the file. */
static bool copy_range(int from, uint64_t at, uint64_t end, int to) {
    char *block = alloc_get(BLOCK);
    bool ok = true, more = at < end;
    while (ok && more) {
        ssize_t n = pread(from, block, end - at < BLOCK ? (size_t)(end - at) : BLOCK, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        ok = n >= 0 && files_write_all(to, block, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
        more = n > 0 && at < end;
    }
    int reason = errno;
    alloc_put(block, BLOCK);
    errno = reason;
    return ok;
}

static void close_both(int a, int b) {
    int reason = errno;
    if (a >= 0) close(a);
    if (b >= 0) close(b);
    errno = reason;
}

/* A new file, as an earlier repair may have used the same offset. */
static int create_aside(const char *dir, const char *name, uint64_t at, char aside[AOF_REPAIR_NAME]) {
    int fd = -1;
    for (int i = 0; fd < 0 && (i == 0 || errno == EEXIST); i++) {
        snprintf(aside, AOF_REPAIR_NAME, i ? "%s.%llu-%d.removed" : "%s.%llu.removed", name, (unsigned long long)at, i);
        fd = files_open(dir, aside, O_WRONLY | O_CREAT | O_EXCL);
    }
    return fd;
}

/* Put these bytes of the file on disk under another name. */
static bool put_aside(const char *dir, const char *name, int from, uint64_t at, uint64_t end,
                      char aside[AOF_REPAIR_NAME]) {
    int to = create_aside(dir, name, at, aside);
    bool ok = to >= 0 && copy_range(from, at, end, to) && fsync(to) == 0 && files_sync_dir(dir);
    close_both(to, -1);
    if (to >= 0 && !ok) files_remove_later(dir, aside);
    return ok;
}

bool aof_repair_cut(const char *dir, const char *name, uint64_t good, char aside[AOF_REPAIR_NAME]) {
    int fd = files_open(dir, name, O_RDWR);
    aside[0] = '\0';
    bool ok = fd >= 0 && put_aside(dir, name, fd, good, UINT64_MAX, aside) && ftruncate(fd, (off_t)good) == 0 &&
              fsync(fd) == 0;
    close_both(fd, -1);
    return ok;
}

/* --- A part of the middle -------------------------------------------------------------------- */

/* The number behind SELECT_HEAD: "<length>\r\n<digits>\r\n". -1: there is none. */
static int64_t read_database(const char *p, size_t n) {
    const char *stop = p + n, *lf = memchr(p, '\n', n), *digits = lf ? lf + 1 : stop;
    const char *end = memchr(digits, '\r', (size_t)(stop - digits));
    int64_t db;
    if (!end || !num_parse_i64(slice_of(digits, (size_t)(end - digits)), &db) || db > INT32_MAX) return -1;
    return db;
}

/* The database that the last SELECT of this range selects; -1: there is none. */
static int64_t last_database(int fd, uint64_t at, uint64_t end) {
    char *block = alloc_get(BLOCK);
    int64_t db = -1;
    while (at < end) {
        ssize_t n = pread(fd, block, end - at < BLOCK ? (size_t)(end - at) : BLOCK, (off_t)at);
        if (n <= 0) break;
        const char *p = block, *stop = block + n;
        while ((p = memmem(p, (size_t)(stop - p), SELECT_HEAD, strlen(SELECT_HEAD)))) {
            p += strlen(SELECT_HEAD);
            int64_t found = read_database(p, (size_t)(stop - p));
            if (found >= 0) db = found;
        }
        at += n > SELECT_MAX && at + (uint64_t)n < end ? (uint64_t)n - SELECT_MAX : (uint64_t)n;
    }
    alloc_put(block, BLOCK);
    return db;
}

static bool write_select(int fd, int db) {
    char frame[AOF_FRAME_LINE + SELECT_MAX], digits[NUM_I64_MAX];
    int len = num_print_i64(digits, db);
    int n = snprintf(frame + AOF_FRAME_LINE, SELECT_MAX, "*2\r\n" SELECT_HEAD "%d\r\n%.*s\r\n", len, len, digits);
    aof_frame_print(frame, frame + AOF_FRAME_LINE, (size_t)n);
    return files_write_all(fd, frame, AOF_FRAME_LINE + (size_t)n);
}

static bool write_rest(int from, uint64_t good, uint64_t behind, int db, int to) {
    return copy_range(from, 0, good, to) && (db < 0 || write_select(to, db)) &&
           copy_range(from, behind, UINT64_MAX, to) && fsync(to) == 0;
}

bool aof_repair_cut_out(const char *dir, const char *name, uint64_t good, uint64_t from, char aside[AOF_REPAIR_NAME],
                        int *db) {
    char temp[AOF_REPAIR_NAME];
    snprintf(temp, sizeof temp, "temp-%s", name);
    aside[0] = '\0';
    int old = files_open(dir, name, O_RDONLY);
    files_remove_later(dir, temp); /* an earlier repair may have been interrupted */
    int new = old < 0 ? -1 : files_open(dir, temp, O_WRONLY | O_CREAT | O_EXCL);
    *db = old < 0 ? -1 : (int)last_database(old, good, from);
    bool ok = new >= 0 && put_aside(dir, name, old, good, from, aside) && write_rest(old, good, from, *db, new) &&
              files_rename(dir, temp, dir, name) && files_sync_dir(dir);
    close_both(old, new);
    if (new >= 0 && !ok) files_remove_later(dir, temp);
    return ok;
}
