/* A subscription is a link that is in two lists, its topic's and its client's, both in the order of subscribing. So a
 * message walks along the receivers, a client that goes takes its links out one by one, and neither looks at others.
 * Whether a client has a topic already is asked of one table of all links, by the two addresses.
 *
 * Patterns with the same literal beginning form a group, which is what the tree of beginnings holds. The matching ones
 * of a message are collected first and put in the order of their ages. Delivery frees nothing (see push_copy), so
 * nothing that it walks on can go away under its feet. */
#include "publish/pubsub.h"
#include "base/alloc.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/module.h"
#include "ds/prefixes.h"
#include "ds/table.h"
#include "net/conn.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/push.h"
#include "session/reply.h"
#include "session/request.h"
#include <assert.h>
#include <stdlib.h>

#define SHARED_MIN 1024 /* bytes from which a message is referred to by its receivers, not copied */

struct link;

struct topic {
    struct link *first, *last; /* by next, prev */
    uint64_t age;              /* patterns: older ones have smaller numbers */
    uint32_t links;
    uint32_t len;
    uint32_t place; /* patterns: in the group */
    uint8_t kind;
    char name[];
};

struct link {
    struct client *client;
    struct topic *topic;
    struct link *next, *prev;         /* of the topic */
    struct link *own_next, *own_prev; /* of the client, and of one kind */
};

struct subscriber {
    struct own_list {
        struct link *first, *last;
        size_t count;
    } own[PUBSUB_KINDS];
};

/* Patterns that begin alike. */
struct group {
    struct topic **items;
    uint32_t count, cap;
};

static uint64_t topic_hash(const void *record) {
    const struct topic *t = record;
    return hash_bytes(t->name, t->len);
}

static uint64_t pair_hash(const struct client *c, const struct topic *t) {
    return hash_fold((uintptr_t)c ^ hash_secret[1], (uintptr_t)t ^ hash_secret[2]);
}

static uint64_t link_hash(const void *record) {
    const struct link *l = record;
    return pair_hash(l->client, l->topic);
}

static const struct table_type topic_type = {topic_hash}, link_type = {link_hash};
static struct table topics[PUBSUB_KINDS] = {{.type = &topic_type}, {.type = &topic_type}, {.type = &topic_type}};
static struct table links = {.type = &link_type};
static struct prefixes groups;
static size_t topic_bytes, group_bytes;
size_t pubsub_keyspace_topics;

/* --- groups of patterns ---------------------------------------------------------------------- */

/* What a channel must begin with to match: the pattern up to its first character that has a meaning. */
static struct slice literal_beginning(struct slice pattern) {
    size_t n = 0;
    while (n < pattern.len && pattern.ptr[n] && !strchr("*?[\\", pattern.ptr[n]))
        n++;
    return slice_of(pattern.ptr, n);
}

static struct slice topic_name(const struct topic *t) {
    return slice_of(t->name, t->len);
}

static void group_add(struct topic *t) {
    static uint64_t ages;
    struct slice beginning = literal_beginning(topic_name(t));
    struct group *g = prefixes_find(&groups, beginning);
    if (g == NULL) {
        g = alloc_zero(sizeof *g);
        prefixes_insert(&groups, beginning, g);
        group_bytes += sizeof *g;
    }
    if (g->count == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 1;
        g->items = alloc_resize(g->items, g->cap * sizeof g->items[0], cap * sizeof g->items[0]);
        group_bytes += (cap - g->cap) * sizeof g->items[0];
        g->cap = cap;
    }
    t->age = ++ages;
    t->place = g->count;
    g->items[g->count++] = t;
}

static void group_remove(struct topic *t) {
    struct slice beginning = literal_beginning(topic_name(t));
    struct group *g = prefixes_find(&groups, beginning);
    assert(g && g->items[t->place] == t);
    struct topic *last = g->items[--g->count];
    g->items[t->place] = last;
    last->place = t->place;
    if (g->count) return;
    prefixes_remove(&groups, beginning);
    group_bytes -= sizeof *g + g->cap * sizeof g->items[0];
    alloc_put(g->items, g->cap * sizeof g->items[0]);
    alloc_put(g, sizeof *g);
}

/* --- topics ---------------------------------------------------------------------------------- */

static bool topic_is(const void *record, const void *name) {
    return slice_eq(topic_name(record), *(const struct slice *)name);
}

static struct topic *topic_find(enum pubsub_kind kind, struct slice name) {
    if (topics[kind].count == 0) return NULL;
    return table_find(&topics[kind], hash_bytes(name.ptr, name.len), topic_is, &name);
}

/* Can a channel that begins with "__key" be, or match, this? */
static bool hears_keyspace(const struct topic *t) {
    static const struct slice start = {"__key", 5};
    struct slice name = topic_name(t);
    if (t->kind == PUBSUB_SHARD) return false;
    if (t->kind == PUBSUB_PATTERN) name = literal_beginning(name);
    size_t n = name.len < start.len && t->kind == PUBSUB_PATTERN ? name.len : start.len;
    return name.len >= n && memcmp(name.ptr, start.ptr, n) == 0;
}

static struct topic *topic_new(enum pubsub_kind kind, struct slice name) {
    struct topic *t = alloc_get(sizeof *t + name.len);
    *t = (struct topic){.kind = (uint8_t)kind, .len = (uint32_t)name.len};
    memcpy(t->name, name.ptr, name.len);
    table_insert(&topics[kind], topic_hash(t), t);
    topic_bytes += alloc_class(sizeof *t + name.len);
    if (kind == PUBSUB_PATTERN) group_add(t);
    if (hears_keyspace(t)) pubsub_keyspace_topics++;
    return t;
}

static void topic_free(struct topic *t) {
    if (hears_keyspace(t)) pubsub_keyspace_topics--;
    if (t->kind == PUBSUB_PATTERN) group_remove(t);
    table_remove(&topics[t->kind], topic_hash(t), t);
    topic_bytes -= alloc_class(sizeof *t + t->len);
    alloc_put(t, sizeof *t + t->len);
}

/* --- links ----------------------------------------------------------------------------------- */

static bool link_is(const void *record, const void *pair) {
    const struct link *l = record, *wanted = pair;
    return l->client == wanted->client && l->topic == wanted->topic;
}

static struct link *link_find(struct client *c, struct topic *t) {
    struct link pair = {.client = c, .topic = t};
    return table_find(&links, pair_hash(c, t), link_is, &pair);
}

static void link_new(struct client *c, struct topic *t) {
    struct own_list *own = &c->subscriber->own[t->kind];
    struct link *l = alloc_get(sizeof *l);
    *l = (struct link){.client = c, .topic = t, .prev = t->last, .own_prev = own->last};
    *(t->last ? &t->last->next : &t->first) = l;
    t->last = l;
    t->links++;
    *(own->last ? &own->last->own_next : &own->first) = l;
    own->last = l;
    own->count++;
    table_insert(&links, pair_hash(c, t), l);
}

/* Ends the topic with its last link, and the subscriber with its own. */
static void link_free(struct link *l) {
    struct topic *t = l->topic;
    struct client *c = l->client;
    struct own_list *own = &c->subscriber->own[t->kind];
    table_remove(&links, pair_hash(c, t), l);
    *(l->prev ? &l->prev->next : &t->first) = l->next;
    *(l->next ? &l->next->prev : &t->last) = l->prev;
    *(l->own_prev ? &l->own_prev->own_next : &own->first) = l->own_next;
    *(l->own_next ? &l->own_next->own_prev : &own->last) = l->own_prev;
    own->count--;
    alloc_put(l, sizeof *l);
    if (--t->links == 0) topic_free(t);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        if (c->subscriber->own[kind].count) return;
    alloc_put(c->subscriber, sizeof *c->subscriber);
    c->subscriber = NULL;
}

/* --- subscribing ----------------------------------------------------------------------------- */

bool pubsub_any(void) {
    return links.count > 0;
}

/* A subscriber in RESP2 cannot tell replies from messages, so it may only send the commands whose replies are messages. */
static bool is_restricted(const struct request *r, unsigned flags) {
    (void)flags;
    return client_has_only_messages(r->client) && !(r->command->flags & CMD_WHILE_SUBSCRIBED);
}

static const struct gate gate = {
    .holds = is_restricted,
    .error = "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
             "context"};

/* Close the gate while there are subscribers. */
static void fit_gate(void) {
    gates_set(GATES_SUBSCRIBED, pubsub_any() ? &gate : NULL);
}

bool pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct slice name) {
    struct topic *t = topic_find(kind, name);
    if (t && link_find(c, t)) return false;
    if (t == NULL) t = topic_new(kind, name);
    if (c->subscriber == NULL) c->subscriber = alloc_zero(sizeof *c->subscriber);
    link_new(c, t);
    fit_gate();
    return true;
}

bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct slice name) {
    struct topic *t = topic_find(kind, name);
    struct link *l = t ? link_find(c, t) : NULL;
    if (l == NULL) return false;
    link_free(l);
    fit_gate();
    return true;
}

bool pubsub_unsubscribe_first(struct client *c, enum pubsub_kind kind, void (*leaving)(struct client *, struct slice)) {
    struct link *l = c->subscriber ? c->subscriber->own[kind].first : NULL;
    if (l == NULL) return false;
    if (leaving) leaving(c, topic_name(l->topic));
    link_free(l);
    fit_gate();
    return true;
}

size_t pubsub_count(const struct client *c, enum pubsub_kind kind) {
    return c->subscriber ? c->subscriber->own[kind].count : 0;
}

static void pubsub_forget(struct client *c) {
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        while (pubsub_unsubscribe_first(c, kind, NULL)) {
        }
}

/* --- publishing ------------------------------------------------------------------------------ */

/* A large message goes to all its receivers by reference, a small one is copied. */
static void write_message(struct slice message, struct blob *blob) {
    if (blob)
        reply_bulk_blob(NULL, blob);
    else
        reply_bulk(NULL, message);
}

/* Send what was written since start to everybody who has the topic. The two
 * protocols' messages are the same but for the type of the whole. */
static int64_t deliver(const struct topic *t, size_t start) {
    size_t end = conn_mark();
    for (const struct link *l = t->first; l; l = l->next) {
        if (l->next) __builtin_prefetch(l->next->client);
        conn_arena.data[start] = l->client->resp == 2 ? '*' : '>';
        push_copy(l->client, start, end);
    }
    conn_truncate(start);
    return t->links;
}

struct matches {
    struct slice channel;
    struct topic **items;
    size_t count, cap;
};

static void collect(void *ctx, void *value) {
    struct matches *m = ctx;
    const struct group *g = value;
    for (uint32_t i = 0; i < g->count; i++) {
        if (!glob_match(topic_name(g->items[i]), m->channel)) continue;
        if (m->count == m->cap) m->items = alloc_grow(m->items, &m->cap, sizeof m->items[0], 16);
        m->items[m->count++] = g->items[i];
    }
}

static int by_age(const void *a, const void *b) {
    uint64_t one = (*(struct topic *const *)a)->age, other = (*(struct topic *const *)b)->age;
    return one < other ? -1 : one > other;
}

static int64_t publish_to_patterns(struct slice channel, struct slice message, struct blob *blob) {
    int64_t receivers = 0;
    struct matches m = {.channel = channel};
    prefixes_visit(&groups, channel, collect, &m);
    if (m.count > 1) qsort(m.items, m.count, sizeof m.items[0], by_age);
    for (size_t i = 0; i < m.count; i++) {
        size_t start = conn_open();
        conn_write("*4\r\n$8\r\npmessage\r\n", 18);
        reply_bulk(NULL, topic_name(m.items[i]));
        reply_bulk(NULL, channel);
        write_message(message, blob);
        receivers += deliver(m.items[i], start);
    }
    alloc_put(m.items, m.cap * sizeof m.items[0]);
    return receivers;
}

static int64_t publish(enum pubsub_kind kind, const struct topic *t, struct slice channel, struct slice message,
                       struct blob *blob) {
    int64_t receivers = 0;
    if (t) {
        size_t start = conn_open();
        conn_write("*3\r\n", 4);
        reply_bulk_cstr(NULL, kind == PUBSUB_SHARD ? "smessage" : "message");
        reply_bulk(NULL, channel);
        write_message(message, blob);
        receivers = deliver(t, start);
    }
    if (kind == PUBSUB_CHANNEL && groups.count) receivers += publish_to_patterns(channel, message, blob);
    return receivers;
}

int64_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message, struct blob *blob) {
    const struct topic *t = topic_find(kind, channel);
    if (t == NULL && (kind == PUBSUB_SHARD || groups.count == 0)) return 0;
    struct blob *own = blob == NULL && message.len >= SHARED_MIN ? blob_from(message) : NULL;
    int64_t receivers = publish(kind, t, channel, message, own ? own : blob);
    if (own) blob_drop(own);
    return receivers;
}

/* --- figures --------------------------------------------------------------------------------- */

size_t pubsub_topics(enum pubsub_kind kind) {
    return topics[kind].count;
}

size_t pubsub_subscribers(enum pubsub_kind kind, struct slice name) {
    const struct topic *t = topic_find(kind, name);
    return t ? t->links : 0;
}

void pubsub_each(enum pubsub_kind kind, void (*visit)(void *ctx, struct slice topic), void *ctx) {
    struct table_iter it;
    table_iter_init(&it, &topics[kind]);
    for (const struct topic *t; (t = table_iter_next(&it));)
        visit(ctx, topic_name(t));
}

static size_t pubsub_client_memory(const struct client *c) {
    if (c->subscriber == NULL) return 0;
    size_t bytes = sizeof *c->subscriber;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        bytes += c->subscriber->own[kind].count * sizeof(struct link);
    return bytes;
}

size_t pubsub_memory(void) {
    size_t bytes = topic_bytes + group_bytes + groups.bytes + links.count * sizeof(struct link) + table_memory(&links);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        bytes += table_memory(&topics[kind]);
    return bytes;
}

static void pubsub_describe(const struct client *c, struct client_line *line) {
    if (c->subscriber == NULL) return;
    client_line_flag(line, 'P');
    line->channels = pubsub_count(c, PUBSUB_CHANNEL);
    line->patterns = pubsub_count(c, PUBSUB_PATTERN);
    line->shard_channels = pubsub_count(c, PUBSUB_SHARD);
}

static const struct client_part pubsub_part = {pubsub_forget, pubsub_forget, pubsub_client_memory, pubsub_describe};

const struct module pubsub_module = {.part = &pubsub_part};
