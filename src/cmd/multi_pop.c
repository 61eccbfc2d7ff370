/* See multi_pop.h. A request is read as a whole before a key is looked up, so one that is refused changes nothing and
 * waits for nothing. */
#include "cmd/multi_pop.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "exec/block.h"
#include "exec/propagate.h"

/* Keys to try, and what to take: n elements from an end. */
struct wish {
    const struct slice *names;
    int64_t count, n;
    bool last;
};

/* The first key that exists, with its entry; *e is NULL if none does. False: it has another type; replied. */
static bool find_first_key(struct request *r, const struct wish *w, enum entry_type type, struct key *key,
                           struct entry **e) {
    *e = NULL;
    for (int64_t i = 0; i < w->count && !*e; i++) {
        *key = key_of(w->names[i]);
        *e = db_write(r->client->db, key);
    }
    return lookup_is(r->client, *e, type);
}

static struct slice command_at(const struct multi_pop *type, bool last) {
    return last ? type->last_command : type->first_command;
}

static void wait_for_key(struct request *r, const struct wish *w, enum entry_type type, int64_t timeout_ms) {
    block_on(r, type, w->names, (int)w->count, timeout_ms, reply_null_array);
}

void multi_pop_one(struct request *r, const struct multi_pop *type, bool last) {
    struct client *c = r->client;
    struct wish w = {.names = r->argv + 1, .count = r->argc - 2};
    int64_t timeout_ms;
    struct key key;
    struct entry *e;
    if (!args_timeout(c, r->argv[r->argc - 1], &timeout_ms) || !find_first_key(r, &w, type->type, &key, &e)) return;
    if (!e) {
        wait_for_key(r, &w, type->type, timeout_ms);
        return;
    }
    reply_array(c, type->parts);
    reply_bulk(c, key.name);
    type->one(r, &key, e, last);
    propagate_as((struct slice[]){command_at(type, last), key.name}, 2);
}

/* Read a wish from argument i on. A wrong count is reported before what may stand behind it. */
static bool parse_wish(struct request *r, int i, const struct multi_pop *type, struct wish *w) {
    struct client *c = r->client;
    if (!args_at_least(c, r->argv[i], 1, "ERR numkeys should be greater than 0", &w->count)) return false;
    if (w->count >= r->argc - i - 1) return args_syntax_error(c);
    w->names = r->argv + i + 1;
    i += (int)w->count + 1;
    w->last = slice_is(r->argv[i], type->last);
    if (!w->last && !slice_is(r->argv[i], type->first)) return args_syntax_error(c);
    w->n = 1;
    if (++i == r->argc) return true;
    if (i + 1 == r->argc || !slice_is(r->argv[i], "count")) return args_syntax_error(c);
    if (!args_at_least(c, r->argv[i + 1], 1, "ERR count should be greater than 0", &w->n)) return false;
    return i + 2 == r->argc || args_syntax_error(c);
}

static void propagate_pop(struct slice command, struct slice key, size_t n) {
    if (!propagate_wanted) return;
    char digits[NUM_I64_MAX];
    struct slice count = slice_of(digits, (size_t)num_print_i64(digits, (int64_t)n));
    propagate_as((struct slice[]){command, key, count}, 3);
}

void multi_pop_many(struct request *r, const struct multi_pop *type, bool may_wait) {
    struct client *c = r->client;
    struct wish w;
    int64_t timeout_ms = 0;
    struct key key;
    struct entry *e;
    if (!parse_wish(r, may_wait ? 2 : 1, type, &w)) return;
    if (may_wait && !args_timeout(c, r->argv[1], &timeout_ms)) return;
    if (!find_first_key(r, &w, type->type, &key, &e)) return;
    if (e) {
        reply_array(c, 2);
        reply_bulk(c, key.name);
        propagate_pop(command_at(type, w.last), key.name, type->many(r, &key, e, w.last, w.n));
    } else if (may_wait) {
        wait_for_key(r, &w, type->type, timeout_ms);
    } else {
        reply_null_array(c);
    }
}
