/* Intersection, union and difference of sets.
 *
 * An intersection walks over the smallest set and looks its members up in the others, from the smaller to the larger. A
 * difference walks over the first set and looks up in all others. Both look up a batch of members at a time, so that
 * the cache misses of large sets overlap, and neither keeps anything but the result. A union needs a draft, since it
 * has to know the members that it has seen. */
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "store/set.h"
#include <stdlib.h>

#define BATCH 16 /* members that set_prefetch() takes at a time */

/* The sets that a command names. */
struct operands {
    const struct entry **sets; /* NULL: a set that does not exist */
    int n, missing;
};

/* Where the members go: to the draft if there is one, else to the client. With neither they are only counted. */
struct result {
    struct client *client;
    struct set_draft *draft;
    uint64_t count, limit; /* limit 0: none */
};

static void operands_free(struct operands *o, int allocated) {
    alloc_put(o->sets, (size_t)allocated * sizeof *o->sets);
}

/* Look all sets up, before anything changes, so that they stay in their places. False: one has another type; replied,
 * and there is nothing to free. */
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

/* Add a member to the result. False: no more is wanted, since the limit is reached or nobody will read the reply. */
static bool result_add(struct result *to, struct slice member) {
    if (to->draft) {
        set_draft_add(to->draft, member);
    } else if (to->client) {
        reply_bulk(to->client, member);
        if (reply_is_pointless(to->client)) return false;
    }
    return ++to->count != to->limit;
}

/* The next members as texts, at most BATCH; integers are printed into digits. Returns how many. */
static int next_batch(struct set_iter *it, struct slice *members, char (*digits)[NUM_I64_MAX]) {
    struct listpack_value value;
    int n = 0;
    while (n < BATCH && set_iter_next(it, &value)) {
        members[n] = listpack_value_text(value, digits[n]);
        n++;
    }
    return n;
}

/* The members of the first set that all others have (wanted), or that no other has. */
static void filter_first(const struct operands *o, bool wanted, struct result *to) {
    struct slice members[BATCH];
    char digits[BATCH][NUM_I64_MAX];
    struct set_iter it;
    int n;
    set_iter_init(&it, o->sets[0]);
    while ((n = next_batch(&it, members, digits)) > 0) {
        for (int i = 1; i < o->n && n > 0; i++) {
            int kept = 0;
            set_prefetch(o->sets[i], members, n);
            for (int k = 0; k < n; k++)
                if (set_has(o->sets[i], members[k]) == wanted) members[kept++] = members[k];
            n = kept;
        }
        for (int k = 0; k < n; k++)
            if (!result_add(to, members[k])) return;
    }
}

static int compare_set_counts(const void *a, const void *b) {
    size_t one = set_count(*(const struct entry *const *)a), other = set_count(*(const struct entry *const *)b);
    return (one > other) - (one < other);
}

static void intersect_sets(struct operands *o, struct result *to) {
    if (o->missing) return;
    qsort(o->sets, (size_t)o->n, sizeof *o->sets, compare_set_counts);
    filter_first(o, true, to);
}

/* The difference if the first set has more members than all others together: look their members up in the first set,
 * rather than its members in all others. */
static void subtract_few(const struct operands *o, struct result *to) {
    struct set_draft gone;
    struct set_iter it;
    struct listpack_value value;
    char digits[NUM_I64_MAX];
    set_draft_init(&gone);
    for (int i = 1; i < o->n; i++) {
        set_iter_init(&it, o->sets[i]);
        while (set_iter_next(&it, &value)) {
            if (set_has_value(o->sets[0], value)) set_draft_add(&gone, listpack_value_text(value, digits));
        }
    }
    set_iter_init(&it, o->sets[0]);
    while (set_iter_next(&it, &value)) {
        struct slice member = listpack_value_text(value, digits);
        if (!set_draft_has(&gone, member) && !result_add(to, member)) break;
    }
    set_draft_drop(&gone);
}

/* Redis either looks the members of the first set up in the others, or takes all of them and removes those that the
 * others have. The second way leaves its mark on the encoding of a result that is stored. */
static void note_encoding(const struct operands *o, size_t others, struct result *to) {
    size_t first = set_count(o->sets[0]), walk = first * (size_t)o->n / 2;
    if (to->draft && walk > first + others) set_draft_held(to->draft, o->sets[0]);
}

static void subtract_sets(struct operands *o, struct result *to) {
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
        filter_first(o, false, to);
    }
}

/* Add the members that the draft has not seen. False: no more is wanted. */
static bool add_unseen(const struct entry *e, struct set_draft *seen, struct result *to) {
    struct set_iter it;
    struct listpack_value value;
    char digits[NUM_I64_MAX];
    set_iter_init(&it, e);
    while (set_iter_next(&it, &value)) {
        struct slice member = listpack_value_text(value, digits);
        if (set_draft_add(seen, member) && to->client && !result_add(to, member)) return false;
    }
    return true;
}

/* The draft remembers what was seen; it is the result itself where that is not replied. */
static void unite_sets(struct operands *o, struct result *to) {
    struct set_draft seen;
    struct set_draft *draft = to->draft ? to->draft : &seen;
    if (draft == &seen) set_draft_init(&seen);
    for (int i = 0; i < o->n; i++)
        if (o->sets[i] && !add_unseen(o->sets[i], draft, to)) break;
    if (draft == &seen) set_draft_drop(&seen);
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
        keys_delete(c->db, &r->key, old);
    }
    reply_int(c, (int64_t)count);
}

static void sinter(struct request *r) {
    reply_result(r, intersect_sets);
}

static void sinterstore(struct request *r) {
    store_result(r, intersect_sets, "sinterstore");
}

static void sdiff(struct request *r) {
    reply_result(r, subtract_sets);
}

static void sdiffstore(struct request *r) {
    store_result(r, subtract_sets, "sdiffstore");
}

static void sunion(struct request *r) {
    reply_result(r, unite_sets);
}

static void sunionstore(struct request *r) {
    store_result(r, unite_sets, "sunionstore");
}

/* The arguments of SINTERCARD: the number of keys, and the limit (0: none). False: the error was replied. */
static bool parse_sintercard(struct request *r, int *n, uint64_t *limit) {
    struct client *c = r->client;
    int64_t keys, most = 0;
    if (!args_at_least(c, r->argv[1], 1, "ERR numkeys should be greater than 0", &keys)) return false;
    if (keys > r->argc - 2) return args_refuse(c, "ERR Number of keys can't be greater than number of args");
    for (int i = 2 + (int)keys; i < r->argc; i += 2) {
        if (!slice_is(r->argv[i], "limit") || i + 1 == r->argc) return args_syntax_error(c);
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
    if (!parse_sintercard(r, &n, &to.limit) || !operands_read(r->client, r->argv + 2, n, &o)) return;
    intersect_sets(&o, &to);
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

/* The keys of SUNIONSTORE and SDIFFSTORE. */
static const struct command_keys store_keys[] = {
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
     .complexity = "O(n) for n members of all sets", .syntax = "destination:key key:key#1...", .keys = store_keys},
    {"sdiff", sdiff, -2, .flags = CMD_READONLY, .first_key = 1, .last_key = -1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "List the members that only the first of these sets has.",
     .complexity = "O(n * k) for n members of the first of k sets", .syntax = "key:key...",
     .tips = "nondeterministic_output_order"},
    {"sdiffstore", sdiffstore, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1, .group = GROUP_SET,
     .since = "1.0.0", .summary = "Store the members that only the first of these sets has.",
     .complexity = "O(n * k) for n members of the first of k sets", .syntax = "destination:key key:key#1...",
     .keys = store_keys},
    {NULL},
};

const struct module set_algebra_module = {.commands = set_algebra_commands};
