/* See stream.h. This file changes streams and finds nodes; stream_iter.c reads them, stream_lag.c counts what groups
 * have read.
 *
 * Nodes begin where they begin in Redis, so that XTRIM ~ removes the same entries. Whatever moves an entry to another
 * place adds one to `edits`, and the places that groups have noted are not used any more. Removing the first node moves
 * nothing: a place in it is before the row from then on. */
#include "store/stream.h"
#include "base/module.h"
#include "base/option.h"
#include "store/stream_find.h"
#include "store/value.h"

#define ITEMS_ON_STACK 64
#define TEXT_MAX LISTPACK_LIMIT
#define PIECE_EXTRA 12 /* bytes that a piece takes beyond its text, at most */

struct stream_options stream_options;

static const struct option stream_rows[] = {
    {"stream-node-max-bytes", .type = OPTION_MEMORY, .address = &stream_options.node_max_bytes, .initial = "4096"},
    {"stream-node-max-entries", .type = OPTION_I64, .address = &stream_options.node_max_entries, .initial = "100"},
    {NULL},
};

/* --- The row of nodes ------------------------------------------------------------------------ */

static void set_row(struct stream *s, size_t room) {
    struct stream_node *row = NULL;
    if (room > 0) {
        row = alloc_get(room * sizeof *row);
        if (s->used > 0) memcpy(row, stream_node_at(s, 0), s->used * sizeof *row);
    }
    alloc_put(s->nodes, s->room * sizeof *row);
    s->nodes = row;
    s->room = (uint32_t)room;
    s->first = 0;
    s->edits++;
}

/* A slot behind the last node; the node is not set. */
static struct stream_node *add_slot(struct stream *s) {
    if (s->first + s->used == s->room) {
        if (s->first > s->room / 2) {
            memmove(s->nodes, stream_node_at(s, 0), s->used * sizeof *s->nodes);
            s->first = 0;
            s->edits++;
        } else {
            assert(s->room < UINT32_MAX / 2);
            set_row(s, s->room ? s->room + s->room / 2 + 1 : 1);
        }
    }
    return stream_node_at(s, s->used++);
}

static void remove_node(struct stream *s, size_t i) {
    stream_node_free(stream_node_at(s, i));
    s->used--;
    if (i == 0) {
        s->first++;
    } else {
        struct stream_node *n = stream_node_at(s, i);
        memmove(n, n + 1, (s->used - i) * sizeof *n);
        s->edits++;
    }
    if (s->used == 0)
        set_row(s, 0);
    else if (s->used < s->room / 8)
        set_row(s, s->room / 2);
}

/* --- Adding ---------------------------------------------------------------------------------- */

bool stream_next_id(const struct stream *s, uint64_t now_ms, struct stream_id *id) {
    *id = s->last_id;
    if (now_ms <= id->ms) return stream_id_up(id);
    *id = (struct stream_id){now_ms, 0};
    return true;
}

bool stream_next_seq(const struct stream *s, uint64_t ms, struct stream_id *id) {
    *id = (struct stream_id){ms, 0};
    if (ms > s->last_id.ms) return true;
    id->seq = s->last_id.seq + 1;
    return ms == s->last_id.ms && id->seq != 0;
}

bool stream_fits(const struct slice *pairs, size_t n) {
    size_t bytes = LISTPACK_EMPTY + PIECE_EXTRA * 8;
    for (size_t i = 0; i < 2 * n; i++) {
        bytes += pairs[i].len + PIECE_EXTRA;
        if (bytes > TEXT_MAX) return false;
    }
    return true;
}

static size_t node_max_bytes(void) {
    size_t max = (size_t)stream_options.node_max_bytes;
    return max == 0 || max > LISTPACK_LIMIT ? LISTPACK_LIMIT : max;
}

/* As Redis has it, which counts the bytes of the text, and all entries that the node ever had. */
static bool has_room(const struct stream_node *n, const struct stream_draft *d) {
    size_t bytes = listpack_bytes(n->block);
    if (bytes + n->spent_bytes + d->text_bytes >= node_max_bytes()) return false;
    if (bytes + d->name_bytes + d->value_bytes + PIECE_EXTRA * 8 > LISTPACK_LIMIT) return false;
    int64_t max = stream_options.node_max_entries;
    return max == 0 || stream_node_live(n) + stream_node_deleted(n) + n->spent < (uint64_t)max;
}

static void append_draft(struct stream *s, const struct stream_draft *d) {
    if (s->used > 0) {
        struct stream_node *last = stream_node_at(s, s->used - 1);
        if (has_room(last, d)) {
            if (stream_node_append(last, d, node_max_bytes())) s->edits++;
            return;
        }
        stream_node_fit(last);
    }
    stream_node_begin(add_slot(s), d);
}

void stream_append(struct stream *s, struct stream_id id, const struct slice *pairs, size_t n) {
    struct listpack_item few[ITEMS_ON_STACK], *items = few;
    struct stream_draft d = {.id = id, .pairs = n};
    assert(n > 0 && stream_id_compare(id, s->last_id) > 0);
    if (2 * n > ITEMS_ON_STACK) items = alloc_get(2 * n * sizeof *items);
    for (size_t i = 0; i < 2 * n; i++) {
        items[i] = listpack_item(pairs[i]);
        d.text_bytes += pairs[i].len;
        *(i % 2 ? &d.value_bytes : &d.name_bytes) += listpack_item_bytes(&items[i]);
    }
    d.items = items;
    append_draft(s, &d);
    if (items != few) alloc_put(items, 2 * n * sizeof *items);
    s->length++;
    s->entries_added++;
    s->last_id = id;
}

void stream_add_node(struct stream *s, struct stream_id id, const uint8_t *lp, bool ordered) {
    struct stream_node *n = add_slot(s);
    stream_node_from(n, id, lp);
    if (!ordered) stream_node_rewrite(n);
    s->length += stream_node_live(n);
}

/* --- Removing -------------------------------------------------------------------------------- */

/* Delete an entry of node i. True: it was the node's last one, and the node is gone. */
static bool delete_entry(struct stream *s, size_t i, const struct stream_entry *e) {
    struct stream_node *n = stream_node_at(s, i);
    s->length--;
    if (stream_node_live(n) == 1) {
        remove_node(s, i);
        return true;
    }
    if (stream_node_delete(n, e)) s->edits++;
    return false;
}

bool stream_delete(struct stream *s, struct stream_id id) {
    struct stream_entry e;
    size_t i = stream_find_node(s, id);
    if (i == s->used || !stream_node_seek(stream_node_at(s, i), NULL, id, &e)) return false;
    if (!stream_id_equal(e.id, id) || e.flags & STREAM_DELETED) return false;
    delete_entry(s, i, &e);
    if (stream_id_compare(id, s->max_deleted) > 0) s->max_deleted = id;
    return true;
}

/* True if all entries of the first node have to go. */
static bool goes_whole(const struct stream *s, const struct stream_trim *t, const struct stream_node *n) {
    if (t->by == STREAM_MAXLEN) return s->length - stream_node_live(n) >= t->max_length;
    return stream_id_compare(stream_node_last_id(n), t->min) < 0;
}

/* Remove entries from the first node, which does not go as a whole. */
static uint64_t trim_first_node(struct stream *s, const struct stream_trim *t) {
    uint64_t removed = 0;
    bool gone = false;
    while (!gone && !(t->by == STREAM_MAXLEN && s->length <= t->max_length)) {
        const struct stream_node *n = stream_node_at(s, 0);
        struct stream_entry e;
        stream_node_read(n, n->block + n->first_live, &e);
        if (t->by == STREAM_MINID && stream_id_compare(e.id, t->min) >= 0) break;
        gone = delete_entry(s, 0, &e);
        removed++;
    }
    return removed;
}

uint64_t stream_trim(struct stream *s, const struct stream_trim *t) {
    uint64_t removed = 0;
    while (s->used > 0 && !(t->by == STREAM_MAXLEN && s->length <= t->max_length)) {
        const struct stream_node *n = stream_node_at(s, 0);
        uint64_t live = stream_node_live(n);
        if (t->limit && removed + live > t->limit) break;
        if (!goes_whole(s, t, n)) return t->approximate ? removed : removed + trim_first_node(s, t);
        remove_node(s, 0);
        s->length -= live;
        removed += live;
    }
    return removed;
}

struct stream_id stream_first_id(const struct stream *s) {
    struct stream_entry e;
    if (s->used == 0) return STREAM_ID_MIN;
    const struct stream_node *n = stream_node_at(s, 0);
    stream_node_read(n, n->block + n->first_live, &e);
    return e.id;
}

void stream_strip_last(struct stream *s) {
    stream_node_rewrite(stream_node_at(s, s->used - 1));
    s->edits++;
}

/* --- Nodes by id ----------------------------------------------------------------------------- */

size_t stream_find_node(const struct stream *s, struct stream_id id) {
    if (s->used == 0 || stream_id_compare(id, stream_node_at(s, 0)->id) < 0) return s->used;
    return stream_id_search(stream_node_at(s, 0), sizeof *s->nodes, s->used, id);
}

/* --- Groups ---------------------------------------------------------------------------------- */

struct stream_group *stream_group(const struct stream *s, struct slice name) {
    return roster_find(s->groups, &stream_group_kind, name);
}

struct stream_group *stream_add_group(struct stream *s, struct slice name, struct stream_id last_id,
                                      int64_t entries_read) {
    struct stream_group *g = stream_group_new(name, last_id, entries_read);
    roster_add(&s->groups, &stream_group_kind, g);
    return g;
}

void stream_remove_group(struct stream *s, struct stream_group *g) {
    roster_remove(s->groups, &stream_group_kind, g);
    stream_group_free(g);
}

struct stream_group **stream_sorted_groups(const struct stream *s, size_t *bytes) {
    return (struct stream_group **)roster_sorted(s->groups, &stream_group_kind, bytes);
}

/* The group with this index; NULL: there is none. */
static struct stream_group *group_at(const struct stream *s, uint32_t index) {
    return roster_at(s->groups, index);
}
static uint32_t group_slots(const struct stream *s) {
    return s->groups ? s->groups->used : 0;
}

/* Ids above last_id will be given again: no deleted entry keeps one, and what a group knows of them counts no more. */
static void forget_ids_above(struct stream *s, struct stream_id last_id) {
    if (s->used > 0 && stream_id_compare(stream_node_last_id(stream_node_at(s, s->used - 1)), last_id) > 0)
        stream_strip_last(s);
    for (uint32_t i = 0; i < group_slots(s); i++) {
        struct stream_group *g = group_at(s, i);
        if (g && stream_id_compare(g->last_id, last_id) > 0) g->entries_read = STREAM_UNREAD;
    }
}

void stream_set_id(struct stream *s, struct stream_id last_id, const uint64_t *entries_added,
                   const struct stream_id *max_deleted) {
    if (stream_id_compare(last_id, s->last_id) < 0) forget_ids_above(s, last_id);
    s->last_id = last_id;
    if (entries_added) s->entries_added = *entries_added;
    if (max_deleted) s->max_deleted = *max_deleted;
}

/* --- The value ------------------------------------------------------------------------------- */

struct stream *stream_new(void) {
    struct stream *s = alloc_zero(sizeof *s);
    s->edits = 1; /* a group that has noted no place has 0 */
    return s;
}

void stream_free(struct stream *s) {
    for (size_t i = 0; i < s->used; i++)
        stream_node_free(stream_node_at(s, i));
    alloc_put(s->nodes, s->room * sizeof *s->nodes);
    for (uint32_t i = 0; i < group_slots(s); i++) {
        if (group_at(s, i)) stream_group_free(group_at(s, i));
    }
    roster_free(s->groups);
    alloc_put(s, sizeof *s);
}

static void *copy_group(const void *group) {
    return stream_group_copy(group);
}

struct stream *stream_copy(const struct stream *s) {
    struct stream *copy = stream_new();
    *copy = *s;
    copy->nodes = s->used ? alloc_get(s->used * sizeof *s->nodes) : NULL;
    copy->room = s->used;
    copy->first = 0;
    for (size_t i = 0; i < s->used; i++)
        stream_node_copy(stream_node_at(copy, i), stream_node_at(s, i));
    copy->groups = roster_copy(s->groups, &stream_group_kind, copy_group);
    return copy;
}

struct entry *stream_create(struct db *db, const struct key *key) {
    struct stream *s = stream_new();
    return db_put(db, key, NULL, ENTRY_STREAM, STREAM_NODES, &s, sizeof s, ENTRY_NO_TTL);
}

static const char *stream_encoding_name(unsigned encoding) {
    (void)encoding;
    return "stream";
}

static void drop_stream(void *value, unsigned encoding) {
    (void)encoding;
    stream_free(value);
}

static bool stream_is_heavy(const void *value, unsigned encoding) {
    (void)encoding;
    const struct stream *s = value;
    size_t parts = s->used + stream_groups(s);
    const struct stream_group *g = group_slots(s) ? group_at(s, 0) : NULL;
    if (g) parts += stream_groups(s) * ((size_t)stream_group_consumers(g) + stream_group_pending(g) / 64);
    return parts > VALUE_HEAVY_PARTS;
}

/* The mean of the parts that were looked at stands for all. */
static size_t scale(size_t bytes, size_t seen, size_t all) {
    return seen < all ? (size_t)((double)bytes / (double)seen * (double)all) : bytes;
}

static size_t nodes_memory(const struct stream *s, size_t samples) {
    size_t bytes = 0, n = samples && samples < s->used ? samples : s->used;
    for (size_t i = 0; i < n; i++)
        bytes += stream_node_memory(stream_node_at(s, i));
    return scale(bytes, n, s->used);
}

static size_t groups_memory(const struct stream *s, size_t samples) {
    size_t bytes = 0, seen = 0;
    for (uint32_t i = 0; i < group_slots(s) && (samples == 0 || seen < samples); i++) {
        const struct stream_group *g = group_at(s, i);
        if (!g) continue;
        bytes += stream_group_memory(g);
        seen++;
    }
    return scale(bytes, seen, stream_groups(s)) + roster_memory(s->groups);
}

static size_t stream_memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    const struct stream *s = value;
    return alloc_class(sizeof *s) + (s->room ? alloc_class(s->room * sizeof *s->nodes) : 0) + nodes_memory(s, samples) +
           groups_memory(s, samples);
}

static void *copy_stream(const void *value, unsigned encoding) {
    (void)encoding;
    return stream_copy(value);
}

const struct value_ops stream_ops = {.encoding_name = stream_encoding_name,
                                     .drop = drop_stream,
                                     .is_heavy = stream_is_heavy,
                                     .memory = stream_memory,
                                     .copy = copy_stream};

/* --- Checks ---------------------------------------------------------------------------------- */

static void check_node(const struct stream *s, size_t i, struct stream_id *last) {
    const struct stream_node *n = stream_node_at(s, i);
    struct stream_node_facts facts;
    struct stream_entry e;
    assert(i == 0 || stream_id_compare(*last, n->id) < 0);
    assert(listpack_bytes(n->block) <= n->room && stream_node_live(n) > 0);
    assert(listpack_check(n->block, listpack_bytes(n->block), NULL, NULL) == LISTPACK_GOOD);
    bool sound = stream_node_check(n->block, n->id, &facts);
    assert(sound && facts.ordered);
    *last = facts.last;
    stream_node_read(n, n->block + n->first_live, &e);
    assert(!(e.flags & STREAM_DELETED));
    for (const uint8_t *at = stream_node_first(n); at < n->block + n->first_live; at = stream_node_behind(&e)) {
        stream_node_read(n, at, &e);
        assert(e.flags & STREAM_DELETED);
    }
    (void)sound;
}

void stream_check(const struct stream *s) {
    struct stream_id last = STREAM_ID_MIN;
    uint64_t length = 0;
    assert(s->first + s->used <= s->room || (s->used == 0 && s->nodes == NULL));
    for (size_t i = 0; i < s->used; i++) {
        check_node(s, i, &last);
        length += stream_node_live(stream_node_at(s, i));
    }
    assert(length == s->length && stream_id_compare(last, s->last_id) <= 0);
    for (uint32_t i = 0; i < group_slots(s); i++) {
        if (group_at(s, i)) stream_group_check(group_at(s, i));
    }
}

const struct module stream_module = {.options = stream_rows};
