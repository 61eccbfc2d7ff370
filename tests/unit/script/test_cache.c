/* The cache of scripts compared with a model: an array of texts in the order of their last calls. The engine is a fake
 * that hands out numbers and remembers which of them are in use. Any argument runs the micro-benchmark instead. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/worker.h"
#include "script/cache.h"
#include "script/engine.h"
#include "script/run.h"
#include "seed.h"
#include "store/entry.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* --- The engine ------------------------------------------------------------------------------ */

#define FUNCTIONS (1 << 20)

struct engine {
    bool in_use[FUNCTIONS];
};
static struct {
    int made, freed, freed_later, collected, functions, compiled;
    struct engine *last;
} fake;

struct engine *engine_new(enum engine_kind kind) {
    assert_int_equal(kind, ENGINE_SCRIPTS);
    fake.made++;
    fake.functions = 0;
    return fake.last = calloc(1, sizeof *fake.last);
}

void engine_free(struct engine *engine) {
    fake.freed++;
    free(engine);
}

void engine_free_later(struct engine *engine) {
    fake.freed_later++;
    free(engine);
}

size_t engine_memory(const struct engine *engine) {
    assert_ptr_equal(engine, fake.last);
    return 12345;
}

int engine_compile(struct engine *engine, struct slice source, struct buf *error) {
    assert_ptr_equal(engine, fake.last);
    if (source.len >= 3 && memcmp(source.ptr, "bad", 3) == 0) {
        buf_append_cstr(error, "does not compile");
        return 0;
    }
    fake.functions++;
    for (;;) {
        int function = ++fake.compiled % FUNCTIONS;
        if (function == 0 || engine->in_use[function]) continue;
        engine->in_use[function] = true;
        return function;
    }
}

void engine_drop(struct engine *engine, int function) {
    assert_true(engine->in_use[function]);
    engine->in_use[function] = false;
    fake.functions--;
}

void engine_collect(struct engine *engine) {
    assert_ptr_equal(engine, fake.last);
    fake.collected++;
}

/* --- Helpers --------------------------------------------------------------------------------- */

static struct cache_script *eval(const char *text) {
    struct buf error = {0};
    struct cache_script *s = cache_eval(slice_cstr(text), &error);
    assert_true(s && error.len == 0);
    return s;
}

static struct cache_script *load(const char *text) {
    struct buf error = {0};
    struct cache_script *s = cache_load(slice_cstr(text), &error);
    assert_true(s && error.len == 0);
    return s;
}

static bool known(const char *text) {
    char sha[SHA1_DIGITS];
    sha1_hex(slice_cstr(text), sha);
    return cache_peek(slice_of(sha, SHA1_DIGITS));
}

static char *numbered(int i) {
    static char text[64];
    snprintf(text, sizeof text, "return %d", i);
    return text;
}

static int reset(void **state) {
    (void)state;
    cache_flush(false);
    cache_reset_metrics();
    return 0;
}

/* --- Finding --------------------------------------------------------------------------------- */

static void a_text_and_its_digits_find_one_script(void **state) {
    (void)state;
    int compiled = fake.compiled;
    struct cache_script *s = eval("return 1");
    assert_string_equal(s->sha, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    assert_int_equal(s->flags, SCRIPT_OLD_RULES);
    assert_ptr_equal(eval("return 1"), s);
    assert_ptr_equal(cache_find(SLICE("e0e1f9fabfc9d4800c877a703b823ac0578ff8db")), s);
    assert_ptr_equal(cache_find(SLICE("E0E1F9fabfc9d4800c877a703b823ac0578ff8DB")), s);
    assert_ptr_equal(load("return 1"), s);
    assert_int_equal(fake.compiled, compiled + 1);
    assert_int_equal(cache_metrics().scripts, 1);
}

static void other_digits_find_nothing(void **state) {
    (void)state;
    struct cache_script *s = eval("return 1");
    char sha[SHA1_DIGITS + 1];
    for (int i = 0; i < SHA1_DIGITS; i++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(sha, s->sha, sizeof sha);
            sha[i] = (char)byte;
            bool same = byte == s->sha[i] || (isalpha(s->sha[i]) && byte == toupper(s->sha[i]));
            assert_ptr_equal(cache_peek(slice_of(sha, SHA1_DIGITS)), same ? s : NULL);
            assert_ptr_equal(cache_find(slice_of(sha, SHA1_DIGITS)), same ? s : NULL);
        }
    }
    assert_null(cache_peek(slice_of(s->sha, SHA1_DIGITS - 1)));
    assert_null(cache_peek(slice_of(s->sha, SHA1_DIGITS + 1)));
    assert_null(cache_find(SLICE("")));
}

static void texts_that_agree_in_the_samples_differ(void **state) {
    (void)state;
    enum { LENGTH = 200, TEXTS = LENGTH };
    static char texts[TEXTS][LENGTH];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < TEXTS; i++) {
            struct buf error = {0};
            memset(texts[i], '-', LENGTH);
            texts[i][i] = '+';
            char sha[SHA1_DIGITS];
            sha1_hex(slice_of(texts[i], LENGTH), sha);
            struct cache_script *s = cache_eval(slice_of(texts[i], LENGTH), &error);
            assert_memory_equal(s->sha, sha, SHA1_DIGITS);
        }
    }
    assert_int_equal(cache_metrics().scripts, TEXTS);
}

static void what_does_not_compile_is_not_kept(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct buf error = {0};
        assert_null(cache_eval(SLICE("bad text"), &error));
        assert_true(slice_eq(buf_slice(&error), SLICE("does not compile")));
        buf_free(&error);
        assert_null(cache_load(SLICE("#!lua flags=x\nreturn 1"), &error));
        assert_true(slice_eq(buf_slice(&error), SLICE("Unexpected flag in script shebang: x")));
        buf_free(&error);
    }
    assert_int_equal(cache_metrics().scripts, 0);
    assert_int_equal(eval("#!lua flags=allow-oom\nreturn 1")->flags, SCRIPT_ALLOW_OOM);
}

/* --- The order ------------------------------------------------------------------------------- */

static void the_script_whose_call_is_longest_ago_goes(void **state) {
    (void)state;
    for (int i = 0; i < CACHE_EVALS; i++)
        eval(numbered(i));
    assert_int_equal(cache_metrics().evicted, 0);
    eval(numbered(0)); /* by its text */
    cache_find(slice_of(eval(numbered(1))->sha, SHA1_DIGITS));
    eval(numbered(CACHE_EVALS));
    assert_int_equal(cache_metrics().evicted, 1);
    assert_int_equal(cache_metrics().scripts, CACHE_EVALS);
    assert_true(known(numbered(0)) && known(numbered(1)));
    assert_false(known(numbered(2)));
    struct buf error = {0};
    assert_null(cache_eval(SLICE("bad"), &error)); /* drops nothing */
    buf_free(&error);
    assert_true(known(numbered(3)));
}

static void what_was_loaded_stays(void **state) {
    (void)state;
    eval("return 'first'");
    load("return 'first'");
    load("return 'second'");
    eval("return 'second'");
    for (int i = 0; i < 3 * CACHE_EVALS; i++)
        eval(numbered(i));
    assert_true(known("return 'first'") && known("return 'second'"));
    assert_int_equal(cache_metrics().scripts, CACHE_EVALS + 2);
    assert_int_equal(cache_metrics().evicted, 2 * CACHE_EVALS);
    assert_int_equal(fake.functions, CACHE_EVALS + 2);
}

/* --- The model ------------------------------------------------------------------------------- */

#define NUMBERS 1200 /* different texts */
static struct {
    int order[CACHE_EVALS], evals; /* the youngest first */
    bool loaded[NUMBERS];
    int loads;
    uint64_t evicted;
} model;

static int model_index(int number) {
    for (int i = 0; i < model.evals; i++)
        if (model.order[i] == number) return i;
    return -1;
}

static void model_remove(int i) {
    memmove(&model.order[i], &model.order[i + 1], (size_t)(--model.evals - i) * sizeof *model.order);
}

static void model_call(int number, bool may_add) {
    int i = model_index(number);
    if (model.loaded[number] || (i < 0 && !may_add)) return;
    if (i >= 0) model_remove(i);
    if (model.evals == CACHE_EVALS) {
        model.evals--;
        model.evicted++;
    }
    memmove(&model.order[1], &model.order[0], (size_t)model.evals++ * sizeof *model.order);
    model.order[0] = number;
}

static void model_load(int number) {
    if (model.loaded[number]) return;
    model_call(number, true);
    model_remove(0);
    model.loaded[number] = true;
    model.loads++;
}

static void random_step(void) {
    /* Skewed, so that some scripts come back before they go. */
    int number = (int)rand_below(rand_below(NUMBERS) + 1);
    char sha[SHA1_DIGITS];
    sha1_hex(slice_cstr(numbered(number)), sha);
    bool there = model.loaded[number] || model_index(number) >= 0;
    switch (rand_below(3000)) {
    case 0:
        cache_flush(rand_below(2));
        memset(&model, 0, sizeof model);
        cache_reset_metrics();
        break;
    case 1 ... 20:
        model_load(number);
        assert_memory_equal(load(numbered(number))->sha, sha, SHA1_DIGITS);
        break;
    case 21 ... 1000:
        assert_int_equal(cache_peek(slice_of(sha, SHA1_DIGITS)) != NULL, there);
        assert_int_equal(cache_find(slice_of(sha, SHA1_DIGITS)) != NULL, there);
        model_call(number, false);
        break;
    default: model_call(number, true); assert_memory_equal(eval(numbered(number))->sha, sha, SHA1_DIGITS);
    }
}

static void random_calls_agree_with_the_model(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    memset(&model, 0, sizeof model);
    for (int i = 0; i < 60000; i++) {
        random_step();
        struct cache_metrics m = cache_metrics();
        assert_int_equal(m.scripts, model.evals + model.loads);
        assert_int_equal(m.evicted, model.evicted);
        if (m.scripts) assert_int_equal(fake.functions, m.scripts);
    }
}

/* --- Flush, figures -------------------------------------------------------------------------- */

static void a_flush_forgets_scripts_and_engine(void **state) {
    (void)state;
    for (int in_background = 0; in_background < 2; in_background++) {
        int *freed = in_background ? &fake.freed_later : &fake.freed, before = *freed, made = fake.made;
        size_t used = alloc_used();
        for (int i = 0; i < 3000; i++)
            load(numbered(i));
        assert_int_equal(fake.made, made + 1);
        cache_flush(in_background);
        worker_drain();
        assert_int_equal(*freed, before + 1);
        assert_int_equal(cache_metrics().scripts, 0);
        assert_int_equal(cache_metrics().bytes, 0);
        assert_int_equal(cache_metrics().lua_bytes, 0);
        assert_false(known(numbered(7)));
        assert_int_equal(alloc_used(), used);
        assert_int_equal(entry_lazyfree_pending(), 0);
        cache_flush(in_background); /* nothing to free */
        assert_int_equal(*freed, before + 1);
        assert_ptr_not_equal(eval(numbered(7)), NULL);
        cache_flush(false);
    }
}

static void loads_collect_garbage(void **state) {
    (void)state;
    int before = fake.collected;
    eval("return 1");
    assert_int_equal(fake.collected, before);
    load("return 2");
    assert_int_equal(fake.collected, before + 1);
}

static void bytes_are_those_of_the_texts(void **state) {
    (void)state;
    static char text[100000];
    memset(text, ' ', sizeof text);
    struct buf error = {0};
    cache_eval(slice_of(text, sizeof text), &error);
    size_t bytes = cache_metrics().bytes;
    assert_in_range(bytes, sizeof text, sizeof text * 5 / 4);
    assert_int_equal(cache_metrics().lua_bytes, 12345);
    for (int i = 0; i < CACHE_EVALS; i++)
        eval(numbered(i));
    assert_in_range(cache_metrics().bytes, CACHE_EVALS * 100, sizeof text);
}

/* --- The benchmark --------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void measure(size_t len) {
    enum { CALLS = 1000000 };
    char text[20000], sha[SHA1_DIGITS];
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + rand_below(26));
    struct slice whole = slice_of(text, len);
    struct buf error = {0};
    const char *digits = cache_eval(whole, &error)->sha;
    double start = seconds();
    for (int i = 0; i < CALLS; i++)
        cache_find(slice_of(digits, SHA1_DIGITS));
    double found = seconds();
    for (int i = 0; i < CALLS; i++)
        cache_eval(whole, &error);
    double evaled = seconds();
    for (int i = 0; i < CALLS / 10; i++)
        sha1_hex(whole, sha);
    double hashed = seconds();
    volatile uint64_t sum = 0;
    for (int i = 0; i < CALLS; i++)
        sum += hash_bytes(text, len);
    printf("%6zu bytes: by digits %5.1f ns, by text %6.1f, SHA-1 %7.1f, hash %6.1f\n", len,
           (found - start) * 1e9 / CALLS, (evaled - found) * 1e9 / CALLS, (hashed - evaled) * 1e10 / CALLS,
           (seconds() - hashed) * 1e9 / CALLS);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        for (size_t len = 10; len < 20000; len *= 2)
            measure(len);
        return 0;
    }
    worker_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_text_and_its_digits_find_one_script, reset),
        cmocka_unit_test_setup(other_digits_find_nothing, reset),
        cmocka_unit_test_setup(texts_that_agree_in_the_samples_differ, reset),
        cmocka_unit_test_setup(what_does_not_compile_is_not_kept, reset),
        cmocka_unit_test_setup(the_script_whose_call_is_longest_ago_goes, reset),
        cmocka_unit_test_setup(what_was_loaded_stays, reset),
        cmocka_unit_test_setup(random_calls_agree_with_the_model, reset),
        cmocka_unit_test_setup(a_flush_forgets_scripts_and_engine, reset),
        cmocka_unit_test_setup(loads_collect_garbage, reset),
        cmocka_unit_test_setup(bytes_are_those_of_the_texts, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cache_flush(false);
    worker_stop();
    return failed;
}
