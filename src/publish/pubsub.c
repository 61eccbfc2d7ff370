/* See pubsub.h. A subscription is in two lists, that of its topic and that of its client, both in the order of
 * subscribing. So a message walks along its receivers only, and a client that leaves takes its own subscriptions out
 * one by one. One table of all subscriptions, by client and topic, tells whether a client has subscribed to a topic
 * already.
 *
 * Patterns with the same literal beginning form a group, and a tree has the groups by their beginnings. The patterns
 * that match a message are collected first and sorted by age.
 *
 * Invariants: a topic exists while it has subscribers, and a struct subscriber while its client has subscriptions.
 * Delivery closes no client (push_copy), so nothing that it walks along can be freed meanwhile. */
#include "publish/pubsub.h"
#include "base/alloc.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/module.h"
#include "ds/prefixes.h"
#include "ds/table.h"
#include "net/conn.h"
#include "net/resp_out.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/push.h"
#include "session/request.h"
#include <assert.h>
#include <stdlib.h>

#define SHARED_MIN 1024 /* bytes; longer messages are not copied for each receiver, which refers to one blob instead */

struct subscription;

struct topic {
    struct subscription *first, *last; /* linked by next, prev */
    uint64_t age;                      /* patterns: older ones have smaller numbers */
    uint32_t subscribers;
    uint32_t len;
    uint32_t place; /* patterns: index in the items of the group */
    uint8_t kind;   /* enum pubsub_kind */
    char name[];
};

struct subscription {
    struct client *client;
    struct topic *topic;
    struct subscription *next, *prev;         /* in the list of the topic */
    struct subscription *own_next, *own_prev; /* in the list of the client, for topics of one kind */
};

struct subscriber {
    struct own_list {
        struct subscription *first, *last;
        size_t count;
    } own[PUBSUB_KINDS];
};

/* The patterns with the same literal beginning. */
struct pattern_group {
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

static uint64_t subscription_hash(const void *record) {
    const struct subscription *s = record;
    return pair_hash(s->client, s->topic);
}

static const struct table_type topic_type = {topic_hash}, subscription_type = {subscription_hash};
static struct table topics[PUBSUB_KINDS] = {{.type = &topic_type}, {.type = &topic_type}, {.type = &topic_type}};
static struct table subscriptions = {.type = &subscription_type};
static struct prefixes pattern_groups;
static size_t topic_bytes, pattern_group_bytes;
size_t pubsub_keyspace_topics;

/* --- Groups of patterns ---------------------------------------------------------------------- */

/* The part of the pattern before its first special character: all channels that match begin with it. */
static struct slice literal_beginning(struct slice pattern) {
    size_t n = 0;
    while (n < pattern.len && pattern.ptr[n] && !strchr("*?[\\", pattern.ptr[n]))
        n++;
    return slice_of(pattern.ptr, n);
}

static struct slice topic_name(const struct topic *t) {
    return slice_of(t->name, t->len);
}

static void pattern_group_add(struct topic *t) {
    static uint64_t ages;
    struct slice beginning = literal_beginning(topic_name(t));
    struct pattern_group *g = prefixes_find(&pattern_groups, beginning);
    if (g == NULL) {
        g = alloc_zero(sizeof *g);
        prefixes_insert(&pattern_groups, beginning, g);
        pattern_group_bytes += sizeof *g;
    }
    if (g->count == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 1;
        g->items = alloc_resize(g->items, g->cap * sizeof g->items[0], cap * sizeof g->items[0]);
        pattern_group_bytes += (cap - g->cap) * sizeof g->items[0];
        g->cap = cap;
    }
    t->age = ++ages;
    t->place = g->count;
    g->items[g->count++] = t;
}

static void pattern_group_remove(struct topic *t) {
    struct slice beginning = literal_beginning(topic_name(t));
    struct pattern_group *g = prefixes_find(&pattern_groups, beginning);
    assert(g && g->items[t->place] == t);
    struct topic *last = g->items[--g->count];
    g->items[t->place] = last;
    last->place = t->place;
    if (g->count) return;
    prefixes_remove(&pattern_groups, beginning);
    pattern_group_bytes -= sizeof *g + g->cap * sizeof g->items[0];
    alloc_put(g->items, g->cap * sizeof g->items[0]);
    alloc_put(g, sizeof *g);
}

/* --- Topics ---------------------------------------------------------------------------------- */

static bool topic_is(const void *record, const void *name) {
    return slice_eq(topic_name(record), *(const struct slice *)name);
}

static struct topic *topic_find(enum pubsub_kind kind, struct slice name) {
    if (topics[kind].count == 0) return NULL;
    return table_find(&topics[kind], hash_bytes(name.ptr, name.len), topic_is, &name);
}

/* True if this topic can be, or match, a channel that begins with "__key". */
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
    if (kind == PUBSUB_PATTERN) pattern_group_add(t);
    if (hears_keyspace(t)) pubsub_keyspace_topics++;
    return t;
}

static void topic_free(struct topic *t) {
    if (hears_keyspace(t)) pubsub_keyspace_topics--;
    if (t->kind == PUBSUB_PATTERN) pattern_group_remove(t);
    table_remove(&topics[t->kind], topic_hash(t), t);
    topic_bytes -= alloc_class(sizeof *t + t->len);
    alloc_put(t, sizeof *t + t->len);
}

/* --- Subscriptions --------------------------------------------------------------------------- */

static bool subscription_is(const void *record, const void *pair) {
    const struct subscription *s = record, *wanted = pair;
    return s->client == wanted->client && s->topic == wanted->topic;
}

static struct subscription *subscription_find(struct client *c, struct topic *t) {
    struct subscription pair = {.client = c, .topic = t};
    return table_find(&subscriptions, pair_hash(c, t), subscription_is, &pair);
}

static void subscription_new(struct client *c, struct topic *t) {
    struct own_list *own = &c->subscriber->own[t->kind];
    struct subscription *s = alloc_get(sizeof *s);
    *s = (struct subscription){.client = c, .topic = t, .prev = t->last, .own_prev = own->last};
    *(t->last ? &t->last->next : &t->first) = s;
    t->last = s;
    t->subscribers++;
    *(own->last ? &own->last->own_next : &own->first) = s;
    own->last = s;
    own->count++;
    table_insert(&subscriptions, pair_hash(c, t), s);
}

/* Frees the topic with its last subscription, and the struct subscriber with the last one of its client. */
static void subscription_free(struct subscription *s) {
    struct topic *t = s->topic;
    struct client *c = s->client;
    struct own_list *own = &c->subscriber->own[t->kind];
    table_remove(&subscriptions, pair_hash(c, t), s);
    *(s->prev ? &s->prev->next : &t->first) = s->next;
    *(s->next ? &s->next->prev : &t->last) = s->prev;
    *(s->own_prev ? &s->own_prev->own_next : &own->first) = s->own_next;
    *(s->own_next ? &s->own_next->own_prev : &own->last) = s->own_prev;
    own->count--;
    alloc_put(s, sizeof *s);
    if (--t->subscribers == 0) topic_free(t);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        if (c->subscriber->own[kind].count) return;
    alloc_put(c->subscriber, sizeof *c->subscriber);
    c->subscriber = NULL;
}

/* --- Subscribing ----------------------------------------------------------------------------- */

bool pubsub_any(void) {
    return subscriptions.count > 0;
}

/* In RESP2, a subscriber cannot tell replies from messages, so it may only send commands that reply with messages. */
static bool is_restricted(const struct request *r, unsigned flags) {
    (void)flags;
    return client_has_only_messages(r->client) && !(r->command->flags & CMD_WHILE_SUBSCRIBED);
}

static const struct gate gate = {
    .holds = is_restricted,
    .error = "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
             "context"};

/* The gate is closed while there are subscribers. */
static void fit_gate(void) {
    gates_set(GATES_SUBSCRIBED, pubsub_any() ? &gate : NULL);
}

bool pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct slice name) {
    struct topic *t = topic_find(kind, name);
    if (t && subscription_find(c, t)) return false;
    if (t == NULL) t = topic_new(kind, name);
    if (c->subscriber == NULL) c->subscriber = alloc_zero(sizeof *c->subscriber);
    subscription_new(c, t);
    fit_gate();
    return true;
}

bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct slice name) {
    struct topic *t = topic_find(kind, name);
    struct subscription *s = t ? subscription_find(c, t) : NULL;
    if (s == NULL) return false;
    subscription_free(s);
    fit_gate();
    return true;
}

bool pubsub_unsubscribe_first(struct client *c, enum pubsub_kind kind, void (*leaving)(struct client *, struct slice)) {
    struct subscription *s = c->subscriber ? c->subscriber->own[kind].first : NULL;
    if (s == NULL) return false;
    if (leaving) leaving(c, topic_name(s->topic));
    subscription_free(s);
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

/* --- Publishing ------------------------------------------------------------------------------ */

/* A large message, which has a blob, is referred to; a small one is copied. */
static void write_message(struct slice message, struct blob *blob) {
    if (blob)
        resp_out_blob(blob);
    else
        resp_out_bulk(message);
}

/* Send the message to all subscribers of the topic, and take it back. In RESP2 and RESP3 messages differ in the first
 * byte only. */
static int64_t deliver(const struct topic *t, struct conn_range *message) {
    size_t start = message->start, end = conn_mark();
    for (const struct subscription *s = t->first; s; s = s->next) {
        if (s->next) __builtin_prefetch(s->next->client);
        if (likely(end > start)) conn_arena.data[start] = client_message_resp(s->client) == 2 ? '*' : '>';
        push_copy(s->client, start, end);
    }
    conn_take_back(message);
    return t->subscribers;
}

struct matches {
    struct slice channel;
    struct topic **items;
    size_t count, cap;
};

static void collect_matches(void *ctx, void *value) {
    struct matches *m = ctx;
    const struct pattern_group *g = value;
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
    prefixes_visit(&pattern_groups, channel, collect_matches, &m);
    if (m.count > 1) qsort(m.items, m.count, sizeof m.items[0], by_age);
    for (size_t i = 0; i < m.count; i++) {
        struct conn_range range;
        conn_open(&range, CONN_NO_LIMIT);
        conn_write("*4\r\n$8\r\npmessage\r\n", 18);
        resp_out_bulk(topic_name(m.items[i]));
        resp_out_bulk(channel);
        write_message(message, blob);
        receivers += deliver(m.items[i], &range);
    }
    alloc_put(m.items, m.cap * sizeof m.items[0]);
    return receivers;
}

static int64_t publish_to_all(enum pubsub_kind kind, const struct topic *t, struct slice channel, struct slice message,
                              struct blob *blob) {
    int64_t receivers = 0;
    if (t) {
        struct conn_range range;
        conn_open(&range, CONN_NO_LIMIT);
        conn_write("*3\r\n", 4);
        resp_out_bulk(kind == PUBSUB_SHARD ? SLICE("smessage") : SLICE("message"));
        resp_out_bulk(channel);
        write_message(message, blob);
        receivers = deliver(t, &range);
    }
    if (kind == PUBSUB_CHANNEL && pattern_groups.count) receivers += publish_to_patterns(channel, message, blob);
    return receivers;
}

int64_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message, struct blob *blob) {
    const struct topic *t = topic_find(kind, channel);
    if (t == NULL && (kind == PUBSUB_SHARD || pattern_groups.count == 0)) return 0;
    struct blob *own = blob == NULL && message.len >= SHARED_MIN ? blob_from(message) : NULL;
    int64_t receivers = publish_to_all(kind, t, channel, message, own ? own : blob);
    if (own) blob_drop(own);
    return receivers;
}

/* --- Metrics --------------------------------------------------------------------------------- */

size_t pubsub_topics(enum pubsub_kind kind) {
    return topics[kind].count;
}

size_t pubsub_subscribers(enum pubsub_kind kind, struct slice name) {
    const struct topic *t = topic_find(kind, name);
    return t ? t->subscribers : 0;
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
        bytes += c->subscriber->own[kind].count * sizeof(struct subscription);
    return bytes;
}

size_t pubsub_memory(void) {
    size_t bytes = topic_bytes + pattern_group_bytes + pattern_groups.bytes +
                   subscriptions.count * sizeof(struct subscription) + table_memory(&subscriptions);
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
