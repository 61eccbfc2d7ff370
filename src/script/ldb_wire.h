/* The wire of a debugging session: the client's socket, read and written without the event loop, waiting as long as
 * needed. What the debugger says is collected line by line, and sent as one array of status replies. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

struct buf;

enum ldb_wire_end {
    LDB_WIRE_OK,
    LDB_WIRE_GONE, /* the client has hung up, does not read, or the server is to end */
    LDB_WIRE_BAD,  /* it sent what is no request */
};

#define LDB_WIRE_ARGS 1024 /* of a request, and as many bytes of an argument */

void ldb_wire_open(int fd); /* the socket stays the caller's */
void ldb_wire_close(void);

/* Say a line: CR and LF become blanks. What is beyond 64 MB before a send is not kept. */
void ldb_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ldb_say_text(struct slice text);
/* The same for text that the client may want to be trimmed. */
void ldb_say_value(struct slice text);
/* How many bytes of such text are said; 0: all. The client has set it: it need not be told that it can. */
void ldb_wire_trim(size_t bytes);
size_t ldb_wire_trimmed(void);

void ldb_wire_send(void); /* what was said; the script goes on, whether that succeeds or not */
void ldb_wire_write(const void *bytes, size_t n);
/* The next request: *argc slices, at most LDB_WIRE_ARGS, that are valid until the next call. */
enum ldb_wire_end ldb_wire_read(struct slice *argv, int *argc);
