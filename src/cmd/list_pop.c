/* Lists: popping and moving, which commands that wait do too (list_block.c).
 *
 * What is popped is replied from the list itself, before it is removed; only LMOVE carries an element in memory of its
 * own, since it may push to the list that it pops from. */
#include "cmd/list_pop.h"
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/catalog.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lists.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/list.h"

#define CARRIED_INLINE 256 /* bytes of an element that LMOVE carries on the stack */

static const char *const pop_events[] = {[QUICKLIST_HEAD] = "lpop", [QUICKLIST_TAIL] = "rpop"};

bool list_pop_parse_end(struct request *r, struct slice arg, enum quicklist_end *end) {
    if (slice_is(arg, "left")) {
        *end = QUICKLIST_HEAD;
    } else if (slice_is(arg, "right")) {
        *end = QUICKLIST_TAIL;
    } else {
        reply_syntax_error(r->client);
        return false;
    }
    return true;
}

/* --- Popping --------------------------------------------------------------------------------- */

/* Reply n elements (as far as there are) from this end, as an array, and remove them. Returns how many. */
static size_t pop_many(struct request *r, const struct key *key, struct entry *e, enum quicklist_end end, int64_t n) {
    struct list_view view;
    const struct quicklist *q = list_read(e, &view);
    size_t length = q->count, taken = (uint64_t)n < length ? (size_t)n : length;
    lists_reply_elements(r->client, q, end == QUICKLIST_HEAD ? 0 : length - 1, taken, end);
    e = list_remove(r->client->db, key, e, end == QUICKLIST_HEAD ? 0 : length - taken, taken);
    lists_removed(r, key, e, pop_events[end], taken);
    return taken;
}

void list_pop_one(struct request *r, const struct key *key, struct entry *e, enum quicklist_end end) {
    lists_reply_element(r->client, list_peek(e, end));
    e = list_drop(r->client->db, key, e, end);
    lists_removed(r, key, e, pop_events[end], 1);
}

static void pop(struct request *r, enum quicklist_end end) {
    struct client *c = r->client;
    int64_t n = -1;
    if (r->argc > 3) {
        reply_wrong_arity(c, catalog_full_name(r->command));
        return;
    }
    if (r->argc == 3 && !args_count(r->client, r->argv[2], &n)) return;
    struct entry *e = db_write(c->db, &r->key);
    if (!e) {
        if (n < 0) {
            reply_null(c);
        } else {
            reply_null_array(c);
        }
        return;
    }
    if (!lists_check(r, e)) return;
    if (n < 0) {
        list_pop_one(r, &r->key, e, end);
    } else if (n == 0) {
        reply_array(c, 0);
    } else {
        pop_many(r, &r->key, e, end, n);
    }
}

static void lpop(struct request *r) {
    pop(r, QUICKLIST_HEAD);
}

static void rpop(struct request *r) {
    pop(r, QUICKLIST_TAIL);
}

/* Which of the keys was popped from is for the replicas to be told: LPOP key count. */
static void propagate_pop(struct slice key, enum quicklist_end end, size_t n) {
    if (!propagate_wanted) return;
    char digits[NUM_I64_MAX];
    struct slice count = slice_of(digits, (size_t)num_print_i64(digits, (int64_t)n));
    propagate_as((struct slice[]){end == QUICKLIST_HEAD ? SLICE("LPOP") : SLICE("RPOP"), key, count}, 3);
}

/* What stands behind the keys: an end, and how many. */
static bool parse_lmpop(struct request *r, int at, enum quicklist_end *end, int64_t *n) {
    *n = 1;
    if (!list_pop_parse_end(r, r->argv[at], end)) return false;
    if (at + 1 == r->argc) return true;
    if (at + 3 != r->argc || !slice_is(r->argv[at + 1], "count")) {
        /* A second COUNT is looked at only after the first has been read. */
        if (at + 3 < r->argc && slice_is(r->argv[at + 1], "count") &&
            !args_at_least(r->client, r->argv[at + 2], 1, "ERR count should be greater than 0", n))
            return false;
        reply_syntax_error(r->client);
        return false;
    }
    return args_at_least(r->client, r->argv[at + 2], 1, "ERR count should be greater than 0", n);
}

bool list_pop_parse_many(struct request *r, int at, struct list_pop_many *m) {
    if (!args_at_least(r->client, r->argv[at], 1, "ERR numkeys should be greater than 0", &m->key_count)) return false;
    if (m->key_count >= r->argc - at - 1) {
        reply_syntax_error(r->client);
        return false;
    }
    m->keys = r->argv + at + 1;
    return parse_lmpop(r, at + 1 + (int)m->key_count, &m->end, &m->n);
}

bool list_pop_many(struct request *r, const struct list_pop_many *m) {
    struct client *c = r->client;
    for (int64_t i = 0; i < m->key_count; i++) {
        struct key key = key_of(m->keys[i]);
        struct entry *e = db_write(c->db, &key);
        if (!e) continue;
        if (!lists_check(r, e)) return true;
        reply_array(c, 2);
        reply_bulk(c, key.name);
        propagate_pop(key.name, m->end, pop_many(r, &key, e, m->end, m->n));
        return true;
    }
    return false;
}

static void lmpop(struct request *r) {
    struct list_pop_many m;
    if (list_pop_parse_many(r, 1, &m) && !list_pop_many(r, &m)) reply_null_array(r->client);
}

/* --- Moving ---------------------------------------------------------------------------------- */

/* An element's text in memory of its own: `small` if it fits there, else to be freed by drop_carried(). */
static struct slice carry(struct listpack_value v, char small[CARRIED_INLINE]) {
    if (!v.ptr) return listpack_value_text(v, small);
    char *to = v.len <= CARRIED_INLINE ? small : alloc_get(v.len);
    memcpy(to, v.ptr, v.len);
    return slice_of(to, v.len);
}

static void drop_carried(struct slice element, const char *small) {
    if (element.ptr != small) alloc_put((char *)element.ptr, element.len);
}

/* With one list for both, an only element stays where it is: dropping it would remove the key, and its TTL. */
static void transfer(struct request *r, struct entry *source, struct entry *to, const struct key *to_key,
                     enum quicklist_end from, enum quicklist_end end) {
    struct db *db = r->client->db;
    char small[CARRIED_INLINE];
    struct slice element = carry(list_peek(source, from), small);
    reply_bulk(r->client, element);
    bool same = source == to;
    if (!same || list_length(source) > 1) {
        source = list_drop(db, &r->key, source, from);
        list_push(db, to_key, same ? source : db_peek(db, to_key), end, &element, 1);
    }
    db_notify(db, to_key, DB_LIST, lists_push_events[end]);
    lists_removed(r, &r->key, source, pop_events[from], 1);
    drop_carried(element, small);
}

bool list_pop_move(struct request *r, struct entry *source, enum quicklist_end from, enum quicklist_end end) {
    if (!lists_check(r, source)) return false;
    struct key to_key = key_of(r->argv[2]);
    struct entry *to = db_write(r->client->db, &to_key);
    if (!lists_check(r, to)) return false;
    transfer(r, source, to, &to_key, from, end);
    return true;
}

static void move(struct request *r, enum quicklist_end from, enum quicklist_end end) {
    struct entry *source = db_write(r->client->db, &r->key);
    if (source) {
        list_pop_move(r, source, from, end);
    } else {
        reply_null(r->client);
    }
}

static void lmove(struct request *r) {
    enum quicklist_end from, to;
    if (list_pop_parse_end(r, r->argv[3], &from) && list_pop_parse_end(r, r->argv[4], &to)) move(r, from, to);
}

static void rpoplpush(struct request *r) {
    move(r, QUICKLIST_TAIL, QUICKLIST_HEAD);
}

static const struct command_keys lmove_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RW insert", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys lmpop_keys[] = {
    {.flags = "RW access delete", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys rpoplpush_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RW insert", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command list_pop_commands[] = {
    {"lmove", lmove, 5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = 2, .group = GROUP_LIST,
     .since = "6.2.0", .summary = "Move an element between the ends of two lists.",
     .syntax = "source:key destination:key#1 wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT)", .keys = lmove_keys},
    {"lmpop", lmpop, -4, .flags = CMD_WRITE | CMD_MOVABLE_KEYS, .group = GROUP_LIST, .since = "7.0.0",
     .summary = "Take elements from the first list that has any.",
     .complexity = "O(n + m) for n keys and m elements taken",
     .syntax = "numkeys:integer key:key... where:(LEFT | RIGHT) [COUNT count:integer]", .keys = lmpop_keys},
    {"lpop", lpop, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Take elements from the front of a list.", .complexity = "O(n) for n elements taken",
     .syntax = "key:key [count:integer@6.2.0]", .history = "6.2.0|New: a count.", .key_flags = "RW access delete"},
    {"rpop", rpop, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_LIST, .since = "1.0.0",
     .summary = "Take elements from the back of a list.", .complexity = "O(n) for n elements taken",
     .syntax = "key:key [count:integer@6.2.0]", .history = "6.2.0|New: a count.", .key_flags = "RW access delete"},
    {"rpoplpush", rpoplpush, 3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = 2, .group = GROUP_LIST,
     .since = "1.2.0", .summary = "Move the last element of a list to the front of another.",
     .syntax = "source:key destination:key#1", .deprecated = "6.2.0|`LMOVE`: `RIGHT`, `LEFT`", .keys = rpoplpush_keys},
    {NULL},
};

const struct module list_pop_module = {.commands = list_pop_commands};
