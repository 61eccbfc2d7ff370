/* Intersection, union and difference of sets.
 *
 * An intersection walks over the smallest of the sets and asks the others, from the smaller to the larger, a
 * difference walks over the first and asks all others: neither keeps anything but the result. They ask for a batch
 * of members at a time, so that the cache misses of large sets overlap. A union has to remember what it has seen. */
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/set.h"
#include <stdlib.h>

#define BATCH 16 /* members that set_prefetch() takes at a time */

/* The sets that a command names; NULL stands for one that does not exist. */
struct operands {
    const struct entry **sets;
    int n, missing;
};

/* Where the result goes: to the draft if there is one, else to the client, unless only its size is asked for. */
struct result {
    struct client *client;
    struct set_draft *draft;
    uint64_t count, limit;
};

static void operands_free(struct operands *o, int allocated) {
    alloc_put(o->sets, (size_t)allocated * sizeof *o->sets);
}

/* False, and nothing to free: one is no set, and that has been replied. All are looked up before anything changes,
 * so that they stay in their places. */
static bool operands_read(struct client *c, const struct slice *names, int n, struct operands *o) {
    struct key keys[LOOKUP_AHEAD];
    *o = (struct operands){.sets = alloc_get((size_t)n * sizeof *o->sets), .n = n};
    for (int i = 0, batch; i < n; i += batch) {
        batch = lookup_ahead(c->db, names + i, n - i, 1, keys);
        for (int k = 0; k < batch; k++) {
            const struct entry *e = db_read(c->db, &keys[k]);
            if (e && entry_type(e) != ENTRY_SET) {
                operands_free(o, n);
                reply_wrong_type(c);
                return false;
            }
            o->missing += !e;
            o->sets[i + k] = e;
        }
    }
    return true;
}

/* False: the limit is reached. */
static bool take(struct result *to, struct slice member) {
    if (to->draft) {
        set_draft_add(to->draft, member);
    } else if (to->client) {
        reply_bulk(to->client, member);
    }
    return ++to->count != to->limit;
}

/* Up to BATCH more members as texts; integers are printed into scratch. */
static int next_batch(struct set_iter *it, struct slice *members, char (*scratch)[NUM_I64_MAX]) {
    struct listpack_value value;
    int n = 0;
    while (n < BATCH && set_iter_next(it, &value)) {
        members[n] = listpack_value_text(value, scratch[n]);
        n++;
    }
    return n;
}

/* Those members of the first set that all others have, or that none of them has. */
static void filter(const struct operands *o, bool wanted, struct result *to) {
    struct slice members[BATCH];
    char scratch[BATCH][NUM_I64_MAX];
    struct set_iter it;
    int n;
    set_iter_init(&it, o->sets[0]);
    while ((n = next_batch(&it, members, scratch)) > 0) {
        for (int i = 1; i < o->n && n > 0; i++) {
            int kept = 0;
            set_prefetch(o->sets[i], members, n);
            for (int k = 0; k < n; k++)
                if (set_has(o->sets[i], members[k]) == wanted) members[kept++] = members[k];
            n = kept;
        }
        for (int k = 0; k < n; k++)
            if (!take(to, members[k])) return;
    }
}

static int by_size(const void *a, const void *b) {
    size_t one = set_count(*(const struct entry *const *)a), other = set_count(*(const struct entry *const *)b);
    return (one > other) - (one < other);
}

static void intersect(struct operands *o, struct result *to) {
    if (o->missing) return;
    qsort(o->sets, (size_t)o->n, sizeof *o->sets, by_size);
    filter(o, true, to);
}

/* A large set less few members: look for those few in it, rather than for its many in the others. */
static void subtract_few(const struct operands *o, struct result *to) {
    struct set_draft gone;
    struct set_iter it;
    struct listpack_value value;
    char scratch[NUM_I64_MAX];
    set_draft_init(&gone);
    for (int i = 1; i < o->n; i++) {
        set_iter_init(&it, o->sets[i]);
        while (set_iter_next(&it, &value)) {
            if (set_has_value(o->sets[0], value)) set_draft_add(&gone, listpack_value_text(value, scratch));
        }
    }
    set_iter_init(&it, o->sets[0]);
    while (set_iter_next(&it, &value)) {
        struct slice member = listpack_value_text(value, scratch);
        if (!set_draft_has(&gone, member)) take(to, member);
    }
    set_draft_drop(&gone);
}

/* Redis chooses between walking over the first set and asking the others, and taking all of the first and removing
 * what the others have. The second leaves its mark on the encoding of what is stored. */
static void note_encoding(const struct operands *o, size_t others, struct result *to) {
    size_t first = set_count(o->sets[0]), walk = first * (size_t)o->n / 2;
    if (to->draft && walk > first + others) set_draft_held(to->draft, o->sets[0]);
}

static void subtract(struct operands *o, struct result *to) {
    if (!o->sets[0]) return;
    int n = 1;
    size_t others = 0;
    for (int i = 1; i < o->n; i++) {
        if (!o->sets[i]) continue;
        others += set_count(o->sets[i]);
        o->sets[n++] = o->sets[i];
    }
    o->n = n;
    note_encoding(o, others, to);
    if (n > 1 && others < set_count(o->sets[0])) {
        subtract_few(o, to);
    } else {
        filter(o, false, to);
    }
}

/* Into the draft, which the result must have. */
static void unite(struct operands *o, struct result *to) {
    struct set_iter it;
    struct listpack_value value;
    char scratch[NUM_I64_MAX];
    for (int i = 0; i < o->n; i++) {
        if (!o->sets[i]) continue;
        set_iter_init(&it, o->sets[i]);
        while (set_iter_next(&it, &value))
            set_draft_add(to->draft, listpack_value_text(value, scratch));
    }
}

typedef void (*operation_fn)(struct operands *o, struct result *to);

static void reply_result(struct request *r, operation_fn operation) {
    struct operands o;
    if (!operands_read(r->client, r->argv + 1, r->argc - 1, &o)) return;
    struct result to = {.client = r->client};
    size_t place = reply_hold(r->client);
    operation(&o, &to);
    reply_set_at(r->client, place, to.count);
    operands_free(&o, r->argc - 1);
}

static void store_result(struct request *r, operation_fn operation, const char *event) {
    struct client *c = r->client;
    struct operands o;
    struct set_draft draft;
    if (!operands_read(c, r->argv + 2, r->argc - 2, &o)) return;
    set_draft_init(&draft);
    operation(&o, &(struct result){.draft = &draft});
    operands_free(&o, r->argc - 2);
    struct entry *old = db_write(c->db, &r->key);
    size_t count = draft.members.count;
    if (count > 0) {
        set_draft_store(c->db, &r->key, old, &draft);
        db_changed(c->db, &r->key, DB_SET, event);
    } else if (old) {
        db_remove(c->db, &r->key, old);
        db_changed(c->db, &r->key, DB_GENERIC, "del");
    }
    reply_int(c, (int64_t)count);
}

static void sinter(struct request *r) {
    reply_result(r, intersect);
}

static void sinterstore(struct request *r) {
    store_result(r, intersect, "sinterstore");
}

static void sdiff(struct request *r) {
    reply_result(r, subtract);
}

static void sdiffstore(struct request *r) {
    store_result(r, subtract, "sdiffstore");
}

static void reply_one(void *client, struct listpack_value member) {
    reply_bulk(client, slice_of(member.ptr, member.len));
}

static void sunion(struct request *r) {
    struct client *c = r->client;
    struct operands o;
    struct set_draft draft;
    if (!operands_read(c, r->argv + 1, r->argc - 1, &o)) return;
    set_draft_init(&draft);
    unite(&o, &(struct result){.draft = &draft});
    reply_set(c, draft.members.count);
    set_draft_each(&draft, reply_one, c);
    set_draft_drop(&draft);
    operands_free(&o, r->argc - 1);
}

static void sunionstore(struct request *r) {
    store_result(r, unite, "sunionstore");
}

/* The number of keys, in *n, and the limit (0: none) of SINTERCARD. */
static bool parse_card(struct request *r, int *n, uint64_t *limit) {
    struct client *c = r->client;
    int64_t keys, most = 0;
    if (!args_at_least(c, r->argv[1], 1, "ERR numkeys should be greater than 0", &keys)) return false;
    if (keys > r->argc - 2) {
        reply_error(c, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    for (int i = 2 + (int)keys; i < r->argc; i += 2) {
        if (!slice_is(r->argv[i], "limit") || i + 1 == r->argc) {
            reply_syntax_error(c);
            return false;
        }
        if (!args_at_least(c, r->argv[i + 1], 0, "ERR LIMIT can't be negative", &most)) return false;
    }
    *n = (int)keys;
    *limit = (uint64_t)most;
    return true;
}

static void sintercard(struct request *r) {
    struct operands o;
    struct result to = {0};
    int n;
    if (!parse_card(r, &n, &to.limit) || !operands_read(r->client, r->argv + 2, n, &o)) return;
    intersect(&o, &to);
    reply_int(r->client, (int64_t)to.count);
    operands_free(&o, n);
}

static const struct command_keys sintercard_keys[] = {
    {.flags = "RO access", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys sinterstore_keys[] = {
    {.flags = "RW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys sunionstore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys sdiffstore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command set_algebra_commands[] = {
    {"sinter", sinter, -2, .flags = CMD_READONLY, .first_key = 1, .last_key = -1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "List the members that all of these sets have.",
     .complexity = "O(n * k) for n members of the smallest of k sets", .syntax = "key:key...",
     .tips = "nondeterministic_output_order"},
    {"sintercard", sintercard, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SET, .since = "7.0.0",
     .summary = "Count the members that all of these sets have.",
     .complexity = "O(n * k) for n members of the smallest of k sets",
     .syntax = "numkeys:integer key:key... [LIMIT limit:integer]", .keys = sintercard_keys},
    {"sinterstore", sinterstore, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1,
     .group = GROUP_SET, .since = "1.0.0", .summary = "Store the members that all of these sets have.",
     .complexity = "O(n * k) for n members of the smallest of k sets", .syntax = "destination:key key:key#1...",
     .keys = sinterstore_keys},
    {"sunion", sunion, -2, .flags = CMD_READONLY, .first_key = 1, .last_key = -1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "List the members that any of these sets has.", .complexity = "O(n) for n members of all sets",
     .syntax = "key:key...", .tips = "nondeterministic_output_order"},
    {"sunionstore", sunionstore, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1,
     .group = GROUP_SET, .since = "1.0.0", .summary = "Store the members that any of these sets has.",
     .complexity = "O(n) for n members of all sets", .syntax = "destination:key key:key#1...",
     .keys = sunionstore_keys},
    {"sdiff", sdiff, -2, .flags = CMD_READONLY, .first_key = 1, .last_key = -1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "List the members that only the first of these sets has.",
     .complexity = "O(n * k) for n members of the first of k sets", .syntax = "key:key...",
     .tips = "nondeterministic_output_order"},
    {"sdiffstore", sdiffstore, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1, .group = GROUP_SET,
     .since = "1.0.0", .summary = "Store the members that only the first of these sets has.",
     .complexity = "O(n * k) for n members of the first of k sets", .syntax = "destination:key key:key#1...",
     .keys = sdiffstore_keys},
    {NULL},
};

const struct module set_algebra_module = {.commands = set_algebra_commands};
