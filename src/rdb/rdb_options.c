/* The options of snapshots. */
#include "base/module.h"
#include "base/option.h"
#include "rdb/rdb.h"
#include <unistd.h>

struct rdb_options rdb_options = {.compression = true, .checksum = true, .incremental_sync = true};

void rdb_load_delay(uint64_t keys) {
    int us = rdb_options.key_load_delay_us;
    if (us > 0) usleep((useconds_t)us);
    if (us < 0 && keys % (uint64_t)(-(int64_t)us) == 0) usleep(1);
}

static const struct option rdb_rows[] = {
    {"rdbcompression", .type = OPTION_BOOL, .address = &rdb_options.compression, .initial = "yes"},
    {"rdbchecksum", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &rdb_options.checksum, .initial = "yes"},
    {"rdb-save-incremental-fsync", .type = OPTION_BOOL, .address = &rdb_options.incremental_sync, .initial = "yes"},
    {"rdb-key-save-delay", .type = OPTION_INT, .flags = OPTION_HIDDEN, .address = &rdb_options.key_save_delay_us,
     .initial = "0", .min = INT32_MIN},
    {"key-load-delay", .type = OPTION_INT, .flags = OPTION_HIDDEN, .address = &rdb_options.key_load_delay_us,
     .initial = "0", .min = INT32_MIN},
    {NULL},
};

const struct module rdb_options_module = {.options = rdb_rows};
