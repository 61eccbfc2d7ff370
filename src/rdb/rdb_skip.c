/* Values that kura has no type for, streams and values of modules, are skipped: their form is checked as far as one
 * must follow it, and nothing is kept. For kura-check-rdb, which reads files of Redis, too.
 *
 * A stream: count, (16 bytes of the first id, listpack) ...; the number of elements; last id (milliseconds, sequence);
 * from the second version on: first id, greatest deleted id, number of elements ever added; then its groups:
 *     count, (name, last id, from the second version on: entries read,
 *             count, (16 bytes of id, 8 of time, deliveries) ...,
 *             count of consumers, (name, 8 bytes of time, from the third version on: 8 more,
 *                                  count, 16 bytes of id ...) ...) ...
 * A module's value: the id, then parts (enum rdb_module_part, what it stands for) ... until RDB_MODULE_END. */
#include "rdb/rdb_decode.h"
#include "rdb/rdb_format.h"

enum rdb_module_part {
    RDB_MODULE_END,
    RDB_MODULE_SIGNED,
    RDB_MODULE_UNSIGNED,
    RDB_MODULE_FLOAT,
    RDB_MODULE_DOUBLE,
    RDB_MODULE_STRING,
};

#define STREAM_ID 16  /* bytes of an id in its binary form */
#define STREAM_TIME 8 /* bytes of a time */

static bool skip_bytes(struct rdb_in *in, uint64_t n) {
    return reader_skip(in->reader, n) || rdb_in_cut(in);
}

static bool skip_lengths(struct rdb_in *in, unsigned count) {
    uint64_t n;
    while (count-- > 0)
        if (!rdb_get_length(in, &n)) return false;
    return true;
}

bool rdb_skip_string(struct rdb_in *in) {
    struct rdb_string_head head;
    if (!rdb_get_head(in, &head)) return false;
    if (head.kind == RDB_NUMBER) return true;
    return skip_bytes(in, head.kind == RDB_PLAIN ? head.len : head.compressed);
}

/* --- Streams --------------------------------------------------------------------------------- */

static bool skip_nodes(struct rdb_in *in) {
    uint64_t count;
    struct slice id;
    uint8_t *lp;
    if (!rdb_get_count(in, &count, 2)) return false;
    while (count-- > 0) {
        if (!rdb_get_string(in, &in->name, &id)) return false;
        if (id.len != STREAM_ID) return rdb_refuse(in, RDB_CORRUPT, "a stream's node whose id has %zu bytes", id.len);
        if (!rdb_get_listpack(in, &lp)) return false;
        if (listpack_at_end(listpack_first(lp))) return rdb_refuse(in, RDB_CORRUPT, "an empty node in a stream");
    }
    return true;
}

static bool skip_pending(struct rdb_in *in, bool of_group) {
    uint64_t count;
    if (!rdb_get_count(in, &count, STREAM_ID)) return false;
    while (count-- > 0) {
        if (!skip_bytes(in, of_group ? STREAM_ID + STREAM_TIME : STREAM_ID)) return false;
        if (of_group && !skip_lengths(in, 1)) return false;
    }
    return true;
}

static bool skip_group(struct rdb_in *in, unsigned type) {
    uint64_t consumers;
    if (!rdb_skip_string(in) || !skip_lengths(in, type == RDB_TYPE_STREAM_1 ? 2 : 3)) return false;
    if (!skip_pending(in, true) || !rdb_get_count(in, &consumers, 1)) return false;
    while (consumers-- > 0) {
        if (!rdb_skip_string(in)) return false;
        if (!skip_bytes(in, type == RDB_TYPE_STREAM_3 ? 2 * STREAM_TIME : STREAM_TIME)) return false;
        if (!skip_pending(in, false)) return false;
    }
    return true;
}

static bool skip_stream(struct rdb_in *in, unsigned type) {
    uint64_t groups;
    if (!skip_nodes(in) || !skip_lengths(in, type == RDB_TYPE_STREAM_1 ? 3 : 8)) return false;
    if (!rdb_get_count(in, &groups, 1)) return false;
    while (groups-- > 0)
        if (!skip_group(in, type)) return false;
    return true;
}

/* --- Modules --------------------------------------------------------------------------------- */

/* Each character has six bits, the first one the highest; the lowest ten bits are the version of the module's
 * format. */
void rdb_module_name(uint64_t id, char name[RDB_MODULE_NAME]) {
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (unsigned i = 0; i < RDB_MODULE_NAME - 1; i++)
        name[i] = set[id >> (58 - 6 * i) & 63];
    name[RDB_MODULE_NAME - 1] = '\0';
}

static bool skip_module_parts(struct rdb_in *in) {
    for (;;) {
        uint64_t part;
        bool ok;
        if (!rdb_get_length(in, &part)) return false;
        switch (part) {
        case RDB_MODULE_END: return true;
        case RDB_MODULE_SIGNED:
        case RDB_MODULE_UNSIGNED: ok = skip_lengths(in, 1); break;
        case RDB_MODULE_FLOAT: ok = skip_bytes(in, sizeof(float)); break;
        case RDB_MODULE_DOUBLE: ok = skip_bytes(in, sizeof(double)); break;
        case RDB_MODULE_STRING: ok = rdb_skip_string(in); break;
        default: return rdb_refuse(in, RDB_CORRUPT, "part %llu of a module's value", (unsigned long long)part);
        }
        if (!ok) return false;
    }
}

bool rdb_skip_module_aux(struct rdb_in *in, char name[RDB_MODULE_NAME]) {
    uint64_t id;
    if (!rdb_get_length(in, &id)) return false;
    rdb_module_name(id, name);
    return skip_module_parts(in); /* the time at which it was written is a part, too */
}

/* --- All types ------------------------------------------------------------------------------- */

bool rdb_can_skip(unsigned type) {
    return type == RDB_TYPE_STREAM_1 || type == RDB_TYPE_STREAM_2 || type == RDB_TYPE_STREAM_3 ||
           type == RDB_TYPE_MODULE;
}

bool rdb_skip_value(struct rdb_in *in, unsigned type) {
    if (type != RDB_TYPE_MODULE) return skip_stream(in, type);
    return skip_lengths(in, 1) && skip_module_parts(in);
}
