/* See broadcast.h. A changed key is one record, and each prefix that it begins with has the record in its list. The
 * prefixes with such a list are in a list themselves, so sending costs by what there is to send, however many prefixes
 * there are.
 *
 * Invariant: a prefix exists while it has members; a changed key is in the list of at least one prefix, until
 * broadcast_send() or until its prefixes lose their last members. */
#include "publish/broadcast.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "ds/prefixes.h"
#include <stdlib.h>

/* A list of pointers, which grows. */
struct pointers {
    void **items;
    size_t count, cap;
};

struct changed_key {
    uint64_t author; /* id of the client that changed it last; 0: none did */
    uint32_t len;
    char name[];
};

struct prefix {
    struct pointers members; /* struct broadcast_member *, each of which knows its place in this list */
    struct pointers changes; /* struct changed_key *; not owned, since other prefixes may list it too */
    uint32_t len;
    char name[];
};

struct broadcast_member {
    struct prefix *prefix;
    size_t place; /* in the list of members of the prefix */
    struct broadcast_listener *listener;
};

static uint64_t changed_key_hash(const void *record) {
    const struct changed_key *c = record;
    return hash_bytes(c->name, c->len);
}

static const struct table_type changed_key_type = {changed_key_hash};
static struct table changed_keys = {.type = &changed_key_type};
static struct prefixes prefixes;
static struct pointers changed_prefixes; /* struct prefix *: those that have changes */

static void pointers_add(struct pointers *l, void *item) {
    if (l->count == l->cap) l->items = alloc_grow(l->items, &l->cap, sizeof *l->items, 4);
    l->items[l->count++] = item;
}

static void pointers_free(struct pointers *l) {
    alloc_put(l->items, l->cap * sizeof *l->items);
    *l = (struct pointers){.items = NULL};
}

static struct slice prefix_name(const struct prefix *p) {
    return slice_of(p->name, p->len);
}

/* --- Overlaps -------------------------------------------------------------------------------- */

static bool prefixes_overlap(struct slice a, struct slice b) {
    return slice_begins_with(a, b) || slice_begins_with(b, a);
}

static int by_text(const void *a, const void *b) {
    const struct slice *one = *(const struct slice *const *)a, *other = *(const struct slice *const *)b;
    int order = slice_compare(*one, *other);
    return order ? order : (one > other) - (one < other);
}

/* The index of the first prefix that overlaps with a later one; n if none does. After sorting, the prefixes that begin
 * with a shorter one follow it directly: each is compared with the last one that does not begin with another. */
static size_t first_overlapping(const struct slice *given, size_t n) {
    if (n < 2) return n;
    const struct slice **sorted = alloc_get(n * sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &given[i];
    qsort(sorted, n, sizeof *sorted, by_text);
    size_t first = n, root = 0;
    for (size_t i = 1; i < n; i++) {
        if (!slice_begins_with(*sorted[i], *sorted[root])) {
            root = i;
            continue;
        }
        size_t one = (size_t)(sorted[i] - given), other = (size_t)(sorted[root] - given);
        if (other < one) one = other;
        if (one < first) first = one;
    }
    alloc_put(sorted, n * sizeof *sorted);
    return first;
}

/* The prefixes of a listener are sorted and do not overlap, apart from the empty one, which comes first. */
static const struct broadcast_member *find_overlapping(const struct broadcast_listener *l, struct slice prefix) {
    if (l->count && l->items[0]->prefix->len == 0) return l->items[0];
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (slice_compare(prefix_name(l->items[middle]->prefix), prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && prefixes_overlap(prefix_name(l->items[low - 1]->prefix), prefix)) return l->items[low - 1];
    if (low < l->count && prefixes_overlap(prefix_name(l->items[low]->prefix), prefix)) return l->items[low];
    return NULL;
}

bool broadcast_overlaps(const struct broadcast_listener *l, const struct slice *given, size_t n,
                        struct broadcast_overlap *out) {
    size_t first = first_overlapping(given, n);
    for (size_t i = 0; i < n && i <= first; i++) {
        const struct broadcast_member *m = find_overlapping(l, given[i]);
        if (m == NULL) continue;
        *out = (struct broadcast_overlap){given[i], prefix_name(m->prefix), false};
        return true;
    }
    if (first == n) return false;
    size_t later = first + 1;
    while (!prefixes_overlap(given[first], given[later]))
        later++;
    *out = (struct broadcast_overlap){given[first], given[later], true};
    return true;
}

/* --- Listeners ------------------------------------------------------------------------------- */

static struct prefix *prefix_of(struct slice name) {
    struct prefix *p = prefixes_find(&prefixes, name);
    if (p) return p;
    p = alloc_get(sizeof *p + name.len);
    *p = (struct prefix){.len = (uint32_t)name.len};
    memcpy(p->name, name.ptr, name.len);
    prefixes_insert(&prefixes, name, p);
    return p;
}

static void prefix_free(struct prefix *p) {
    for (size_t i = 0; p->changes.count && i < changed_prefixes.count; i++) {
        if (changed_prefixes.items[i] != p) continue;
        changed_prefixes.items[i] = changed_prefixes.items[--changed_prefixes.count];
        break;
    }
    prefixes_remove(&prefixes, prefix_name(p));
    pointers_free(&p->members);
    pointers_free(&p->changes);
    alloc_put(p, sizeof *p + p->len);
}

static int by_prefix(const void *a, const void *b) {
    return slice_compare(prefix_name((*(struct broadcast_member *const *)a)->prefix),
                         prefix_name((*(struct broadcast_member *const *)b)->prefix));
}

static bool has_prefix(const struct broadcast_listener *l, const struct prefix *p) {
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i]->prefix == p) return true;
    return false;
}

static void add_member(struct broadcast_listener *l, struct prefix *p) {
    struct broadcast_member *m = alloc_get(sizeof *m);
    *m = (struct broadcast_member){p, p->members.count, l};
    pointers_add(&p->members, m);
    if (l->count == l->cap) l->items = alloc_grow(l->items, &l->cap, sizeof *l->items, 1);
    l->items[l->count++] = m;
}

void broadcast_join(struct broadcast_listener *l, const struct slice *given, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct prefix *p = prefix_of(given[i]);
        if (given[i].len > 0 || !has_prefix(l, p)) add_member(l, p);
    }
    if (l->count > 1) qsort(l->items, l->count, sizeof *l->items, by_prefix);
}

void broadcast_leave(struct broadcast_listener *l) {
    for (size_t i = 0; i < l->count; i++) {
        struct broadcast_member *m = l->items[i];
        struct pointers *members = &m->prefix->members;
        struct broadcast_member *last = members->items[--members->count];
        members->items[m->place] = last;
        last->place = m->place;
        if (members->count == 0) prefix_free(m->prefix);
        alloc_put(m, sizeof *m);
    }
    alloc_put(l->items, l->cap * sizeof *l->items);
    l->items = NULL;
    l->count = l->cap = 0;
}

struct slice broadcast_prefix(const struct broadcast_listener *l, size_t i) {
    return prefix_name(l->items[i]->prefix);
}

size_t broadcast_memory(const struct broadcast_listener *l) {
    return l->cap * sizeof *l->items + l->count * sizeof(struct broadcast_member);
}

size_t broadcast_prefixes(void) {
    return prefixes.count;
}

/* --- Changes --------------------------------------------------------------------------------- */

static bool changed_key_is(const void *record, const void *name) {
    const struct changed_key *c = record;
    return slice_eq(slice_of(c->name, c->len), *(const struct slice *)name);
}

struct note {
    struct slice name;
    uint64_t author;         /* id of the client that changed it last; 0: none did */
    struct changed_key *key; /* made when the first prefix fits */
};

static void note_prefix(void *ctx, void *value) {
    struct note *n = ctx;
    struct prefix *p = value;
    if (n->key == NULL) {
        n->key = alloc_get(sizeof *n->key + n->name.len);
        *n->key = (struct changed_key){n->author, (uint32_t)n->name.len};
        memcpy(n->key->name, n->name.ptr, n->name.len);
    }
    if (p->changes.count == 0) pointers_add(&changed_prefixes, p);
    pointers_add(&p->changes, n->key);
}

void broadcast_note(const struct key *key, uint64_t author) {
    if (prefixes.count == 0) return;
    struct changed_key *c =
        changed_keys.count ? table_find(&changed_keys, key->hash, changed_key_is, &key->name) : NULL;
    if (c) {
        c->author = author;
        return;
    }
    struct note n = {.name = key->name, .author = author};
    prefixes_visit(&prefixes, key->name, note_prefix, &n);
    if (n.key) table_insert(&changed_keys, key->hash, n.key);
}

bool broadcast_is_pending(void) {
    return changed_keys.count > 0;
}

/* --- Sending --------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b) {
    const struct changed_key *one = *(struct changed_key *const *)a, *other = *(struct changed_key *const *)b;
    return slice_compare(slice_of(one->name, one->len), slice_of(other->name, other->len));
}

static int by_name(const void *a, const void *b) {
    return slice_compare(prefix_name(*(struct prefix *const *)a), prefix_name(*(struct prefix *const *)b));
}

/* Write the keys that were not changed last by the client `spared` (0: all keys). Returns how many there are. */
static size_t write_list(const struct pointers *l, uint64_t spared, struct buf *out) {
    size_t count = 0;
    for (size_t i = 0; i < l->count; i++)
        count += spared == 0 || ((struct changed_key *)l->items[i])->author != spared;
    out->len = 0;
    buf_printf(out, "*%zu\r\n", count);
    for (size_t i = 0; i < l->count; i++) {
        const struct changed_key *c = l->items[i];
        if (spared && c->author == spared) continue;
        buf_printf(out, "$%u\r\n", c->len);
        buf_append(out, c->name, c->len);
        buf_append(out, "\r\n", 2);
    }
    return count;
}

static void tell_prefix(struct prefix *p,
                        void (*tell)(struct slice list, struct broadcast_listener *const *to, size_t n)) {
    struct buf text = {0};
    struct pointers all = {.items = NULL};
    qsort(p->changes.items, p->changes.count, sizeof(void *), by_key);
    for (size_t i = 0; i < p->members.count; i++) {
        struct broadcast_listener *l = ((struct broadcast_member *)p->members.items[i])->listener;
        if (l->spared == 0)
            pointers_add(&all, l);
        else if (write_list(&p->changes, l->spared, &text))
            tell(buf_slice(&text), &l, 1);
    }
    if (all.count) {
        write_list(&p->changes, 0, &text);
        tell(buf_slice(&text), (struct broadcast_listener *const *)all.items, all.count);
    }
    pointers_free(&all);
    pointers_free(&p->changes);
    buf_free(&text);
}

static void free_changed_key(void *ctx, void *record) {
    struct changed_key *c = record;
    (void)ctx;
    alloc_put(c, sizeof *c + c->len);
}

void broadcast_send(void (*tell)(struct slice list, struct broadcast_listener *const *to, size_t n)) {
    if (changed_keys.count == 0) return;
    if (changed_prefixes.count > 1) qsort(changed_prefixes.items, changed_prefixes.count, sizeof(void *), by_name);
    for (size_t i = 0; i < changed_prefixes.count; i++)
        tell_prefix(changed_prefixes.items[i], tell);
    pointers_free(&changed_prefixes);
    table_clear(&changed_keys, free_changed_key, NULL);
}
