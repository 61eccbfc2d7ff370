/* See tracking.h. A key remembers ids of clients, since a client may disconnect before the key changes. A client that
 * has tracked once has a struct tracker, found by its id, until it is closed. When the last tracker goes, the table of
 * keys is dropped and the listeners are removed.
 *
 * A client that gets the messages of other clients has a struct redirection, which the trackers of these clients share.
 * When that client is closed, the redirection stays and says so; the client itself needs no field for it. */
#include "publish/tracking.h"
#include "base/alloc.h"
#include "base/module.h"
#include "base/option.h"
#include "catalog/command_info.h"
#include "exec/call.h"
#include "exec/wave.h"
#include "publish/broadcast.h"
#include "publish/invalidation.h"
#include "publish/tracked.h"
#include "session/client.h"
#include "store/changes.h"

#define EVICT_MIN 1000 /* keys beyond the bound that are dropped before output is sent, besides as many as were added */
#define KEYS_MAX 64    /* keys of a command that need no allocation */

struct redirection {
    uint64_t id;           /* of the client that gets the messages */
    struct client *client; /* NULL: it is closed */
    size_t trackers;       /* that refer to this */
};

struct tracker {
    uint64_t id;
    struct client *client;
    struct redirection *redirection; /* NULL: its messages go to itself */
    unsigned flags;                  /* enum tracking_flag */
    struct broadcast_listener listener;
};

static uint64_t id_hash(uint64_t id) {
    return hash_fold(id ^ hash_secret[1], hash_secret[2]);
}

/* Both kinds of records begin with the id. */
static uint64_t by_id_hash(const void *record) {
    return id_hash(*(const uint64_t *)record);
}

static bool has_id(const void *record, const void *id) {
    return *(const uint64_t *)record == *(const uint64_t *)id;
}

static const struct table_type by_id = {by_id_hash};
static struct table trackers = {.type = &by_id}, redirections = {.type = &by_id};
static struct tracked_table tracked = TRACKED_EMPTY;
static int64_t max_keys;
static size_t remembered; /* keys that were added since output was sent */
struct tracking_metrics tracking_metrics;

static struct tracker *find_tracker(uint64_t id) {
    return table_find(&trackers, id_hash(id), has_id, &id);
}

/* --- The receiver of messages ---------------------------------------------------------------- */

static struct redirection *redirection_to(const struct client *c) {
    uint64_t id = c->id;
    struct redirection *to = table_find(&redirections, id_hash(id), has_id, &id);
    if (to == NULL) {
        to = alloc_get(sizeof *to);
        *to = (struct redirection){.id = id, .client = (struct client *)c};
        table_insert(&redirections, id_hash(id), to);
    }
    to->trackers++;
    return to;
}

static void redirection_release(struct redirection *to) {
    if (to == NULL || --to->trackers > 0) return;
    table_remove(&redirections, id_hash(to->id), to);
    alloc_put(to, sizeof *to);
}

static void redirection_closed(uint64_t id) {
    struct redirection *to = redirections.count ? table_find(&redirections, id_hash(id), has_id, &id) : NULL;
    if (to) to->client = NULL;
}

static void tell_tracker(struct tracker *t, struct invalidation *i) {
    if (t->redirection == NULL) {
        invalidation_send(i, t->client, false);
    } else if (t->redirection->client) {
        invalidation_send(i, t->redirection->client, true);
    } else {
        t->flags |= TRACKING_BROKEN;
        invalidation_lost(t->client, t->redirection->id);
    }
}

/* --- Changes --------------------------------------------------------------------------------- */

struct telling {
    struct invalidation message;
    bool is_own; /* the client that executes knows of the change, or sees it: with NOLOOP it is not told */
};

static void tell_holder(void *ctx, uint64_t id) {
    struct telling *telling = ctx;
    struct tracker *t = find_tracker(id);
    if (t == NULL || !(t->flags & TRACKING_ON) || t->flags & TRACKING_BCAST) return;
    if (telling->is_own && t->flags & TRACKING_NOLOOP && t->client == client_current) return;
    tell_tracker(t, &telling->message);
}

/* Frees the key, which has been taken out of the table. */
static void tell_holders(struct tracked *k, bool is_own) {
    struct telling telling = {.message = {.key = tracked_name(k)}, .is_own = is_own};
    invalidation_begin(&telling.message);
    tracked_each(k, tell_holder, &telling);
    invalidation_end(&telling.message);
    tracked_free(k);
}

static void tracking_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)db;
    (void)event;
    if (class & CHANGES_NONE) return;
    bool has_author = client_current && !(class & (DB_EXPIRED | DB_EVICTED));
    broadcast_note(key, has_author ? client_current->id : 0);
    struct tracked *k = tracked_take(&tracked, key);
    if (k) tell_holders(k, !(class & DB_EVICTED));
}

/* Keys are remembered without their database, so when one database is emptied all keys are forgotten. FLUSHALL empties
 * many databases: the message goes out once for each command. */
static void tracking_flushed(struct db *db) {
    static uint64_t told_at = UINT64_MAX;
    (void)db;
    if (told_at == call_began()) return;
    told_at = call_began();
    struct invalidation message = {.list = {NULL, 0}};
    invalidation_begin(&message);
    struct table_iter it;
    table_iter_init(&it, &trackers);
    for (struct tracker *t; (t = table_iter_next(&it));)
        if (t->flags & TRACKING_ON) tell_tracker(t, &message);
    invalidation_end(&message);
    tracked_clear(&tracked);
}

/* As Redis does, SWAPDB invalidates nothing. */
static void tracking_swapped(struct db *one, struct db *other) {
    (void)one;
    (void)other;
}

/* --- What is read ---------------------------------------------------------------------------- */

static bool is_alive(uint64_t id) {
    return find_tracker(id) != NULL;
}

static void remember_key(const struct key *key, uint64_t id) {
    tracked_add(&tracked, key, id, is_alive);
    remembered++;
}

static void remember_all_keys(const struct request *r) {
    struct command_info_key some[KEYS_MAX], *keys = some;
    int n = command_info_find(r->command, r->argv, r->argc, some, KEYS_MAX);
    if (n > KEYS_MAX) {
        keys = alloc_get((size_t)n * sizeof *keys);
        command_info_find(r->command, r->argv, r->argc, keys, n);
    }
    for (int i = 0; i < n; i++) {
        struct key key = key_of(r->argv[keys[i].position]);
        remember_key(&key, r->client->id);
    }
    if (keys != some) alloc_put(keys, (size_t)n * sizeof *keys);
}

static void tracking_remember(const struct request *r, uint64_t spent) {
    const struct client *c = r->client;
    const struct command *command = r->command;
    (void)spent;
    if (!(c->flags & CLIENT_TRACKS) || !(command->flags & CMD_READONLY)) return;
    if (command->flags & CMD_RUNS_SCRIPT) return; /* what it reads is what its calls read */
    bool caching = c->flags & CLIENT_CACHING;
    if (c->tracker->flags & (caching ? TRACKING_OPTOUT : TRACKING_OPTIN)) return;
    bool has_one_key = command->first_key > 0 && command_last_key(command) == command->first_key;
    if (has_one_key && !(command->flags & CMD_MOVABLE_KEYS))
        remember_key(&r->key, c->id);
    else
        remember_all_keys(r);
}

/* --- Before output is sent ------------------------------------------------------------------- */

static void tell_list(struct slice list, struct broadcast_listener *const *to, size_t n) {
    struct invalidation message = {.list = list};
    invalidation_begin(&message);
    for (size_t i = 0; i < n; i++)
        tell_tracker(to[i]->owner, &message);
    invalidation_end(&message);
}

static bool is_over_bound(void) {
    return max_keys && tracked.keys.count > (size_t)max_keys;
}

static bool tracking_is_unsettled(void) {
    return broadcast_is_pending() || is_over_bound();
}

/* More keys are dropped than were added, so the bound is reached in the end; but when the bound was lowered, not all at
 * once, which would keep the clients waiting. */
static void tracking_before_send(void) {
    broadcast_send(tell_list);
    for (size_t left = remembered + EVICT_MIN; left > 0 && is_over_bound(); left--)
        tell_holders(tracked_take_any(&tracked), false);
    remembered = 0;
}

/* Listen to changes while there are trackers. Keys are remembered, and fetched ahead, only while a client tracks. */
static void fit_listeners(void) {
    static const struct db_hooks hooks = {
        .changed = tracking_changed, .flushed = tracking_flushed, .swapped = tracking_swapped};
    static const struct wave_hooks wave = {.before_send = tracking_before_send, .is_unsettled = tracking_is_unsettled};
    static const struct wave_hooks wave_with_keys = {&tracked.keys, tracking_before_send, tracking_is_unsettled};
    bool has_trackers = trackers.count > 0, tracks = tracking_metrics.clients > 0;
    changes_listen(CHANGES_TRACKING, has_trackers ? &hooks : NULL);
    call_listen(CALL_TRACKING, tracks ? tracking_remember : NULL);
    wave_listen(WAVE_TRACKING, tracks ? &wave_with_keys : has_trackers ? &wave : NULL);
}

/* --- The clients that track ------------------------------------------------------------------ */

static struct tracker *tracker_of(struct client *c) {
    if (c->tracker) return c->tracker;
    struct tracker *t = alloc_get(sizeof *t);
    *t = (struct tracker){.id = c->id, .client = c, .listener.owner = t};
    c->tracker = t;
    table_insert(&trackers, id_hash(c->id), t);
    return t;
}

void tracking_start(struct client *c, unsigned flags, const struct client *redirect, const struct slice *prefixes,
                    size_t n) {
    struct tracker *t = tracker_of(c);
    struct redirection *before = t->redirection;
    if (!(t->flags & TRACKING_ON)) tracking_metrics.clients++;
    fit_listeners();
    t->redirection = redirect ? redirection_to(redirect) : NULL;
    redirection_release(before);
    t->flags = flags | TRACKING_ON;
    client_clear(c, CLIENT_TRACKS);
    if (!(flags & TRACKING_BCAST)) {
        c->flags |= CLIENT_TRACKS;
        return;
    }
    broadcast_send(tell_list); /* the new prefixes do not get what changed before */
    t->listener.spared = flags & TRACKING_NOLOOP ? t->id : 0;
    struct slice all = slice_of("", 0);
    broadcast_join(&t->listener, n ? prefixes : &all, n ? n : 1);
}

void tracking_stop(struct client *c) {
    struct tracker *t = c->tracker;
    if (t == NULL || !(t->flags & TRACKING_ON)) return;
    broadcast_leave(&t->listener);
    redirection_release(t->redirection);
    t->redirection = NULL;
    t->flags = 0;
    client_clear(c, CLIENT_TRACKS | CLIENT_CACHING);
    tracking_metrics.clients--;
    fit_listeners();
}

static void tracking_forget(struct client *c) {
    redirection_closed(c->id);
    if (c->tracker == NULL) return;
    tracking_stop(c);
    table_remove(&trackers, id_hash(c->id), c->tracker);
    alloc_put(c->tracker, sizeof *c->tracker);
    c->tracker = NULL;
    if (trackers.count) return;
    tracked_clear(&tracked);
    broadcast_send(tell_list); /* there is no receiver: this forgets the changes */
    fit_listeners();
}

unsigned tracking_flags(const struct client *c) {
    return c->tracker ? c->tracker->flags : 0;
}

int64_t tracking_redirection(const struct client *c) {
    if (!(tracking_flags(c) & TRACKING_ON)) return -1;
    return c->tracker->redirection ? (int64_t)c->tracker->redirection->id : 0;
}

const struct broadcast_listener *tracking_prefixes(const struct client *c) {
    return c->tracker ? &c->tracker->listener : NULL;
}

static size_t tracking_client_memory(const struct client *c) {
    return c->tracker ? sizeof *c->tracker + broadcast_memory(&c->tracker->listener) : 0;
}

size_t tracking_keys(void) {
    return tracked.keys.count;
}

size_t tracking_items(void) {
    return tracked.ids;
}

static void tracking_describe(const struct client *c, struct client_line *line) {
    unsigned flags = tracking_flags(c);
    if (flags & TRACKING_ON) client_line_flag(line, 't');
    if (flags & TRACKING_BROKEN) client_line_flag(line, 'R');
    if (flags & TRACKING_BCAST) client_line_flag(line, 'B');
    line->redirect = tracking_redirection(c);
}

static const struct client_part tracking_part = {tracking_forget, tracking_stop, tracking_client_memory,
                                                 tracking_describe};

static const struct option tracking_rows[] = {
    {"tracking-table-max-keys", .type = OPTION_I64, .address = &max_keys, .initial = "1000000"},
    {NULL},
};

const struct module tracking_module = {.options = tracking_rows, .part = &tracking_part};
