/* Places: sorted sets whose scores are geohashes (store/geohash.h). Adding them, and asking about them by name; for
 * searches see geo_search.c. These commands take any sorted set, so its scores may be anything. */
#include "cmd/geo.h"
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/zsets.h"
#include "exec/propagate.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

bool geo_parse_point(struct client *c, const struct slice *argv, struct geohash_point *p) {
    if (!num_parse_f64(argv[0], &p->longitude) || !num_parse_f64(argv[1], &p->latitude))
        return args_refuse(c, "ERR value is not a valid float");
    if (geohash_is_valid(*p)) return true;
    reply_errorf(c, "ERR invalid longitude,latitude pair %f,%f", p->longitude, p->latitude);
    return false;
}

bool geo_parse_unit(struct client *c, struct slice word, double *metres) {
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!slice_is(word, units[i].name)) continue;
        *metres = units[i].metres;
        return true;
    }
    return args_refuse(c, "ERR unsupported unit provided. please use M, KM, FT, MI");
}

/* With up to 17 digits behind the point: as a bulk in RESP2, as a double in RESP3. reply_double() would print it
 * shorter. */
static void reply_coordinate(struct client *c, double degrees) {
    if (c->resp == 2) {
        reply_bulk_ld(c, degrees);
        return;
    }
    char line[NUM_LD_MAX + 3] = ",";
    int n = num_print_ld(line + 1, degrees);
    memcpy(line + 1 + n, "\r\n", 2);
    reply_raw(c, slice_of(line, (size_t)n + 3));
}

void geo_reply_point(struct client *c, struct geohash_point p) {
    reply_array(c, 2);
    reply_coordinate(c, p.longitude);
    reply_coordinate(c, p.latitude);
}

void geo_reply_distance(struct client *c, double distance) {
    char text[32];
    uint64_t units = (uint64_t)llrint(distance * 10000);
    int n = snprintf(text, sizeof text, "%" PRIu64 ".%04" PRIu64, units / 10000, units % 10000);
    reply_bulk(c, slice_of(text, (size_t)n));
}

/* --- GEOADD ---------------------------------------------------------------------------------- */

struct addition {
    unsigned conditions;
    bool changed; /* CH: the reply counts places that moved too */
    int first;    /* argument of the first longitude */
};

static bool parse_geoadd(struct request *r, struct addition *a) {
    for (a->first = 2; a->first < r->argc; a->first++) {
        struct slice word = r->argv[a->first];
        if (slice_is(word, "nx")) {
            a->conditions |= ZSET_NX;
        } else if (slice_is(word, "xx")) {
            a->conditions |= ZSET_XX;
        } else if (slice_is(word, "ch")) {
            a->changed = true;
        } else {
            break;
        }
    }
    int words = r->argc - a->first;
    return (words > 0 && words % 3 == 0 && a->conditions != (ZSET_NX | ZSET_XX)) || args_syntax_error(r->client);
}

/* Propagate the ZADD that the command amounts to: its scores are integers, which no machine rounds differently. */
static void propagate_zadd(struct request *r, const struct addition *a, const double *scores) {
    int places = (r->argc - a->first) / 3, argc = a->first + 2 * places;
    size_t bytes = (size_t)argc * sizeof(struct slice), text_bytes = (size_t)places * NUM_I64_MAX;
    struct slice *argv = alloc_get(bytes);
    char *text = alloc_get(text_bytes);
    memcpy(argv, r->argv, (size_t)a->first * sizeof *argv);
    argv[0] = SLICE("zadd");
    for (int i = 0; i < places; i++) {
        char *digits = text + i * NUM_I64_MAX;
        argv[a->first + 2 * i] = slice_of(digits, (size_t)num_print_i64(digits, (int64_t)scores[i]));
        argv[a->first + 2 * i + 1] = r->argv[a->first + 3 * i + 2];
    }
    propagate_as(argv, argc);
    alloc_put(argv, bytes);
    alloc_put(text, text_bytes);
}

static void add_places(struct request *r, const struct addition *a, const double *scores) {
    struct client *c = r->client;
    struct entry *e;
    int64_t added = 0, moved = 0;
    if (!lookup_write(r, ENTRY_ZSET, &e)) return;
    for (int i = a->first, k = 0; i < r->argc; i += 3, k++) {
        double score = scores[k];
        enum zset_outcome outcome = zset_add(c->db, &r->key, &e, r->argv[i + 2], &score, a->conditions);
        added += outcome == ZSET_ADDED;
        moved += outcome == ZSET_UPDATED;
    }
    if (added + moved) {
        if (propagate_wanted) propagate_zadd(r, a, scores);
        db_metrics.dirty += added + moved - 1; /* Redis counts members */
        db_changed(c->db, &r->key, DB_ZSET, "zadd");
    }
    reply_int(c, a->changed ? added + moved : added);
}

static void geoadd(struct request *r) {
    struct addition a = {0, false, 0};
    struct geohash_point p;
    if (!parse_geoadd(r, &a)) return;
    size_t n = 0, bytes = (size_t)(r->argc - a.first) / 3 * sizeof(double);
    double *scores = alloc_get(bytes);
    int i = a.first;
    for (; i < r->argc && geo_parse_point(r->client, r->argv + i, &p); i += 3)
        scores[n++] = geohash_encode(p);
    if (i == r->argc) add_places(r, &a, scores);
    alloc_put(scores, bytes);
}

/* --- Asking ---------------------------------------------------------------------------------- */

static void geodist(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    double metres = 1, from, to;
    if (r->argc == 5 && !geo_parse_unit(c, r->argv[4], &metres)) return;
    if (r->argc > 5) {
        reply_syntax_error(c);
        return;
    }
    if (!lookup_read(r, ENTRY_ZSET, &e)) return;
    if (e && zset_score(e, r->argv[2], &from) && zset_score(e, r->argv[3], &to)) {
        geo_reply_distance(c, geohash_distance(geohash_decode(from), geohash_decode(to)) / metres);
    } else {
        reply_null(c);
    }
}

static void reply_geohash(struct client *c, double score) {
    char text[GEOHASH_TEXT];
    geohash_print(text, geohash_decode(score));
    reply_bulk(c, slice_of(text, sizeof text));
}

static void geohash(struct request *r) {
    zsets_reply_each(r, reply_geohash, reply_null);
}

static void reply_position(struct client *c, double score) {
    geo_reply_point(c, geohash_decode(score));
}

static void geopos(struct request *r) {
    zsets_reply_each(r, reply_position, reply_null_array);
}

static const struct command geo_commands[] = {
    {"geoadd", geoadd, -5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_GEO, .since = "3.2.0",
     .summary = "Put places, by longitude and latitude, into a sorted set.",
     .complexity = "O(m log n) for m places, put into n",
     .syntax =
         "key:key [condition:(NX | XX)@6.2.0] [change=CH@6.2.0] data:(longitude:double latitude:double member)...",
     .history = "6.2.0|New: `CH`, `NX`, `XX`."},
    {"geodist", geodist, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_GEO, .since = "3.2.0",
     .summary = "Measure the distance between two places.",
     .syntax = "key:key member1 member2 [unit:(M | KM | FT | MI)]"},
    {"geohash", geohash, -2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_GEO, .since = "3.2.0",
     .summary = "Read places as geohash text.", .complexity = "O(n) for n places asked for",
     .syntax = "key:key [member...]"},
    {"geopos", geopos, -2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_GEO, .since = "3.2.0",
     .summary = "Read places as longitude and latitude.", .complexity = "O(n) for n places asked for",
     .syntax = "key:key [member...]"},
    {NULL},
};

const struct module geo_module = {.commands = geo_commands};
