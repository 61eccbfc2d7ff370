/* The file that a primary's snapshot becomes: a temporary one while it is received, the server's own snapshot when its
 * data are loaded. One at a time. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int sync_file_begin(void); /* 0, or errno */
/* Room for n bytes (at most a block of disk/writer.h), to be counted by sync_file_advance(). */
char *sync_file_room(size_t n);
void sync_file_advance(size_t n);
void sync_file_put(const void *bytes, size_t n);
int sync_file_error(void); /* of the writes so far: errno; 0: none */
/* Write what is buffered, and cut the file off behind so many bytes; its descriptor is at its beginning then. 0, or
 * errno. */
int sync_file_complete(uint64_t bytes);
int sync_file_fd(void);
/* It gets the name of the server's snapshot, when a thread has synced it. So many bytes of it count. */
void sync_file_keep(uint64_t bytes);
void sync_file_drop(void); /* close and remove it; nothing if there is none */
