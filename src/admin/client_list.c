/* A list of more than SLICE_CLIENTS clients is written in slices, one in each turn of the loop, so that it holds up no
 * other client. The clients that want such lists get them one after the other. Meanwhile they are postponed
 * (exec/block.h); each gets its reply once its last line is written. If its request runs again before that, because a
 * pause ended, its list starts over. Inside EXEC nothing can wait: there the list is written at once.
 *
 * Clients may close between two slices: the cursor of a list is always an open client, or NULL at the end. A line says
 * what is true when its slice is written; only the line of the client that asked is older, since later that client
 * waits. */
#include "admin/client_list.h"
#include "admin/client_kind.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "catalog/command_metrics.h"
#include "exec/block.h"
#include "exec/call.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/reply.h"

#define SLICE_CLIENTS 1000 /* 0.2 ms; 1.5 ms if the kernel must be asked for their addresses */

static struct client_executing sizes_of(const struct request *r) {
    struct client_executing sizes = {.raw_bytes = r->raw.len};
    for (int i = 0; i < r->argc; i++)
        sizes.args_bytes += r->argv[i].len;
    return sizes;
}

/* `executing` is the request that asks, if it is this client's, else NULL. */
static void append_line(struct client *c, const struct request *executing, struct buf *out) {
    client_describe(c, executing ? sizes_of(executing) : (struct client_executing){0}, out);
    buf_append(out, "\n", 1);
}

/* --- Lists in progress ----------------------------------------------------------------------- */

struct listing {
    struct listing *next;
    struct client *asker;
    struct client *cursor; /* the next client to describe; NULL: the text is complete */
    enum client_kind kind;
    struct command_metrics *metrics; /* the slices count as the command's time */
    struct buf own_line;             /* the asker's */
    struct buf text;
};

static struct listing *listings; /* in the order in which they were asked for */

static struct listing **listing_of(const struct client *asker) {
    struct listing **at = &listings;
    while (*at && (*at)->asker != asker)
        at = &(*at)->next;
    return at;
}

static struct listing *listing_add(struct request *r, enum client_kind kind) {
    struct listing *l = alloc_get(sizeof *l), **at = &listings;
    *l = (struct listing){.asker = r->client, .cursor = client_first, .kind = kind, .metrics = r->metrics};
    append_line(r->client, r, &l->own_line);
    while (*at)
        at = &(*at)->next;
    return *at = l;
}

static void listing_end(const struct client *asker) {
    struct listing **at = listing_of(asker), *l = *at;
    if (l == NULL) return;
    *at = l->next;
    buf_free(&l->own_line);
    buf_free(&l->text);
    alloc_put(l, sizeof *l);
}

static void listing_forget(struct client *c) {
    listing_end(c);
    for (struct listing *l = listings; l; l = l->next)
        if (l->cursor == c) l->cursor = c->next;
}

static size_t listing_memory(const struct client *c) {
    const struct listing *l = c->flags & CLIENT_WAITS ? *listing_of(c) : NULL;
    return l ? sizeof *l + l->own_line.cap + l->text.cap : 0;
}

static const struct client_part client_list_part = {.forget = listing_forget, .memory = listing_memory};

/* --- Slices ---------------------------------------------------------------------------------- */

static void write_slice(struct listing *l) {
    for (int i = 0; l->cursor && i < SLICE_CLIENTS; i++) {
        struct client *c = l->cursor;
        l->cursor = c->next;
        if (!client_kind_fits(c, l->kind)) continue;
        if (c == l->asker)
            buf_append_slice(&l->text, buf_slice(&l->own_line));
        else
            append_line(c, NULL, &l->text);
    }
}

static void reply_listing(struct client *asker) {
    reply_verbatim(asker, buf_slice(&(*listing_of(asker))->text), "txt");
}

static void write_first_listing(struct loop_timer *timer) {
    struct listing *l = listings;
    if (l == NULL) return; /* its client has closed */
    uint64_t began = clock_ticks();
    write_slice(l);
    l->metrics->ticks += clock_ticks() - began;
    if (l->cursor == NULL) {
        block_answer(l->asker, reply_listing);
        listing_end(l->asker);
    }
    if (listings) loop_timer_start(timer, 0);
}

static struct loop_timer slice_timer = {.fire = write_first_listing, .heap_index = -1};

static void list_clients(struct request *r, enum client_kind kind) {
    listing_end(r->client);
    struct listing *l = listing_add(r, kind);
    if (client_count() > SLICE_CLIENTS && !call_is_nested) {
        block_postpone(r);
        loop_timer_start(&slice_timer, 0);
        return;
    }
    while (l->cursor && !reply_would_be_pointless(r->client, l->text.len))
        write_slice(l);
    reply_listing(r->client);
    listing_end(r->client);
}

/* --- Commands -------------------------------------------------------------------------------- */

static void list_ids(struct request *r) {
    struct buf text = {0};
    for (int i = 3; i < r->argc && !reply_would_be_pointless(r->client, text.len); i++) {
        int64_t id;
        if (!num_parse_i64(r->argv[i], &id)) {
            reply_error(r->client, "ERR Invalid client ID");
            buf_free(&text);
            return;
        }
        struct client *c = id > 0 ? client_by_id((uint64_t)id) : NULL;
        if (c) append_line(c, c == r->client ? r : NULL, &text);
    }
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}

void client_list_command(struct request *r) {
    enum client_kind kind;
    if (r->argc == 2) {
        list_clients(r, KIND_ANY);
    } else if (r->argc == 4 && slice_is(r->argv[2], "type")) {
        if (client_kind_parse(r->client, r->argv[3], &kind)) list_clients(r, kind);
    } else if (r->argc > 3 && slice_is(r->argv[2], "id")) {
        list_ids(r);
    } else {
        reply_syntax_error(r->client);
    }
}

void client_list_info(struct request *r) {
    struct buf text = {0};
    append_line(r->client, r, &text);
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}

const struct module client_list_module = {.part = &client_list_part};
