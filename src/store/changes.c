/* A hook of the store is set if and only if at least one registered listener has it. A listener registers when it gets
 * its first user (a WATCH, a subscription while events are on, a blocked client), and removes itself with the last. */
#include "store/changes.h"

static const struct db_hooks *listeners[CHANGES_LISTENERS];

static void changes_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    for (int i = 0; i < CHANGES_LISTENERS; i++)
        if (listeners[i] && listeners[i]->changed) listeners[i]->changed(db, key, class, event);
}

static void changes_expired(struct db *db, const struct key *key) {
    for (int i = 0; i < CHANGES_LISTENERS; i++)
        if (listeners[i] && listeners[i]->expired) listeners[i]->expired(db, key);
}

static void changes_evicted(struct db *db, const struct key *key) {
    for (int i = 0; i < CHANGES_LISTENERS; i++)
        if (listeners[i] && listeners[i]->evicted) listeners[i]->evicted(db, key);
}

static void changes_flushed(struct db *db) {
    for (int i = 0; i < CHANGES_LISTENERS; i++)
        if (listeners[i] && listeners[i]->flushed) listeners[i]->flushed(db);
}

static void changes_emptied(void) {
    for (int i = 0; i < CHANGES_LISTENERS; i++)
        if (listeners[i] && listeners[i]->emptied) listeners[i]->emptied();
}

static void changes_swapped(struct db *one, struct db *other) {
    for (int i = 0; i < CHANGES_LISTENERS; i++) {
        const struct db_hooks *l = listeners[i];
        if (l && l->swapped) {
            l->swapped(one, other);
        } else if (l && l->flushed) {
            l->flushed(one);
            l->flushed(other);
        }
    }
}

static void changes_replaced(struct db *db, const struct db *by) {
    for (int i = 0; i < CHANGES_LISTENERS; i++) {
        const struct db_hooks *l = listeners[i];
        if (l && l->replaced)
            l->replaced(db, by);
        else if (l && l->flushed)
            l->flushed(db);
    }
}

void changes_listen(enum changes_listener listener, const struct db_hooks *hooks) {
    listeners[listener] = hooks;
    db_hooks = (struct db_hooks){0};
    for (int i = 0; i < CHANGES_LISTENERS; i++) {
        const struct db_hooks *l = listeners[i];
        if (l == NULL) continue;
        if (l->changed) db_hooks.changed = changes_changed;
        if (l->expired) db_hooks.expired = changes_expired;
        if (l->evicted) db_hooks.evicted = changes_evicted;
        if (l->flushed) db_hooks.flushed = changes_flushed;
        if (l->emptied) db_hooks.emptied = changes_emptied;
        if (l->flushed || l->swapped) db_hooks.swapped = changes_swapped;
        if (l->flushed || l->replaced) db_hooks.replaced = changes_replaced;
    }
}
