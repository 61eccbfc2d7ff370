/* Lines from a socket, of which not a byte is taken beyond the line's end: what follows is a snapshot or a stream. */
#pragma once
#include "base/slice.h"
#include <stddef.h>

#define LINES_MAX 1024 /* bytes of a line with its end */

struct lines {
    char bytes[LINES_MAX];
    size_t len; /* of an incomplete line; 0 at first */
};

enum lines_result {
    LINES_LINE,     /* *line has no line end; valid until the next call */
    LINES_MORE,     /* it is not complete */
    LINES_CLOSED,   /* the connection has ended; errno, 0: in good order */
    LINES_TOO_LONG, /* more than LINES_MAX bytes without an end */
};
/* Read from a non-blocking socket. */
enum lines_result lines_read(struct lines *l, int fd, struct slice *line);
