/* Connections, and the way of bytes into the server with few copies and system calls. conn_output.c has the way out.
 *
 * A read appends to one arena that all connections of a wave share; slices of it are valid until conn_input_reset().
 * The rest of an incomplete request goes to a conn_input of its own, which fits its size. At the next read that rest is
 * copied back to the arena, in front of the new bytes. If it is large it stays, and its own buffer grows instead, so
 * that a long request that arrives in many pieces costs linear time. A bulk of BLOB_MIN bytes or more, once its length
 * is known, is read directly into a blob. */
#include "net/conn.h"
#include "base/alloc.h"
#include "base/log.h"
#include "net/conn_private.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_ARENA (1 << 20)    /* bytes of input a wave can hold */
#define INPUT_OWN_MIN 16384      /* a connection with this many unfinished bytes reads into its own buffer */
#define BULK_READ_MAX (1 << 18)  /* the most bytes of a large bulk read in one turn */
#define BULK_EAGER_MIN (1 << 16) /* up to this size a bulk gets its memory at once, a larger one as it arrives */
#define BULK_EAGER_MAX (1 << 20) /* the same, once a sixteenth of it has arrived */

struct held_blob {
    struct held_blob *next;
    struct blob *blob;
};

struct conn_input {
    struct resp_parser parser;
    char *data; /* the bytes from parser.start on; NULL while they are in the arena */
    size_t len, cap;
    struct blob *bulk;       /* the one being received, with its line end; NULL if none */
    size_t bulk_target;      /* bytes of the bulk when complete */
    struct held_blob *blobs; /* received bulks of a request that waits or runs, in order: MSET takes them in order */
    struct held_blob **blobs_end;
    size_t held_bytes;       /* memory of `blobs` */
    struct held_blob *taken; /* blobs that became values; a value may be overwritten before the request ends */
};

struct conn_metrics conn_metrics;

static struct arena_in {
    char *data;
    size_t len;
    struct resp_parser parser; /* of connections without a conn_input */
} in, in_aside;

void conn_init(struct conn *c, int fd, void (*ready)(struct loop_source *, uint32_t)) {
    *c = (struct conn){.source = {.fd = fd, .ready = ready}};
}

/* --- Input ----------------------------------------------------------------------------------- */

static void input_set_data(struct conn_input *input, char *data, size_t len, size_t cap) {
    conn_metrics.input_bytes += cap;
    conn_metrics.input_bytes -= input->cap;
    alloc_put(input->data, input->cap);
    input->data = data;
    input->len = len;
    input->cap = cap;
}

static void hold_blob(struct conn_input *input, struct blob *blob) {
    struct held_blob *held = alloc_get(sizeof *held);
    *held = (struct held_blob){.blob = blob};
    *input->blobs_end = held;
    input->blobs_end = &held->next;
    input->held_bytes += sizeof *held + blob_size(blob);
    conn_metrics.input_bytes += sizeof *held + blob_size(blob);
}

/* Moves *link to the list `taken`. */
static struct blob *take_blob(struct conn_input *input, struct held_blob **link) {
    struct held_blob *held = *link;
    *link = held->next;
    if (held->next == NULL) input->blobs_end = link;
    input->held_bytes -= sizeof *held + blob_size(held->blob);
    conn_metrics.input_bytes -= sizeof *held + blob_size(held->blob);
    held->next = input->taken;
    input->taken = held;
    return held->blob;
}

static void drop_taken(struct conn_input *input) {
    for (struct held_blob *held; (held = input->taken);) {
        input->taken = held->next;
        blob_drop(held->blob);
        alloc_put(held, sizeof *held);
    }
}

static void drop_blobs(struct conn_input *input) {
    while (input->blobs)
        take_blob(input, &input->blobs);
    drop_taken(input);
}

static void input_free(struct conn *c) {
    struct conn_input *input = c->input;
    if (input == NULL) return;
    drop_blobs(input);
    if (input->bulk) {
        conn_metrics.input_bytes -= input->bulk->cap;
        blob_drop(input->bulk);
    }
    input_set_data(input, NULL, 0, 0);
    resp_free(&input->parser);
    alloc_put(input, sizeof *input);
    conn_metrics.input_bytes -= sizeof *input;
    c->input = NULL;
}

static struct conn_input *input_of(struct conn *c) {
    if (c->input) return c->input;
    c->input = alloc_zero(sizeof *c->input);
    resp_init(&c->input->parser);
    c->input->blobs_end = &c->input->blobs;
    conn_metrics.input_bytes += sizeof *c->input;
    return c->input;
}

/* One read(2). Returns the number of bytes; if it is 0, *result tells why. */
static size_t receive_bytes(struct conn *c, char *to, size_t room, enum conn_read *result) {
    ssize_t n = read(c->source.fd, to, room);
    if (n > 0) {
        conn_metrics.reads++;
        conn_metrics.bytes_in += (size_t)n;
        return (size_t)n;
    }
    *result = n < 0 && (errno == EAGAIN || errno == EINTR) ? CONN_READ_NOTHING : CONN_READ_CLOSED;
    if (*result == CONN_READ_CLOSED) c->flags |= CONN_BROKEN;
    return 0;
}

/* The connection ends, since there is no memory for what it sends. */
static enum conn_read refuse_input(struct conn *c, size_t bytes) {
    log_warning("Closing a connection: there is no memory for %zu bytes of its input.", bytes);
    c->flags |= CONN_BROKEN;
    return CONN_READ_CLOSED;
}

/* Make room for more of the bulk that is being received. It doubles, so that announcing a length gets nobody memory; if
 * it is large, no byte is copied (base/alloc.h). False: there is no memory. */
static bool bulk_grow(struct conn_input *input) {
    struct blob *bulk = input->bulk;
    if (bulk->len < bulk->cap) return true;
    size_t old = bulk->cap, cap = old > input->bulk_target / 2 ? input->bulk_target : old * 2;
    bulk = blob_try_resize(bulk, cap);
    if (bulk == NULL) return false;
    input->bulk = bulk;
    conn_metrics.input_bytes += bulk->cap - old; /* the blob fills its size class */
    return true;
}

static void bulk_begin(struct conn_input *input, const char *have, size_t len) {
    size_t target = (size_t)input->parser.bulk_len + 2, cap = BULK_EAGER_MIN;
    if (len > BULK_EAGER_MIN / 16) cap = len < BULK_EAGER_MAX / 16 ? len * 16 : BULK_EAGER_MAX;
    if (cap > target) cap = target;
    if (cap < len) cap = len;
    input->bulk_target = target;
    input->bulk = blob_new(cap);
    conn_metrics.input_bytes += input->bulk->cap;
    memcpy(input->bulk->data, have, len);
    input->bulk->len = len;
}

/* The bulk is complete: make it an argument. */
static void bulk_end(struct conn_input *input) {
    struct blob *bulk = input->bulk;
    conn_metrics.input_bytes -= bulk->cap;
    input->bulk = NULL;
    bulk->len = input->bulk_target - 2;
    resp_supply_bulk(&input->parser, blob_slice(bulk));
    hold_blob(input, bulk);
}

static void note_input(const struct conn *c) {
    size_t bytes = conn_input_memory(c);
    if (bytes > conn_metrics.largest_input) conn_metrics.largest_input = bytes;
}

void conn_note_size(const struct conn *c) {
    note_input(c);
    conn_note_output(c);
}

static enum conn_read read_bulk(struct conn *c, const char **end) {
    struct conn_input *input = c->input;
    if (!bulk_grow(input)) return refuse_input(c, input->bulk_target);
    note_input(c);
    struct blob *bulk = input->bulk;
    size_t room = (bulk->cap < input->bulk_target ? bulk->cap : input->bulk_target) - bulk->len;
    enum conn_read result;
    size_t n = receive_bytes(c, bulk->data + bulk->len, room < BULK_READ_MAX ? room : BULK_READ_MAX, &result);
    if (n == 0) return result;
    bulk->len += n;
    if (bulk->len < input->bulk_target) return CONN_READ_NOTHING;
    bulk_end(input);
    *end = input->parser.next;
    return CONN_READ_SOME;
}

/* Read behind unfinished bytes that are too many to be copied at each read. */
static enum conn_read read_own(struct conn *c, const char **end) {
    struct conn_input *input = c->input;
    if (input->cap - input->len < CONN_READ_MAX / 2) {
        size_t cap = alloc_class(input->cap * 2 + CONN_READ_MAX);
        char *data = alloc_try_resize(input->data, input->cap, cap);
        if (data == NULL) return refuse_input(c, cap);
        input->data = data;
        conn_metrics.input_bytes += cap - input->cap;
        input->cap = cap;
        resp_rebase(&input->parser, input->data);
    }
    enum conn_read result;
    size_t room = input->cap - input->len;
    size_t n = receive_bytes(c, input->data + input->len, room < BULK_READ_MAX ? room : BULK_READ_MAX, &result);
    if (n == 0) return result;
    input->len += n;
    *end = input->data + input->len;
    return CONN_READ_SOME;
}

static enum conn_read read_arena(struct conn *c, struct resp_parser *parser, const char **end) {
    if (in.data == NULL) in.data = alloc_get(INPUT_ARENA);
    size_t old = c->input ? c->input->len : 0;
    if (INPUT_ARENA - in.len < CONN_READ_MAX + old) return CONN_READ_FULL;
    char *base = in.data + in.len;
    enum conn_read result;
    size_t n = receive_bytes(c, base + old, CONN_READ_MAX, &result);
    if (n == 0) return result;
    if (old) {
        memcpy(base, c->input->data, old);
        resp_rebase(parser, base);
        input_set_data(c->input, NULL, 0, 0);
    } else {
        resp_begin(parser, base);
    }
    in.len += old + n;
    *end = base + old + n;
    return CONN_READ_SOME;
}

enum conn_read conn_read(struct conn *c, struct resp_parser **parser, const char **end) {
    struct conn_input *input = c->input;
    *parser = input ? &input->parser : &in.parser;
    if (input && input->bulk) return read_bulk(c, end);
    if (input && input->len >= INPUT_OWN_MIN) return read_own(c, end);
    return read_arena(c, *parser, end);
}

enum conn_read conn_reread(struct conn *c, struct resp_parser **parser, const char **end) {
    struct conn_input *input = c->input;
    if (!input || input->len == 0) return CONN_READ_NOTHING;
    *parser = &input->parser;
    *end = input->data + input->len;
    return CONN_READ_SOME;
}

enum conn_read conn_peek(const struct conn *c) {
    char byte;
    ssize_t n = recv(c->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) return CONN_READ_SOME;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? CONN_READ_NOTHING : CONN_READ_CLOSED;
}

/* A bulk in a blob counts too: conn_stash() drops it together with its request. */
bool conn_region_is_own(const struct conn *c) {
    return c->input && (c->input->data || c->input->blobs);
}

void conn_stash(struct conn *c, struct resp_parser *parser, const char *end) {
    size_t left = (size_t)(end - parser->start);
    if (left == 0) {
        if (c->input) input_set_data(c->input, NULL, 0, 0); /* all that was there has been executed */
        conn_release(c);
        return;
    }
    struct conn_input *input = input_of(c);
    drop_taken(input);
    if (parser != &input->parser) resp_move(&input->parser, parser);
    parser = &input->parser;
    size_t keep = left;
    if (parser->args_left > 0 && parser->bulk_len >= BLOB_MIN) {
        bulk_begin(input, parser->next, (size_t)(end - parser->next));
        keep = (size_t)(parser->next - parser->start);
    }
    const char *from = parser->start;
    if (input->data && keep >= INPUT_OWN_MIN) { /* large, and in its own buffer: move it to the front */
        memmove(input->data, from, keep);
        resp_rebase(parser, input->data);
        input->len = keep;
        note_input(c);
        return;
    }
    size_t cap = alloc_class(keep);
    char *data = alloc_get(cap);
    memcpy(data, from, keep);
    resp_rebase(parser, data);
    input_set_data(input, data, keep, cap);
    note_input(c);
}

void conn_release(struct conn *c) {
    struct conn_input *input = c->input;
    if (input == NULL) return;
    drop_blobs(input);
    if (input->bulk == NULL && input->len == 0 && input->parser.args_left < 0) input_free(c);
}

size_t conn_arena_bytes(void) {
    return conn_output_arena_bytes() + (in.data ? INPUT_ARENA : 0);
}

void conn_prepare(void) {
    if (in.data == NULL) in.data = alloc_get(INPUT_ARENA);
    conn_prepare_output();
}

void conn_input_reset(void) {
    in.len = 0;
}

struct blob *conn_take_blob(struct conn *c, const char *ptr) {
    if (c->input == NULL) return NULL;
    for (struct held_blob **link = &c->input->blobs; *link; link = &(*link)->next)
        if ((*link)->blob->data == ptr) return blob_share(take_blob(c->input, link));
    return NULL;
}

static struct blob *find_blob(const struct held_blob *list, const char *ptr) {
    for (; list; list = list->next)
        if (list->blob->data == ptr) return list->blob;
    return NULL;
}

struct blob *conn_find_blob(const struct conn *c, const char *ptr) {
    if (c->input == NULL) return NULL;
    struct blob *taken = find_blob(c->input->taken, ptr);
    return taken ? taken : find_blob(c->input->blobs, ptr);
}

size_t conn_input_bytes(const struct conn *c) {
    if (c->input == NULL) return 0;
    return c->input->len + (c->input->bulk ? c->input->bulk->len : 0);
}

size_t conn_input_args(const struct conn *c) {
    return c->input ? c->input->held_bytes : 0;
}

size_t conn_input_memory(const struct conn *c) {
    if (c->input == NULL) return 0;
    return sizeof *c->input + c->input->cap + c->input->parser.argv_cap * sizeof(struct slice) + c->input->held_bytes +
           (c->input->bulk ? blob_size(c->input->bulk) : 0);
}

/* --- Other clients meanwhile ----------------------------------------------------------------- */

void conn_set_aside(void) {
    in_aside = in;
    in = (struct arena_in){.data = NULL};
    conn_set_output_aside();
}

void conn_put_back(void) {
    if (in.data) alloc_put(in.data, INPUT_ARENA);
    resp_free(&in.parser);
    in = in_aside;
    conn_put_output_back();
}

/* --- Closing --------------------------------------------------------------------------------- */

void conn_close(struct conn *c) {
    input_free(c);
    conn_drop_output(c);
    if (c->source.fd < 0) return;
    loop_remove(&c->source);
    if (c->flags & CONN_SHARED) shutdown(c->source.fd, SHUT_RDWR);
    close(c->source.fd);
    c->source.fd = -1;
    c->flags |= CONN_BROKEN;
}
