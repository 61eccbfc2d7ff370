/* The request side of the Redis protocol: a pure, resumable parser from bytes to slices, and the way back.
 *
 * Input is a contiguous region; argv are slices of it. A parser that runs out of bytes keeps its place, so
 * that feeding a request byte by byte costs linear time; resp_rebase() moves it along when the region moves.
 * Protocol: https://redis.io/docs/reference/protocol-spec (RESP2, RESP3 and inline requests). */
#pragma once
#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

struct buf;

#define RESP_LINE_MAX 65536          /* bytes of an inline request, or of a line that holds a length */
#define RESP_UNAUTHENTICATED_ARGS 10 /* limits before authentication */
#define RESP_UNAUTHENTICATED_BULK 16384

enum resp_status {
    RESP_REQUEST, /* argv is complete (argc may be 0: an empty line, to be skipped) */
    RESP_MORE,    /* needs more bytes */
    RESP_ERROR,   /* protocol error: parser.error says what; the connection must be closed */
};

struct resp_limits {
    int64_t max_bulk;   /* proto-max-bulk-len */
    bool authenticated; /* false: the tiny limits above apply */
};

struct resp_parser {
    const char *start;  /* first byte of the request being parsed */
    const char *next;   /* first byte not consumed */
    struct slice *argv; /* grows; kept between requests */
    uint32_t argc, argv_cap;
    int64_t args_left; /* arguments still to come; -1: between requests */
    int64_t bulk_len;  /* length of the bulk being received; -1 before its length line */
    char *words;       /* the unquoted words of an inline request: argv points there */
    size_t words_cap;
    char error[80]; /* "Protocol error: ...", without the code */
};

void resp_init(struct resp_parser *parser);
void resp_free(struct resp_parser *parser);
/* Begin at `from`, between requests. */
void resp_begin(struct resp_parser *parser, const char *from);
/* Parse one request from parser->next on, not beyond end. After RESP_REQUEST, argc
 * and argv hold it until the next call. */
enum resp_status resp_parse(struct resp_parser *parser, const char *end, const struct resp_limits *limits);
/* Add an argument that was received elsewhere, in place of the bulk the parser waits for. */
void resp_supply_bulk(struct resp_parser *parser, struct slice bytes);
/* The region moved: argv, start and next follow. Slices outside [start, next] (supplied ones) stay. */
void resp_rebase(struct resp_parser *parser, const char *new_start);
/* Make `to` a copy of a parser in the middle of a request; `from` is between requests afterwards. */
void resp_move(struct resp_parser *to, struct resp_parser *from);

/* --- Writing requests: to the append-only file, to another server ----------------------------- */

void resp_put_header(struct buf *out, char prefix, int64_t n); /* "<prefix><n>\r\n" */
void resp_put_word(struct buf *out, struct slice word);        /* an argument, as a bulk */
void resp_put_int(struct buf *out, int64_t n);                 /* its digits as an argument */
