/* store/geohash: known places, encoding and decoding, and covers that leave no place of a shape out. To repeat a run
 * that failed, give the SEED that it prints. */
#include "base/rand.h"
#include "base/slice.h"
#include "store/geohash.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const struct geohash_point palermo = {13.361389, 38.115556}, catania = {15.087269, 37.502669};

static void choose_seed(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

static double random_between(double min, double max) {
    return min + rand_unit() * (max - min);
}

static struct geohash_point random_point(double max_latitude) {
    return (struct geohash_point){random_between(-180, 180), random_between(-max_latitude, max_latitude)};
}

static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.17g is not %.17g", a, b);
}

static void test_known_places(void **state) {
    (void)state;
    assert_true(geohash_encode(palermo) == 3479099956230698.0);
    assert_true(geohash_encode(catania) == 3479447370796909.0);
    struct geohash_point p = geohash_decode(3479099956230698.0);
    assert_true(p.longitude == 13.36138933897018433 && p.latitude == 38.11555639549629859);
    assert_near(geohash_distance(geohash_decode(3479099956230698.0), geohash_decode(3479447370796909.0)), 166274.1516,
                0.00005);
}

static void assert_text(struct geohash_point p, const char *expected) {
    char text[GEOHASH_TEXT + 1] = "";
    geohash_print(text, p);
    assert_memory_equal(text, expected, strlen(expected));
}

/* The second is the example in the article of Wikipedia. */
static void test_text(void **state) {
    (void)state;
    assert_text(palermo, "sqc8b49rny0");
    assert_text((struct geohash_point){-5.603, 42.605}, "ezs42");
    assert_text((struct geohash_point){10.40744, 57.64911}, "u4pruydqqv");
}

static void test_there_and_back(void **state) {
    (void)state;
    choose_seed();
    for (int i = 0; i < 100000; i++) {
        struct geohash_point p = random_point(GEOHASH_LATITUDE_MAX);
        double score = geohash_encode(p);
        struct geohash_point q = geohash_decode(score);
        assert_true(score >= 0 && score < 0x1p52);
        assert_near(p.longitude, q.longitude, 360.0 / (1 << 26));
        assert_near(p.latitude, q.latitude, 171.0 / (1 << 26));
        assert_true(geohash_encode(q) == score);
    }
}

static void test_any_score(void **state) {
    (void)state;
    const double odd[] = {-1,        -0.5,    0.5,      -INFINITY, INFINITY,
                          1e300,     -1e300,  0x1p52,   0x1p63,    -0x1p63,
                          0x1p64,    -0x1p64, 0x1.8p63, 5e-324,    0x1.fffffffffffffp63,
                          0x1p53 - 1};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_true(geohash_is_valid(geohash_decode(odd[i])));
}

static void test_corners(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct geohash_point p = {i & 1 ? 180 : -180, i & 2 ? GEOHASH_LATITUDE_MAX : -GEOHASH_LATITUDE_MAX};
        assert_true(geohash_is_valid(p));
        assert_true(geohash_is_valid(geohash_decode(geohash_encode(p))));
        p.latitude *= 1.0001;
        assert_false(geohash_is_valid(p));
    }
    assert_false(geohash_is_valid((struct geohash_point){NAN, 0}));
}

static void test_distance(void **state) {
    (void)state;
    choose_seed();
    const double half_way = M_PI * 6372797.560856;
    for (int i = 0; i < 10000; i++) {
        struct geohash_point a = random_point(85), b = random_point(85);
        double d = geohash_distance(a, b);
        assert_near(d, geohash_distance(b, a), 0.001);
        assert_true(d >= 0 && d <= half_way + 1);
        assert_true(geohash_distance(a, a) == 0);
        struct geohash_point north = {a.longitude, b.latitude};
        assert_near(geohash_distance(a, north), fabs(a.latitude - b.latitude) / 180 * half_way, 0.001);
    }
}

/* A point near the edge of the shape. */
static struct geohash_point point_around(struct geohash_point center, double metres) {
    double degrees = metres / 111000;
    return (struct geohash_point){center.longitude +
                                      random_between(-degrees, degrees) / cos(center.latitude * M_PI / 180),
                                  center.latitude + random_between(-degrees, degrees)};
}

static void test_cover(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 20000; round++) {
        double size = exp(random_between(0, log(400000)));
        struct geohash_point center = random_point(60);
        center.longitude *= 0.9; /* ranges do not cross the date line, as in Redis */
        struct geohash_shape shape = {.kind = round % 2 ? GEOHASH_BOX : GEOHASH_CIRCLE,
                                      .center = center,
                                      .metres = 1,
                                      .radius = size,
                                      .width = size,
                                      .height = size};
        struct geohash_range ranges[GEOHASH_RANGES];
        int n = geohash_cover(&shape, ranges);
        assert_true(n >= 1 && n <= GEOHASH_RANGES);
        for (int i = 0; i < 20; i++) {
            struct geohash_point p = geohash_decode(geohash_encode(point_around(center, size)));
            double score = geohash_encode(p), distance;
            int found = 0;
            for (int k = 0; k < n; k++)
                found += score >= ranges[k].min && score < ranges[k].max;
            assert_true(found <= 1);
            if (found == 0) assert_false(geohash_within(&shape, p, &distance));
        }
    }
}

static void test_within(void **state) {
    (void)state;
    double distance;
    struct geohash_shape circle = {.kind = GEOHASH_CIRCLE, .center = palermo, .metres = 1000, .radius = 167};
    assert_true(geohash_within(&circle, catania, &distance));
    assert_near(distance, 166274, 1);
    circle.radius = 166;
    assert_false(geohash_within(&circle, catania, &distance));
    struct geohash_shape box = {.kind = GEOHASH_BOX, .center = palermo, .metres = 1000, .width = 310, .height = 140};
    assert_true(geohash_within(&box, catania, &distance));
    box.height = 130;
    assert_false(geohash_within(&box, catania, &distance));
    box.height = 140;
    box.width = 290;
    assert_false(geohash_within(&box, catania, &distance));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_places), cmocka_unit_test(test_text),    cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_any_score),    cmocka_unit_test(test_corners), cmocka_unit_test(test_distance),
        cmocka_unit_test(test_cover),        cmocka_unit_test(test_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
