/* Glob matching: the corners of the dialect (each checked against redis-server 7.0.15), and random patterns compared
 * with a plain recursive matcher that works on a parsed pattern. */
#include "base/glob.h"
#include "base/rand.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define G(pattern, text) glob_match(SLICE(pattern), SLICE(text))
#define GI(pattern, text) glob_match_nocase(SLICE(pattern), SLICE(text))

static void corners(void **state) {
    (void)state;
    assert_true(G("", "") && !G("", "a") && !G("*", "") && !G("**", "") && !G("a", ""));
    assert_true(G("*", "a") && G("**", "abc") && G("a*", "a") && G("a***", "a") && G("*a", "a") && G("?", "a"));
    assert_true(G("h?llo", "hello") && !G("h?llo", "hllo") && G("h*llo", "heeeello") && G("h*llo", "hllo"));
    assert_true(G("h[ae]llo", "hallo") && !G("h[ae]llo", "hillo") && G("h[^e]llo", "hallo") && !G("h[^e]llo", "hello"));
    assert_true(G("[a-c]", "b") && G("[c-a]", "b") && !G("[a-c]", "d") && G("[^a-c]", "d"));
    assert_true(!G("[", "[") && !G("[", "a") && G("[^", "a") && G("[a", "a") && !G("[a", "b") && G("[a-", "-"));
    assert_true(!G("[]", "]") && !G("[]a]", "a]") && G("[^]", "x") && G("[a-]", "]") && !G("[a-]", "z"));
    assert_true(G("[\\]]", "]") && G("[\\a-z]", "-") && !G("[\\a-z]", "b") && G("[\\", "\\"));
    assert_true(G("\\*", "*") && !G("\\*", "a") && G("a\\", "a\\") && G("\\", "\\") && G("\\a", "a"));
    assert_true(G("a\0b", "a\0b") && !G("a\0b", "a\0c") && G("*\0*", "x\0"));
    assert_true(G("[\x80-\xff]", "\x90") && G("[\xff-\x01]", "\0") && !G("[\x01-\xff]", "\x02")); /* signed */
    assert_true(GI("HeL*", "hEllo") && !G("HeL*", "hEllo") && GI("[A-C]x", "bX") && !GI("[\\A]", "a") &&
                GI("[A]", "a"));
    assert_true(G("*a*b*c", "xxaxxbxxc") && !G("*a*b*c", "xxaxxbxx") && G("*?", "abc") && G("?*?", "ab") &&
                !G("?*?", "a"));
    assert_true(glob_is_all(SLICE("*")) && !glob_is_all(SLICE("**")) && !glob_is_all(SLICE("")));
}

/* --- The reference: every star tries every length -------------------------------------------- */

static int low(int c, bool nocase) {
    return nocase && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Length of the element at p; *in tells whether it matches c. */
static size_t element(const char *p, const char *end, char c, bool nocase, bool *in) {
    const char *at = p;
    if (*p == '\\' && end - p > 1)
        p++;
    else if (*p == '?') {
        *in = true;
        return 1;
    } else if (*p == '[') {
        bool not = ++p < end && *p == '^', hit = false;
        for (p += not ; p < end && *p != ']';) {
            if (*p == '\\' && end - p >= 2) {
                hit |= p[1] == c;
                p += 2;
            } else if (end - p >= 3 && p[1] == '-') {
                int from = (signed char)p[0], to = (signed char)p[2], x = low((signed char)c, nocase);
                if (from > to) {
                    int t = from;
                    from = to;
                    to = t;
                }
                hit |= x >= low(from, nocase) && x <= low(to, nocase);
                p += 3;
            } else {
                hit |= low((signed char)*p++, nocase) == low((signed char)c, nocase);
            }
        }
        *in = hit != not ;
        return (size_t)(p - at) + (p < end);
    }
    *in = low((signed char)*p, nocase) == low((signed char)c, nocase);
    return (size_t)(p + 1 - at);
}

static bool naive(const char *p, const char *pe, const char *t, const char *te, bool nocase) {
    if (p == pe) return t == te;
    if (*p == '*') return naive(p + 1, pe, t, te, nocase) || (t < te && naive(p, pe, t + 1, te, nocase));
    if (t == te) return false;
    bool in;
    size_t n = element(p, pe, *t, nocase, &in);
    return in && naive(p + n, pe, t + 1, te, nocase);
}

static void random_patterns(void **state) {
    (void)state;
    static const char letters[] = "aabbABc*?[]^-\\**", text_letters[] = "aabbABc-]^\\";
    unsigned hits = 0;
    for (int i = 0; i < 500000; i++) {
        char pattern[10], text[10];
        size_t pn = rand_below(sizeof pattern + 1), tn = 1 + rand_below(sizeof text);
        for (size_t j = 0; j < pn; j++)
            pattern[j] = letters[rand_below(sizeof letters - 1)];
        for (size_t j = 0; j < tn; j++)
            text[j] = text_letters[rand_below(sizeof text_letters - 1)];
        bool nocase = i & 1;
        bool expected = naive(pattern, pattern + pn, text, text + tn, nocase);
        bool got = (nocase ? glob_match_nocase : glob_match)(slice_of(pattern, pn), slice_of(text, tn));
        if (got != expected)
            fail_msg("pattern \"%.*s\" text \"%.*s\" nocase %d: %d", (int)pn, pattern, (int)tn, text, nocase, got);
        hits += got;
    }
    assert_true(hits > 20000);
}

static void stays_linear(void **state) {
    (void)state;
    static char pattern[20000], text[100000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[sizeof pattern - 1] = 'b';
    assert_false(glob_match(slice_of(pattern, sizeof pattern), slice_of(text, sizeof text)));
    memset(pattern + 1, 'a', 200);
    pattern[200] = 'b';
    clock_t start = clock();
    assert_false(glob_match(slice_of(pattern, 201), slice_of(text, sizeof text)));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 3);
}

/* A thousand stars may match, plus one at the end. */
static void stars_are_bounded(void **state) {
    (void)state;
    static char pattern[2 * 1001 + 1], text[1200];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof pattern; i += 2)
        memcpy(pattern + i, "*?", i + 2 <= sizeof pattern ? 2 : 1);
    struct slice whole = slice_of(text, sizeof text);
    assert_true(glob_match(slice_of(pattern, 2 * 1000), whole));
    assert_true(glob_match(slice_of(pattern, 2 * 1000 + 1), whole));
    assert_false(glob_match(slice_of(pattern, 2 * 1001), whole));
    assert_false(glob_match(slice_of(pattern, 2 * 1001 + 1), whole));
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_glob: seed %" PRIu64 "\n", seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corners),
        cmocka_unit_test(random_patterns),
        cmocka_unit_test(stays_linear),
        cmocka_unit_test(stars_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
