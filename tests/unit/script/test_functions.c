/* Libraries: what is refused and that it changes nothing, payloads, and sets that are built aside. Random changes are
 * compared with a plain model.
 *
 * The engine is a fake: the code of a library is the names of its functions, with blanks between; "!" is an error. It
 * counts the functions that it keeps, so that none may leak, whatever fails. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "base/worker.h"
#include "disk/writer.h"
#include "rdb/rdb.h"
#include "rdb/rdb_functions.h"
#include "script/engine.h"
#include "script/functions.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct module functions_module;

/* --- The fake engine ------------------------------------------------------------------------- */

struct engine {
    int kept;
};

static int engines, kept, next_function;
static int64_t limit_ms;

struct engine *engine_new(enum engine_kind kind) {
    assert_int_equal(kind, ENGINE_FUNCTIONS);
    engines++;
    return calloc(1, sizeof(struct engine));
}
void engine_free(struct engine *engine) {
    engines--;
    kept -= engine->kept;
    free(engine);
}
void engine_free_later(struct engine *engine) {
    engine_free(engine);
}
size_t engine_memory(const struct engine *engine) {
    return 1000 + (size_t)engine->kept;
}
void engine_drop(struct engine *engine, int function) {
    assert_true(function > 0);
    engine->kept--;
    kept--;
    assert_true(engine->kept >= 0);
}
void engine_collect(struct engine *engine) {
    (void)engine;
}

static const char *fake_register(struct engine *engine, const struct engine_loading *loading, struct slice name) {
    struct engine_function function = {.name = name, .function = ++next_function, .flags = (unsigned)name.len};
    if (name.len % 2) function.description = SLICE("what it does");
    engine->kept++;
    kept++;
    const char *why = loading->found(loading->ctx, &function);
    if (why) engine_drop(engine, function.function);
    return why;
}

bool engine_load_library(struct engine *engine, struct slice code, const struct engine_loading *loading,
                         struct buf *error) {
    const char *at = code.ptr, *end = code.ptr + code.len, *why = NULL;
    limit_ms = loading->limit_ms;
    while (at < end && !why) {
        size_t n = 0;
        while (at + n < end && at[n] != ' ' && at[n] != '\n')
            n++;
        if (n == 1 && *at == '!')
            why = "boom";
        else if (n > 0)
            why = fake_register(engine, loading, slice_of(at, n));
        at += n + 1;
    }
    if (why) buf_printf(error, "Error registering functions: %s", why);
    return why == NULL;
}

/* --- Helpers --------------------------------------------------------------------------------- */

static int set_up(void **state) {
    (void)state;
    functions_flush(false);
    worker_drain();
    assert_int_equal(kept, 0);
    assert_int_equal(engines, 0);
    return 0;
}

/* The error, or "". */
static const char *load(const char *name, const char *code, bool replace) {
    static char text[300];
    char source[300];
    snprintf(source, sizeof source, "#!lua name=%s\n%s", name, code);
    struct functions_load what = {.source = slice_cstr(source), .replace = replace, .limit_ms = FUNCTIONS_LOAD_MS};
    struct buf told = {0}, error = {0};
    bool ok = functions_load(&what, &told, &error);
    if (ok) assert_true(slice_eq(buf_slice(&told), slice_cstr(name)));
    assert_int_equal(ok, error.len == 0);
    snprintf(text, sizeof text, "%.*s", (int)error.len, error.len ? error.data : "");
    buf_free(&told);
    buf_free(&error);
    return text;
}

/* The library of a function, or "". */
static const char *owner(const char *function) {
    static char name[100];
    const struct function *f = functions_find(slice_cstr(function));
    if (!f) return "";
    assert_true(slice_eq(slice_of(f->text, f->name_len), slice_cstr(function)) && f->text[f->name_len] == '\0');
    snprintf(name, sizeof name, "%.*s", (int)f->library->name.len, f->library->name.ptr);
    return name;
}

static struct slice dump(void) {
    struct writer w;
    writer_to_memory(&w, true);
    rdb_dump_functions(&w);
    struct slice payload = writer_slice(&w);
    char *copy = malloc(payload.len);
    memcpy(copy, payload.ptr, payload.len);
    writer_free(&w);
    return slice_of(copy, payload.len);
}

static const char *restore(struct slice payload, enum functions_policy policy) {
    static char text[300];
    struct buf error = {0};
    bool ok = functions_restore(payload, policy, 77, &error);
    assert_int_equal(ok, error.len == 0);
    snprintf(text, sizeof text, "%.*s", (int)error.len, error.len ? error.data : "");
    buf_free(&error);
    return text;
}

static void assert_counts(size_t libraries, size_t functions) {
    struct functions_metrics metrics = functions_metrics();
    assert_int_equal(metrics.libraries, libraries);
    assert_int_equal(metrics.functions, functions);
    assert_int_equal(kept, functions);
    assert_int_equal(metrics.bytes > 0, functions > 0);
}

/* --- Loading --------------------------------------------------------------------------------- */

static void functions_are_found_with_what_they_say(void **state) {
    (void)state;
    assert_null(functions_find(SLICE("f")));
    assert_null(functions_engine());
    assert_counts(0, 0);
    assert_string_equal(load("a", "f gg", false), "");
    assert_int_equal(limit_ms, FUNCTIONS_LOAD_MS);
    assert_non_null(functions_engine());
    const struct function *f = functions_find(SLICE("f")), *gg = functions_find(SLICE("gg"));
    assert_ptr_equal(f->library, gg->library);
    assert_ptr_equal(f->library->first, f);
    assert_ptr_equal(f->next, gg);
    assert_int_equal(f->flags, 1);
    assert_true(f->is_described && !gg->is_described);
    assert_true(slice_eq(slice_of(f->text + 2, f->description_len), SLICE("what it does")));
    assert_true(slice_eq(f->library->source, SLICE("#!lua name=a\nf gg")));
    assert_null(functions_find(SLICE("")));
    assert_int_equal(functions_metrics().lua_bytes, 1002);
    assert_counts(1, 2);
}

static void the_case_of_a_function_does_not_count(void **state) {
    char name[200], code[400] = "", other[200];
    (void)state;
    for (size_t n = 1; n < sizeof name; n += 1 + n / 3) {
        for (size_t i = 0; i < n; i++)
            name[i] = "aZ_9"[(i + n) % 4];
        name[n] = '\0';
        if (n < 100) sprintf(code + strlen(code), "%s ", name);
    }
    assert_string_equal(load("long", code, false), "");
    for (const struct function *f = functions_find(slice_cstr("Z"))->library->first; f; f = f->next) {
        for (size_t i = 0; i < f->name_len; i++) {
            other[i] = f->text[i];
            if (rand_below(2) && other[i] != '_' && other[i] != '9') other[i] ^= 0x20;
        }
        assert_ptr_equal(functions_find(slice_of(other, f->name_len)), f);
        other[f->name_len - 1] ^= 1;
        assert_null(functions_find(slice_of(other, f->name_len)));
        other[f->name_len - 1] ^= 1;
        for (size_t i = 0; i < f->name_len; i++) {
            if (other[i] != '_' && other[i] != '9') continue;
            other[i] ^= 0x20; /* no letter: this is another name */
            assert_null(functions_find(slice_of(other, f->name_len)));
            other[i] ^= 0x20;
        }
    }
    assert_string_equal(load("x", "z", false), "Function z already exists");
    assert_string_equal(load("x", "k K", false), "Error registering functions: Function already exists in the library");
    assert_string_equal(load("Long", "k", false), "");
    assert_string_equal(load("long", "k", true), "Function k already exists");
}

static void what_fails_changes_nothing(void **state) {
    (void)state;
    static const char wrong_name[] = "Error registering functions: Library names can only contain letters, numbers, or "
                                     "underscores(_) and must be at "
                                     "least one character long";
    load("a", "f g", false);
    load("b", "h", false);
    for (int replace = 0; replace < 2; replace++) {
        const char *name = replace ? "b" : "c";
        assert_string_equal(load(name, "x f", replace), "Function f already exists");
        assert_string_equal(load(name, "x y !", replace), "Error registering functions: boom");
        assert_string_equal(load(name, "x x", replace),
                            "Error registering functions: Function already exists in the library");
        assert_string_equal(load(name, "x a-b", replace), wrong_name);
        assert_string_equal(load(name, "", replace), "No functions registered");
        assert_string_equal(load("a-b", "x", replace), wrong_name + strlen("Error registering functions: "));
        assert_counts(2, 3);
        assert_string_equal(owner("h"), "b");
        assert_string_equal(owner("x"), "");
    }
    assert_string_equal(load("a", "x", false), "Library 'a' already exists");
    assert_false(functions_delete(SLICE("c")));
    assert_counts(2, 3);
}

static void a_library_that_is_replaced_is_gone(void **state) {
    (void)state;
    load("a", "f g", false);
    load("b", "h", false);
    assert_string_equal(load("a", "g i", true), "");
    assert_string_equal(owner("f"), "");
    assert_string_equal(owner("g"), "a");
    assert_string_equal(load("c", "f", true), "");
    assert_counts(3, 4);
    assert_true(functions_delete(SLICE("a")));
    assert_string_equal(owner("g"), "");
    assert_counts(2, 2);
    functions_flush(true);
    worker_drain();
    assert_counts(0, 0);
    assert_int_equal(engines, 0);
}

/* --- Payloads -------------------------------------------------------------------------------- */

static void a_payload_comes_all_or_not_at_all(void **state) {
    (void)state;
    load("a", "f", false);
    load("b", "g", false);
    struct slice both = dump();
    assert_int_equal(engines, 1);
    functions_flush(false);
    load("c", "g", false);
    for (enum functions_policy policy = FUNCTIONS_APPEND; policy <= FUNCTIONS_REPLACE; policy++)
        assert_string_equal(restore(both, policy), "Function g already exists");
    assert_counts(1, 1);
    functions_flush(false);
    load("a", "old", false);
    assert_string_equal(restore(both, FUNCTIONS_APPEND), "Library a already exists");
    assert_string_equal(owner("old"), "a");
    assert_counts(1, 1);
    assert_string_equal(restore(both, FUNCTIONS_REPLACE), "");
    assert_string_equal(owner("old"), "");
    assert_string_equal(owner("g"), "b");
    assert_counts(2, 2);
    load("c", "other", false);
    assert_string_equal(restore(both, FUNCTIONS_FLUSH), "");
    assert_string_equal(owner("other"), "");
    assert_counts(2, 2);
    assert_int_equal(engines, 1);
    assert_int_equal(limit_ms, 77);
    free((char *)both.ptr);
}

static void one_name_may_move_between_libraries_that_are_replaced(void **state) {
    (void)state;
    load("a", "f", false);
    load("b", "g", false);
    struct slice payload = dump();
    functions_flush(false);
    load("a", "g", false);
    load("b", "f", false);
    assert_string_equal(restore(payload, FUNCTIONS_REPLACE), "");
    assert_string_equal(owner("f"), "a");
    assert_string_equal(owner("g"), "b");
    assert_counts(2, 2);
    free((char *)payload.ptr);
}

static void damage_to_a_payload_changes_nothing(void **state) {
    (void)state;
    load("a", "f gg hhh", false);
    load("b", "i", false);
    struct slice payload = dump();
    char *copy = malloc(payload.len);
    rdb_options.skip_checksum = true;
    for (int i = 0; i < 5000; i++) {
        enum functions_policy policy = (enum functions_policy)rand_below(3);
        functions_flush(false);
        load("z", "k", false);
        memcpy(copy, payload.ptr, payload.len);
        for (unsigned n = 1 + (unsigned)rand_below(3); n > 0; n--)
            copy[rand_below(payload.len)] = (char)rand_u64();
        bool ok = restore(slice_of(copy, payload.len - rand_below(4)), policy)[0] == '\0';
        if (!ok) assert_counts(1, 1);
        /* Damage may have made a library `z`, or a function `k`, that comes in its place. */
        if (!ok || policy == FUNCTIONS_APPEND) assert_string_equal(owner("k"), "z");
        assert_int_equal(kept, functions_metrics().functions);
        assert_int_equal(engines, 1);
    }
    rdb_options.skip_checksum = false;
    free(copy);
    free((char *)payload.ptr);
}

/* --- Sets aside ------------------------------------------------------------------------------ */

static void a_set_that_is_built_aside_is_seen_when_it_is_used(void **state) {
    (void)state;
    for (int used = 0; used < 2; used++) {
        struct buf error = {0};
        functions_flush(false);
        load("a", "f", false);
        struct function_set *set = rdb_functions->begin();
        assert_true(rdb_functions->add(set, SLICE("#!lua name=a\ng"), false, &error));
        assert_true(rdb_functions->add(set, SLICE("#!lua name=b\nf"), false, &error));
        assert_false(rdb_functions->add(set, SLICE("#!lua name=b\nh"), false, &error));
        assert_true(rdb_functions->add(set, SLICE("#!lua name=b\nf i"), true, &error));
        assert_string_equal(owner("f"), "a");
        assert_int_equal(limit_ms, 0);
        if (used)
            rdb_functions->use(set, true);
        else
            rdb_functions->drop(set, true);
        worker_drain();
        assert_string_equal(owner("f"), used ? "b" : "a");
        assert_string_equal(owner("i"), used ? "b" : "");
        assert_counts(used ? 2 : 1, used ? 3 : 1);
        assert_int_equal(engines, 1);
        buf_free(&error);
    }
    struct function_set *empty = rdb_functions->begin();
    rdb_functions->use(empty, false);
    assert_counts(0, 0);
}

/* --- A model --------------------------------------------------------------------------------- */

enum { NAMES = 6, WORDS = 8, DUMPS = 6 };

/* For each library the functions that it has, as bits; 0: it is not there. */
struct model {
    unsigned has[NAMES];
};
static struct model model;

static void name_library(char *to, int i) {
    sprintf(to, "library_%c", 'a' + i);
}
static void name_function(char *to, int i) {
    sprintf(to, "f%.*s", i, "12345678");
}

static unsigned others(const struct model *m, const struct model *gone) {
    unsigned all = 0;
    for (int i = 0; i < NAMES; i++)
        if (!gone->has[i]) all |= m->has[i];
    return all;
}

static void model_load(void) {
    int library = (int)rand_below(NAMES);
    unsigned bits = (unsigned)rand_below(1 << WORDS) & (unsigned)rand_below(1 << WORDS);
    bool replace = rand_below(2), fails = rand_below(5) == 0;
    struct model gone = {{0}};
    char name[20], code[100] = "";
    name_library(name, library);
    for (int i = 0; i < WORDS; i++) {
        if (!(bits >> i & 1)) continue;
        name_function(code + strlen(code), i);
        strcat(code, " ");
    }
    if (fails) strcat(code, "!");
    gone.has[library] = 1;
    bool expected = bits && !fails && (replace || !model.has[library]) && !(bits & others(&model, &gone));
    assert_int_equal(load(name, code, replace)[0] == '\0', expected);
    if (expected) model.has[library] = bits;
}

static void model_restore(struct slice payload, const struct model *what) {
    enum functions_policy policy = (enum functions_policy)rand_below(3);
    unsigned come = others(what, &(struct model){{0}});
    bool expected = policy == FUNCTIONS_FLUSH || !(come & others(&model, what));
    for (int i = 0; i < NAMES && policy == FUNCTIONS_APPEND; i++)
        if (what->has[i] && model.has[i]) expected = false;
    assert_int_equal(restore(payload, policy)[0] == '\0', expected);
    if (!expected) return;
    for (int i = 0; i < NAMES; i++)
        if (what->has[i] || policy == FUNCTIONS_FLUSH) model.has[i] = what->has[i];
}

static void model_compare(void) {
    char name[20];
    size_t libraries = 0, functions = 0;
    for (int i = 0; i < NAMES; i++)
        libraries += model.has[i] != 0;
    for (int i = 0; i < WORDS; i++) {
        char library[20] = "";
        for (int k = 0; k < NAMES; k++)
            if (model.has[k] >> i & 1) name_library(library, k);
        name_function(name, i);
        assert_string_equal(owner(name), library);
        functions += library[0] != '\0';
    }
    assert_counts(libraries, functions);
}

static void random_changes_do_what_the_model_does(void **state) {
    (void)state;
    struct slice dumps[DUMPS] = {{NULL, 0}};
    struct model of_dumps[DUMPS];
    char name[20];
    memset(&model, 0, sizeof model);
    for (int i = 0; i < 20000; i++) {
        int which = (int)rand_below(DUMPS), library = (int)rand_below(NAMES);
        switch (rand_below(12)) {
        case 0:
            free((char *)dumps[which].ptr);
            dumps[which] = dump();
            of_dumps[which] = model;
            break;
        case 1:
        case 2:
            if (dumps[which].ptr) model_restore(dumps[which], &of_dumps[which]);
            break;
        case 3:
        case 4:
            name_library(name, library);
            assert_int_equal(functions_delete(slice_cstr(name)), model.has[library] != 0);
            model.has[library] = 0;
            break;
        case 5:
            if (rand_below(10)) break;
            functions_flush(rand_below(2));
            worker_drain();
            memset(&model, 0, sizeof model);
            break;
        default: model_load();
        }
        model_compare();
    }
    for (int i = 0; i < DUMPS; i++)
        free((char *)dumps[i].ptr);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rand_seed(seed);
    hash_seed(rand_u64());
    functions_module.start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(functions_are_found_with_what_they_say, set_up),
        cmocka_unit_test_setup(the_case_of_a_function_does_not_count, set_up),
        cmocka_unit_test_setup(what_fails_changes_nothing, set_up),
        cmocka_unit_test_setup(a_library_that_is_replaced_is_gone, set_up),
        cmocka_unit_test_setup(a_payload_comes_all_or_not_at_all, set_up),
        cmocka_unit_test_setup(one_name_may_move_between_libraries_that_are_replaced, set_up),
        cmocka_unit_test_setup(damage_to_a_payload_changes_nothing, set_up),
        cmocka_unit_test_setup(a_set_that_is_built_aside_is_seen_when_it_is_used, set_up),
        cmocka_unit_test_setup(random_changes_do_what_the_model_does, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    set_up(NULL);
    return failed;
}
