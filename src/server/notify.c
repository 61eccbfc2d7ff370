#include "server/notify.h"
#include "base/buf.h"
#include "server/pubsub.h"
#include "server/settings.h"
#include "store/changes.h"

/* "<prefix><db>__:<topic>" gets the message. */
static void publish(const char *prefix, int db_id, struct slice topic, struct slice message) {
    static struct buf channel; /* is grown a few times, and stays */
    channel.len = 0;
    buf_append_cstr(&channel, prefix);
    buf_append_i64(&channel, db_id);
    buf_append_cstr(&channel, "__:");
    buf_append_slice(&channel, topic);
    pubsub_publish(PUBSUB_CHANNEL, buf_slice(&channel), message, NULL);
}

static void changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    unsigned events = (unsigned)settings.notify_events;
    if (pubsub_keyspace_topics == 0 || !(events & class)) return;
    if (events & SETTINGS_NOTIFY_KEYSPACE) publish("__keyspace@", db->id, key->name, slice_cstr(event));
    if (events & SETTINGS_NOTIFY_KEYEVENT) publish("__keyevent@", db->id, slice_cstr(event), key->name);
}

void notify_apply(void) {
    static const struct db_hooks hooks = {.changed = changed};
    bool wanted = settings.notify_events & (SETTINGS_NOTIFY_KEYSPACE | SETTINGS_NOTIFY_KEYEVENT);
    changes_listen(CHANGES_NOTIFY, wanted ? &hooks : NULL);
}
