/* Files below a directory: "" or NULL is the working directory. Functions that fail set errno. */
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int files_open(const char *dir, const char *name, int flags); /* close-on-exec, mode 0644; -1: errno */
bool files_exists(const char *dir, const char *name);
int64_t files_size(const char *dir, const char *name); /* bytes; -1: errno */
bool files_rename(const char *from_dir, const char *from, const char *to_dir, const char *to);
bool files_make_dir(const char *dir); /* true also if it exists */
/* Make new, renamed and removed names in the directory survive a power cut. */
bool files_sync_dir(const char *dir);
/* Remove the name now; the worker frees the blocks, which takes long for a large file. Errors are ignored, and errno is
 * left alone. */
void files_remove_later(const char *dir, const char *name);
bool files_write_all(int fd, const void *bytes, size_t n);
bool files_read_all(int fd, struct buf *out); /* appends all that is left; false: errno */
