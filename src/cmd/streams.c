/* Streams: adding entries, reading them by their ids, removing them.
 *
 * What depends on the clock, or on how entries lie in nodes, is propagated as what came of it: XADD with the id that it
 * gave, and trimming as `MAXLEN = length`, which removes the same entries elsewhere. */
#include "cmd/streams.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "exec/call.h"
#include "exec/propagate.h"

/* --- For all commands ------------------------------------------------------------------------ */

struct slice streams_print_id(char *to, struct stream_id id) {
    int n = num_print_u64(to, id.ms);
    to[n++] = '-';
    n += num_print_u64(to + n, id.seq);
    return slice_of(to, (size_t)n);
}

void streams_reply_id(struct client *c, struct stream_id id) {
    char text[STREAMS_ID_MAX];
    reply_bulk(c, streams_print_id(text, id));
}

void streams_reply_entry(struct client *c, struct stream_iter *it) {
    struct listpack_value name, value;
    reply_array(c, 2);
    streams_reply_id(c, it->id);
    reply_array(c, 2 * it->pairs);
    while (stream_iter_pair(it, &name, &value)) {
        lookup_reply(c, name);
        lookup_reply(c, value);
    }
}

uint64_t streams_reply_entries(struct client *c, struct stream_iter *it, uint64_t count) {
    size_t place = reply_hold(c);
    uint64_t n = 0;
    while ((count == 0 || n < count) && !reply_is_pointless(c) && stream_iter_next(it)) {
        streams_reply_entry(c, it);
        n++;
    }
    reply_array_at(c, place, n);
    return n;
}

bool streams_read(struct request *r, struct stream **s) {
    struct entry *e;
    if (!lookup_read(r, ENTRY_STREAM, &e)) return false;
    *s = e ? stream_of(e) : NULL;
    return true;
}

bool streams_write(struct request *r, struct stream **s) {
    struct entry *e;
    if (!lookup_write(r, ENTRY_STREAM, &e)) return false;
    *s = e ? stream_of(e) : NULL;
    return true;
}

struct stream_group *streams_need_group(struct request *r, const struct stream *s) {
    struct slice key = r->argv[1], name = r->argv[2];
    struct stream_group *g = s ? stream_group(s, name) : NULL;
    if (g) return g;
    reply_errorf(r->client, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.len, key.ptr, (int)name.len,
                 name.ptr);
    return NULL;
}

void streams_ids_open(struct streams_ids *ids, int room) {
    ids->count = 0;
    ids->room = (size_t)room;
    ids->at = room <= STREAMS_NEAR ? ids->near : alloc_get(ids->room * sizeof *ids->at);
}

void streams_ids_close(struct streams_ids *ids) {
    if (ids->at != ids->near) alloc_put(ids->at, ids->room * sizeof *ids->at);
}

bool streams_ids_read(struct client *c, const struct slice *argv, int n, struct streams_ids *ids) {
    streams_ids_open(ids, n);
    for (int i = 0; i < n; i++) {
        if (args_id(c, argv[i], 0, &ids->at[ids->count++])) continue;
        streams_ids_close(ids);
        return false;
    }
    return true;
}

/* --- Trimming -------------------------------------------------------------------------------- */

/* The options of XADD and XTRIM that are about trimming. */
struct trimming {
    struct stream_trim trim;
    bool wanted, limited; /* there was a strategy; there was a LIMIT */
    int64_t limit;
};

/* How many entries ~ removes at most without a LIMIT. */
static uint64_t usual_limit(void) {
    int64_t most = stream_options.node_max_entries;
    return most <= 0 ? 10000 : most > 10000 ? 1000000 : (uint64_t)most * 100;
}

/* A strategy begins at argument *i, which is not the last one. */
static bool parse_strategy(struct request *r, int *i, struct trimming *t) {
    struct client *c = r->client;
    bool by_id = slice_is(r->argv[*i], "minid");
    if (t->wanted)
        return args_refuse(c, "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
    bool has_operator = *i + 2 < r->argc;
    t->trim.by = by_id ? STREAM_MINID : STREAM_MAXLEN;
    t->trim.approximate = has_operator && slice_eq(r->argv[*i + 1], SLICE("~"));
    has_operator = has_operator && (t->trim.approximate || slice_eq(r->argv[*i + 1], SLICE("=")));
    *i += 1 + has_operator;
    t->wanted = true;
    if (by_id) return args_id(c, r->argv[*i], 0, &t->trim.min);
    int64_t length;
    if (!args_i64(c, r->argv[*i], &length)) return false;
    t->trim.max_length = (uint64_t)length;
    return length >= 0 || args_refuse(c, "ERR The MAXLEN argument must be >= 0.");
}

static bool parse_limit(struct request *r, int *i, struct trimming *t) {
    t->limited = true;
    if (!args_i64(r->client, r->argv[++*i], &t->limit)) return false;
    return t->limit >= 0 || args_refuse(r->client, "ERR The LIMIT argument must be >= 0.");
}

/* Read an option at argument *i, and move *i to its last word. False: replied, if *is_option. */
static bool parse_trim_option(struct request *r, int *i, struct trimming *t, bool *is_option) {
    bool has_value = *i + 1 < r->argc;
    *is_option = true;
    if (has_value && (slice_is(r->argv[*i], "maxlen") || slice_is(r->argv[*i], "minid")))
        return parse_strategy(r, i, t);
    if (has_value && slice_is(r->argv[*i], "limit")) return parse_limit(r, i, t);
    return *is_option = false;
}

/* A log of Redis may have a LIMIT beside `=`; that is obeyed by doing as `=` says. */
static bool settle_limit(struct client *c, struct trimming *t, bool must_trim) {
    if (t->limit && !t->wanted)
        return args_refuse(c, "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
    if (must_trim && !t->wanted)
        return args_refuse(c, "ERR syntax error, XTRIM must be called with a trimming strategy");
    if (call_is_replayed) return true;
    if (t->limited && !t->trim.approximate)
        return args_refuse(c, "ERR syntax error, LIMIT cannot be used without the special ~ option");
    t->trim.limit = t->limited ? (uint64_t)t->limit : t->trim.approximate ? usual_limit() : 0;
    return true;
}

static void xtrim(struct request *r) {
    struct trimming t = {.wanted = false};
    struct stream *s;
    for (int i = 2; i < r->argc; i++) {
        bool is_option;
        if (parse_trim_option(r, &i, &t, &is_option)) continue;
        if (!is_option) reply_syntax_error(r->client);
        return;
    }
    if (!settle_limit(r->client, &t, true) || !streams_write(r, &s)) return;
    uint64_t removed = s ? stream_trim(s, &t.trim) : 0;
    reply_int(r->client, (int64_t)removed);
    if (removed == 0) return;
    db_changed(r->client->db, &r->key, DB_STREAM, "xtrim");
    db_metrics.dirty += (int64_t)removed - 1; /* Redis counts entries */
    if (!t.trim.approximate || !propagate_wanted) return;
    char digits[NUM_I64_MAX];
    struct slice length = slice_of(digits, (size_t)num_print_u64(digits, s->length));
    struct slice words[] = {SLICE("XTRIM"), r->key.name, SLICE("MAXLEN"), SLICE("="), length};
    propagate_now(r->client->db, words, 5, PROPAGATE_END);
}

/* --- XADD ------------------------------------------------------------------------------------ */

struct addition {
    struct trimming trimming;
    bool only_existing; /* NOMKSTREAM */
    bool find_id, find_seq;
    struct stream_id id;
    const struct slice *pairs;
    size_t n;
};

/* The options, up to the id, which is at *i on return. */
static bool parse_add_options(struct request *r, struct addition *a, int *i) {
    for (*i = 2; *i < r->argc; ++*i) {
        bool is_option;
        a->find_id = slice_eq(r->argv[*i], SLICE("*"));
        if (a->find_id) return true;
        if (parse_trim_option(r, i, &a->trimming, &is_option)) continue;
        if (is_option) return false;
        if (!slice_is(r->argv[*i], "nomkstream")) return args_new_id(r->client, r->argv[*i], &a->id, &a->find_seq);
        a->only_existing = true;
    }
    return true;
}

static bool parse_add(struct request *r, struct addition *a) {
    int i;
    if (!parse_add_options(r, a, &i) || !settle_limit(r->client, &a->trimming, false)) return false;
    int words = r->argc - i - 1;
    if (words < 2 || words % 2) {
        reply_wrong_arity(r->client, "xadd");
        return false;
    }
    a->pairs = r->argv + i + 1;
    a->n = (size_t)words / 2;
    if (a->find_id || a->find_seq || !stream_id_is_zero(a->id)) return true;
    return args_refuse(r->client, "ERR The ID specified in XADD must be greater than 0-0");
}

/* The id of the new entry: *id. */
static bool choose_id(struct client *c, const struct stream *s, const struct addition *a, struct stream_id *id) {
    static const char exhausted[] = "ERR The stream has exhausted the last possible ID, unable to add more items";
    if (stream_id_equal(s->last_id, STREAM_ID_MAX)) return args_refuse(c, exhausted);
    if (a->find_id) return stream_next_id(s, (uint64_t)clock_now_ms(), id) || args_refuse(c, exhausted);
    *id = a->id;
    if (a->find_seq ? stream_next_seq(s, a->id.ms, id) : stream_id_compare(a->id, s->last_id) > 0) return true;
    return args_refuse(c, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
}

#define WORDS_NEAR 64

/* Propagate the entry with the id that it got, and with the trimming that was done, if any. */
static void propagate_addition(struct request *r, const struct addition *a, struct stream_id id,
                               const uint64_t *length) {
    struct slice near[WORDS_NEAR], *words = near;
    size_t room = 6 + 2 * a->n, n = 0;
    char id_text[STREAMS_ID_MAX], digits[NUM_I64_MAX];
    if (room > WORDS_NEAR) words = alloc_get(room * sizeof *words);
    words[n++] = SLICE("XADD");
    words[n++] = r->key.name;
    if (length) {
        words[n++] = SLICE("MAXLEN");
        words[n++] = SLICE("=");
        words[n++] = slice_of(digits, (size_t)num_print_u64(digits, *length));
    }
    words[n++] = streams_print_id(id_text, id);
    memcpy(words + n, a->pairs, 2 * a->n * sizeof *words);
    propagate_now(r->client->db, words, (int)(n + 2 * a->n), PROPAGATE_END);
    if (words != near) alloc_put(words, room * sizeof *words);
}

static void add_entry(struct request *r, struct stream *s, const struct addition *a, struct stream_id id) {
    stream_append(s, id, a->pairs, a->n);
    streams_reply_id(r->client, id);
    db_changed(r->client->db, &r->key, DB_STREAM, "xadd");
    uint64_t removed = a->trimming.wanted ? stream_trim(s, &a->trimming.trim) : 0;
    if (removed) db_notify(r->client->db, &r->key, DB_STREAM, "xtrim");
    if (!propagate_wanted || !(a->find_id || a->find_seq || a->trimming.trim.approximate)) return;
    propagate_addition(r, a, id, removed ? &s->length : NULL);
}

static void xadd(struct request *r) {
    static const struct stream none;
    struct client *c = r->client;
    struct addition a = {.n = 0};
    struct stream *s;
    struct stream_id id;
    if (!parse_add(r, &a) || !streams_write(r, &s)) return;
    if (!s && a.only_existing) {
        reply_null(c);
    } else if (choose_id(c, s ? s : &none, &a, &id)) {
        if (!stream_fits(a.pairs, a.n)) {
            reply_error(c, "ERR Elements are too large to be stored");
            return;
        }
        if (!s) s = stream_of(stream_create(c->db, &r->key));
        add_entry(r, s, &a, id);
    }
}

/* --- Reading --------------------------------------------------------------------------------- */

static void xlen(struct request *r) {
    struct stream *s;
    if (streams_read(r, &s)) reply_int(r->client, s ? (int64_t)s->length : 0);
}

/* COUNT, which may stand there more than once. A negative number is none. */
static bool parse_count(struct request *r, int64_t *count) {
    *count = -1;
    for (int i = 4; i < r->argc; i += 2) {
        if (i + 1 == r->argc || !slice_is(r->argv[i], "count")) return args_syntax_error(r->client);
        if (!args_i64(r->client, r->argv[i + 1], count)) return false;
        if (*count < 0) *count = 0;
    }
    return true;
}

static void reply_range(struct request *r, bool backwards) {
    struct client *c = r->client;
    struct stream_id from, to;
    struct stream *s;
    int64_t count;
    if (!args_first_id(c, r->argv[backwards ? 3 : 2], &from) || !args_last_id(c, r->argv[backwards ? 2 : 3], &to))
        return;
    if (!parse_count(r, &count) || !streams_read(r, &s)) return;
    if (!s) {
        reply_array(c, 0);
    } else if (count == 0) {
        reply_null_array(c);
    } else {
        struct stream_iter it;
        stream_iter_start(&it, s, from, to, backwards);
        streams_reply_entries(c, &it, count < 0 ? 0 : (uint64_t)count);
    }
}

static void xrange(struct request *r) {
    reply_range(r, false);
}

static void xrevrange(struct request *r) {
    reply_range(r, true);
}

/* --- Removing, and the last id --------------------------------------------------------------- */

static void xdel(struct request *r) {
    struct stream *s;
    struct streams_ids ids;
    int64_t removed = 0;
    if (!streams_write(r, &s)) return;
    if (!s) {
        reply_int(r->client, 0);
        return;
    }
    if (!streams_ids_read(r->client, r->argv + 2, r->argc - 2, &ids)) return;
    for (size_t i = 0; i < ids.count; i++)
        removed += stream_delete(s, ids.at[i]);
    streams_ids_close(&ids);
    reply_int(r->client, removed);
    if (removed == 0) return;
    db_changed(r->client->db, &r->key, DB_STREAM, "xdel");
    db_metrics.dirty += removed - 1; /* Redis counts entries */
}

/* What XSETID is to set. */
struct new_state {
    struct stream_id last_id, max_deleted;
    uint64_t entries_added;
    bool has_added;
};

static bool parse_state_option(struct request *r, int i, struct new_state *n) {
    struct client *c = r->client;
    int64_t added;
    if (i + 1 == r->argc) return args_syntax_error(c);
    if (slice_is(r->argv[i], "entriesadded")) {
        if (!args_i64(c, r->argv[i + 1], &added)) return false;
        n->entries_added = (uint64_t)added;
        n->has_added = true;
        return added >= 0 || args_refuse(c, "ERR entries_added must be positive");
    }
    if (!slice_is(r->argv[i], "maxdeletedid")) return args_syntax_error(c);
    if (!args_id(c, r->argv[i + 1], 0, &n->max_deleted)) return false;
    return stream_id_compare(n->last_id, n->max_deleted) >= 0 ||
           args_refuse(c, "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
}

/* The last entry that lives. False: there is none. */
static bool top_entry(const struct stream *s, struct stream_id *id) {
    struct stream_iter it;
    stream_iter_start(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    if (!stream_iter_next(&it)) return false;
    *id = it.id;
    return true;
}

static bool state_fits(struct client *c, const struct stream *s, const struct new_state *n) {
    struct stream_id top;
    if (stream_id_compare(n->last_id, s->max_deleted) < 0)
        return args_refuse(c, "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
    if (!top_entry(s, &top)) return true;
    if (stream_id_compare(n->last_id, top) < 0)
        return args_refuse(c, "ERR The ID specified in XSETID is smaller than the target stream top item");
    return !n->has_added || s->length <= n->entries_added ||
           args_refuse(c, "ERR The entries_added specified in XSETID is smaller than the target stream length");
}

static void xsetid(struct request *r) {
    struct client *c = r->client;
    struct new_state n = {.has_added = false};
    struct stream *s;
    if (!args_id(c, r->argv[2], 0, &n.last_id)) return;
    for (int i = 3; i < r->argc; i += 2)
        if (!parse_state_option(r, i, &n)) return;
    if (!streams_write(r, &s)) return;
    if (!s) {
        reply_no_key(c);
        return;
    }
    if (!state_fits(c, s, &n)) return;
    stream_set_id(s, n.last_id, n.has_added ? &n.entries_added : NULL,
                  stream_id_is_zero(n.max_deleted) ? NULL : &n.max_deleted);
    reply_ok(c);
    streams_changed_beside(c->db, &r->key, "xsetid");
}

static const struct command_keys xadd_keys[] = {
    {.flags = "RW update", .notes = "Trimming may remove entries.", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command streams_commands[] = {
    {"xadd", xadd, -5, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STREAM,
     .since = "5.0.0", .summary = "Append an entry to a stream, which is made if it is not there.",
     .complexity = "O(1), and O(n) for n entries that are trimmed",
     .syntax = "key:key [NOMKSTREAM@6.2.0] [trim:(strategy:(MAXLEN | MINID@6.2.0) [operator:(equal== | "
               "approximately=~)] threshold [LIMIT count:integer@6.2.0])] id-selector:(auto-id=* | id) "
               "data:(field value)...",
     .tips = "nondeterministic_output",
     .history = "6.2.0|`NOMKSTREAM`, `MINID` and `LIMIT`.\n"
                "7.0.0|An id may be given as `ms-*`.",
     .keys = xadd_keys},
    {"xdel", xdel, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Remove entries from a stream. Reply how many there were.", .complexity = "O(n) for n ids",
     .syntax = "key:key id...", .key_flags = "RW delete"},
    {"xlen", xlen, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Count the entries of a stream.", .syntax = "key:key", .key_flags = "RO"},
    {"xrange", xrange, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Read the entries of a stream whose ids lie in an interval.",
     .complexity = "O(log n + m) for m entries read out of n", .syntax = "key:key start end [COUNT count:integer]",
     .history = "6.2.0|The ends of the interval may be excluded."},
    {"xrevrange", xrevrange, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Read the entries of a stream whose ids lie in an interval, the last one first.",
     .complexity = "O(log n + m) for m entries read out of n", .syntax = "key:key end start [COUNT count:integer]",
     .history = "6.2.0|The ends of the interval may be excluded."},
    {"xsetid", xsetid, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STREAM,
     .since = "5.0.0", .summary = "Set the last id of a stream. Meant for replication.",
     .syntax = "key:key last-id [ENTRIESADDED entries-added:integer@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]",
     .history = "7.0.0|`ENTRIESADDED` and `MAXDELETEDID`."},
    {"xtrim", xtrim, -4, .flags = CMD_WRITE, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Remove entries from the front of a stream.", .complexity = "O(n) for n entries removed",
     .syntax = "key:key trim:(strategy:(MAXLEN | MINID@6.2.0) [operator:(equal== | approximately=~)] threshold [LIMIT "
               "count:integer@6.2.0])",
     .tips = "nondeterministic_output", .history = "6.2.0|`MINID` and `LIMIT`.", .key_flags = "RW delete"},
    {NULL},
};

const struct module streams_module = {.commands = streams_commands};
