/* Values of modules, which kura has no types for, are skipped: their form is checked as far as one must follow it, and
 * nothing is kept. For kura-check-rdb, which reads files of Redis, too. A value is the id of its module, then parts
 * (enum rdb_module_part, what it stands for) ... until RDB_MODULE_END. */
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

bool rdb_can_skip(unsigned type) {
    return type == RDB_TYPE_MODULE;
}

bool rdb_skip_value(struct rdb_in *in) {
    return skip_lengths(in, 1) && skip_module_parts(in);
}
