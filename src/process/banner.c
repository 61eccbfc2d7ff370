/* See banner.h. Invariant: the words of the lines are Redis's, since tools that start a server wait for them and read
 * the version in them; kura's own name and version stand in addition, never in their place. */
#include "process/banner.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/version.h"
#include "process/listen.h"
#include "process/process.h"
#include <stdio.h>
#include <unistd.h>

static bool always_show; /* show the picture even if the log does not go to a terminal */

void banner_starting(const char *program, bool configured) {
    log_notice("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    log_notice("Redis version=%s, bits=64, commit=00000000, modified=0, pid=%d, just started", VERSION_REDIS,
               (int)getpid());
    log_notice("kura version=%s", VERSION_KURA);
    if (configured)
        log_notice("Configuration loaded");
    else
        log_warning("Warning: no config file specified, using the default config. In order to specify a config file "
                    "use %s /path/to/redis.conf",
                    program);
}

/* A kura is a storehouse. The fields of text are those of Redis's logo. */
static const char picture[] = "\n"
                              "                 /\\\n"
                              "              __/  \\__\n"
                              "           __/  ____  \\__           kura %s (Redis %s) 64 bit\n"
                              "        __/____|    |____\\__\n"
                              "       /____________________\\        Running in standalone mode\n"
                              "         |  __   __   __  |          Port: %d\n"
                              "         | |  | |  | |  | |          PID: %d\n"
                              "         | |__| |__| |__| |\n"
                              "         |      ____      |\n"
                              "         |     | ## |     |\n"
                              "   ______|_____|____|_____|______\n\n";

void banner_show(void) {
    bool terminal = log_is_on_screen() && !process_is_daemon() && isatty(STDOUT_FILENO);
    if (!always_show && !terminal) {
        log_notice("Running mode=standalone, port=%d.", listen_port());
        return;
    }
    char text[1024];
    snprintf(text, sizeof text, picture, VERSION_KURA, VERSION_REDIS, listen_port(), (int)getpid());
    log_raw(text);
}

static const struct option banner_rows[] = {
    {"always-show-logo", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &always_show, .initial = "no"},
    {NULL},
};

const struct module banner_module = {.options = banner_rows};
