/* Lists: popping and moving elements. The commands that may wait for an element are in list_block.c.
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
#include "cmd/lookup.h"
#include "store/list.h"

#define CARRIED_INLINE 256 /* bytes of an element that LMOVE carries on the stack */

static const char *const pop_events[] = {[QUICKLIST_HEAD] = "lpop", [QUICKLIST_TAIL] = "rpop"};

bool list_pop_parse_end(struct request *r, struct slice arg, enum quicklist_end *end) {
    bool left = slice_is(arg, "left");
    *end = left ? QUICKLIST_HEAD : QUICKLIST_TAIL;
    return left || slice_is(arg, "right") || args_syntax_error(r->client);
}

/* --- Popping --------------------------------------------------------------------------------- */

static void pop_element(struct request *r, const struct key *key, struct entry *e, bool last) {
    enum quicklist_end end = last ? QUICKLIST_TAIL : QUICKLIST_HEAD;
    lookup_reply(r->client, list_peek(e, end));
    e = list_drop(r->client->db, key, e, end);
    lists_removed(r, key, e, pop_events[end], 1);
}

static size_t pop_elements(struct request *r, const struct key *key, struct entry *e, bool last, int64_t n) {
    enum quicklist_end end = last ? QUICKLIST_TAIL : QUICKLIST_HEAD;
    struct list_view view;
    const struct quicklist *q = list_read(e, &view);
    size_t length = q->count, taken = (uint64_t)n < length ? (size_t)n : length;
    lists_reply_elements(r->client, q, last ? length - 1 : 0, taken, end);
    e = list_remove(r->client->db, key, e, last ? length - taken : 0, taken);
    lists_removed(r, key, e, pop_events[end], taken);
    return taken;
}

const struct multi_pop list_pop_type = {
    .type = ENTRY_LIST,
    .first = "left",
    .last = "right",
    .first_command = SLICE("LPOP"),
    .last_command = SLICE("RPOP"),
    .parts = 2,
    .one = pop_element,
    .many = pop_elements,
};

static void pop_from_list(struct request *r, bool last) {
    struct client *c = r->client;
    struct entry *e;
    int64_t n = -1;
    if (r->argc > 3) {
        reply_wrong_arity(c, catalog_full_name(r->command));
        return;
    }
    if (r->argc == 3 && !args_count(c, r->argv[2], &n)) return;
    if (!lookup_write(r, ENTRY_LIST, &e)) return;
    if (!e && n < 0) {
        reply_null(c);
    } else if (!e) {
        reply_null_array(c);
    } else if (n < 0) {
        pop_element(r, &r->key, e, last);
    } else if (n == 0) {
        reply_array(c, 0);
    } else {
        pop_elements(r, &r->key, e, last, n);
    }
}

static void lpop(struct request *r) {
    pop_from_list(r, false);
}

static void rpop(struct request *r) {
    pop_from_list(r, true);
}

static void lmpop(struct request *r) {
    multi_pop_many(r, &list_pop_type, false);
}

/* --- Moving ---------------------------------------------------------------------------------- */

/* A copy of an element's text: in `near` if it fits, else in memory that put_down() frees. */
static struct slice pick_up(struct listpack_value v, char near[CARRIED_INLINE]) {
    if (!v.ptr) return listpack_value_text(v, near);
    char *copy = v.len <= CARRIED_INLINE ? near : alloc_get(v.len);
    memcpy(copy, v.ptr, v.len);
    return slice_of(copy, v.len);
}

static void put_down(struct slice element, const char *near) {
    if (element.ptr != near) alloc_put((char *)element.ptr, element.len);
}

/* If both lists are one, an only element stays where it is: to remove it would remove the key with its TTL. */
static void move_element(struct request *r, struct entry *source, struct entry *target, const struct key *target_key,
                         enum quicklist_end from, enum quicklist_end to) {
    struct db *db = r->client->db;
    char near[CARRIED_INLINE];
    struct slice element = pick_up(list_peek(source, from), near);
    reply_bulk(r->client, element);
    bool same = source == target;
    if (!same || list_length(source) > 1) {
        source = list_drop(db, &r->key, source, from);
        list_push(db, target_key, same ? source : db_peek(db, target_key), to, &element, 1);
    }
    db_notify(db, target_key, DB_LIST, lists_push_events[to]);
    lists_removed(r, &r->key, source, pop_events[from], 1);
    put_down(element, near);
}

bool list_pop_move(struct request *r, struct entry *source, enum quicklist_end from, enum quicklist_end to) {
    struct client *c = r->client;
    if (!lookup_is(c, source, ENTRY_LIST)) return false;
    struct key key = key_of(r->argv[2]);
    struct entry *target = db_write(c->db, &key);
    if (!lookup_is(c, target, ENTRY_LIST)) return false;
    move_element(r, source, target, &key, from, to);
    return true;
}

static void move_between(struct request *r, enum quicklist_end from, enum quicklist_end to) {
    struct entry *source = db_write(r->client->db, &r->key);
    if (source) {
        list_pop_move(r, source, from, to);
    } else {
        reply_null(r->client);
    }
}

static void lmove(struct request *r) {
    enum quicklist_end from, to;
    if (list_pop_parse_end(r, r->argv[3], &from) && list_pop_parse_end(r, r->argv[4], &to)) move_between(r, from, to);
}

static void rpoplpush(struct request *r) {
    move_between(r, QUICKLIST_TAIL, QUICKLIST_HEAD);
}

static const struct command_keys move_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RW insert", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys lmpop_keys[] = {
    {.flags = "RW access delete", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command list_pop_commands[] = {
    {"lmove", lmove, 5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = 2, .group = GROUP_LIST,
     .since = "6.2.0", .summary = "Move an element between the ends of two lists.",
     .syntax = "source:key destination:key#1 wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT)", .keys = move_keys},
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
     .syntax = "source:key destination:key#1", .deprecated = "6.2.0|`LMOVE`: `RIGHT`, `LEFT`", .keys = move_keys},
    {NULL},
};

const struct module list_pop_module = {.commands = list_pop_commands};
