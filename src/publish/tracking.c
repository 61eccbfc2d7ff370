/* Clients are known by their ids here, since a key may be remembered for one that has gone. A client that has tracked
 * once has a struct tracker until it is closed, found by its id. With the last of these nobody can be told anything any
 * more: the table is dropped, and nobody listens to changes.
 *
 * Whom messages are redirected to is known by a struct target, of which the trackers hold a reference: it says so
 * itself when that client has gone, and needs no place in the client. */
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

#define EVICT_MIN 1000 /* keys that one settling may drop when the bound was lowered */
#define KEYS_MAX 64    /* keys of a command that need no allocation */

struct target {
    uint64_t id;
    struct client *client; /* NULL: gone */
    size_t trackers;
};

struct tracker {
    uint64_t id;
    struct client *client;
    struct target *target; /* NULL: itself */
    unsigned flags;        /* enum tracking_flag */
    struct broadcast_listener listener;
};

static uint64_t id_hash(uint64_t id) {
    return hash_fold(id ^ hash_secret[1], hash_secret[2]);
}

/* Both kinds of records begin with the id. */
static uint64_t record_hash(const void *record) {
    return id_hash(*(const uint64_t *)record);
}

static bool has_id(const void *record, const void *id) {
    return *(const uint64_t *)record == *(const uint64_t *)id;
}

static const struct table_type by_id = {record_hash};
static struct table trackers = {.type = &by_id}, targets = {.type = &by_id};
static struct tracked_table tracked = TRACKED_EMPTY;
static int64_t max_keys;
static size_t remembered; /* since the last settling */
struct tracking_metrics tracking_metrics;

static struct tracker *find_tracker(uint64_t id) {
    return table_find(&trackers, id_hash(id), has_id, &id);
}

/* --- whom messages go to --------------------------------------------------------------------- */

static struct target *target_of(const struct client *c) {
    uint64_t id = c->id;
    struct target *t = table_find(&targets, id_hash(id), has_id, &id);
    if (t == NULL) {
        t = alloc_get(sizeof *t);
        *t = (struct target){.id = id, .client = (struct client *)c};
        table_insert(&targets, id_hash(id), t);
    }
    t->trackers++;
    return t;
}

static void target_release(struct target *t) {
    if (t == NULL || --t->trackers > 0) return;
    table_remove(&targets, id_hash(t->id), t);
    alloc_put(t, sizeof *t);
}

static void target_gone(uint64_t id) {
    struct target *t = targets.count ? table_find(&targets, id_hash(id), has_id, &id) : NULL;
    if (t) t->client = NULL;
}

static void tell(struct tracker *t, struct invalidation *i) {
    if (t->target == NULL) {
        invalidation_send(i, t->client, false);
    } else if (t->target->client) {
        invalidation_send(i, t->target->client, true);
    } else {
        t->flags |= TRACKING_BROKEN;
        invalidation_lost(t->client, t->target->id);
    }
}

/* --- changes --------------------------------------------------------------------------------- */

struct telling {
    struct invalidation message;
    bool is_change; /* not just a lack of room */
};

static void tell_holder(void *ctx, uint64_t id) {
    struct telling *telling = ctx;
    struct tracker *t = find_tracker(id);
    if (t == NULL || !(t->flags & TRACKING_ON) || t->flags & TRACKING_BCAST) return;
    if (telling->is_change && t->flags & TRACKING_NOLOOP && t->client == client_current) return;
    tell(t, &telling->message);
}

/* The key has been taken out of the table. */
static void tell_holders(struct tracked *k, bool is_change) {
    struct telling telling = {.message = {.key = tracked_name(k)}, .is_change = is_change};
    invalidation_begin(&telling.message);
    tracked_each(k, tell_holder, &telling);
    invalidation_end(&telling.message);
    tracked_free(k);
}

static void changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)db;
    (void)event;
    if (class & CHANGES_NONE) return;
    bool has_author = client_current && !(class & (DB_EXPIRED | DB_EVICTED));
    broadcast_note(key, has_author ? client_current->id : 0);
    struct tracked *k = tracked_take(&tracked, key);
    if (k) tell_holders(k, true);
}

/* The keys of all databases are one to a tracker, so one emptied is all emptied. FLUSHALL is one command and many
 * emptied databases: while it is the same command as the last time, everybody knows. */
static void flushed(struct db *db) {
    static uint64_t told_at = UINT64_MAX;
    (void)db;
    if (told_at == call_began()) return;
    told_at = call_began();
    struct invalidation message = {.list = {NULL, 0}};
    invalidation_begin(&message);
    struct table_iter it;
    table_iter_init(&it, &trackers);
    for (struct tracker *t; (t = table_iter_next(&it));)
        if (t->flags & TRACKING_ON) tell(t, &message);
    invalidation_end(&message);
    tracked_clear(&tracked);
}

/* As in Redis: copies of what SWAPDB moves are not invalidated. */
static void swapped(struct db *one, struct db *other) {
    (void)one;
    (void)other;
}

/* --- what is read ---------------------------------------------------------------------------- */

static bool is_alive(uint64_t id) {
    return find_tracker(id) != NULL;
}

static void remember(const struct key *key, uint64_t id) {
    tracked_add(&tracked, key, id, is_alive);
    remembered++;
}

static void remember_several(const struct request *r) {
    struct command_info_key some[KEYS_MAX], *keys = some;
    int n = command_info_find(r->command, r->argv, r->argc, some, KEYS_MAX);
    if (n > KEYS_MAX) {
        keys = alloc_get((size_t)n * sizeof *keys);
        command_info_find(r->command, r->argv, r->argc, keys, n);
    }
    for (int i = 0; i < n; i++) {
        struct key key = key_of(r->argv[keys[i].position]);
        remember(&key, r->client->id);
    }
    if (keys != some) alloc_put(keys, (size_t)n * sizeof *keys);
}

static void remember_keys(const struct request *r, uint64_t spent) {
    const struct client *c = r->client;
    const struct command *command = r->command;
    (void)spent;
    if (!(c->flags & CLIENT_TRACKS) || !(command->flags & CMD_READONLY)) return;
    bool caching = c->flags & CLIENT_CACHING;
    if (c->tracker->flags & (caching ? TRACKING_OPTOUT : TRACKING_OPTIN)) return;
    bool one = command->first_key > 0 && command_last_key(command) == command->first_key;
    if (one && !(command->flags & CMD_MOVABLE_KEYS))
        remember(&r->key, c->id);
    else
        remember_several(r);
}

static void prefetch_line(uint64_t hash) {
    tracked_prefetch_line(&tracked, hash);
}

static void prefetch_key(uint64_t hash) {
    tracked_prefetch_key(&tracked, hash);
}

/* --- before output is sent ------------------------------------------------------------------- */

static void tell_list(struct slice list, struct broadcast_listener *const *to, size_t n) {
    struct invalidation message = {.list = list};
    invalidation_begin(&message);
    for (size_t i = 0; i < n; i++)
        tell(to[i]->owner, &message);
    invalidation_end(&message);
}

static bool is_over_bound(void) {
    return max_keys && tracked.keys.count > (size_t)max_keys;
}

static bool is_unsettled(void) {
    return broadcast_is_pending() || is_over_bound();
}

/* More keys go than came, so that the bound is reached in the end, but not all at once where it was lowered. */
static void settle(void) {
    broadcast_send(tell_list);
    for (size_t left = remembered + EVICT_MIN; left > 0 && is_over_bound(); left--)
        tell_holders(tracked_take_any(&tracked), false);
    remembered = 0;
}

/* Listen while there are trackers. Keys are only remembered, and so only fetched, while one of them tracks. */
static void listen(void) {
    static const struct db_hooks hooks = {.changed = changed, .flushed = flushed, .swapped = swapped};
    static const struct wave_hooks wave = {.before_send = settle, .is_unsettled = is_unsettled};
    static const struct wave_hooks wave_with_keys = {prefetch_line, prefetch_key, settle, is_unsettled};
    bool known = trackers.count > 0, tracks = tracking_metrics.clients > 0;
    changes_listen(CHANGES_TRACKING, known ? &hooks : NULL);
    call_listen(CALL_TRACKING, tracks ? remember_keys : NULL);
    wave_listen(WAVE_TRACKING, tracks ? &wave_with_keys : known ? &wave : NULL);
}

/* --- who tracks ------------------------------------------------------------------------------ */

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
    struct target *before = t->target;
    if (!(t->flags & TRACKING_ON)) tracking_metrics.clients++;
    listen();
    t->target = redirect ? target_of(redirect) : NULL;
    target_release(before);
    t->flags = flags | TRACKING_ON;
    client_clear(c, CLIENT_TRACKS);
    if (!(flags & TRACKING_BCAST)) {
        c->flags |= CLIENT_TRACKS;
        return;
    }
    broadcast_send(tell_list); /* what has changed until now is not for the new prefixes */
    t->listener.spared = flags & TRACKING_NOLOOP ? t->id : 0;
    struct slice all = slice_of("", 0);
    broadcast_join(&t->listener, n ? prefixes : &all, n ? n : 1);
}

void tracking_stop(struct client *c) {
    struct tracker *t = c->tracker;
    if (t == NULL || !(t->flags & TRACKING_ON)) return;
    broadcast_leave(&t->listener);
    target_release(t->target);
    t->target = NULL;
    t->flags = 0;
    client_clear(c, CLIENT_TRACKS | CLIENT_CACHING);
    tracking_metrics.clients--;
    listen();
}

static void tracking_forget(struct client *c) {
    target_gone(c->id);
    if (c->tracker == NULL) return;
    tracking_stop(c);
    table_remove(&trackers, id_hash(c->id), c->tracker);
    alloc_put(c->tracker, sizeof *c->tracker);
    c->tracker = NULL;
    if (trackers.count) return;
    tracked_clear(&tracked);
    broadcast_send(tell_list); /* to nobody: what was noted is forgotten */
    listen();
}

unsigned tracking_flags(const struct client *c) {
    return c->tracker ? c->tracker->flags : 0;
}

int64_t tracking_redirection(const struct client *c) {
    if (!(tracking_flags(c) & TRACKING_ON)) return -1;
    return c->tracker->target ? (int64_t)c->tracker->target->id : 0;
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
    {.name = "tracking-table-max-keys", .type = OPTION_I64, .address = &max_keys, .initial = "1000000"},
    {.name = NULL},
};

const struct module tracking_module = {.options = tracking_rows, .part = &tracking_part};
