/* A key becomes one command, or several of up to ITEMS_A_COMMAND items, so that no reader needs much memory for a
 * command. PEXPIREAT follows if the key has a deadline. The output is in frames (aof_frame.h), unless aof-checksums is
 * off. */
#include "aof/aof_rewrite.h"
#include "aof/aof_frame.h"
#include "aof/aof_write.h"
#include "base/buf.h"
#include "base/clock.h"
#include "disk/child.h"
#include "disk/files.h"
#include "ds/quicklist.h"
#include "net/resp.h"
#include "store/db.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ITEMS_A_COMMAND 64
#define WRITE_AT (1 << 20)   /* bytes of a frame */
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

static void write_entry(struct rewriting *w, const struct entry *e) {
    char digits[NUM_I64_MAX];
    w->key = entry_key(e);
    switch (entry_type(e)) {
    case ENTRY_STRING: write_string(w, e); break;
    case ENTRY_LIST: write_list(w, e); break;
    case ENTRY_SET: write_set(w, e); break;
    case ENTRY_HASH: write_hash(w, e); break;
    case ENTRY_ZSET: write_zset(w, e); break;
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

static void write_stamp(struct rewriting *w) {
    char line[32];
    int n = snprintf(line, sizeof line, "#TS:%lld\r\n", (long long)(clock_wall_us() / 1000000));
    if (!files_write_all(w->fd, line, (size_t)n)) w->error = errno;
}

bool aof_rewrite_commands(int fd, bool incremental_sync) {
    struct rewriting w = {.fd = fd, .incremental_sync = incremental_sync};
    if (aof_write_options.timestamps) write_stamp(&w);
    begin_block(&w);
    for (int i = 0; i < db_count() && !w.error; i++)
        write_db(&w, db_at(i));
    write_block(&w);
    buf_free(&w.out);
    buf_free(&w.items);
    if (!w.error && fsync(fd) < 0) w.error = errno;
    errno = w.error;
    return w.error == 0;
}
