/* Searches for places against a look at every place: random places, circles and boxes. */
#include "command_lab.h"
#include "store/geohash.h"

extern const struct module geo_module, geo_search_module, zsets_module;

enum { PLACES = 300, SEARCHES = 200 };

static struct geohash_point places[PLACES]; /* as the sorted set has them */
static double distances[PLACES];            /* from the center */

/* Half of the places crowd around one, so that searches of all sizes have hits. None is near a pole or the date line: a
 * search that reaches beyond these misses places, as in Redis. */
static struct geohash_point random_point(void) {
    struct geohash_point p = {lab_below(240000) / 1000.0 - 120, lab_below(100000) / 1000.0 - 50};
    if (lab_below(2)) p = (struct geohash_point){13 + lab_below(10000) / 5000.0, 41 + lab_below(10000) / 5000.0};
    return p;
}

static void add_places(void) {
    for (int i = 0; i < PLACES; i++) {
        struct geohash_point p = random_point();
        places[i] = geohash_decode(geohash_encode(p));
        assert_string_equal(lab_run("GEOADD g %.6f %.6f p%d", p.longitude, p.latitude, i), ":1");
    }
}

static int compare_distances(const void *a, const void *b) {
    double x = distances[*(const int *)a], y = distances[*(const int *)b];
    return (x > y) - (x < y);
}

/* The places within the shape, the nearest first. */
static int find_places(const struct geohash_shape *shape, int found[PLACES]) {
    int n = 0;
    for (int i = 0; i < PLACES; i++) {
        if (geohash_within(shape, places[i], &distances[i])) found[n++] = i;
    }
    qsort(found, (size_t)n, sizeof *found, compare_distances);
    return n;
}

static const char *search(const char *key, const struct geohash_shape *s, const char *options) {
    char by[64];
    if (s->kind == GEOHASH_CIRCLE) {
        snprintf(by, sizeof by, "BYRADIUS %.3f km", s->radius);
    } else {
        snprintf(by, sizeof by, "BYBOX %.3f %.3f km", s->width, s->height);
    }
    return lab_run("%s FROMLONLAT %.6f %.6f %s%s", key, s->center.longitude, s->center.latitude, by, options);
}

/* The reply is the first n of the places found, in this order or the other way round. */
static void expect_places(const char *reply, const int *found, int n, int step) {
    assert_int_equal(atoi(reply + 1), n);
    for (int i = 0; i < n; i++, found += step) {
        reply = strchr(strchr(reply + 1, ' ') + 1, ' ');
        assert_non_null(reply);
        assert_int_equal(atoi(reply + 2), *found);
    }
}

static void searches_find_what_lies_within(void **state) {
    (void)state;
    add_places();
    for (int i = 0; i < SEARCHES; i++) {
        int found[PLACES], size = 1 << lab_below(11), step = lab_below(2) ? 1 : -1;
        struct geohash_shape s = {.kind = lab_below(2) ? GEOHASH_CIRCLE : GEOHASH_BOX, .metres = 1000};
        s.center = lab_below(2) ? places[lab_below(PLACES)] : random_point();
        s.radius = 1 + lab_below(size);
        s.width = 1 + lab_below(size);
        s.height = 1 + lab_below(size);
        char text[32]; /* the center is what the request says of it */
        snprintf(text, sizeof text, "%.6f", s.center.longitude);
        s.center.longitude = strtod(text, NULL);
        snprintf(text, sizeof text, "%.6f", s.center.latitude);
        s.center.latitude = strtod(text, NULL);
        int n = find_places(&s, found);
        expect_places(search("GEOSEARCH g", &s, step > 0 ? " ASC" : " DESC"), step > 0 ? found : found + n - 1, n,
                      step);
        int count = 1 + lab_below(10), least = n < count ? n : count;
        snprintf(text, sizeof text, " COUNT %d", count);
        expect_places(search("GEOSEARCH g", &s, text), found, least, 1);
        snprintf(text, sizeof text, " COUNT %d ANY", count);
        assert_int_equal(atoi(search("GEOSEARCH g", &s, text) + 1), least);
        assert_int_equal(atoi(search("GEOSEARCHSTORE d g", &s, "") + 1), n);
        assert_int_equal(atoi(lab_run("ZCARD d") + 1), n);
    }
}

static void the_first_place_of_a_cell_is_found(void **state) {
    (void)state;
    lab_run("ZADD g 2251799813685248 x"); /* 2 to the 51: the first score of the cells that it is in */
    assert_string_equal(lab_run("GEOSEARCH g FROMMEMBER x BYRADIUS 1 km ASC"), "*1 $1 x");
}

static void hits_tell_distance_hash_and_point(void **state) {
    (void)state;
    lab_run("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 9 9 7");
    assert_string_equal(lab_run("GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km WITHDIST WITHHASH DESC"),
                        "*2 *3 $7 Catania $8 166.2742 :3479447370796909 *3 $7 Palermo $6 0.0000 :3479099956230698");
    assert_string_equal(lab_run("GEORADIUS g 9 9 1 ft WITHDIST"), "*1 *2 $1 7 $6 0.2069");
    assert_string_equal(lab_run("GEOSEARCHSTORE d g FROMMEMBER Palermo BYBOX 100 100 ft STOREDIST"), ":1");
    assert_string_equal(lab_run("ZSCORE d Palermo"), "$1 0");
    lab_expect_propagated("");
}

static void words_that_do_not_go_together_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *command, *error;
    } rows[] = {
        {"GEOSEARCH g FROMMEMBER a FROMLONLAT 1 1 ASC", "-ERR syntax error"},
        {"GEOSEARCH g BYRADIUS 1 km ASC ASC ASC", "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for "
                                                  "GEOSEARCH"},
        {"GEOSEARCH g FROMLONLAT 1 1 ASC ASC ASC", "-ERR exactly one of BYRADIUS and BYBOX can be specified for "
                                                   "GEOSEARCH"},
        {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 km ANY", "-ERR the ANY argument requires COUNT argument"},
        {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 km COUNT 0", "-ERR COUNT must be > 0"},
        {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS -1 km", "-ERR radius cannot be negative"},
        {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS x km", "-ERR need numeric radius"},
        {"GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 -1 km", "-ERR height or width cannot be negative"},
        {"GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 1 cm", "-ERR unsupported unit provided. please use M, KM, FT, MI"},
        {"GEOSEARCH g FROMLONLAT 181 1 BYBOX 1 1 m", "-ERR invalid longitude,latitude pair 181.000000,1.000000"},
        {"GEOSEARCH g FROMMEMBER none BYRADIUS 1 m", "-ERR could not decode requested zset member"},
        {"GEOSEARCHSTORE d g FROMLONLAT 1 1 BYRADIUS 1 km WITHDIST",
         "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"},
        {"GEORADIUS g 1 1 1 km WITHHASH STORE d",
         "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"},
        {"GEORADIUS_RO g 1 1 1 km STORE d", "-ERR syntax error"},
    };
    lab_run("GEOADD g 1 1 a");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(lab_run("%s", rows[i].command), rows[i].error);
}

int main(void) {
    lab_start((const struct module *const[]){&geo_module, &geo_search_module, &zsets_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(searches_find_what_lies_within),
        LAB_TEST(the_first_place_of_a_cell_is_found),
        LAB_TEST(hits_tell_distance_hash_and_point),
        LAB_TEST(words_that_do_not_go_together_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
