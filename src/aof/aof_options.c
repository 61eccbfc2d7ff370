/* The options that the append-only file itself obeys. `appendonly` and `appendfsync`, which do more than set a value,
 * belong to durable/durability. */
#include "aof/aof.h"
#include "aof/aof_load.h"
#include "aof/aof_write.h"
#include "base/module.h"
#include "base/option.h"
#include <string.h>

static bool is_name(const char *name, const char *if_empty, const char *if_path, const char **error) {
    if (name == NULL || (name[0] && strchr(name, '/') == NULL)) return true; /* NULL: not read yet */
    *error = name[0] ? if_path : if_empty;
    return false;
}

static bool check_names(const char **error) {
    return is_name(aof_options.filename, "appendfilename can't be empty",
                   "appendfilename can't be a path, just a filename", error) &&
           is_name(aof_options.dirname, "appenddirname can't be empty", "appenddirname can't be a path, just a dirname",
                   error);
}

static bool apply_keep_history(const char **error) {
    (void)error;
    aof_remove_history();
    return true;
}

static bool apply_checksums(const char **error) {
    (void)error;
    aof_fit_increment();
    return true;
}

static const struct option aof_rows[] = {
    {"appendfilename", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &aof_options.filename,
     .initial = "appendonly.aof", .apply = check_names},
    {"appenddirname", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &aof_options.dirname,
     .initial = "appendonlydir", .apply = check_names},
    {"no-appendfsync-on-rewrite", .type = OPTION_BOOL, .address = &aof_write_options.no_sync_meanwhile,
     .initial = "no"},
    {"auto-aof-rewrite-percentage", .type = OPTION_INT, .address = &aof_options.rewrite_percent, .initial = "100"},
    {"auto-aof-rewrite-min-size", .type = OPTION_MEMORY, .address = &aof_options.rewrite_min_size,
     .initial = "67108864"},
    {"aof-load-truncated", .type = OPTION_BOOL, .address = &aof_options.load_truncated, .initial = "yes"},
    {"aof-use-rdb-preamble", .type = OPTION_BOOL, .address = &aof_options.base_is_rdb, .initial = "yes"},
    {"aof-timestamp-enabled", .type = OPTION_BOOL, .address = &aof_write_options.timestamps, .initial = "no"},
    {"aof-checksums", .type = OPTION_BOOL, .address = &aof_write_options.checksums, .initial = "yes",
     .apply = apply_checksums},
    {"aof-rewrite-incremental-fsync", .type = OPTION_BOOL, .address = &aof_options.incremental_sync, .initial = "yes"},
    {"aof-disable-auto-gc", .type = OPTION_BOOL, .address = &aof_options.keep_history, .initial = "no",
     .apply = apply_keep_history},
    {NULL},
};

const struct module aof_options_module = {.options = aof_rows};
