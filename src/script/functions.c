/* Invariants: each function of a set is in its table of functions and in the list of its library, and each library is
 * in the table of libraries. A set has an engine if it ever had a library; a guest has the live one's.
 *
 * A library is loaded as a draft, which holds what its code registers. The draft joins the set when nothing can fail
 * any more, so an error has nothing to undo but the draft. */
#include "script/functions.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/worker.h"
#include "ds/table.h"
#include "rdb/rdb_functions.h"
#include "script/engine.h"
#include "script/run.h"
#include "script/shebang.h"
#include <assert.h>
#include <strings.h>

#define FOLDED 64 /* bytes of a name that are hashed at a time */
#define FOLD_STEP 0x9e3779b97f4a7c15u

struct function_set {
    struct engine *engine;
    bool is_guest; /* its libraries run in the live engine, and will join the live ones */
    struct table libraries, functions;
    size_t bytes; /* of libraries and functions */
};

static struct function_set *live; /* NULL: there never was a library */

/* --- Finding --------------------------------------------------------------------------------- */

static struct slice name_of(const struct function *f) {
    return slice_of(f->text, f->name_len);
}

/* The case of letters does not count in names of functions, and in those of libraries it does. Bit 5 is all that tells
 * it, so it is set in what is hashed. */
static uint64_t hash_function_name(struct slice name) {
    char folded[FOLDED];
    uint64_t hash = 0;
    size_t at = 0, n;
    do {
        n = name.len - at < FOLDED ? name.len - at : FOLDED;
        for (size_t i = 0; i < n; i++)
            folded[i] = name.ptr[at + i] | 0x20;
        hash = hash_fold(hash, FOLD_STEP) ^ hash_bytes(folded, n);
        at += n;
    } while (at < name.len);
    return hash;
}

static uint64_t hash_function(const void *record) {
    return hash_function_name(name_of(record));
}

static bool is_function_named(const void *record, const void *name) {
    struct slice wanted = *(const struct slice *)name, own = name_of(record);
    if (wanted.len != own.len) return false;
    return memcmp(wanted.ptr, own.ptr, own.len) == 0 || strncasecmp(wanted.ptr, own.ptr, own.len) == 0;
}

static const struct table_type function_table = {hash_function};

static uint64_t hash_library(const void *record) {
    const struct function_library *library = record;
    return hash_bytes(library->name.ptr, library->name.len);
}

static bool is_library_named(const void *record, const void *name) {
    const struct function_library *library = record;
    return slice_eq(library->name, *(const struct slice *)name);
}

static const struct table_type library_table = {hash_library};

static struct function *find_function(const struct table *functions, struct slice name) {
    return table_find(functions, hash_function_name(name), is_function_named, &name);
}

static struct function_library *find_library(const struct function_set *set, struct slice name) {
    return table_find(&set->libraries, hash_bytes(name.ptr, name.len), is_library_named, &name);
}

struct function *functions_find(struct slice name) {
    return live ? find_function(&live->functions, name) : NULL;
}

struct engine *functions_engine(void) {
    return live ? live->engine : NULL;
}

void functions_each(void (*visit)(void *ctx, const struct function_library *library), void *ctx) {
    struct table_iter it;
    const struct function_library *library;
    if (!live) return;
    table_iter_init(&it, &live->libraries);
    while ((library = table_iter_next(&it)))
        visit(ctx, library);
}

struct functions_metrics functions_metrics(void) {
    if (!live) return (struct functions_metrics){0};
    return (struct functions_metrics){
        .libraries = live->libraries.count,
        .functions = live->functions.count,
        .bytes = live->bytes + table_memory(&live->libraries) + table_memory(&live->functions),
        .lua_bytes = live->engine ? engine_memory(live->engine) : 0,
    };
}

/* --- Libraries ------------------------------------------------------------------------------- */

static struct function_library *library_new(struct slice name, struct slice source) {
    size_t bytes = sizeof(struct function_library) + source.len + name.len;
    struct function_library *library = alloc_get(bytes);
    *library = (struct function_library){.bytes = bytes};
    library->source = slice_of(library->text, source.len);
    library->name = slice_of(library->text + source.len, name.len);
    memcpy(library->text, source.ptr, source.len);
    memcpy(library->text + source.len, name.ptr, name.len);
    return library;
}

static size_t function_bytes(const struct function *f) {
    return sizeof *f + f->name_len + 1 + f->description_len;
}

/* The engine is NULL if it goes too. */
static void library_free(struct function_library *library, struct engine *engine) {
    size_t of_functions = 0;
    for (struct function *f = library->first, *next; f; f = next) {
        next = f->next;
        if (engine) engine_drop(engine, f->ref);
        of_functions += function_bytes(f);
        alloc_put(f, function_bytes(f));
    }
    alloc_put(library, library->bytes - of_functions);
}

static struct function *library_add(struct function_library *library, const struct engine_function *entry) {
    size_t bytes = sizeof(struct function) + entry->name.len + 1 + entry->description.len;
    struct function *f = alloc_get(bytes);
    *f = (struct function){.library = library, .ref = entry->function, .flags = entry->flags};
    f->name_len = (uint32_t)entry->name.len;
    f->is_described = entry->description.ptr != NULL;
    f->description_len = entry->description.len;
    memcpy(f->text, entry->name.ptr, entry->name.len);
    f->text[entry->name.len] = '\0';
    if (f->description_len) memcpy(f->text + entry->name.len + 1, entry->description.ptr, f->description_len);
    *(library->last ? &library->last->next : &library->first) = f;
    library->last = f;
    library->functions++;
    library->bytes += bytes;
    return f;
}

static void link_library(struct function_set *set, struct function_library *library) {
    for (struct function *f = library->first; f; f = f->next)
        table_insert(&set->functions, hash_function(f), f);
    table_insert(&set->libraries, hash_library(library), library);
    set->bytes += library->bytes;
}

static void unlink_library(struct function_set *set, struct function_library *library) {
    for (struct function *f = library->first; f; f = f->next)
        table_remove(&set->functions, hash_function(f), f);
    table_remove(&set->libraries, hash_library(library), library);
    set->bytes -= library->bytes;
}

/* What runs must not lose its code: neither a busy turn nor a function may change libraries. */
static bool may_change(void) {
    return !run_current || !run_current->is_function;
}

static void remove_library(struct function_set *set, struct function_library *library) {
    assert(may_change());
    unlink_library(set, library);
    library_free(library, set->engine);
}

/* --- Sets ------------------------------------------------------------------------------------ */

static struct function_set *set_new(void) {
    struct function_set *set = alloc_zero(sizeof *set);
    table_init(&set->libraries, &library_table);
    table_init(&set->functions, &function_table);
    return set;
}

static struct function_set *live_set(void) {
    if (!live) live = set_new();
    return live;
}

static struct engine *engine_for(struct function_set *set) {
    if (!set->engine) set->engine = engine_new(ENGINE_FUNCTIONS);
    return set->engine;
}

static void free_library(void *ctx, void *record) {
    library_free(record, ctx);
}

/* On any thread: the engine is gone, or NULL. */
static void free_libraries(void *arg) {
    struct function_set *set = arg;
    table_clear(&set->functions, NULL, NULL);
    table_clear(&set->libraries, free_library, set->is_guest ? set->engine : NULL);
    alloc_put(set, sizeof *set);
}

static void set_drop(struct function_set *set, bool in_background) {
    if (!set) return;
    if (set->is_guest || !in_background) {
        if (set->engine && !set->is_guest) engine_free(set->engine);
        free_libraries(set);
        return;
    }
    if (set->engine) engine_free_later(set->engine);
    worker_submit_free(free_libraries, set, set->bytes);
}

static void set_use(struct function_set *set, bool in_background) {
    struct function_set *old = live;
    assert(may_change());
    live = set;
    set_drop(old, in_background);
}

void functions_flush(bool in_background) {
    set_use(NULL, in_background);
}

/* --- Loading --------------------------------------------------------------------------------- */

struct draft {
    struct function_library *library;
    struct table names; /* its functions */
};

/* Called by redis.register_function(). */
static const char *draft_found(void *ctx, const struct engine_function *entry) {
    struct draft *draft = ctx;
    if (!shebang_is_name(entry->name) || entry->name.len > UINT32_MAX) return SHEBANG_NAME_RULE;
    if (find_function(&draft->names, entry->name)) return "Function already exists in the library";
    struct function *f = library_add(draft->library, entry);
    table_insert(&draft->names, hash_function(f), f);
    return NULL;
}

/* A function of the library whose name one in the set has, in a library that stays. */
static const struct function *find_collision(const struct function_set *set, const struct function_library *library,
                                             bool (*stays)(const void *ctx, const struct function_library *other),
                                             const void *ctx) {
    for (const struct function *f = library->first; f; f = f->next) {
        const struct function *other = find_function(&set->functions, name_of(f));
        if (other && stays(ctx, other->library)) return f;
    }
    return NULL;
}

static bool refuse_collision(const struct function *f, struct buf *error) {
    if (f) buf_printf(error, "Function %s already exists", f->text);
    return f != NULL;
}

static bool is_other(const void *replaced, const struct function_library *library) {
    return library != replaced;
}

/* Run the code: what it registers is the draft's. */
static bool run_code(struct engine *engine, struct draft *draft, struct slice code, int64_t limit_ms,
                     struct buf *error) {
    struct engine_loading loading = {.found = draft_found, .ctx = draft, .limit_ms = limit_ms};
    bool ok = engine_load_library(engine, code, &loading, error);
    engine_collect(engine);
    table_clear(&draft->names, NULL, NULL);
    if (!ok || draft->library->first) return ok;
    buf_append_cstr(error, "No functions registered");
    return false;
}

/* `name` gets the library's name, behind what it has. */
static bool load_into(struct function_set *set, const struct functions_load *load, struct buf *name,
                      struct buf *error) {
    struct slice code;
    size_t before = name->len;
    if (!shebang_read_library(load->source, name, &code, error)) return false;
    struct slice own = slice_of(name->data + before, name->len - before);
    struct function_library *old = find_library(set, own);
    if (old && !load->replace) {
        buf_printf(error, "Library '%.*s' already exists", (int)own.len, own.ptr);
        return false;
    }
    struct engine *engine = engine_for(set);
    struct draft draft = {.library = library_new(own, load->source)};
    table_init(&draft.names, &function_table);
    if (!run_code(engine, &draft, code, load->limit_ms, error) ||
        refuse_collision(find_collision(set, draft.library, is_other, old), error)) {
        library_free(draft.library, engine);
        return false;
    }
    if (old) remove_library(set, old);
    link_library(set, draft.library);
    return true;
}

bool functions_load(const struct functions_load *load, struct buf *name, struct buf *error) {
    return load_into(live_set(), load, name, error);
}

bool functions_delete(struct slice name) {
    struct function_library *library = live ? find_library(live, name) : NULL;
    if (library) remove_library(live, library);
    return library != NULL;
}

/* --- Payloads -------------------------------------------------------------------------------- */

static bool add_source(struct function_set *set, const struct functions_load *load, struct buf *error) {
    struct buf name = {0};
    bool ok = load_into(set, load, &name, error);
    buf_free(&name);
    return ok;
}

struct restoring {
    struct function_set *set;
    int64_t limit_ms;
};

static bool restore_source(void *ctx, struct slice source, struct buf *error) {
    const struct restoring *restoring = ctx;
    struct functions_load load = {.source = source, .limit_ms = restoring->limit_ms};
    return add_source(restoring->set, &load, error);
}

static bool restore_into(struct function_set *set, struct slice payload, int64_t limit_ms, struct buf *error) {
    struct restoring restoring = {set, limit_ms};
    return rdb_restore_functions(payload, restore_source, &restoring, error);
}

static bool stays_beside(const void *guests, const struct function_library *library) {
    return find_library(guests, library->name) == NULL;
}

/* May the guests join the live ones? */
static bool may_join(const struct function_set *guests, bool replace, struct buf *error) {
    struct table_iter it;
    const struct function_library *library;
    table_iter_init(&it, &guests->libraries);
    while (!replace && (library = table_iter_next(&it))) {
        if (!find_library(live, library->name)) continue;
        buf_printf(error, "Library %.*s already exists", (int)library->name.len, library->name.ptr);
        return false;
    }
    table_iter_init(&it, &guests->libraries);
    while ((library = table_iter_next(&it)))
        if (refuse_collision(find_collision(live, library, stays_beside, guests), error)) return false;
    return true;
}

static void join_one(void *ctx, void *record) {
    struct function_library *library = record, *old = find_library(live, library->name);
    (void)ctx;
    if (old) remove_library(live, old);
    link_library(live, library);
}

static bool restore_beside(struct function_set *guests, bool ok, bool replace, struct buf *error) {
    ok = ok && may_join(guests, replace, error);
    if (ok) table_clear(&guests->libraries, join_one, NULL);
    set_drop(guests, false);
    return ok;
}

static bool restore_instead(struct function_set *set, bool ok) {
    if (ok)
        set_use(set, true);
    else
        set_drop(set, false);
    return ok;
}

bool functions_restore(struct slice payload, enum functions_policy policy, int64_t limit_ms, struct buf *error) {
    struct function_set *set = set_new();
    set->is_guest = policy != FUNCTIONS_FLUSH;
    if (set->is_guest) set->engine = engine_for(live_set());
    bool ok = restore_into(set, payload, limit_ms, error);
    if (!set->is_guest) return restore_instead(set, ok);
    return restore_beside(set, ok, policy == FUNCTIONS_REPLACE, error);
}

/* --- Snapshots ------------------------------------------------------------------------------- */

static void each_source(void (*put)(void *ctx, struct slice source), void *ctx) {
    struct table_iter it;
    const struct function_library *library;
    if (!live) return;
    table_iter_init(&it, &live->libraries);
    while ((library = table_iter_next(&it)))
        put(ctx, library->source);
}

/* No limit on the time: the code has loaded once. */
static bool add_to(struct function_set *set, struct slice source, bool replace, struct buf *error) {
    struct functions_load load = {.source = source, .replace = replace};
    return add_source(set ? set : live_set(), &load, error);
}

static void functions_start(void) {
    static const struct rdb_functions in_snapshots = {
        .each = each_source,
        .begin = set_new,
        .use = set_use,
        .drop = set_drop,
        .add = add_to,
        .empty = functions_flush,
    };
    rdb_functions = &in_snapshots;
}

const struct module functions_module = {.start = functions_start};
