#include "cmd/scan_step.h"
#include "base/glob.h"
#include "base/num.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"

#define CURSOR_MASK ((UINT64_C(1) << 48) - 1)
#define LINES_PER_COUNT 10

bool scan_step_wants(struct scan_step *w, struct slice name) {
    w->visited++;
    return !w->pattern.ptr || glob_match(w->pattern, name);
}

void scan_step_add(struct scan_step *w, struct slice element) {
    char *to = buf_reserve(&w->reply, element.len + NUM_I64_MAX + 5), *at = to;
    *at++ = '$';
    at += num_print_u64(at, element.len);
    at = mempcpy(at, "\r\n", 2);
    at = mempcpy(at, element.ptr, element.len);
    at = mempcpy(at, "\r\n", 2);
    w->reply.len += (size_t)(at - to);
    w->elements++;
}

uint64_t scan_step_run(struct scan_step *w, void *subject, uint64_t cursor, scan_step_fn step) {
    int64_t lines = w->count > INT64_MAX / LINES_PER_COUNT ? INT64_MAX : w->count * LINES_PER_COUNT;
    cursor &= CURSOR_MASK;
    do {
        cursor = step(w, subject, cursor);
    } while (cursor && --lines > 0 && w->visited < w->count);
    return cursor;
}

void scan_step_reply(struct scan_step *w, struct client *c, uint64_t cursor) {
    reply_array(c, 2);
    reply_bulk_int(c, (int64_t)cursor);
    reply_array(c, w->elements);
    reply_raw(c, buf_slice(&w->reply));
    buf_free(&w->reply);
}

void scan_step_value(struct request *r, enum entry_type type, scan_step_fn step) {
    struct client *c = r->client;
    struct scan_step w = {.count = SCAN_STEP_COUNT};
    uint64_t cursor;
    if (!args_cursor(c, r->argv[2], &cursor)) return;
    struct entry *e = db_read(c->db, &r->key);
    if (!e) { /* what the options say is not looked at then */
        scan_step_reply(&w, c, 0);
    } else if (lookup_is(c, e, type) && args_scan(c, r->argv + 3, r->argc - 3, &w.pattern, &w.count, NULL)) {
        cursor = scan_step_run(&w, e, cursor, step);
        scan_step_reply(&w, c, cursor);
    }
}
