#include "cmd/scan_step.h"
#include "base/glob.h"
#include "cmd/args.h"
#include "cmd/lookup.h"

#define CURSOR_MASK ((UINT64_C(1) << 48) - 1)
#define LINES_PER_COUNT 10

bool scan_step_wants(struct scan_step *s, struct slice name) {
    s->visited++;
    return !s->pattern.ptr || glob_match(s->pattern, name);
}

void scan_step_add(struct scan_step *s, struct slice element) {
    char *to = buf_reserve(&s->reply, element.len + NUM_I64_MAX + 5), *at = to;
    *at++ = '$';
    at += num_print_u64(at, element.len);
    at = mempcpy(at, "\r\n", 2);
    at = mempcpy(at, element.ptr, element.len);
    at = mempcpy(at, "\r\n", 2);
    s->reply.len += (size_t)(at - to);
    s->elements++;
}

uint64_t scan_step_run(struct scan_step *s, void *subject, uint64_t cursor, scan_step_fn visit) {
    int64_t lines = s->count > INT64_MAX / LINES_PER_COUNT ? INT64_MAX : s->count * LINES_PER_COUNT;
    cursor &= CURSOR_MASK;
    do {
        cursor = visit(s, subject, cursor);
    } while (cursor && --lines > 0 && s->visited < s->count);
    return cursor;
}

void scan_step_reply(struct scan_step *s, struct client *c, uint64_t cursor) {
    reply_array(c, 2);
    reply_bulk_int(c, (int64_t)cursor);
    reply_array(c, s->elements);
    reply_raw(c, buf_slice(&s->reply));
    buf_free(&s->reply);
}

void scan_step_value(struct request *r, enum entry_type type, scan_step_fn visit) {
    struct client *c = r->client;
    struct scan_step s = {.count = SCAN_STEP_COUNT};
    uint64_t cursor;
    struct entry *e;
    if (!args_cursor(c, r->argv[2], &cursor) || !lookup_read(r, type, &e)) return;
    /* The options of an absent key are not even looked at, as in Redis. */
    if (e && !args_scan(c, r->argv + 3, r->argc - 3, &s.pattern, &s.count, NULL)) return;
    scan_step_reply(&s, c, e ? scan_step_run(&s, e, cursor, visit) : 0);
}
