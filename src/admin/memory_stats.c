/* See memory_stats.h. STATS has the names and the order of Redis's fields, since tools read them; what kura has nothing
 * of is 0. The advice of DOCTOR is kura's own. */
#include "admin/memory_stats.h"
#include "admin/info_memory.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "ds/wheel.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/db.h"
#include <stdio.h>

#define LITTLE_BYTES ((size_t)5 << 20)   /* with less in use all ratios are those of the program, not of the data */
#define WASTE_BYTES ((size_t)10 << 20)   /* less waste than this is not worth a word */
#define CLIENT_BYTES ((size_t)200 << 10) /* a client of more has large buffers */
#define SCRIPTS 1000                     /* with more, texts are likely to be made by programs */

/* --- STATS ----------------------------------------------------------------------------------- */

static void reply_size(struct client *c, const char *name, size_t bytes) {
    reply_bulk_cstr(c, name);
    reply_int(c, (int64_t)bytes);
}

static double ratio_of(size_t part, size_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

static void reply_share(struct client *c, const char *name, size_t part, size_t whole) {
    reply_bulk_cstr(c, name);
    reply_double(c, 100 * ratio_of(part, whole));
}

/* How much larger `more` is than `less`, as a ratio and in bytes. */
static void reply_excess(struct client *c, const char *ratio, const char *bytes, size_t more, size_t less) {
    reply_bulk_cstr(c, ratio);
    reply_double(c, ratio_of(more, less));
    reply_bulk_cstr(c, bytes);
    reply_int(c, (int64_t)more - (int64_t)less);
}

static void reply_database(struct client *c, const struct db *db) {
    char name[24];
    snprintf(name, sizeof name, "db.%d", db->id);
    reply_bulk_cstr(c, name);
    reply_map(c, 3);
    reply_size(c, "overhead.hashtable.main", table_memory(&db->keys));
    reply_size(c, "overhead.hashtable.expires", db->wheel ? wheel_memory(db->wheel) : 0);
    reply_size(c, "overhead.hashtable.slot-to-keys", 0);
}

/* The keys of all databases. The databases that have some are replied as well, to a client that is not NULL. */
static size_t count_keys(struct client *c, size_t *databases) {
    size_t keys = 0;
    *databases = 0;
    for (int i = 0; i < db_count(); i++) {
        const struct db *db = db_at(i);
        if (db_size(db) == 0) continue;
        keys += db_size(db);
        ++*databases;
        if (c) reply_database(c, db);
    }
    return keys;
}

static void reply_parts(struct client *c, const struct info_memory *m) {
    reply_size(c, "peak.allocated", m->peak);
    reply_size(c, "total.allocated", m->used);
    reply_size(c, "startup.allocated", m->startup);
    reply_size(c, "replication.backlog", m->repl.backlog);
    reply_size(c, "clients.slaves", m->repl.of_feeds);
    reply_size(c, "clients.normal", m->clients);
    reply_size(c, "cluster.links", 0);
    reply_size(c, "aof.buffer", m->log);
    reply_size(c, "lua.caches", m->scripts.bytes);
    reply_size(c, "functions.caches", m->functions.bytes);
}

static void reply_data(struct client *c, const struct info_memory *m, size_t keys) {
    size_t grown = m->used > m->startup ? m->used - m->startup : 0;
    reply_size(c, "overhead.total", m->overhead);
    reply_size(c, "keys.count", keys);
    reply_size(c, "keys.bytes-per-key", keys ? grown / keys : 0);
    reply_size(c, "dataset.bytes", m->data);
    reply_share(c, "dataset.percentage", m->data, grown);
    reply_share(c, "peak.percentage", m->used, m->peak);
}

static void reply_heap(struct client *c, const struct info_memory *m) {
    const struct alloc_metrics *heap = &m->heap;
    reply_size(c, "allocator.allocated", heap->allocated);
    reply_size(c, "allocator.active", heap->active);
    reply_size(c, "allocator.resident", heap->resident);
    reply_excess(c, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes", heap->active, heap->allocated);
    reply_excess(c, "allocator-rss.ratio", "allocator-rss.bytes", heap->resident, heap->active);
    reply_excess(c, "rss-overhead.ratio", "rss-overhead.bytes", m->resident, heap->resident);
    reply_excess(c, "fragmentation", "fragmentation.bytes", m->resident, m->used);
}

void memory_stats_command(struct request *r) {
    struct client *c = r->client;
    struct info_memory m;
    info_memory_read(&m, 0);
    size_t databases, keys = count_keys(NULL, &databases);
    reply_map(c, 27 + databases);
    reply_parts(c, &m);
    count_keys(c, &databases);
    reply_data(c, &m, keys);
    reply_heap(c, &m);
}

/* --- DOCTOR ---------------------------------------------------------------------------------- */

static bool is_waste(size_t more, size_t less, double ratio) {
    return more > less + WASTE_BYTES && (double)more > ratio * (double)less;
}

static bool was_larger(const struct info_memory *m) {
    return is_waste(m->peak, m->used, 1.5);
}

static bool is_fragmented(const struct info_memory *m) {
    return is_waste(m->heap.active, m->heap.allocated, 1.1);
}

static bool keeps_pages(const struct info_memory *m) {
    return is_waste(m->heap.resident, m->heap.active, 1.1);
}

static bool has_other_pages(const struct info_memory *m) {
    return m->heap.resident > 0 && is_waste(m->resident, m->heap.resident, 1.1);
}

static bool has_large_clients(const struct info_memory *m) {
    return m->clients / (client_count() + 1) > CLIENT_BYTES;
}

static bool has_many_scripts(const struct info_memory *m) {
    return m->scripts.scripts > SCRIPTS;
}

static const struct symptom {
    bool (*is_there)(const struct info_memory *m);
    const char *advice;
} symptoms[] = {
    {was_larger,
     "Peak: much more memory was in use at some time than is now. The process may keep some of it, so that\n"
     "the figures below look worse than they are. New data will fill it again; MEMORY PURGE returns it.\n"},
    {is_fragmented,
     "Fragmentation: the allocator's pages are far from full, since values of many sizes came and went.\n"
     "Rewriting the data, or a restart from a snapshot, packs them again.\n"},
    {keeps_pages,
     "Kept pages: the allocator holds pages that are in use for nothing. It returns them to the kernel by\n"
     "and by; MEMORY PURGE does so at once.\n"},
    {has_other_pages, "Other pages: the process has much memory that is not the allocator's. A snapshot that is being\n"
                      "written, large transactions in flight and shared libraries are the usual reasons.\n"},
    {has_large_clients,
     "Clients: their buffers take more than 200 kB each on average. Look for the largest omem and qbuf\n"
     "in CLIENT LIST; client-output-buffer-limit and client-query-buffer-limit bound them.\n"},
    {has_many_scripts,
     "Scripts: more than 1000 are cached, and those of SCRIPT LOAD stay until SCRIPT FLUSH. What differs from\n"
     "call to call belongs into KEYS and ARGV: each text is a script of its own.\n"},
};

void memory_stats_doctor(struct request *r) {
    struct info_memory m;
    struct buf text = {0};
    info_memory_read(&m, 0);
    if (m.used < LITTLE_BYTES) {
        buf_append_cstr(&text, "There is too little data to judge by: less than 5 MB is in use.\n");
    } else {
        for (size_t i = 0; i < sizeof symptoms / sizeof *symptoms; i++)
            if (symptoms[i].is_there(&m)) buf_append_cstr(&text, symptoms[i].advice);
        if (text.len == 0) buf_append_cstr(&text, "Nothing is wrong with the memory.\n");
    }
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}

/* --- The allocator --------------------------------------------------------------------------- */

static void append_part(void *ctx, const char *text) {
    buf_append_cstr(ctx, text);
}

void memory_stats_malloc(struct request *r) {
    struct buf text = {0};
    if (alloc_report(append_part, &text)) {
        reply_verbatim(r->client, buf_slice(&text), "txt");
    } else {
        reply_bulk_cstr(r->client, "Stats not supported for the current allocator");
    }
    buf_free(&text);
}

void memory_stats_purge(struct request *r) {
    alloc_purge();
    reply_ok(r->client);
}
