/* See rdb_functions.h. A library is its source alone: its reader runs the code, and so finds its name and functions.
 *
 * The opcode 246 had the same in another form, in two candidates before Redis 7.0. Redis 7.2 and kura refuse it. */
#include "rdb/rdb_functions.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_encode.h"
#include "rdb/rdb_format.h"

const struct rdb_functions *rdb_functions;

struct function_set *rdb_functions_begin(void) {
    return rdb_functions ? rdb_functions->begin() : NULL;
}

void rdb_functions_use(struct function_set *set, bool in_background) {
    if (rdb_functions) rdb_functions->use(set, in_background);
}

void rdb_functions_drop(struct function_set *set, bool in_background) {
    if (rdb_functions) rdb_functions->drop(set, in_background);
}

void rdb_functions_empty(bool in_background) {
    if (rdb_functions) rdb_functions->empty(in_background);
}

/* --- Writing --------------------------------------------------------------------------------- */

static void put_library(void *ctx, struct slice source) {
    struct rdb_out *out = ctx;
    writer_byte(out->w, RDB_OP_FUNCTION);
    rdb_put_string(out, source);
}

void rdb_put_functions(struct rdb_out *out) {
    if (rdb_functions) rdb_functions->each(put_library, out);
}

void rdb_dump_functions(struct writer *w) {
    struct rdb_out out = {.w = w, .compress = rdb_options.compression, .patient = true};
    rdb_put_functions(&out);
    rdb_put_footer(w);
    rdb_out_free(&out);
}

/* --- Reading --------------------------------------------------------------------------------- */

bool rdb_get_library(struct rdb_in *in, struct function_set *set, bool replace) {
    struct slice source;
    if (!rdb_functions) return rdb_refuse(in, RDB_UNSUPPORTED, "functions, which this program cannot load");
    if (!rdb_get_kept(in, &in->text, &source)) return false;
    struct buf why = {0};
    bool ok = rdb_functions->add(set, source, replace, &why);
    if (!ok) rdb_note(in, RDB_CORRUPT, "Failed creating the library: %.*s", (int)why.len, why.data);
    buf_free(&why);
    rdb_in_trim(in);
    return ok;
}

static bool restore_one(struct rdb_in *in, struct slice *source, struct buf *error) {
    uint8_t opcode;
    if (!rdb_get_bytes(in, &opcode, 1)) return false;
    if (opcode == RDB_OP_FUNCTION && rdb_get_kept(in, &in->text, source)) return true;
    buf_append_cstr(error, opcode == RDB_OP_FUNCTION       ? "Failed loading library payload"
                           : opcode == RDB_OP_FUNCTION_OLD ? "Pre-GA function format not supported"
                                                           : "given type is not a function");
    return false;
}

bool rdb_restore_functions(struct slice payload, bool (*add)(void *ctx, struct slice source, struct buf *error),
                           void *ctx, struct buf *error) {
    struct reader reader;
    struct rdb_in in = {.reader = &reader};
    struct slice source;
    if (!rdb_payload_ok(payload)) {
        buf_append_cstr(error, "DUMP payload version or checksum are wrong");
        return false;
    }
    reader_from_memory(&reader, slice_of(payload.ptr, payload.len - RDB_FOOTER), false);
    bool ok = true;
    while (ok && reader_left(&reader) > 0)
        ok = restore_one(&in, &source, error) && add(ctx, source, error);
    rdb_in_free(&in);
    return ok;
}
