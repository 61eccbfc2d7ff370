/* The request side of the Redis protocol: a pure, resumable parser from bytes to slices, and writers of requests.
 *
 * Input is a contiguous region; argv are slices of it. A parser that has used up its bytes keeps its place, so that
 * feeding a request byte by byte costs linear time. If the region moves, resp_rebase() adjusts the parser. Nothing is
 * copied, except the words of inline requests.
 *
 * Protocol: https://redis.io/docs/reference/protocol-spec (RESP2, RESP3 and inline requests). */
#pragma once
#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

struct buf;

#define RESP_LINE_MAX 65536             /* the most bytes of an inline request or of a line with a length */
#define RESP_UNAUTHENTICATED_ARGS 10    /* the most arguments before authentication */
#define RESP_UNAUTHENTICATED_BULK 16384 /* the most bytes of an argument before authentication */

enum resp_status {
    RESP_REQUEST, /* argv is complete; argc may be 0: an empty line, to be skipped */
    RESP_MORE,    /* the request is not complete */
    RESP_ERROR,   /* protocol error: parser.error is the reply; the connection must be closed */
    RESP_TLS,     /* a TLS handshake: nothing that is replied would be understood */
};

struct resp_limits {
    int64_t max_bulk;   /* proto-max-bulk-len */
    bool authenticated; /* false: the limits above apply */
};

struct resp_parser {
    const char *start;  /* first byte of the request being parsed */
    const char *next;   /* first byte not consumed */
    struct slice *argv; /* grows; kept between requests */
    uint32_t argc, argv_cap;
    int64_t args_left; /* arguments that are missing; -1: between requests */
    int64_t bulk_len;  /* length of the bulk being received; -1 before its length line; -2: it has no line end */
    char *words;       /* the unquoted words of an inline request, to which argv points */
    size_t words_cap;
    char error[80]; /* "Protocol error: ...", without the error code */
};

void resp_init(struct resp_parser *parser); /* allocates nothing */
void resp_free(struct resp_parser *parser);
/* Begin to parse at `from`, between requests. */
void resp_begin(struct resp_parser *parser, const char *from);
/* Parse one request from parser->next on, but not beyond end. argc and argv are valid until the next call. O(bytes). */
enum resp_status resp_parse(struct resp_parser *parser, const char *end, const struct resp_limits *limits);
/* Add an argument that was received elsewhere, in place of the bulk for which the parser waits. The two bytes behind it
 * are the line end: if they are something else, resp_parse() says so. */
void resp_supply_bulk(struct resp_parser *parser, struct slice bytes);
/* The region has moved: adjust argv, start and next. Slices outside [start, next] (supplied ones) stay. */
void resp_rebase(struct resp_parser *parser, const char *new_start);
/* Make `to` a copy of `from`, which may be inside a request; `from` is between requests afterwards. O(argc). */
void resp_move(struct resp_parser *to, struct resp_parser *from);

/* --- Writing requests ------------------------------------------------------------------------ */

/* To the end of a buffer: for the append-only file and for other servers. */

void resp_put_header(struct buf *out, char prefix, int64_t n); /* "<prefix><n>\r\n" */
void resp_put_word(struct buf *out, struct slice word);        /* an argument */
void resp_put_int(struct buf *out, int64_t n);                 /* a number as an argument */
