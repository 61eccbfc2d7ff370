/* See children.h. While a child lives, every page that the parent writes to is copied. So what only makes the parent
 * faster, tables that change their size and access times, has to wait. */
#include "durable/children.h"
#include "aof/aof.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "disk/child.h"
#include "ds/table.h"
#include "exec/propagate.h"
#include "process/process.h"
#include "store/evict.h"
#include <stddef.h>

static char *rewrite_cpus, *bgsave_cpus; /* aof_rewrite_cpulist, bgsave_cpulist */
static void (*on_change)(void);

static void child_begins(enum child_kind kind) {
    propagate_attach(NULL, NULL);
    if (kind == CHILD_AOF)
        process_become_child("kura-aof-rewrite", rewrite_cpus);
    else
        process_become_child(kind == CHILD_RDB ? "kura-rdb-bgsave" : "kura-rdb-to-slaves", bgsave_cpus);
}

static void child_comes_or_goes(bool lives) {
    table_set_resizing(!lives);
    evict_freeze(lives);
    on_change();
}

void children_watch(void (*changed)(void)) {
    on_change = changed;
    child_inside = child_begins;
    child_changed = child_comes_or_goes;
}

bool children_end(bool force) {
    enum child_kind child = child_running();
    if (child == CHILD_AOF && aof_status().state == AOF_WAITING) {
        log_warning(force ? "Writing initial AOF. Exit anyway." : "Writing initial AOF, can't exit.");
        if (!force) return false;
    }
    if (child == CHILD_RDB) log_warning("There is a child saving an .rdb. Killing it!");
    if (child == CHILD_AOF) log_warning("There is a child rewriting the AOF. Killing it!");
    child_kill();
    return true;
}

static const struct option children_rows[] = {
    {"aof_rewrite_cpulist", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &rewrite_cpus, .initial = ""},
    {"bgsave_cpulist", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &bgsave_cpus, .initial = ""},
    {NULL},
};

const struct module children_module = {.options = children_rows};
