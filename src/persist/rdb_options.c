/* The directives that snapshots obey. */
#include "persist/rdb.h"
#include <unistd.h>

struct rdb_options rdb_options = {.compression = true, .checksum = true, .incremental_sync = true};

static const struct option_name sanitize_names[] = {{"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};

void rdb_load_delay(uint64_t keys) {
    int us = rdb_options.key_load_delay_us;
    if (us > 0) usleep((useconds_t)us);
    if (us < 0 && keys % (uint64_t)(-(int64_t)us) == 0) usleep(1);
}

const struct option rdb_rows[] = {
    {.name = "rdbcompression", .type = OPTION_BOOL, .address = &rdb_options.compression, .initial = "yes"},
    {.name = "rdbchecksum",
     .type = OPTION_BOOL,
     .flags = OPTION_IMMUTABLE,
     .address = &rdb_options.checksum,
     .initial = "yes"},
    {.name = "rdb-save-incremental-fsync",
     .type = OPTION_BOOL,
     .address = &rdb_options.incremental_sync,
     .initial = "yes"},
    {.name = "sanitize-dump-payload",
     .type = OPTION_ENUM,
     .address = &rdb_options.sanitize,
     .initial = "no",
     .names = sanitize_names},
    {.name = "rdb-key-save-delay",
     .type = OPTION_INT,
     .flags = OPTION_HIDDEN,
     .address = &rdb_options.key_save_delay_us,
     .initial = "0",
     .min = INT32_MIN,
     .max = INT32_MAX},
    {.name = "key-load-delay",
     .type = OPTION_INT,
     .flags = OPTION_HIDDEN,
     .address = &rdb_options.key_load_delay_us,
     .initial = "0",
     .min = INT32_MIN,
     .max = INT32_MAX},
    {.name = NULL},
};
