/* Keyspace notifications: events of keys are published. The channel "__keyspace@<db>__:<key>" gets the names of the
 * events of a key, the channel "__keyevent@<db>__:<event>" the names of the keys that have the event. */
#pragma once
