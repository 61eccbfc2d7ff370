#include <syslog.h>
/* syslog.h and base/log.h both name levels LOG_...: only the facilities are of use here. */
enum {
    FACILITY_USER = LOG_USER,
    FACILITY_LOCAL0 = LOG_LOCAL0,
    FACILITY_LOCAL1 = LOG_LOCAL1,
    FACILITY_LOCAL2 = LOG_LOCAL2,
    FACILITY_LOCAL3 = LOG_LOCAL3,
    FACILITY_LOCAL4 = LOG_LOCAL4,
    FACILITY_LOCAL5 = LOG_LOCAL5,
    FACILITY_LOCAL6 = LOG_LOCAL6,
    FACILITY_LOCAL7 = LOG_LOCAL7,
};
#undef LOG_DEBUG
#undef LOG_NOTICE
#undef LOG_WARNING
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/notify.h"
#include "server/settings.h"
#include "store/db.h"
#include "store/evict.h"
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

struct settings settings;
static int level;
static bool background_purge;

bool settings_allow(int permission, bool local) {
    return permission == SETTINGS_YES || (permission == SETTINGS_LOCAL && local);
}

static bool apply_level(const char **error) {
    (void)error;
    log_set_level((enum log_level)level);
    return true;
}

static bool running; /* threads may be started */

static bool apply_background_purge(const char **error) {
    (void)error;
    if (running) alloc_background(background_purge);
    return true;
}

void settings_start_threads(void) {
    running = true;
    alloc_background(background_purge);
}

/* Whether entries keep a clock or a counter follows from the policy at once. */
static bool apply_policy(const char **error) {
    (void)error;
    evict_tick(clock_now_ms());
    return true;
}

static bool apply_locale(const char **error) {
    *error = "Invalid locale name";
    return setlocale(LC_COLLATE, settings.locale_collate) != NULL;
}

/* --- dir: the working directory itself is where the value is kept ---------------------------- */

static bool set_dir(const char *const *words, int count, const char **error) {
    (void)count;
    if (chdir(words[0]) == 0) return true;
    *error = strerror(errno);
    return false;
}

static void get_dir(struct buf *out) {
    char path[4096];
    buf_append_cstr(out, getcwd(path, sizeof path) ? path : "");
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
    if (letter == 'K') return SETTINGS_NOTIFY_KEYSPACE;
    if (letter == 'E') return SETTINGS_NOTIFY_KEYEVENT;
    if (letter == 'm') return DB_MISS;
    for (size_t i = 0; i < EVENT_LETTERS; i++) {
        if (event_letters[i].letter == letter) return event_letters[i].value;
    }
    return 0;
}

static bool set_events(const char *const *words, int count, const char **error) {
    (void)count;
    int events = 0;
    for (const char *p = words[0]; *p; p++) {
        int event = event_of(*p);
        if (!event) {
            *error = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
            return false;
        }
        events |= event;
    }
    settings.notify_events = events;
    return true;
}

static bool apply_events(const char **error) {
    (void)error;
    notify_apply();
    return true;
}

/* Normalised: A where all classes stand, then K, E, m. Beside A Redis shows no n, and neither does this. */
static void get_events(struct buf *out) {
    int events = settings.notify_events;
    bool all = (events & EVENTS_ALL) == EVENTS_ALL;
    if (all) buf_append_cstr(out, "A");
    for (size_t i = 0; !all && i < EVENT_LETTERS; i++) {
        if (events & event_letters[i].value) buf_append(out, &event_letters[i].letter, 1);
    }
    if (events & SETTINGS_NOTIFY_KEYSPACE) buf_append_cstr(out, "K");
    if (events & SETTINGS_NOTIFY_KEYEVENT) buf_append_cstr(out, "E");
    if (events & DB_MISS) buf_append_cstr(out, "m");
}

/* --- rows ------------------------------------------------------------------------------------ */

static const struct option_name levels[] = {{"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE}, {"notice", LOG_NOTICE},
                                            {"warning", LOG_WARNING}, {"nothing", LOG_NOTHING}, {NULL, 0}};

static const struct option_name facilities[] = {{"user", FACILITY_USER},     {"local0", FACILITY_LOCAL0},
                                                {"local1", FACILITY_LOCAL1}, {"local2", FACILITY_LOCAL2},
                                                {"local3", FACILITY_LOCAL3}, {"local4", FACILITY_LOCAL4},
                                                {"local5", FACILITY_LOCAL5}, {"local6", FACILITY_LOCAL6},
                                                {"local7", FACILITY_LOCAL7}, {NULL, 0}};

static const struct option_name permissions[] = {
    {"no", SETTINGS_NO}, {"yes", SETTINGS_YES}, {"local", SETTINGS_LOCAL}, {NULL, 0}};

static const struct option_name policies[] = {{"volatile-lru", EVICT_VOLATILE_LRU},
                                              {"volatile-lfu", EVICT_VOLATILE_LFU},
                                              {"volatile-random", EVICT_VOLATILE_RANDOM},
                                              {"volatile-ttl", EVICT_VOLATILE_TTL},
                                              {"allkeys-lru", EVICT_ALLKEYS_LRU},
                                              {"allkeys-lfu", EVICT_ALLKEYS_LFU},
                                              {"allkeys-random", EVICT_ALLKEYS_RANDOM},
                                              {"noeviction", EVICT_NOEVICTION},
                                              {NULL, 0}};

const struct option settings_rows[] = {
    {.name = "databases",
     .type = OPTION_INT,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.databases,
     .initial = "16",
     .min = 1,
     .max = INT32_MAX},
    {.name = "dir",
     .type = OPTION_CUSTOM,
     .flags = OPTION_PROTECTED | OPTION_DENY_LOADING,
     .set = set_dir,
     .get = get_dir},
    {.name = "loglevel",
     .type = OPTION_ENUM,
     .address = &level,
     .initial = "notice",
     .names = levels,
     .apply = apply_level},
    {.name = "logfile", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &settings.logfile, .initial = ""},
    {.name = "syslog-enabled",
     .type = OPTION_BOOL,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.syslog_enabled,
     .initial = "no"},
    {.name = "syslog-ident",
     .type = OPTION_STRING,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.syslog_ident,
     .initial = "redis"},
    {.name = "syslog-facility",
     .type = OPTION_ENUM,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.syslog_facility,
     .initial = "local0",
     .names = facilities},
    {.name = "always-show-logo",
     .type = OPTION_BOOL,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.always_show_logo,
     .initial = "no"},
    {.name = "enable-protected-configs",
     .type = OPTION_ENUM,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.enable_protected_configs,
     .initial = "no",
     .names = permissions},
    {.name = "enable-debug-command",
     .type = OPTION_ENUM,
     .flags = OPTION_IMMUTABLE,
     .address = &settings.enable_debug_command,
     .initial = "no",
     .names = permissions},
    {.name = "enable-module-command",
     .type = OPTION_ENUM,
     .flags = OPTION_IMMUTABLE | OPTION_PLANNED,
     .address = &settings.enable_module_command,
     .initial = "no",
     .names = permissions},
    {.name = "notify-keyspace-events",
     .type = OPTION_CUSTOM,
     .initial = "",
     .set = set_events,
     .get = get_events,
     .apply = apply_events},
    {.name = "jemalloc-bg-thread",
     .type = OPTION_BOOL,
     .address = &background_purge,
     .initial = "yes",
     .apply = apply_background_purge},
    {.name = "locale-collate",
     .type = OPTION_STRING,
     .address = &settings.locale_collate,
     .initial = "",
     .apply = apply_locale},
    {.name = "maxmemory-policy",
     .type = OPTION_ENUM,
     .address = &evict_options.policy,
     .initial = "noeviction",
     .names = policies,
     .apply = apply_policy},
    {.name = "lfu-log-factor",
     .type = OPTION_INT,
     .address = &evict_options.lfu_log_factor,
     .initial = "10",
     .max = INT32_MAX},
    {.name = "lfu-decay-time",
     .type = OPTION_INT,
     .address = &evict_options.lfu_decay_min,
     .initial = "1",
     .max = INT32_MAX},
    {.name = NULL},
};
