/* Loading a snapshot.
 *
 * Entries are made as they are read, and inserted in batches, so that the table's lines are fetched while the next
 * entries are read. Tables are sized by the hints in the file, as far as the rest of the file can hold that many
 * keys. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_format.h"
#include "store/evict.h"
#include <errno.h>
#include <stdio.h>

#define AHEAD 16                  /* entries of a batch */
#define KEY_BYTES 3               /* of the file that a key takes at least: type, an empty name, an empty string */
#define SHOWN_MAX 64              /* bytes of a key in a message */
#define RESERVE_UNKNOWN (4 << 20) /* keys for which an input of unknown size gets room before they come: about 40 MB */

struct load {
    struct rdb_read *job;
    struct reader reader;
    struct rdb_in in;
    struct db *db;
    uint64_t reserved; /* keys for which there is room, if the input's size is unknown */
    int64_t now_ms;
    /* Of the next key; -1: not given. */
    int64_t deadline_ms, idle_s, frequency;
    struct {
        struct entry *entry;
        uint64_t hash;
    } waiting[AHEAD]; /* to be inserted into `db` */
    unsigned n_waiting;
};

static struct db *database(const struct rdb_read *job, int id) {
    return job->into ? &job->into[id] : db_at(id);
}

/* --- Keys ------------------------------------------------------------------------------------ */

static bool refuse_twice(struct load *l, struct slice name) {
    struct buf shown = {0};
    buf_append_quoted(&shown, slice_of(name.ptr, name.len < SHOWN_MAX ? name.len : SHOWN_MAX));
    rdb_note(&l->in, RDB_CORRUPT, "the key %.*s of database %d is there twice", (int)shown.len, shown.data, l->db->id);
    buf_free(&shown);
    return false;
}

static bool insert_key(struct load *l, struct entry *e, uint64_t hash) {
    struct key key = {entry_key(e), hash};
    struct entry *other = db_insert_new(l->db, &key, e);
    if (!other) return true;
    if (!(l->job->flags & RDB_ALLOW_TWICE)) {
        refuse_twice(l, key.name);
        entry_free(e);
        return false;
    }
    db_remove(l->db, &key, other);
    db_insert_new(l->db, &key, e);
    return true;
}

/* Insert the batch. False: a key exists already (noted); all other entries are inserted nevertheless. */
static bool insert_waiting(struct load *l) {
    bool ok = true;
    for (unsigned i = 0; i < l->n_waiting; i++)
        ok &= insert_key(l, l->waiting[i].entry, l->waiting[i].hash);
    l->job->keys += l->n_waiting;
    l->n_waiting = 0;
    return ok;
}

static bool add_key(struct load *l, struct slice name, const struct rdb_value *v) {
    struct entry *e = rdb_value_entry(v, name, l->deadline_ms);
    uint64_t hash = hash_bytes(name.ptr, name.len);
    if (l->idle_s >= 0) evict_set_idle(e, (uint64_t)l->idle_s);
    if (l->frequency >= 0) evict_set_frequency(e, (unsigned)l->frequency);
    db_prefetch_line(l->db, hash);
    l->waiting[l->n_waiting].entry = e;
    l->waiting[l->n_waiting++].hash = hash;
    return l->n_waiting < AHEAD || insert_waiting(l);
}

/* A reader_progress_fn. */
static void tell_progress(void *ctx, uint64_t bytes) {
    struct load *l = ctx;
    if (l->job->progress) l->job->progress(l->job->ctx, bytes);
    if (l->job->stop) reader_stop(&l->reader, ECANCELED);
}

/* For tests that need a slow load. */
static void delay_load(struct load *l) {
    rdb_load_delay(l->job->keys + l->n_waiting);
    tell_progress(l, reader_offset(&l->reader));
}

/* Add the key to the message. Always false. */
static bool name_key(struct load *l, struct slice name) {
    struct buf text = {0};
    buf_printf(&text, "%s, in key ", l->in.message);
    buf_append_quoted(&text, slice_of(name.ptr, name.len < SHOWN_MAX ? name.len : SHOWN_MAX));
    buf_printf(&text, " of database %d", l->db->id);
    snprintf(l->job->message, sizeof l->job->message, "%.*s", (int)text.len, text.data);
    buf_free(&text);
    return false;
}

static bool read_key(struct load *l, unsigned type) {
    struct slice name;
    struct rdb_value v;
    if (!rdb_get_kept(&l->in, &l->in.key, &name)) return false;
    if (!rdb_get_value(&l->in, type, &v)) {
        rdb_log_broken(&l->in, type);
        return name_key(l, name);
    }
    bool due = l->deadline_ms != ENTRY_NO_TTL && l->deadline_ms < l->now_ms && !(l->job->flags & RDB_KEEP_EXPIRED);
    bool ok = true;
    if (v.empty) {
        l->job->empty++;
    } else if (due) {
        rdb_value_drop(&v);
        l->job->expired++;
        if (l->job->left_out) l->job->left_out(l->job->ctx, l->db->id, name);
    } else {
        ok = add_key(l, name, &v);
    }
    rdb_in_trim(&l->in);
    l->deadline_ms = ENTRY_NO_TTL;
    l->idle_s = l->frequency = -1;
    if (rdb_options.key_load_delay_us) delay_load(l);
    return ok;
}

/* --- Opcodes --------------------------------------------------------------------------------- */

static void keep_id(char id[41], struct slice value) {
    if (value.len != 40) return;
    memcpy(id, value.ptr, value.len);
    id[value.len] = '\0';
}

static bool read_aux(struct load *l) {
    struct slice name, value;
    int64_t n = 0;
    if (!rdb_get_kept(&l->in, &l->in.name, &name) || !rdb_get_string(&l->in, &l->in.text, &value)) return false;
    struct rdb_read *job = l->job;
    bool number = num_parse_i64(value, &n);
    if (slice_eq(name, SLICE("aof-base")) && number) job->aof_base = n != 0;
    if (slice_eq(name, SLICE("used-mem")) && number && n > 0) job->used_memory = (uint64_t)n;
    if (slice_eq(name, SLICE("ctime")) && number) job->created_s = n;
    if (slice_eq(name, SLICE("repl-stream-db")) && number && n == (int)n) job->repl_db = (int)n;
    if (slice_eq(name, SLICE("repl-offset")) && number) job->repl_offset = n;
    if (slice_eq(name, SLICE("repl-id"))) keep_id(job->repl_id, value);
    if (slice_eq(name, SLICE("repl-former-id"))) keep_id(job->former.id, value);
    if (slice_eq(name, SLICE("repl-former-end")) && number && n > 0) job->former.end = n;
    return true;
}

static bool read_select(struct load *l) {
    uint64_t id;
    if (!insert_waiting(l) || !rdb_get_length(&l->in, &id)) return false;
    if (id >= (uint64_t)db_count()) {
        return rdb_refuse(&l->in, RDB_CORRUPT, "database %llu, where the configuration has %d", (unsigned long long)id,
                          db_count());
    }
    l->db = database(l->job, (int)id);
    return true;
}

static bool read_sizes(struct load *l) {
    uint64_t keys, expiring;
    if (!rdb_get_length(&l->in, &keys) || !rdb_get_length(&l->in, &expiring)) return false;
    uint64_t left = reader_left(&l->reader);
    uint64_t bound = left == UINT64_MAX ? RESERVE_UNKNOWN - l->reserved : left / KEY_BYTES;
    if (db_size(l->db) > 0 || keys == 0) return true;
    if (keys > bound) keys = bound;
    table_reserve(&l->db->keys, keys);
    if (left == UINT64_MAX) l->reserved += keys;
    return true;
}

static bool read_deadline(struct load *l, unsigned opcode) {
    int32_t seconds;
    int64_t ms;
    if (opcode == RDB_OP_DEADLINE_S) {
        if (!rdb_get_bytes(&l->in, &seconds, sizeof seconds)) return false;
        ms = (int64_t)seconds * 1000;
    } else if (!rdb_get_bytes(&l->in, &ms, sizeof ms)) {
        return false;
    }
    l->deadline_ms = ms < 0 ? 0 : ms; /* -1 would mean no deadline; all negative ones are past */
    return true;
}

static bool read_access(struct load *l, unsigned opcode) {
    uint64_t idle_s;
    uint8_t frequency;
    if (opcode == RDB_OP_FREQUENCY) {
        if (!rdb_get_bytes(&l->in, &frequency, 1)) return false;
        l->frequency = frequency;
        return true;
    }
    if (!rdb_get_length(&l->in, &idle_s)) return false;
    l->idle_s = idle_s < INT64_MAX ? (int64_t)idle_s : INT64_MAX;
    return true;
}

static bool skip_slot_hint(struct load *l) {
    uint64_t n;
    return rdb_get_length(&l->in, &n) && rdb_get_length(&l->in, &n) && rdb_get_length(&l->in, &n);
}

static bool read_opcode(struct load *l, unsigned opcode) {
    switch (opcode) {
    case RDB_OP_SELECT: return read_select(l);
    case RDB_OP_RESIZE: return read_sizes(l);
    case RDB_OP_AUX: return read_aux(l);
    case RDB_OP_DEADLINE_S:
    case RDB_OP_DEADLINE_MS: return read_deadline(l, opcode);
    case RDB_OP_IDLE:
    case RDB_OP_FREQUENCY: return read_access(l, opcode);
    case RDB_OP_SLOT: return skip_slot_hint(l);
    case RDB_OP_FUNCTION: return rdb_get_library(&l->in, l->job->functions, l->job->flags & RDB_ALLOW_TWICE);
    case RDB_OP_FUNCTION_OLD: return rdb_refuse(&l->in, RDB_UNSUPPORTED, "Pre-release function format not supported");
    case RDB_OP_MODULE_AUX: return rdb_refuse(&l->in, RDB_UNSUPPORTED, "data of a module, which kura cannot load");
    default: return read_key(l, opcode);
    }
}

/* --- The frame ------------------------------------------------------------------------------- */

static bool read_head(struct load *l) {
    char head[RDB_HEAD];
    int version = 0;
    if (!reader_get(&l->reader, head, sizeof head)) {
        return rdb_refuse(&l->in, l->reader.error ? RDB_CUT : RDB_FOREIGN, "too short for an RDB file");
    }
    if (memcmp(head, RDB_MAGIC, strlen(RDB_MAGIC)) != 0) {
        return rdb_refuse(&l->in, RDB_FOREIGN, "Wrong signature trying to load DB from file");
    }
    for (size_t i = strlen(RDB_MAGIC); i < sizeof head; i++) {
        if (head[i] < '0' || head[i] > '9') return rdb_refuse(&l->in, RDB_FOREIGN, "the version is not a number");
        version = 10 * version + head[i] - '0';
    }
    l->job->version = version;
    if (version >= 1 && version <= RDB_VERSION_READ) return true;
    return rdb_refuse(&l->in, RDB_VERSION, "Can't handle RDB format version %d", version);
}

static bool check_sum(struct load *l) {
    uint64_t told, crc = reader_crc(&l->reader);
    if (l->job->version < 5) return true;
    if (!rdb_get_bytes(&l->in, &told, sizeof told)) return false;
    if (!rdb_options.checksum || rdb_options.skip_checksum) return true;
    if (told == 0) {
        log_notice("RDB file was saved with checksum disabled: no check performed.");
        return true;
    }
    if (told == crc) return true;
    return rdb_refuse(&l->in, RDB_CHECKSUM, "Wrong RDB checksum expected: (%llx) but got (%llx)",
                      (unsigned long long)told, (unsigned long long)crc);
}

static bool read_all(struct load *l) {
    uint8_t opcode;
    if (!read_head(l)) return false;
    for (;;) {
        if (!rdb_get_bytes(&l->in, &opcode, 1)) return false;
        if (opcode == RDB_OP_END) return insert_waiting(l) && check_sum(l);
        if (!read_opcode(l, opcode)) return false;
    }
}

static void begin_reading(struct load *l) {
    const struct rdb_read *job = l->job;
    if (job->source)
        reader_from_source(&l->reader, job->source, job->source_ctx, job->size ? job->size : UINT64_MAX,
                           rdb_options.checksum);
    else
        reader_from_fd(&l->reader, job->fd, job->offset, rdb_options.checksum);
    l->reader.progress = tell_progress;
    l->reader.progress_ctx = l;
}

enum rdb_result rdb_read(struct rdb_read *job) {
    struct load l = {.job = job, .db = database(job, 0), .now_ms = clock_wall_us() / 1000, .deadline_ms = ENTRY_NO_TTL};
    l.idle_s = l.frequency = -1;
    l.in.reader = &l.reader;
    job->keys = job->expired = job->empty = 0;
    job->message[0] = job->repl_id[0] = job->former.id[0] = '\0';
    job->former.end = 0;
    job->repl_db = -1;
    begin_reading(&l);
    bool ok = read_all(&l);
    insert_waiting(&l); /* keys before the failure count */
    job->end = reader_offset(&l.reader);
    job->failed_at = job->end;
    job->error = l.reader.error;
    if (ok && job->rest) buf_append_slice(job->rest, reader_rest(&l.reader));
    if (!ok && !job->message[0]) snprintf(job->message, sizeof job->message, "%s", l.in.message);
    reader_free(&l.reader);
    rdb_in_free(&l.in);
    return ok ? RDB_OK : l.in.result;
}
