/* Keyspace notifications: what happens to keys, published to channels: "__keyspace@<db>__:<key>" gets the events of a
 * key, "__keyevent@<db>__:<event>" the keys of an event. */
#pragma once

/* The classes of events that are published (settings.notify_events) have changed. Nothing listens while there are none. */
void notify_apply(void);
