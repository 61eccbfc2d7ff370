/* Lists: reading, pushing, and removing what is not popped. Pops are in list_pop.c.
 *
 * A reply is written from the list itself, element by element, before the list changes. */
#include "cmd/lists.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "store/list.h"

static bool parse_indexes(struct request *r, int64_t *first, int64_t *last) {
    return args_i64(r->client, r->argv[2], first) && args_i64(r->client, r->argv[3], last);
}

void lists_reply_elements(struct client *c, const struct quicklist *q, size_t index, size_t n,
                          enum quicklist_end from) {
    struct quicklist_iter it;
    reply_array(c, n);
    quicklist_start(&it, q, (int64_t)index);
    while (n-- > 0 && !reply_is_pointless(c)) {
        lookup_reply(c, quicklist_get(&it));
        if (from == QUICKLIST_HEAD) {
            quicklist_next(&it);
        } else {
            quicklist_prev(&it);
        }
    }
    quicklist_stop(&it);
}

/* The list gained or lost n elements, each of which Redis counts as a change. */
static inline void list_changed(struct db *db, const struct key *key, const char *event, size_t n) {
    db_changed(db, key, DB_LIST, event);
    db_metrics.dirty += (int64_t)n - 1;
}

void lists_removed(struct request *r, const struct key *key, const struct entry *e, const char *event, size_t n) {
    list_changed(r->client->db, key, event, n);
    if (!e) db_notify(r->client->db, key, DB_GENERIC, "del");
}

/* --- Reading --------------------------------------------------------------------------------- */

static void llen(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_LIST, &e)) reply_int(r->client, e ? (int64_t)list_length(e) : 0);
}

static void lindex(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t index;
    struct list_view view;
    struct quicklist_iter it;
    if (!lookup_read(r, ENTRY_LIST, &e)) return;
    if (!e) {
        reply_null(c);
        return;
    }
    if (!args_i64(c, r->argv[2], &index)) return;
    if (quicklist_start(&it, list_read(e, &view), index)) {
        lookup_reply(c, quicklist_get(&it));
    } else {
        reply_null(c);
    }
    quicklist_stop(&it);
}

static void lrange(struct request *r) {
    struct client *c = r->client;
    int64_t first, last;
    struct entry *e;
    if (!parse_indexes(r, &first, &last) || !lookup_read(r, ENTRY_LIST, &e)) return;
    struct list_view view;
    const struct quicklist *q = e ? list_read(e, &view) : NULL;
    if (q && args_clip(&first, &last, (int64_t)q->count)) {
        lists_reply_elements(c, q, (size_t)first, (size_t)(last - first) + 1, QUICKLIST_HEAD);
    } else {
        reply_array(c, 0);
    }
}

struct lpos_options {
    int64_t rank;   /* of the first match to reply; negative: from the end */
    int64_t count;  /* of matches; 0: all, -1: not given, so that the reply is no array */
    int64_t maxlen; /* elements to compare; 0: all */
};

static bool parse_rank(struct request *r, struct slice arg, int64_t *rank) {
    if (!args_signed(r->client, arg, rank)) return false;
    if (*rank != 0) return true;
    return args_refuse(r->client, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
                                  "or use negative to start from the end of the list");
}

static bool parse_lpos(struct request *r, struct lpos_options *o) {
    struct client *c = r->client;
    *o = (struct lpos_options){1, -1, 0};
    for (int i = 3; i < r->argc; i += 2) {
        if (i + 1 == r->argc) return args_syntax_error(c);
        struct slice word = r->argv[i], arg = r->argv[i + 1];
        if (slice_is(word, "rank")) {
            if (!parse_rank(r, arg, &o->rank)) return false;
        } else if (slice_is(word, "count")) {
            if (!args_at_least(c, arg, 0, "ERR COUNT can't be negative", &o->count)) return false;
        } else if (slice_is(word, "maxlen")) {
            if (!args_at_least(c, arg, 0, "ERR MAXLEN can't be negative", &o->maxlen)) return false;
        } else {
            return args_syntax_error(c);
        }
    }
    return true;
}

/* Reply the indexes of the matches, at most `max`, in the order in which they are found. Returns how many. */
static size_t reply_indexes(struct client *c, const struct quicklist *q, struct slice element,
                            const struct lpos_options *o, size_t max) {
    struct quicklist_needle needle = quicklist_needle(element);
    struct quicklist_iter it;
    size_t skip = (size_t)(o->rank < 0 ? -o->rank : o->rank) - 1, matches = 0, n = 0;
    size_t compared = o->maxlen > 0 && (size_t)o->maxlen < q->count ? (size_t)o->maxlen : q->count;
    quicklist_start(&it, q, o->rank < 0 ? -1 : 0);
    for (size_t i = 0; i < compared && n < max && !reply_is_pointless(c); i++) {
        if (quicklist_equal(&it, &needle) && matches++ >= skip) {
            reply_int(c, (int64_t)(o->rank < 0 ? q->count - 1 - i : i));
            n++;
        }
        if (o->rank < 0) {
            quicklist_prev(&it);
        } else {
            quicklist_next(&it);
        }
    }
    quicklist_stop(&it);
    return n;
}

static void lpos(struct request *r) {
    struct client *c = r->client;
    struct lpos_options o;
    struct entry *e;
    if (!parse_lpos(r, &o) || !lookup_read(r, ENTRY_LIST, &e)) return;
    bool many = o.count >= 0;
    size_t max = !many ? 1 : o.count == 0 ? SIZE_MAX : (size_t)o.count, place = reply_hold(c), n = 0;
    struct list_view view;
    if (e) n = reply_indexes(c, list_read(e, &view), r->argv[2], &o, max);
    if (many) {
        reply_array_at(c, place, n);
    } else if (n == 0) {
        reply_null(c);
    }
}

/* --- Pushing --------------------------------------------------------------------------------- */

const char *const lists_push_events[] = {[QUICKLIST_HEAD] = "lpush", [QUICKLIST_TAIL] = "rpush"};

static void push_elements(struct request *r, enum quicklist_end end, bool only_existing) {
    struct db *db = r->client->db;
    struct entry *e;
    if (!lookup_write(r, ENTRY_LIST, &e)) return;
    if (!e && only_existing) {
        reply_int(r->client, 0);
        return;
    }
    size_t n = (size_t)r->argc - 2;
    e = list_push(db, &r->key, e, end, r->argv + 2, n);
    reply_int(r->client, (int64_t)list_length(e));
    list_changed(db, &r->key, lists_push_events[end], n);
}

static void lpush(struct request *r) {
    push_elements(r, QUICKLIST_HEAD, false);
}

static void rpush(struct request *r) {
    push_elements(r, QUICKLIST_TAIL, false);
}

static void lpushx(struct request *r) {
    push_elements(r, QUICKLIST_HEAD, true);
}

static void rpushx(struct request *r) {
    push_elements(r, QUICKLIST_TAIL, true);
}

static void linsert(struct request *r) {
    struct client *c = r->client;
    bool after = slice_is(r->argv[2], "after"), found;
    struct entry *e;
    if (!after && !slice_is(r->argv[2], "before")) {
        reply_syntax_error(c);
        return;
    }
    if (!lookup_write(r, ENTRY_LIST, &e)) return;
    if (!e) {
        reply_int(c, 0);
        return;
    }
    e = list_insert(c->db, e, r->argv[3], after, r->argv[4], &found);
    reply_int(c, found ? (int64_t)list_length(e) : -1);
    if (found) db_changed(c->db, &r->key, DB_LIST, "linsert");
}

static void lset(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t index;
    bool found;
    if (!lookup_write(r, ENTRY_LIST, &e)) return;
    if (!e) {
        reply_no_key(c);
        return;
    }
    if (!args_i64(c, r->argv[2], &index)) return;
    list_set(c->db, e, index, r->argv[3], &found);
    if (!found) {
        reply_out_of_range(c);
        return;
    }
    reply_ok(c);
    db_changed(c->db, &r->key, DB_LIST, "lset");
}

/* --- Removing -------------------------------------------------------------------------------- */

static void lrem(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t count;
    if (!args_i64(c, r->argv[2], &count) || !lookup_write(r, ENTRY_LIST, &e)) return;
    size_t n = 0, max = count == 0 ? SIZE_MAX : count < 0 ? (size_t)0 - (size_t)count : (size_t)count;
    if (e) e = list_remove_equal(c->db, &r->key, e, r->argv[3], count < 0 ? QUICKLIST_TAIL : QUICKLIST_HEAD, max, &n);
    reply_int(c, (int64_t)n);
    if (n > 0) lists_removed(r, &r->key, e, "lrem", n);
}

static void ltrim(struct request *r) {
    struct client *c = r->client;
    int64_t first, last;
    struct entry *e;
    if (!parse_indexes(r, &first, &last) || !lookup_write(r, ENTRY_LIST, &e)) return;
    reply_ok(c);
    if (!e) return;
    size_t length = list_length(e);
    if (!args_clip(&first, &last, (int64_t)length)) {
        db_remove(c->db, &r->key, e);
        lists_removed(r, &r->key, NULL, "ltrim", length);
        return;
    }
    size_t n = (size_t)(last - first) + 1;
    if (n == length) return; /* nothing is removed, and no event is published, unlike in Redis 7.2 */
    list_trim(c->db, e, (size_t)first, n);
    list_changed(c->db, &r->key, "ltrim", length - n);
}

static const struct command lists_commands[] = {
    {"lindex", lindex, 3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Read the element at an index.", .complexity = "O(1) at the ends, O(n) for n blocks to the nearer end",
     .syntax = "key:key index:integer"},
    {"linsert", linsert, 5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_LIST, .since = "2.2.0",
     .summary = "Put an element before or behind one that equals another.",
     .complexity = "O(n) for n elements up to that one", .syntax = "key:key where:(BEFORE | AFTER) pivot element",
     .key_flags = "RW insert"},
    {"llen", llen, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Count the elements of a list.", .syntax = "key:key", .key_flags = "RO"},
    {"lpos", lpos, -3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_LIST, .since = "6.0.6",
     .summary = "Find the indexes at which a list has an element.", .complexity = "O(n) for n elements looked at",
     .syntax = "key:key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]"},
    {"lpush", lpush, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_LIST,
     .since = "1.0.0", .summary = "Put elements at the front of a list.", .complexity = "O(n) for n elements put",
     .syntax = "key:key element...", .history = "2.4.0|Takes several elements.", .key_flags = "RW insert"},
    {"lpushx", lpushx, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_LIST,
     .since = "2.2.0", .summary = "Put elements at the front of a list that exists.",
     .complexity = "O(n) for n elements put", .syntax = "key:key element...",
     .history = "4.0.0|Takes several elements.", .key_flags = "RW insert"},
    {"lrange", lrange, 4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Read the elements between two indexes.",
     .complexity = "O(n + m) for n blocks to the nearer end and m elements read",
     .syntax = "key:key start:integer stop:integer"},
    {"lrem", lrem, 4, .flags = CMD_WRITE, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Take elements that equal one out of a list.", .complexity = "O(n) for n elements of the list",
     .syntax = "key:key count:integer element", .key_flags = "RW delete"},
    {"lset", lset, 4, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Replace the element at an index.",
     .complexity = "O(1) at the ends, O(n) for n blocks to the nearer end", .syntax = "key:key index:integer element"},
    {"ltrim", ltrim, 4, .flags = CMD_WRITE, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Keep the elements between two indexes, and no others.", .complexity = "O(n) for n blocks removed",
     .syntax = "key:key start:integer stop:integer", .key_flags = "RW delete"},
    {"rpush", rpush, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_LIST,
     .since = "1.0.0", .summary = "Put elements at the back of a list.", .complexity = "O(n) for n elements put",
     .syntax = "key:key element...", .history = "2.4.0|Takes several elements.", .key_flags = "RW insert"},
    {"rpushx", rpushx, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_LIST,
     .since = "2.2.0", .summary = "Put elements at the back of a list that exists.",
     .complexity = "O(n) for n elements put", .syntax = "key:key element...",
     .history = "4.0.0|Takes several elements.", .key_flags = "RW insert"},
    {NULL},
};

const struct module lists_module = {.commands = lists_commands};
