/* SORT and SORT_RO.
 *
 * The elements of the list, set or sorted set are not copied. A vector says where each of them is; beside it are the
 * items that are sorted (cmd/sort_order.h), of 16 bytes each. The keys that BY and GET name are looked up in batches. A
 * sorted set keeps its encoding; in Redis it becomes a skiplist.
 *
 * Where BY names no key ("nosort"), the elements keep their order, and only those within LIMIT are visited. A set has
 * no order: if the result is stored, its members are sorted all the same, so that replicas store the same list. */
#include "base/buf.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "cmd/sort_order.h"
#include "cmd/sort_pattern.h"
#include "store/list.h"
#include "store/set.h"
#include "store/zset.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

/* Memory for copies of texts that live as long as the sort. */
struct chunk {
    struct chunk *next;
    size_t used, room;
    char bytes[];
};
#define CHUNK_BYTES 16384

struct sort {
    struct client *client;
    bool descending, alpha, nosort, collate;
    struct slice store; /* the destination; ptr NULL: the result is the reply */
    struct sort_pattern by, *gets;
    bool has_by;
    size_t n_gets, gets_room; /* gets_room in bytes */
    int64_t offset, limit;    /* LIMIT; a limit of -1 is none */

    size_t n;                        /* elements in the vector */
    size_t first, wanted;            /* the part of the sorted elements that is the result */
    struct list_view view;           /* of a short list, whose elements lie in it */
    struct listpack_value *elements; /* the vector; it and the next three arrays are one allocation */
    struct slice *texts;             /* what ALPHA compares; ptr NULL: the element has no weight */
    struct sort_item *items, *spare;
    size_t room;          /* bytes of the allocation */
    struct chunk *chunks; /* the newest first */
    struct buf out;       /* a result to store: lengths, each with its text behind it */
    size_t n_out;         /* elements in out */
};

/* Copy a text that may be gone before the sort ends. The copy has a zero byte behind it. */
static char *keep_text(struct sort *s, struct slice text) {
    if (!s->chunks || s->chunks->room - s->chunks->used <= text.len) {
        size_t room = text.len < CHUNK_BYTES / 4 ? CHUNK_BYTES : text.len + 1;
        struct chunk *c = alloc_get(sizeof *c + room);
        *c = (struct chunk){s->chunks, 0, room};
        s->chunks = c;
    }
    char *to = s->chunks->bytes + s->chunks->used;
    memcpy(to, text.ptr, text.len);
    to[text.len] = '\0';
    s->chunks->used += text.len + 1;
    return to;
}

static void sort_end(struct sort *s) {
    for (struct chunk *c = s->chunks, *next; c; c = next) {
        next = c->next;
        alloc_put(c, sizeof *c + c->room);
    }
    if (s->room) alloc_put(s->elements, s->room);
    if (s->gets) alloc_put(s->gets, s->gets_room);
    buf_free(&s->out);
}

/* --- Arguments ------------------------------------------------------------------------------- */

/* Read the option at argument i, which has arguments. Returns how many it takes with its name; 0: the error was
 * replied. */
static int parse_sort_option(struct sort *s, struct request *r, int i, bool may_store) {
    struct slice word = r->argv[i];
    int left = r->argc - i - 1;
    if (slice_is(word, "limit") && left >= 2) {
        bool ok = args_i64(s->client, r->argv[i + 1], &s->offset) && args_i64(s->client, r->argv[i + 2], &s->limit);
        return ok ? 3 : 0;
    }
    if (left >= 1 && may_store && slice_is(word, "store")) {
        s->store = r->argv[i + 1];
    } else if (left >= 1 && slice_is(word, "by")) {
        s->by = sort_pattern_of(r->argv[i + 1]);
        s->has_by = true;
        if (s->by.what != SORT_KEY) s->nosort = true;
    } else if (left >= 1 && slice_is(word, "get")) {
        s->gets[s->n_gets++] = sort_pattern_of(r->argv[i + 1]);
    } else {
        reply_syntax_error(s->client);
        return 0;
    }
    return 2;
}

static bool parse_sort(struct sort *s, struct request *r, bool may_store) {
    s->limit = -1;
    if (r->argc > 3) {
        s->gets_room = (size_t)(r->argc - 2) / 2 * sizeof *s->gets;
        s->gets = alloc_get(s->gets_room);
    }
    for (int i = 2, taken; i < r->argc; i += taken) {
        taken = 1;
        if (slice_is(r->argv[i], "asc")) {
            s->descending = false;
        } else if (slice_is(r->argv[i], "desc")) {
            s->descending = true;
        } else if (slice_is(r->argv[i], "alpha")) {
            s->alpha = true;
        } else if ((taken = parse_sort_option(s, r, i, may_store)) == 0) {
            return false;
        }
    }
    return true;
}

/* --- Elements -------------------------------------------------------------------------------- */

static size_t count_elements(const struct entry *e) {
    if (!e) return 0;
    if (entry_type(e) == ENTRY_LIST) return list_length(e);
    return entry_type(e) == ENTRY_SET ? set_count(e) : zset_count(e);
}

static size_t result_texts(const struct sort *s) {
    return s->wanted * (s->n_gets ? s->n_gets : 1);
}

/* Apply LIMIT to n elements: sets `first` and `wanted`. */
static void apply_limit(struct sort *s, size_t n) {
    size_t start = s->offset < 0 ? 0 : (uint64_t)s->offset < n ? (size_t)s->offset : n;
    s->first = start;
    s->wanted = s->limit >= 0 && (uint64_t)s->limit < n - start ? (size_t)s->limit : n - start;
}

static void alloc_vectors(struct sort *s, size_t n) {
    size_t each = sizeof *s->elements + (s->nosort ? 0 : 2 * sizeof *s->items + (s->alpha ? sizeof *s->texts : 0));
    if (n == 0) return;
    s->room = n * each;
    s->elements = alloc_get(s->room);
    if (s->nosort) return;
    s->items = (struct sort_item *)(s->elements + n);
    s->spare = s->items + n;
    if (s->alpha) s->texts = (struct slice *)(s->spare + n);
}

/* An element of a compressed node is gone when the iterator leaves the node, so it is copied. */
static void load_list(struct sort *s, const struct entry *e, size_t first, size_t n, bool backwards) {
    const struct quicklist *q = list_read(e, &s->view);
    struct quicklist_iter it;
    int64_t start = backwards ? (int64_t)(q->count - 1 - first) : (int64_t)first;
    bool more = quicklist_start(&it, q, start);
    for (; more && n > 0; n--, more = backwards ? quicklist_prev(&it) : quicklist_next(&it)) {
        struct listpack_value v = quicklist_get(&it);
        if (v.ptr && it.scratch.bytes) v.ptr = keep_text(s, slice_of(v.ptr, v.len));
        s->elements[s->n++] = v;
    }
    quicklist_stop(&it);
}

static void load_set(struct sort *s, const struct entry *e) {
    struct set_iter it;
    set_iter_init(&it, e);
    for (size_t n = set_count(e); s->n < n; s->n++)
        set_iter_next(&it, &s->elements[s->n]);
}

/* The digits of a member that is an integer in a listpack lie in the walk, so they are copied. */
static void load_zset(struct sort *s, const struct entry *e, size_t first, size_t n, bool backwards) {
    struct zset_walk w;
    zset_walk_from(&w, e, backwards ? zset_count(e) - first : first);
    for (; n > 0 && (backwards ? zset_walk_prev(&w) : zset_walk_next(&w)); n--) {
        struct slice member = w.member;
        if (member.ptr == w.digits) member.ptr = keep_text(s, member);
        s->elements[s->n++] = (struct listpack_value){member.ptr, member.len, 0};
    }
}

static void load_elements(struct sort *s, const struct entry *e) {
    size_t n = count_elements(e);
    apply_limit(s, n);
    bool ranged = s->nosort && e && entry_type(e) != ENTRY_SET;
    size_t first = ranged ? s->first : 0, count = ranged ? s->wanted : n;
    alloc_vectors(s, count);
    if (count == 0) return;
    if (entry_type(e) == ENTRY_LIST) {
        load_list(s, e, first, count, ranged && s->descending);
    } else if (entry_type(e) == ENTRY_SET) {
        load_set(s, e);
    } else {
        load_zset(s, e, first, count, ranged && s->descending);
    }
    if (ranged) s->first = 0;
}

#define NULL_BYTES 3 /* of the shortest text of a reply: a null in RESP3 */
#define BULK_BYTES 6 /* of the shortest bulk */

/* A lower bound for the bytes of the reply: exact lengths are known if all elements are what is replied. */
static size_t least_reply_bytes(const struct sort *s) {
    if (s->n_gets || s->wanted < s->n) return result_texts(s) * NULL_BYTES;
    size_t bytes = s->n * BULK_BYTES;
    for (size_t i = 0; i < s->n; i++)
        if (s->elements[i].ptr) bytes += s->elements[i].len;
    return bytes;
}

/* --- Weights --------------------------------------------------------------------------------- */

static bool parse_weight(struct slice text, double *weight) {
    int64_t number;
    if (!num_parse_i64(text, &number)) return args_strtod(text, weight) && errno != ERANGE;
    *weight = (double)number;
    return true;
}

/* The part of a text that ALPHA compares. Without STORE that is the text before a zero byte, since strcoll() sees no
 * more. */
static struct slice visible_text(const struct sort *s, struct slice text) {
    if (!s->store.ptr) text.len = strnlen(text.ptr, text.len);
    return text;
}

/* The length of the longest common prefix of all texts. Codes start behind it. */
static size_t shared_prefix(const struct sort *s) {
    const struct slice *first = NULL;
    size_t shared = SIZE_MAX;
    for (size_t i = 0; i < s->n && shared > 0; i++) {
        const struct slice *text = &s->texts[i];
        size_t same = 0;
        if (!text->ptr) continue;
        if (!first) first = text;
        if (shared > text->len) shared = text->len;
        while (same < shared && text->ptr[same] == first->ptr[same])
            same++;
        shared = same;
    }
    return shared;
}

/* The highest bit of a code is set for a text, and clear for a missing weight, which comes before the empty text. */
static void code_texts(struct sort *s) {
    size_t shared = s->collate ? 0 : shared_prefix(s);
    for (size_t i = 0; i < s->n; i++) {
        struct slice text = s->texts[i];
        uint64_t code = text.ptr && !s->collate ? sort_code_text(text.ptr + shared, text.len - shared) >> 1 : 0;
        if (text.ptr) code |= UINT64_C(1) << 63;
        s->items[i] = (struct sort_item){s->descending ? ~code : code, i};
    }
}

static void weigh_by_number(struct sort *s, size_t i, double number) {
    uint64_t code = sort_code_number(number);
    s->items[i] = (struct sort_item){s->descending ? ~code : code, i};
}

/* Weigh element i by a text, whose ptr may be NULL. A `fleeting` one is copied. False: a number is needed, and the text
 * is none; nothing was replied. */
static bool weigh_by_text(struct sort *s, size_t i, struct slice text, bool fleeting) {
    double number = 0;
    if (s->alpha) {
        if (text.ptr) text = visible_text(s, text);
        if (text.ptr && (fleeting || s->collate)) text.ptr = keep_text(s, text);
        s->texts[i] = text;
        return true;
    }
    if (text.ptr && !parse_weight(text, &number)) return false;
    weigh_by_number(s, i, number);
    return true;
}

static bool weigh_by_elements(struct sort *s) {
    char digits[NUM_I64_MAX];
    bool ok = true;
    for (size_t i = 0; i < s->n; i++) {
        struct listpack_value v = s->elements[i];
        if (!v.ptr && !s->alpha) {
            weigh_by_number(s, i, (double)v.number);
        } else {
            ok &= weigh_by_text(s, i, listpack_value_text(v, digits), !v.ptr);
        }
    }
    return ok;
}

/* A value that was found stays in its place, since nothing is written meanwhile; the digits of an integer do not. */
static bool weigh_by_pattern(struct sort *s) {
    struct sort_batch batch = {.db = s->client->db};
    bool ok = true;
    for (size_t i = 0; i < s->n; sort_batch_reset(&batch)) {
        for (size_t j = i; j < s->n && batch.count < LOOKUP_AHEAD; j++)
            sort_batch_add(&batch, &s->by, s->elements[j]);
        sort_batch_run(&batch);
        for (int k = 0; k < batch.count; k++) {
            struct slice found = batch.slots[k].found;
            ok &= weigh_by_text(s, i++, found, found.ptr == batch.slots[k].digits);
        }
    }
    sort_batch_end(&batch);
    return ok;
}

/* --- Order ----------------------------------------------------------------------------------- */

static int compare_texts(const struct sort *s, struct slice a, struct slice b) {
    if (!a.ptr || !b.ptr) return (a.ptr != NULL) - (b.ptr != NULL);
    return s->collate ? strcoll(a.ptr, b.ptr) : slice_compare(a, b);
}

/* Elements with equal numbers are compared as bytes. With ALPHA, the order of the codes is only that of their first
 * bytes, so the texts are compared. */
static int break_tie(const void *ctx, size_t a, size_t b) {
    const struct sort *s = ctx;
    char one[NUM_I64_MAX], other[NUM_I64_MAX];
    if (s->descending) {
        size_t swap = a;
        a = b;
        b = swap;
    }
    if (s->alpha) return compare_texts(s, s->texts[a], s->texts[b]);
    return slice_compare(listpack_value_text(s->elements[a], one), listpack_value_text(s->elements[b], other));
}

static bool put_in_order(struct sort *s) {
    if (!(s->has_by ? weigh_by_pattern(s) : weigh_by_elements(s))) return false;
    if (s->alpha) code_texts(s);
    sort_order(s->items, s->n, s->wanted ? s->first + s->wanted : 0, s->spare, break_tie, s);
    return true;
}

static struct listpack_value sorted_element(const struct sort *s, size_t i) {
    return s->elements[s->nosort ? i : s->items[i].index];
}

/* --- The result ------------------------------------------------------------------------------ */

static bool is_pointless(const struct sort *s) {
    return !s->store.ptr && reply_is_pointless(s->client);
}

/* Reply a text of the result, or add it to what is stored. ptr NULL: GET found nothing. */
static void emit_text(struct sort *s, struct slice text) {
    if (s->store.ptr) {
        buf_append(&s->out, &text.len, sizeof text.len);
        if (text.len) buf_append_slice(&s->out, text);
        s->n_out++;
    } else if (text.ptr) {
        reply_bulk(s->client, text);
    } else {
        reply_null(s->client);
    }
}

static void emit_elements(struct sort *s) {
    char digits[NUM_I64_MAX];
    for (size_t i = s->first; i < s->first + s->wanted && !is_pointless(s); i++)
        emit_text(s, listpack_value_text(sorted_element(s, i), digits));
}

static void emit_found(struct sort *s, struct sort_batch *batch) {
    sort_batch_run(batch);
    for (int i = 0; i < batch->count; i++)
        emit_text(s, batch->slots[i].found);
    sort_batch_reset(batch);
}

static void emit_gets(struct sort *s) {
    struct sort_batch batch = {.db = s->client->db};
    for (size_t i = s->first; i < s->first + s->wanted; i++) {
        for (size_t g = 0; g < s->n_gets && !is_pointless(s); g++) {
            sort_batch_add(&batch, &s->gets[g], sorted_element(s, i));
            if (batch.count == LOOKUP_AHEAD) emit_found(s, &batch);
        }
    }
    emit_found(s, &batch);
    sort_batch_end(&batch);
}

static void store_list(struct sort *s, const struct key *key, struct entry *old) {
    size_t bytes = s->n_out * sizeof(struct slice);
    struct slice *elements = alloc_get(bytes);
    const char *at = s->out.data;
    for (size_t i = 0; i < s->n_out; i++) {
        memcpy(&elements[i].len, at, sizeof elements[i].len);
        elements[i].ptr = at + sizeof elements[i].len;
        at = elements[i].ptr + elements[i].len;
    }
    list_store(s->client->db, key, old, elements, s->n_out);
    alloc_put(elements, bytes);
}

/* The destination may be the source, or a key that BY or GET named: the sort needs none of them any more. */
static void store_sorted(struct sort *s) {
    struct db *db = s->client->db;
    struct key key = key_of(s->store);
    struct entry *old = db_write(db, &key);
    if (s->n_out > 0) {
        store_list(s, &key, old);
        db_changed(db, &key, DB_LIST, "sortstore");
        db_metrics.dirty += (int64_t)s->n_out - 1; /* Redis counts elements */
    } else if (old) {
        keys_delete(db, &key, old);
    }
    reply_int(s->client, (int64_t)s->n_out);
}

static void give_result(struct sort *s) {
    if (!s->store.ptr) reply_array(s->client, result_texts(s));
    if (s->n_gets) {
        emit_gets(s);
    } else {
        emit_elements(s);
    }
    if (s->store.ptr) store_sorted(s);
}

static void run_sort(struct sort *s, struct request *r) {
    struct entry *e = db_read(s->client->db, &r->key);
    if (e && entry_type(e) != ENTRY_SET && entry_type(e) != ENTRY_ZSET && !lookup_is(s->client, e, ENTRY_LIST)) return;
    if (s->nosort && s->store.ptr && e && entry_type(e) == ENTRY_SET) {
        s->nosort = s->has_by = false;
        s->alpha = true;
    }
    const char *locale = setlocale(LC_COLLATE, NULL);
    s->collate = s->alpha && !s->store.ptr && strcmp(locale, "C") != 0 && strcmp(locale, "POSIX") != 0;
    load_elements(s, e);
    if (!s->store.ptr && reply_would_be_pointless(s->client, least_reply_bytes(s))) return;
    if (!s->nosort && !put_in_order(s)) {
        reply_error(s->client, "ERR One or more scores can't be converted into double");
        return;
    }
    give_result(s);
}

static void sort(struct request *r) {
    struct sort s = {.client = r->client};
    if (parse_sort(&s, r, true)) run_sort(&s, r);
    sort_end(&s);
}

static void sort_ro(struct request *r) {
    struct sort s = {.client = r->client};
    if (parse_sort(&s, r, false)) run_sort(&s, r);
    sort_end(&s);
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* The source, and the destination of the last STORE. The keys that BY and GET name depend on the data. */
static int find_sort_keys(const struct slice *argv, int argc, int *positions, int max) {
    int destination = 0;
    for (int i = 2; i < argc; i++) {
        if (slice_is(argv[i], "limit")) {
            i += 2;
        } else if (slice_is(argv[i], "get") || slice_is(argv[i], "by")) {
            i++;
        } else if (slice_is(argv[i], "store") && i + 1 < argc) {
            destination = ++i;
        }
    }
    if (max > 0) positions[0] = 1;
    if (destination && max > 1) positions[1] = destination;
    return destination ? 2 : 1;
}

static int find_sort_ro_keys(const struct slice *argv, int argc, int *positions, int max) {
    (void)argv;
    (void)argc;
    if (max > 0) positions[0] = 1;
    return 1;
}

static const struct command_keys sort_keys[] = {
    {.flags = "RO access", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .notes = "`BY` and `GET` make names of keys out of the elements", .keynum_at = -1},
    {.flags = "OW update", .notes = "`STORE` may stand anywhere behind the key", .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys sort_ro_keys[] = {
    {.flags = "RO access", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .notes = "`BY` and `GET` make names of keys out of the elements", .keynum_at = -1},
    {.flags = NULL},
};

static const struct command sort_commands[] = {
    {"sort", sort, -2, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, .first_key = 1, .since = "1.0.0",
     .summary = "Sort the elements of a list, set or sorted set, and reply or store them.",
     .complexity = "O(n log m) for n elements, m of which are wanted",
     .syntax = "key:key [BY by-pattern<pattern>:pattern#1] [LIMIT limit:(offset:integer count:integer)] [GET "
               "get-pattern<pattern>:pattern#1]... [order:(ASC | DESC)] [sorting=ALPHA] [STORE destination:key#2]",
     .keys = sort_keys, .find_keys = find_sort_keys},
    {"sort_ro", sort_ro, -2, .flags = CMD_READONLY | CMD_MOVABLE_KEYS,
     .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, .first_key = 1, .since = "7.0.0",
     .summary = "Sort the elements of a list, set or sorted set, and reply them.",
     .complexity = "O(n log m) for n elements, m of which are wanted",
     .syntax = "key:key [BY by-pattern<pattern>:pattern#1] [LIMIT limit:(offset:integer count:integer)] [GET "
               "get-pattern<pattern>:pattern#1]... [order:(ASC | DESC)] [sorting=ALPHA]",
     .keys = sort_ro_keys, .find_keys = find_sort_ro_keys},
    {NULL},
};

const struct module sort_module = {.commands = sort_commands};
