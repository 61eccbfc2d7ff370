/* A key becomes one command, or several of up to ITEMS_A_COMMAND items, so that no reader needs much memory for a
 * command. A stream becomes a command for each entry, group and consumer. PEXPIREAT follows if the key has a deadline.
 * Libraries of functions come before all keys: what is written behind the base may call them.
 * The output is in frames (aof_frame.h), unless aof-checksums is off. */
#include "aof/aof_rewrite.h"
#include "aof/aof_frame.h"
#include "aof/aof_place.h"
#include "aof/aof_write.h"
#include "base/buf.h"
#include "base/clock.h"
#include "disk/child.h"
#include "disk/files.h"
#include "ds/quicklist.h"
#include "net/resp.h"
#include "oplog/oplog.h"
#include "rdb/rdb_functions.h"
#include "store/db.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/stream.h"
#include "store/string.h"
#include "store/zset.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ITEMS_A_COMMAND 64
#define WRITE_AT (1 << 20) /* bytes of a frame */
#define STREAM_ID_TEXT (2 * NUM_I64_MAX)
#define SYNC_EVERY (4 << 20) /* bytes */

struct rewriting {
    int fd;
    bool incremental_sync;
    struct buf out; /* room for the annotation, then the commands of a frame */
    uint64_t written, synced;
    size_t keys;
    int error;
    /* The command being collected. Its items wait, because their number comes first. */
    struct slice verb, key;
    struct buf items;
    int count; /* words in `items` */
};

/* --- Output ---------------------------------------------------------------------------------- */

static void begin_block(struct rewriting *w) {
    w->out.len = 0;
    buf_reserve(&w->out, AOF_FRAME_LINE);
    w->out.len = AOF_FRAME_LINE;
}

static void write_block(struct rewriting *w) {
    if (w->out.len > AOF_FRAME_LINE && !w->error) {
        size_t unused = aof_write_options.checksums ? 0 : AOF_FRAME_LINE;
        if (!unused) aof_frame_print(w->out.data, w->out.data + AOF_FRAME_LINE, w->out.len - AOF_FRAME_LINE);
        if (!files_write_all(w->fd, w->out.data + unused, w->out.len - unused)) w->error = errno;
        w->written += w->out.len - unused;
        if (!w->error && w->incremental_sync && w->written - w->synced >= SYNC_EVERY) {
            if (fdatasync(w->fd) < 0) w->error = errno;
            w->synced = w->written;
        }
    }
    begin_block(w);
}

static void end_command(struct rewriting *w) {
    if (w->count == 0) return;
    resp_put_header(&w->out, '*', 2 + w->count);
    resp_put_word(&w->out, w->verb);
    resp_put_word(&w->out, w->key);
    buf_append_slice(&w->out, buf_slice(&w->items));
    w->items.len = 0;
    w->count = 0;
    if (w->out.len >= WRITE_AT) write_block(w);
}

static void add_item(struct rewriting *w, struct slice item) {
    if (w->count == ITEMS_A_COMMAND) end_command(w);
    resp_put_word(&w->items, item);
    w->count++;
}

static void add_pair(struct rewriting *w, struct slice a, struct slice b) {
    if (w->count == ITEMS_A_COMMAND * 2) end_command(w);
    resp_put_word(&w->items, a);
    resp_put_word(&w->items, b);
    w->count += 2;
}

/* --- Values ---------------------------------------------------------------------------------- */

static void write_string(struct rewriting *w, const struct entry *e) {
    char digits[NUM_I64_MAX];
    w->verb = SLICE("SET");
    add_item(w, string_bytes(e, digits));
}

static void write_list(struct rewriting *w, const struct entry *e) {
    struct list_view view;
    struct quicklist_iter it;
    char digits[NUM_I64_MAX];
    w->verb = SLICE("RPUSH");
    for (bool more = quicklist_start(&it, list_read(e, &view), 0); more; more = quicklist_next(&it))
        add_item(w, listpack_value_text(quicklist_get(&it), digits));
    quicklist_stop(&it);
}

static void write_set(struct rewriting *w, const struct entry *e) {
    struct set_iter it;
    struct listpack_value member;
    char digits[NUM_I64_MAX];
    w->verb = SLICE("SADD");
    set_iter_init(&it, e);
    while (set_iter_next(&it, &member))
        add_item(w, listpack_value_text(member, digits));
}

static void write_hash(struct rewriting *w, const struct entry *e) {
    struct fieldmap_iter it;
    struct field_pair pair;
    w->verb = SLICE("HMSET");
    fieldmap_iter_init(&it, e);
    while (fieldmap_iter_next(&it, &pair))
        add_pair(w, pair.name, pair.value);
}

static void write_zset(struct rewriting *w, const struct entry *e) {
    struct zset_walk walk;
    char digits[NUM_F64_MAX];
    w->verb = SLICE("ZADD");
    zset_walk_from(&walk, e, 0);
    while (zset_walk_next(&walk))
        add_pair(w, slice_of(digits, (size_t)num_print_f64(digits, walk.score)), walk.member);
}

/* --- Streams --------------------------------------------------------------------------------- */

static struct slice print_id(char text[STREAM_ID_TEXT], struct stream_id id) {
    int len = num_print_u64(text, id.ms);
    text[len++] = '-';
    return slice_of(text, (size_t)(len + num_print_u64(text + len, id.seq)));
}

/* A command that is written at once. end_words() follows its n words. */
static void begin_words(struct rewriting *w, const char *verb, size_t n) {
    resp_put_header(&w->out, '*', (int)n);
    resp_put_word(&w->out, slice_cstr(verb));
}
static void end_words(struct rewriting *w) {
    if (w->out.len >= WRITE_AT) write_block(w);
}

static void write_stream_entry(struct rewriting *w, struct stream_iter *it) {
    struct listpack_value name, value;
    char text[STREAM_ID_TEXT], digits[NUM_I64_MAX];
    begin_words(w, "XADD", 3 + 2 * it->pairs);
    resp_put_word(&w->out, w->key);
    resp_put_word(&w->out, print_id(text, it->id));
    while (stream_iter_pair(it, &name, &value)) {
        resp_put_word(&w->out, listpack_value_text(name, digits));
        resp_put_word(&w->out, listpack_value_text(value, digits));
    }
    end_words(w);
}

/* A stream without entries: one is added and trimmed at once. XSETID then sets its ids. */
static void write_empty_stream(struct rewriting *w, const struct stream *s) {
    char text[STREAM_ID_TEXT];
    struct stream_id id = stream_id_is_zero(s->last_id) ? (struct stream_id){0, 1} : s->last_id;
    begin_words(w, "XADD", 7);
    resp_put_word(&w->out, w->key);
    resp_put_word(&w->out, SLICE("MAXLEN"));
    resp_put_word(&w->out, SLICE("0"));
    resp_put_word(&w->out, print_id(text, id));
    resp_put_word(&w->out, SLICE("x"));
    resp_put_word(&w->out, SLICE("y"));
    end_words(w);
}

static void write_stream_ids(struct rewriting *w, const struct stream *s) {
    char text[STREAM_ID_TEXT];
    begin_words(w, "XSETID", 7);
    resp_put_word(&w->out, w->key);
    resp_put_word(&w->out, print_id(text, s->last_id));
    resp_put_word(&w->out, SLICE("ENTRIESADDED"));
    resp_put_int(&w->out, (int64_t)s->entries_added);
    resp_put_word(&w->out, SLICE("MAXDELETEDID"));
    resp_put_word(&w->out, print_id(text, s->max_deleted));
    end_words(w);
}

static void write_consumers(struct rewriting *w, const struct stream_group *g) {
    size_t bytes;
    struct stream_consumer **all = stream_group_sorted_consumers(g, &bytes);
    for (uint32_t i = 0; i < stream_group_consumers(g); i++) {
        begin_words(w, "XGROUP", 5);
        resp_put_word(&w->out, SLICE("CREATECONSUMER"));
        resp_put_word(&w->out, w->key);
        resp_put_word(&w->out, stream_group_name(g));
        resp_put_word(&w->out, stream_group_consumer_name(all[i]));
        end_words(w);
    }
    alloc_put(all, bytes);
}

/* The ids that wait in `items`, all delivered like this entry. */
static void end_claim(struct rewriting *w, const struct stream_group *g, const struct stream_nack *like) {
    if (w->count == 0) return;
    begin_words(w, "XCLAIM", 11 + (size_t)w->count);
    resp_put_word(&w->out, w->key);
    resp_put_word(&w->out, stream_group_name(g));
    resp_put_word(&w->out, stream_group_consumer_name(like->consumer));
    resp_put_word(&w->out, SLICE("0"));
    buf_append_slice(&w->out, buf_slice(&w->items));
    resp_put_word(&w->out, SLICE("TIME"));
    resp_put_int(&w->out, like->time_ms);
    resp_put_word(&w->out, SLICE("RETRYCOUNT"));
    resp_put_int(&w->out, (int64_t)like->deliveries);
    resp_put_word(&w->out, SLICE("JUSTID"));
    resp_put_word(&w->out, SLICE("FORCE"));
    end_words(w);
    w->items.len = 0;
    w->count = 0;
}

/* Entries that one call has delivered have the same consumer, time and number of deliveries: one XCLAIM has their ids.
 * A reader drops those that are deleted from the stream, here as in Redis. */
static void write_pending(struct rewriting *w, struct stream_group *g) {
    struct stream_group_walk walk;
    struct stream_nack like = {.consumer = NULL};
    char text[STREAM_ID_TEXT];
    stream_group_walk(&walk, g, NULL, STREAM_ID_MIN);
    while (stream_group_walk_next(&walk)) {
        const struct stream_nack *nack = &walk.nack;
        bool same =
            nack->consumer == like.consumer && nack->time_ms == like.time_ms && nack->deliveries == like.deliveries;
        if (!same || w->count == ITEMS_A_COMMAND) end_claim(w, g, &like);
        like = *nack;
        resp_put_word(&w->items, print_id(text, nack->id));
        w->count++;
    }
    end_claim(w, g, &like);
}

static void write_group(struct rewriting *w, struct stream_group *g) {
    char text[STREAM_ID_TEXT];
    begin_words(w, "XGROUP", 7);
    resp_put_word(&w->out, SLICE("CREATE"));
    resp_put_word(&w->out, w->key);
    resp_put_word(&w->out, stream_group_name(g));
    resp_put_word(&w->out, print_id(text, g->last_id));
    resp_put_word(&w->out, SLICE("ENTRIESREAD"));
    resp_put_int(&w->out, g->entries_read);
    end_words(w);
    write_consumers(w, g);
    write_pending(w, g);
}

static void write_stream(struct rewriting *w, const struct entry *e) {
    const struct stream *s = stream_of(e);
    struct stream_iter it;
    size_t bytes;
    stream_iter_start(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_iter_next(&it))
        write_stream_entry(w, &it);
    if (s->length == 0) write_empty_stream(w, s);
    write_stream_ids(w, s);
    struct stream_group **all = stream_sorted_groups(s, &bytes);
    for (uint32_t i = 0; i < stream_groups(s); i++)
        write_group(w, all[i]);
    alloc_put(all, bytes);
}

/* --- Keys ------------------------------------------------------------------------------------ */

static void write_entry(struct rewriting *w, const struct entry *e) {
    char digits[NUM_I64_MAX];
    w->key = entry_key(e);
    switch (entry_type(e)) {
    case ENTRY_STRING: write_string(w, e); break;
    case ENTRY_LIST: write_list(w, e); break;
    case ENTRY_SET: write_set(w, e); break;
    case ENTRY_HASH: write_hash(w, e); break;
    case ENTRY_ZSET: write_zset(w, e); break;
    case ENTRY_STREAM: write_stream(w, e); break;
    default: w->error = ENOTSUP; return;
    }
    end_command(w);
    if (entry_has_ttl(e)) {
        w->verb = SLICE("PEXPIREAT");
        add_item(w, slice_of(digits, (size_t)num_print_i64(digits, entry_deadline_ms(e))));
        end_command(w);
    }
    child_report(++w->keys);
}

static void write_db(struct rewriting *w, struct db *db) {
    struct table_iter it;
    const struct entry *e;
    if (db_size(db) == 0) return;
    resp_put_header(&w->out, '*', 2);
    resp_put_word(&w->out, SLICE("SELECT"));
    resp_put_int(&w->out, db->id);
    table_iter_init(&it, &db->keys);
    while (!w->error && (e = table_iter_next(&it)))
        write_entry(w, e);
}

static void write_library(void *ctx, struct slice source) {
    struct rewriting *w = ctx;
    begin_words(w, "FUNCTION", 3);
    resp_put_word(&w->out, SLICE("LOAD"));
    resp_put_word(&w->out, source);
    end_words(w);
}

static void write_stamp(struct rewriting *w) {
    char line[32];
    int n = snprintf(line, sizeof line, "#TS:%lld\r\n", (long long)(clock_wall_us() / 1000000));
    if (!files_write_all(w->fd, line, (size_t)n)) w->error = errno;
}

/* The data are those at the end of the log, since this is a child, or no command runs. */
static void write_place(struct rewriting *w) {
    if (!aof_write_options.checksums || oplog_unit_end() != oplog_end()) return;
    char *line = buf_reserve(&w->out, AOF_PLACE_MAX);
    w->out.len += aof_place_print(line, oplog_end(), oplog_db());
}

bool aof_rewrite_commands(int fd, bool incremental_sync) {
    struct rewriting w = {.fd = fd, .incremental_sync = incremental_sync};
    if (aof_write_options.timestamps) write_stamp(&w);
    begin_block(&w);
    if (rdb_functions) rdb_functions->each(write_library, &w);
    for (int i = 0; i < db_count() && !w.error; i++)
        write_db(&w, db_at(i));
    write_place(&w);
    write_block(&w);
    buf_free(&w.out);
    buf_free(&w.items);
    if (!w.error && fsync(fd) < 0) w.error = errno;
    errno = w.error;
    return w.error == 0;
}
