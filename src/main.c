/* Arguments, the list of modules, configuration, the start of the server, the loop. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "base/version.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "check/check_aof.h"
#include "check/check_rdb.h"
#include "conf/config.h"
#include "conf/config_file.h"
#include "disk/temp_file.h"
#include "durable/durability.h"
#include "net/conn.h"
#include "net/loop.h"
#include "process/banner.h"
#include "process/crash.h"
#include "process/cron.h"
#include "process/listen.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "repl/role.h"
#include "script/cache.h"
#include "script/functions.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int databases;

static const struct option main_rows[] = {
    {"databases", .type = OPTION_INT, .flags = OPTION_IMMUTABLE, .address = &databases, .initial = "16", .min = 1},
    {NULL},
};
const struct module main_module = {.options = main_rows};

#define MODULE(name) extern const struct module name##_module;
#include "modules.def"
#undef MODULE

#define MODULE(name) &name##_module,
static const struct module *const modules[] = {
#include "modules.def"
};
#undef MODULE

#define COUNT(list) (sizeof list / sizeof list[0])

/* In Redis's form behind our name: tools that start a server read its version as "v=" or as the first number. */
static int print_version(void) {
    printf("kura, as Redis server v=%s sha=00000000:0 malloc=%s bits=64 build=kura-%s\n", VERSION_REDIS,
           alloc_library(), VERSION_KURA);
    return 0;
}

static int print_usage(void) {
    fputs("Usage: kura-server [/path/to/redis.conf] [options] [-]\n"
          "       kura-server - (read config from stdin)\n"
          "       kura-server -v or --version\n"
          "       kura-server -h or --help\n\n"
          "Examples:\n"
          "       kura-server (run the server with default conf)\n"
          "       echo 'maxmemory 128mb' | kura-server -\n"
          "       kura-server redis-compat.conf\n"
          "       kura-server --port 7777 --bind 127.0.0.1 ::1\n"
          "       kura-server /etc/myredis.conf --loglevel verbose\n",
          stderr);
    return 1;
}

/* Words that are commands to the program rather than configuration. Returns the exit status, or -1 to go on. */
static int run_special(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    if (strstr(name, "check-aof")) return check_aof_main(argc, argv);
    if (strstr(name, "check-rdb")) return check_rdb_main(argc, argv);
    if (argc != 2 && !(argc > 1 && strcmp(argv[1], "--test-memory") == 0)) return -1;
    const char *word = argv[1];
    if (strcmp(word, "-v") == 0 || strcmp(word, "--version") == 0) return print_version();
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) return print_usage();
    if (strcmp(word, "--test-memory") == 0) {
        fputs("kura has no memory test: use memtest86 or memtester, which can do it properly\n", stderr);
        return 1;
    }
    return -1;
}

/* A file's name may stand first; "-" first or last is standard input. */
static void read_configuration(int argc, char **argv) {
    int first = 1, last = argc;
    const char *file = NULL;
    bool from_stdin = false;
    if (first < last && argv[first][0] != '-') file = argv[first++];
    if (first < last && strcmp(argv[first], "-") == 0) {
        from_stdin = true;
        first++;
    }
    if (first < last && strcmp(argv[last - 1], "-") == 0) {
        from_stdin = true;
        last--;
    }
    config_load(file, from_stdin, last - first, argv + first);
}

static void open_log(void) {
    if (log_start()) return;
    fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\nCan't open the log file: %s\n", VERSION_REDIS,
            strerror(errno));
    exit(1);
}

/* Nothing here depends on the configuration. */
static void start_base(void) {
    setlocale(LC_COLLATE, "");
    tzset();
    clock_init();
    rand_init();
    hash_init();
    for (size_t i = 0; i < COUNT(modules); i++) {
        const struct module *m = modules[i];
        if (m->options) config_register(m->options);
        if (m->commands) catalog_register(m->commands);
        if (m->part) client_register(m->part);
    }
    catalog_ready();
}

/* The process is the one that stays: threads, sockets and the like may come now. */
static void start_server(void) {
    shutdown_watch_signals();
    crash_watch();
    limits_fit_files();
    worker_start();
    if (!loop_init((int)limits_options.max_clients + LIMITS_RESERVED_FDS)) {
        log_warning("Failed creating the event loop. Error message: '%s'", strerror(errno));
        exit(1);
    }
    clock_update();
    server_metrics.started_s = clock_now_ms() / 1000;
    server_metrics.started_ms = clock_steady_ms();
    db_init(databases);
    conn_prepare();
    for (size_t i = 0; i < COUNT(modules); i++)
        if (modules[i]->start) modules[i]->start();
}

int main(int argc, char **argv) {
    int status = run_special(argc, argv);
    if (status >= 0) return status;
    process_init(argc, argv);
    start_base();
    read_configuration(argc, argv);
    open_log();
    process_settle();
    banner_starting(argv[0], argc > 1);
    start_server();
    banner_show();
    config_started();
    log_notice("Server initialized");
    durability_start();
    role_start();
    listen_announce();
    process_notify("STATUS=Ready to accept connections\nREADY=1\n");
    loop_run(cron_turn);
    shutdown_finish();
#ifdef KURA_LIBC_ALLOC
    /* A leak checker cannot follow the tables' tagged pointers. */
    while (client_first)
        client_close(client_first);
    client_reap();
    cache_flush(false);
    functions_flush(false);
    db_shutdown();
#endif
    worker_stop();
    temp_file_abandon(); /* of a snapshot that was being received */
    return 0;
}
