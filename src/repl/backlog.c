/* See backlog.h. Invariant: while the log is not kept for replicas, no place is kept. A place is a cursor, so the log
 * itself holds what follows it; the list is short, and looked through once a second. */
#include "repl/backlog.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "conf/config.h"
#include "exec/propagate.h"
#include "repl/history.h"
#include "repl/link.h"
#include "session/limits.h"
#include <string.h>

#define SIZE_MIN 16384 /* CONFIG SET raises a smaller size to this one, as in Redis */
#define PLACES_MAX 256 /* the oldest goes first: a replica that comes back each time under another name gets no more */

struct place {
    struct place *next; /* a newer one comes first */
    struct oplog_cursor cursor;
    int64_t since_ms, soft_since_ms; /* clock_steady_ms(); soft_since_ms 0: not above the soft limit */
    char *name;
};

static struct {
    int64_t size; /* repl-backlog-size */
    int64_t ttl_s;
    bool is_fixed;          /* the size was set, so it alone decides */
    int64_t alone_since_ms; /* clock_steady_ms() since when there is no replica; 0: there is one */
    struct place *places;
    size_t count, memory;
} backlog;

int64_t backlog_size(void) {
    return backlog.size;
}

bool backlog_is_kept(void) {
    return oplog_is_kept & OPLOG_BACKLOG;
}

bool backlog_keeps_places(void) {
    return !backlog.is_fixed;
}

/* --- Its beginning and end ------------------------------------------------------------------- */

void backlog_start(bool renew) {
    if (backlog_is_kept()) return;
    if (renew) history_renew();
    propagate_want(PROPAGATE_STREAM, true);
    oplog_id = history.id;
    backlog_touch();
    if (renew)
        log_notice("Replication backlog created, my new replication IDs are '%s' and '%s'", history.id,
                   history.former_id);
}

static void backlog_end(void) {
    backlog_drop_places();
    propagate_want(PROPAGATE_STREAM, false);
    history_renew();
    oplog_id = NULL;
    log_notice("Replication backlog freed after %lld seconds without connected replicas.", (long long)backlog.ttl_s);
}

void backlog_touch(void) {
    backlog.alone_since_ms = clock_steady_ms();
}

static bool is_ripe(int64_t now_ms) {
    return backlog.ttl_s && now_ms - backlog.alone_since_ms > backlog.ttl_s * 1000;
}

/* --- Limits ---------------------------------------------------------------------------------- */

static int64_t at_least_backlog(int64_t limit) {
    return limit && limit < backlog.size ? backlog.size : limit;
}

struct backlog_limits backlog_limits(void) {
    const struct limits_output *l = &limits_options.output_limit[LIMITS_REPLICA];
    return (struct backlog_limits){at_least_backlog(l->hard), at_least_backlog(l->soft), (int64_t)l->soft_s * 1000};
}

/* --- Places ---------------------------------------------------------------------------------- */

static size_t place_bytes(const struct place *place) {
    return sizeof *place + strlen(place->name) + 1;
}

static void free_place(struct place **at) {
    struct place *place = *at;
    *at = place->next;
    oplog_leave(&place->cursor);
    backlog.memory -= place_bytes(place);
    backlog.count--;
    alloc_put_string(place->name);
    alloc_put(place, sizeof *place);
}

static struct place **last_place(void) {
    struct place **at = &backlog.places;
    while ((*at)->next)
        at = &(*at)->next;
    return at;
}

void backlog_keep_place(const char *name, struct oplog_cursor *cursor) {
    backlog_drop_place(name);
    if (backlog.count == PLACES_MAX) free_place(last_place());
    struct place *place = alloc_zero(sizeof *place);
    oplog_seek(&place->cursor, oplog_at(cursor));
    oplog_leave(cursor);
    place->name = alloc_copy_string(name);
    place->since_ms = clock_steady_ms();
    place->next = backlog.places;
    backlog.places = place;
    backlog.count++;
    backlog.memory += place_bytes(place);
}

void backlog_drop_place(const char *name) {
    for (struct place **at = &backlog.places; *at; at = &(*at)->next) {
        if (strcmp((*at)->name, name) != 0) continue;
        free_place(at);
        return;
    }
}

void backlog_drop_places(void) {
    while (backlog.places)
        free_place(&backlog.places);
}

size_t backlog_memory(void) {
    return backlog.memory;
}

/* Why the place is not kept any longer, or NULL. */
static const char *end_of_place(struct place *place, int64_t now_ms) {
    struct backlog_limits limits = backlog_limits();
    int64_t behind = (int64_t)oplog_behind(&place->cursor);
    if (now_ms - place->since_ms > (int64_t)link_options.timeout_s * 1000) return "it was away for repl-timeout";
    if (limits.hard && behind > limits.hard) return "client-output-buffer-limit replica is reached";
    if (limits.soft == 0 || behind <= limits.soft) {
        place->soft_since_ms = 0;
        return NULL;
    }
    if (place->soft_since_ms == 0) place->soft_since_ms = now_ms;
    bool is_over = now_ms - place->soft_since_ms > limits.soft_ms;
    return is_over ? "the soft limit of client-output-buffer-limit replica is reached" : NULL;
}

static void drop_old_places(int64_t now_ms) {
    for (struct place **at = &backlog.places; *at;) {
        const char *why = end_of_place(*at, now_ms);
        if (why == NULL) {
            at = &(*at)->next;
            continue;
        }
        log_notice("The place of replica %s in the log is given up with %zu bytes behind it: %s.", (*at)->name,
                   oplog_behind(&(*at)->cursor), why);
        free_place(at);
    }
}

void backlog_tick(size_t replicas, bool leads) {
    int64_t now_ms = clock_steady_ms();
    drop_old_places(now_ms);
    if (replicas || !leads || !backlog_is_kept())
        backlog_touch();
    else if (is_ripe(now_ms))
        backlog_end();
}

/* --- Options --------------------------------------------------------------------------------- */

static bool apply_size(const char **error) {
    (void)error;
    if (backlog.size < SIZE_MIN && !config_is_starting()) backlog.size = SIZE_MIN;
    backlog.is_fixed = true;
    backlog_drop_places();
    oplog_keep((size_t)backlog.size);
    return true;
}

static void backlog_begin(void) {
    oplog_keep((size_t)backlog.size);
}

static const struct option backlog_rows[] = {
    {"repl-backlog-size", .type = OPTION_MEMORY, .address = &backlog.size, .initial = "1048576", .min = 1,
     .apply = apply_size},
    {"repl-backlog-ttl", .type = OPTION_I64, .address = &backlog.ttl_s, .initial = "3600"},
    {NULL},
};

const struct module backlog_module = {.options = backlog_rows, .start = backlog_begin};
