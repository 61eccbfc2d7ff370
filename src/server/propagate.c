/* What a command says to the propagation log. A body may replace its request by other commands; they
 * are kept until exec closes the call, since only then it is known whether anything changed. */
#include "server/propagate.h"
#include "base/alloc.h"
#include <assert.h>

bool propagate_wanted;

static propagate_sink_fn sink;
static void *sink_ctx;

/* The commands that stand for the request of the call at hand: arguments are copied, one after another. */
static struct {
    struct replacement {
        struct slice *argv; /* one allocation: the slices, then their bytes */
        int argc;
        size_t bytes;
    } * items;
    size_t count, cap;
    bool replaced; /* even by nothing */
    bool always;   /* changed or not */
} call;

void propagate_attach(propagate_sink_fn fn, void *ctx) {
    sink = fn;
    sink_ctx = ctx;
    propagate_wanted = fn != NULL;
}

void propagate_begin(void) {
    call.replaced = call.always = false;
    assert(call.count == 0);
}

void propagate_nothing(void) {
    call.replaced = true;
}

void propagate_always(void) {
    call.always = true;
}

void propagate_as(const struct slice *argv, int argc) {
    call.replaced = true;
    if (!propagate_wanted) return;
    size_t bytes = (size_t)argc * sizeof *argv;
    for (int i = 0; i < argc; i++)
        bytes += argv[i].len;
    struct replacement copy = {.argv = alloc_get(bytes), .argc = argc, .bytes = bytes};
    char *to = (char *)(copy.argv + argc);
    for (int i = 0; i < argc; i++) {
        memcpy(to, argv[i].ptr, argv[i].len);
        copy.argv[i] = slice_of(to, argv[i].len);
        to += argv[i].len;
    }
    if (call.count == call.cap) {
        size_t cap = call.cap ? call.cap * 2 : 4;
        call.items = alloc_resize(call.items, call.cap * sizeof *call.items, cap * sizeof *call.items);
        call.cap = cap;
    }
    call.items[call.count++] = copy;
}

void propagate_extra(struct db *db, const struct slice *argv, int argc) {
    if (propagate_wanted) sink(sink_ctx, db->id, argv, argc, slice_of(NULL, 0));
}

void propagate_end(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed) {
    changed = changed || call.always;
    if (changed && propagate_wanted && !call.replaced) sink(sink_ctx, db->id, argv, argc, raw);
    for (size_t i = 0; i < call.count; i++) {
        struct replacement *r = &call.items[i];
        if (changed && propagate_wanted) sink(sink_ctx, db->id, r->argv, r->argc, slice_of(NULL, 0));
        alloc_put(r->argv, r->bytes);
    }
    call.count = 0;
}
