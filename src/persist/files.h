/* What the persistence needs of files, below a directory ("" or NULL: the working one), with errno where it fails. */
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int files_open(const char *dir, const char *name, int flags); /* close-on-exec, mode 0644; -1: errno */
bool files_exists(const char *dir, const char *name);
int64_t files_size(const char *dir, const char *name); /* -1: errno */
bool files_rename(const char *from_dir, const char *from, const char *to_dir, const char *to);
bool files_make_dir(const char *dir); /* fine if it is there already */
bool files_sync_dir(const char *dir);
void files_remove_later(const char *dir, const char *name); /* by the worker: freeing many blocks takes time */
bool files_write_all(int fd, const void *bytes, size_t n);
bool files_read_all(int fd, struct buf *out);
