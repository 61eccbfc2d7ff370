/* See sync_file.h. The worker syncs and renames the file, so no client waits for the disk. The name is taken only when
 * the data have been loaded: a snapshot that turns out to be bad replaces none that is good. */
#include "repl/sync_file.h"
#include "base/alloc.h"
#include "base/log.h"
#include "disk/files.h"
#include "disk/temp_file.h"
#include "disk/writer.h"
#include "durable/snapshot.h"
#include "net/background.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    int fd; /* -1: there is none */
    struct writer writer;
} file = {.fd = -1};

/* A file on its way to its name. */
struct placing {
    struct background_job job; /* first */
    int fd, error;
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
};

int sync_file_begin(void) {
    sync_file_drop();
    file.fd = open(temp_file_choose(TEMP_SYNC), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file.fd < 0) return errno;
    writer_to_fd(&file.writer, file.fd, false, true);
    return 0;
}

char *sync_file_room(size_t n) {
    return (char *)writer_reserve(&file.writer, n);
}

void sync_file_advance(size_t n) {
    file.writer.at += n;
}

void sync_file_put(const void *bytes, size_t n) {
    writer_put(&file.writer, bytes, n);
}

int sync_file_error(void) {
    return file.writer.error;
}

int sync_file_complete(uint64_t bytes) {
    if (!writer_flush(&file.writer)) return file.writer.error;
    if (ftruncate(file.fd, (off_t)bytes) != 0 || lseek(file.fd, 0, SEEK_SET) != 0) return errno;
    return 0;
}

int sync_file_fd(void) {
    return file.fd;
}

static void close_file(void) {
    writer_free(&file.writer);
    file.fd = -1;
}

void sync_file_drop(void) {
    if (file.fd < 0) return;
    close(file.fd);
    close_file();
    temp_file_drop(TEMP_SYNC);
}

/* --- Its name -------------------------------------------------------------------------------- */

static void place_file(struct background_job *job) {
    struct placing *p = (struct placing *)job;
    bool ok = fsync(p->fd) == 0 && rename(p->from, p->to) == 0 && files_sync_dir("");
    p->error = ok ? 0 : errno;
    close(p->fd);
}

static void file_is_placed(struct background_job *job) {
    struct placing *p = (struct placing *)job;
    if (p->error) {
        log_warning("Failed trying to rename the temp DB into %s in MASTER <-> REPLICA synchronization: %s", p->to,
                    strerror(p->error));
        files_remove_later("", p->from);
    }
    if (strcmp(temp_file_name(TEMP_SYNC), p->from) == 0) temp_file_drop(TEMP_SYNC);
    alloc_put(p, sizeof *p);
}

void sync_file_keep(uint64_t bytes) {
    int error = sync_file_complete(bytes);
    if (error) {
        log_warning("The primary's snapshot could not be stored: %s", strerror(error));
        sync_file_drop();
        return;
    }
    struct placing *p = alloc_zero(sizeof *p);
    p->job = (struct background_job){.run = place_file, .done = file_is_placed};
    p->fd = file.fd;
    snprintf(p->from, sizeof p->from, "%s", temp_file_name(TEMP_SYNC));
    snprintf(p->to, sizeof p->to, "%s", snapshot_name());
    close_file();
    background_run(&p->job);
}
