/* Keyspace notifications: events of keys are published. The channel "__keyspace@<db>__:<key>" gets the names of the
 * events of a key, the channel "__keyevent@<db>__:<event>" the names of the keys that have the event.
 *
 * Invariant: the listener is registered exactly while events are to be published, so a change costs nothing here
 * otherwise. */
#include "base/buf.h"
#include "base/module.h"
#include "base/option.h"
#include "publish/pubsub.h"
#include "store/changes.h"

/* notify-keyspace-events: the classes of events to publish (enum db_class), and the kinds of channels. */
static int events;
#define EVENTS_KEYSPACE (1 << 30) /* K: to the channels of keys */
#define EVENTS_KEYEVENT (1 << 29) /* E: to the channels of events */

/* Publish the message to the channel "<prefix><db>__:<topic>". */
static void publish_event(const char *prefix, int db_id, struct slice topic, struct slice message) {
    static struct buf channel; /* kept, so that most calls allocate nothing */
    channel.len = 0;
    buf_append_cstr(&channel, prefix);
    buf_append_i64(&channel, db_id);
    buf_append_cstr(&channel, "__:");
    buf_append_slice(&channel, topic);
    pubsub_publish(PUBSUB_CHANNEL, buf_slice(&channel), message, NULL);
}

static void notify_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    if (pubsub_keyspace_topics == 0 || !((unsigned)events & class)) return;
    if (events & EVENTS_KEYSPACE) publish_event("__keyspace@", db->id, key->name, slice_cstr(event));
    if (events & EVENTS_KEYEVENT) publish_event("__keyevent@", db->id, slice_cstr(event), key->name);
}

/* --- notify-keyspace-events ------------------------------------------------------------------ */

static const struct {
    char letter;
    int value;
} event_letters[] = {
    {'g', DB_GENERIC}, {'$', DB_STRING},  {'l', DB_LIST},   {'s', DB_SET},    {'h', DB_HASH}, {'z', DB_ZSET},
    {'x', DB_EXPIRED}, {'e', DB_EVICTED}, {'t', DB_STREAM}, {'d', DB_MODULE}, {'n', DB_NEW},
};
#define EVENT_LETTERS (sizeof event_letters / sizeof event_letters[0])
#define EVENTS_ALL \
    (DB_GENERIC | DB_STRING | DB_LIST | DB_SET | DB_HASH | DB_ZSET | DB_EXPIRED | DB_EVICTED | DB_STREAM | DB_MODULE)

static int event_of(char letter) {
    if (letter == 'A') return EVENTS_ALL;
    if (letter == 'K') return EVENTS_KEYSPACE;
    if (letter == 'E') return EVENTS_KEYEVENT;
    if (letter == 'm') return DB_MISS;
    for (size_t i = 0; i < EVENT_LETTERS; i++) {
        if (event_letters[i].letter == letter) return event_letters[i].value;
    }
    return 0;
}

static bool set_events(const char *const *words, int count, const char **error) {
    (void)count;
    int given = 0;
    for (const char *p = words[0]; *p; p++) {
        int event = event_of(*p);
        if (!event) {
            *error = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
            return false;
        }
        given |= event;
    }
    events = given;
    return true;
}

static bool apply_events(const char **error) {
    (void)error;
    static const struct db_hooks hooks = {.changed = notify_changed};
    changes_listen(CHANGES_NOTIFY, events & (EVENTS_KEYSPACE | EVENTS_KEYEVENT) ? &hooks : NULL);
    return true;
}

/* In Redis's order: A in place of all the classes that it stands for, then K, E, m. As in Redis, A hides n. */
static void get_events(struct buf *out) {
    bool all = (events & EVENTS_ALL) == EVENTS_ALL;
    if (all) buf_append_cstr(out, "A");
    for (size_t i = 0; !all && i < EVENT_LETTERS; i++) {
        if (events & event_letters[i].value) buf_append(out, &event_letters[i].letter, 1);
    }
    if (events & EVENTS_KEYSPACE) buf_append_cstr(out, "K");
    if (events & EVENTS_KEYEVENT) buf_append_cstr(out, "E");
    if (events & DB_MISS) buf_append_cstr(out, "m");
}

static const struct option notify_rows[] = {
    {"notify-keyspace-events", .type = OPTION_CUSTOM, .initial = "", .set = set_events, .get = get_events,
     .apply = apply_events},
    {NULL},
};

const struct module notify_module = {.options = notify_rows};
