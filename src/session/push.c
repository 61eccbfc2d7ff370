/* See push.h. Invariant: the client with a kept message has a range open, or is about to be settled by its wave; so
 * nothing is kept between waves. */
#include "session/push.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/likely.h"
#include "base/module.h"
#include "session/client.h"

/* The clients with kept messages. At most as many as commands that run inside each other: one or two. */
static struct kept_messages {
    struct client *client;
    struct buf bytes;
} * kept;
static size_t kept_count, kept_cap;
bool push_kept;
size_t push_kept_bytes;

static struct kept_messages *find_kept(const struct client *c) {
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].client == c) return &kept[i];
    return NULL;
}

static struct kept_messages *keep_for(struct client *c) {
    struct kept_messages *k = find_kept(c);
    if (k) return k;
    if (kept_count == kept_cap) kept = alloc_grow(kept, &kept_cap, sizeof *kept, 4);
    push_kept = true;
    kept[kept_count] = (struct kept_messages){.client = c};
    return &kept[kept_count++];
}

static void drop_kept(struct kept_messages *k) {
    push_kept_bytes -= k->bytes.cap;
    buf_free(&k->bytes);
    *k = kept[--kept_count];
    push_kept = kept_count > 0;
}

static void keep_copy(struct client *to, size_t start, size_t end) {
    struct buf *bytes = &keep_for(to)->bytes;
    push_kept_bytes -= bytes->cap;
    conn_copy(start, end, bytes);
    push_kept_bytes += bytes->cap;
}

void push_copy(struct client *to, size_t start, size_t end) {
    if (unlikely(client_is_leaving(to))) return;
    if (unlikely(conn_arena.refuses)) {
        conn_break(&to->conn); /* the message is incomplete, and its receiver must not believe that there was none */
        return;
    }
    if (unlikely(to == client_current || to == client_writing)) {
        const struct kept_messages *k = find_kept(to);
        size_t bytes = (k ? k->bytes.len : 0) + conn_range_bytes(start, end);
        if (client_may_owe(to, bytes)) keep_copy(to, start, end);
        return;
    }
    conn_push_copy(&to->conn, start, end);
    client_limit_pushes(to);
}

void push_settle(struct client *c) {
    struct kept_messages *k = find_kept(c);
    if (k == NULL) return;
    if (!(c->flags & CLIENT_CLOSE_NOW)) conn_write(k->bytes.data, k->bytes.len);
    drop_kept(k);
}

static void push_forget(struct client *c) {
    struct kept_messages *k = find_kept(c);
    if (k) drop_kept(k);
}

static const struct client_part push_part = {.forget = push_forget};

const struct module push_module = {.part = &push_part};
