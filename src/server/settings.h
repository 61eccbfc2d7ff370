/* Options that no other module obeys alone: where the server works and logs, and who may ask for what is dangerous. */
#pragma once
#include "base/option.h"
#include <stddef.h>

enum settings_permission { SETTINGS_NO, SETTINGS_YES, SETTINGS_LOCAL };

struct settings {
    int databases;
    bool always_show_logo;
    int enable_debug_command; /* enum settings_permission, these three */
    int enable_module_command;
    int enable_protected_configs;
    int notify_events; /* notify-keyspace-events: enum db_class and the two below */
    char *logfile, *syslog_ident;
    bool syslog_enabled;
    int syslog_facility;
    char *locale_collate;
};
#define SETTINGS_NOTIFY_KEYSPACE (1 << 30) /* K */
#define SETTINGS_NOTIFY_KEYEVENT (1 << 29) /* E */

extern struct settings settings;
extern const struct option settings_rows[];

/* Is somebody who is on this machine, or not, allowed what the permission is for? */
bool settings_allow(int permission, bool local);

/* Once the process has gone to the background, if it does: start the threads that options ask for. */
void settings_start_threads(void);
