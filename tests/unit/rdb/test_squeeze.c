/* liblzf expands the output of squeeze(), which never writes beyond its room. */
#include "base/rand.h"
#include "rdb/squeeze.h"
#include "seed.h"
#include <liblzf/lzf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t make(uint8_t *to) {
    size_t n = rand_below(rand_below(2) ? 300 : SQUEEZE_MAX + 1), letters = 1 + rand_below(rand_below(2) ? 4 : 256);
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)rand_below(letters);
        if (i > 0 && rand_below(10) == 0) {
            size_t back = 1 + rand_below(i), len = rand_below(300);
            for (size_t k = 0; k < len && i < n; k++, i++)
                to[i] = to[i - back];
            if (i < n) to[i] = 0;
        }
    }
    return n;
}

static void liblzf_expands_it(void **state) {
    (void)state;
    static uint8_t text[SQUEEZE_MAX], back[SQUEEZE_MAX];
    for (int i = 0; i < 5000; i++) {
        size_t n = make(text), room = rand_below(2) ? SQUEEZE_MAX * 2 : rand_below(n + 1);
        uint8_t *packed = malloc(room + 1); /* the sanitizer watches its end */
        size_t len = squeeze(text, n, packed, room);
        assert_true(len <= room);
        if (room > n + n / 16 + 8 && n > 0) assert_true(len > 0);
        if (len > 0) {
            assert_int_equal(lzf_decompress(packed, (unsigned)len, back, sizeof back), n);
            assert_memory_equal(back, text, n);
        }
        free(packed);
    }
}

static void repetitions_shrink(void **state) {
    (void)state;
    static const char text[] = "value-00000000000000000000012345";
    char packed[64];
    size_t len = squeeze(text, sizeof text - 1, packed, sizeof packed);
    assert_true(len > 0 && len <= 20);
    memset(packed, 0, sizeof packed);
    static char zeros[SQUEEZE_MAX];
    len = squeeze(zeros, sizeof zeros, zeros + 0, 0);
    assert_int_equal(len, 0);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(liblzf_expands_it), cmocka_unit_test(repetitions_shrink)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
