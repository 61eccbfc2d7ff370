/* Keyspace notifications: what happens to keys, published to channels: "__keyspace@<db>__:<key>" gets the events of a
 * key, "__keyevent@<db>__:<event>" the keys of an event. */
#pragma once
#include "base/option.h"

extern const struct option notify_rows[]; /* notify-keyspace-events */
