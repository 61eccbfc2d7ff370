/* Commands for the file, on the way that they have in the server: through the log. Between MULTI and EXEC a unit is
 * open. */
#pragma once
#include "aof/aof_write.h"
#include "oplog/oplog.h"
#include <stdbool.h>

static inline void lab_append(int db_id, const struct slice *argv, int argc) {
    static bool in_unit;
    if (!aof_write_is_open()) return;
    aof_write_take(db_id);
    oplog_append(db_id, argv, argc, slice_of(NULL, 0));
    if (argc == 1 && slice_is(argv[0], "multi")) in_unit = true;
    if (argc == 1 && slice_is(argv[0], "exec")) in_unit = false;
    if (in_unit) return;
    oplog_end_unit();
    aof_write_end_unit();
}
