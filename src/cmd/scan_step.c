/* See scan_step.h. The elements are written to the reply as they are visited, although the next cursor and their
 * number, which come before them, are known only in the end: insert_head() puts these in front of them. */
#include "cmd/scan_step.h"
#include "base/glob.h"
#include "base/num.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "net/resp_out.h"

#define CURSOR_MASK ((UINT64_C(1) << 48) - 1)
#define LINES_PER_COUNT 10

bool scan_step_wants(struct scan_step *s, struct slice name) {
    s->visited++;
    return !s->pattern.ptr || glob_match(s->pattern, name);
}

void scan_step_add(struct scan_step *s, struct slice element) {
    reply_bulk(s->client, element);
    s->elements++;
}

static uint64_t visit_some(struct scan_step *s, void *subject, uint64_t cursor, scan_step_fn visit) {
    int64_t lines = s->count > INT64_MAX / LINES_PER_COUNT ? INT64_MAX : s->count * LINES_PER_COUNT;
    do {
        cursor = visit(s, subject, cursor);
    } while (cursor && --lines > 0 && s->visited < s->count && !reply_is_pointless(s->client));
    return cursor;
}

/* What goes before the elements. */
static void insert_head(const struct scan_step *s, size_t place, uint64_t cursor) {
    char head[4 * RESP_OUT_HEADER_MAX], digits[NUM_I64_MAX];
    int len = num_print_u64(digits, cursor);
    char *p = resp_out_put_header(head, '*', 2);
    p = resp_out_put_header(p, '$', len);
    p = mempcpy(p, digits, (size_t)len);
    p = mempcpy(p, "\r\n", 2);
    p = resp_out_put_header(p, '*', (int64_t)s->elements);
    conn_insert(place, head, (size_t)(p - head));
}

uint64_t scan_step_run(struct scan_step *s, void *subject, uint64_t cursor, scan_step_fn visit) {
    size_t place = reply_hold(s->client);
    cursor = subject ? visit_some(s, subject, cursor & CURSOR_MASK, visit) : 0;
    insert_head(s, place, cursor);
    return cursor;
}

void scan_step_value(struct request *r, enum entry_type type, scan_step_fn visit) {
    struct client *c = r->client;
    struct scan_step s = {.client = c, .count = SCAN_STEP_COUNT};
    uint64_t cursor;
    struct entry *e;
    if (!args_cursor(c, r->argv[2], &cursor) || !lookup_read(r, type, &e)) return;
    /* The options of an absent key are not even looked at, as in Redis. */
    if (e && !args_scan(c, r->argv + 3, r->argc - 3, &s.pattern, &s.count, NULL)) return;
    scan_step_run(&s, e, cursor, visit);
}
