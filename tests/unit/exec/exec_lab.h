/* Requests for unit tests, made of texts: "SET k v" has three arguments. */
#pragma once
#include "net/conn.h"
#include "session/client.h"
#include "session/request.h"
#include <stdio.h>
#include <string.h>

/* A row of a command table, without what only COMMAND tells. */
#define LAB_ROW(n, b, a, ...) \
    { .name = n, .body = b, .arity = a, .summary = n, .since = "1.0.0", ##__VA_ARGS__ }

/* The request of this client, prepared as the wave prepares it. Valid until the next call. */
static inline struct request lab_request(struct client *c, const char *text) {
    static char copy[4096];
    static struct slice argv[256];
    struct request r = {.client = c, .argv = argv};
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[r.argc++] = slice_of(word, strlen(word));
    request_prepare(&r);
    return r;
}

/* What was written to the output arena since mark, which is taken back. Valid until the next call. */
static inline const char *lab_written(size_t mark) {
    static char text[1 << 16];
    snprintf(text, sizeof text, "%.*s", (int)(conn_mark() - mark), conn_arena.data + mark);
    conn_truncate(mark);
    return text;
}
