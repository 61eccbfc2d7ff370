/* Searching for places: GEOSEARCH and the older GEORADIUS share one parser and one search.
 *
 * The search walks the few ranges of scores that can hold a hit (geohash_cover) and keeps, in that order, the places
 * that lie within the shape. A sort by distance keeps this order among equal distances. The member of a hit is a slice
 * of the sorted set, which must not change before everything is replied or copied; an integer of a listpack has no text
 * there, so the hit carries its digits. */
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/geo.h"
#include "cmd/lookup.h"
#include "cmd/zsets.h"
#include <math.h>
#include <stdlib.h>

enum form {
    BY_POINT,     /* GEORADIUS */
    BY_MEMBER,    /* GEORADIUSBYMEMBER */
    SEARCH,       /* GEOSEARCH; this and the next name the centre and the shape by options */
    SEARCH_STORE, /* GEOSEARCHSTORE */
};
enum sorting { UNSORTED, ASCENDING, DESCENDING };

struct search {
    enum form form;
    bool may_store;       /* takes STORE: GEORADIUS, not GEORADIUS_RO */
    struct entry *source; /* NULL: there is no sorted set */
    struct geohash_shape shape;
    bool from_member, from_point, by_radius, by_box;
    bool with_distance, with_hash, with_point;
    enum sorting sorting;
    int64_t count; /* 0: all */
    bool any;      /* of COUNT: the first hits do, not the nearest */
    bool stores, stores_distance;
    struct key destination;
};

/* --- Arguments: each parser replies the error if it fails ------------------------------------ */

static bool parse_number(struct client *c, struct slice word, double *number, const char *error) {
    return num_parse_f64(word, number) || args_refuse(c, error);
}

static bool parse_radius(struct client *c, const struct slice *argv, struct geohash_shape *shape) {
    shape->kind = GEOHASH_CIRCLE;
    if (!parse_number(c, argv[0], &shape->radius, "ERR need numeric radius")) return false;
    if (shape->radius < 0) return args_refuse(c, "ERR radius cannot be negative");
    return geo_parse_unit(c, argv[1], &shape->metres);
}

static bool parse_box(struct client *c, const struct slice *argv, struct geohash_shape *shape) {
    shape->kind = GEOHASH_BOX;
    if (!parse_number(c, argv[0], &shape->width, "ERR need numeric width")) return false;
    if (!parse_number(c, argv[1], &shape->height, "ERR need numeric height")) return false;
    if (shape->width < 0 || shape->height < 0) return args_refuse(c, "ERR height or width cannot be negative");
    return geo_parse_unit(c, argv[2], &shape->metres);
}

/* The place of a member becomes the centre. Without a source there is no centre, and nothing to find. */
static bool parse_member(struct client *c, struct slice member, struct search *s) {
    double score;
    s->from_member = true;
    if (!s->source) return true;
    if (!zset_score(s->source, member, &score)) return args_refuse(c, "ERR could not decode requested zset member");
    s->shape.center = geohash_decode(score);
    return true;
}

static void set_destination(struct search *s, struct slice name, bool distances) {
    s->stores = true;
    s->stores_distance = distances;
    s->destination = key_of(name);
}

/* Read an option without arguments. False: it is none, and nothing was replied. */
static bool parse_flag(struct slice word, struct search *s) {
    if (slice_is(word, "withdist")) {
        s->with_distance = true;
    } else if (slice_is(word, "withhash")) {
        s->with_hash = true;
    } else if (slice_is(word, "withcoord")) {
        s->with_point = true;
    } else if (slice_is(word, "any")) {
        s->any = true;
    } else if (slice_is(word, "asc")) {
        s->sorting = ASCENDING;
    } else if (slice_is(word, "desc")) {
        s->sorting = DESCENDING;
    } else if (s->form == SEARCH_STORE && slice_is(word, "storedist")) {
        s->stores_distance = true;
    } else {
        return false;
    }
    return true;
}

/* Read the option at argv, where `left` arguments are left. Returns how many it takes; 0: the error was replied. */
static int parse_search_option(struct client *c, const struct slice *argv, int left, struct search *s) {
    struct slice word = argv[0];
    bool searches = s->form >= SEARCH;
    if (parse_flag(word, s)) return 1;
    if (slice_is(word, "count") && left > 1) {
        if (!args_i64(c, argv[1], &s->count)) return 0;
        return s->count > 0 || args_refuse(c, "ERR COUNT must be > 0") ? 2 : 0;
    }
    if (s->may_store && left > 1 && (slice_is(word, "store") || slice_is(word, "storedist"))) {
        set_destination(s, argv[1], slice_is(word, "storedist"));
        return 2;
    }
    if (searches && !s->from_point && left > 1 && slice_is(word, "frommember"))
        return parse_member(c, argv[1], s) ? 2 : 0;
    if (searches && !s->from_member && left > 2 && slice_is(word, "fromlonlat")) {
        s->from_point = true;
        return geo_parse_point(c, argv + 1, &s->shape.center) ? 3 : 0;
    }
    if (searches && !s->by_box && left > 2 && slice_is(word, "byradius")) {
        s->by_radius = true;
        return parse_radius(c, argv + 1, &s->shape) ? 3 : 0;
    }
    if (searches && !s->by_radius && left > 3 && slice_is(word, "bybox")) {
        s->by_box = true;
        return parse_box(c, argv + 1, &s->shape) ? 4 : 0;
    }
    reply_syntax_error(c);
    return 0;
}

/* Do the options go together? */
static bool check_options(struct request *r, const struct search *s) {
    struct slice name = r->argv[0];
    bool searches = s->form >= SEARCH;
    if (s->stores && (s->with_distance || s->with_hash || s->with_point)) {
        reply_errorf(r->client, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     s->form == SEARCH_STORE ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    } else if (searches && !s->from_member && !s->from_point) {
        reply_errorf(r->client, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s", (int)name.len,
                     name.ptr);
    } else if (searches && !s->by_radius && !s->by_box) {
        reply_errorf(r->client, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", (int)name.len,
                     name.ptr);
    } else if (s->any && !s->count) {
        reply_error(r->client, "ERR the ANY argument requires COUNT argument");
    } else {
        return true;
    }
    return false;
}

/* Read the arguments before the options. Returns where the options begin; 0: the error was replied. */
static int parse_fixed(struct request *r, struct search *s) {
    struct client *c = r->client;
    switch (s->form) {
    case BY_POINT:
        return geo_parse_point(c, r->argv + 2, &s->shape.center) && parse_radius(c, r->argv + 4, &s->shape) ? 6 : 0;
    case BY_MEMBER:
        if (!s->source) return 5;
        return parse_member(c, r->argv[2], s) && parse_radius(c, r->argv + 3, &s->shape) ? 5 : 0;
    case SEARCH_STORE: set_destination(s, r->argv[1], false); return 3;
    default: return 2;
    }
}

static bool parse_search(struct request *r, struct search *s) {
    int i = parse_fixed(r, s);
    for (int n = i; n && i < r->argc; i += n) {
        n = parse_search_option(r->client, r->argv + i, r->argc - i, s);
        if (n == 0) return false;
    }
    return i && check_options(r, s);
}

/* --- Hits ------------------------------------------------------------------------------------ */

struct hit {
    double distance; /* metres */
    size_t number;   /* in the order in which hits are found */
    double score;
    struct geohash_point point;
    struct slice member; /* ptr NULL: its text is in digits */
    char digits[NUM_I64_MAX];
};

struct hits {
    struct hit *list;
    size_t n, room;
    struct client *reader; /* all hits are replied to it, in reply_bytes or more; NULL: not all of them, or stored */
    size_t reply_bytes;
};

static struct slice member_of(const struct hit *h) {
    return h->member.ptr ? h->member : slice_of(h->digits, h->member.len);
}

static struct hit *next_hit(struct hits *hits) {
    if (hits->n == hits->room) {
        size_t room = hits->room ? hits->room * 2 : 16;
        hits->list = alloc_resize(hits->list, hits->room * sizeof *hits->list, room * sizeof *hits->list);
        hits->room = room;
    }
    return &hits->list[hits->n];
}

static void find_in_range(const struct search *s, const struct geohash_range *range, size_t limit, struct hits *hits) {
    struct zset_score_range scores = {range->min, range->max, false, true};
    struct zset_span span = zset_span_by_score(s->source, &scores);
    struct zset_walk w;
    if (span.n == 0) return;
    zset_walk_from(&w, s->source, span.first);
    for (size_t i = 0; i < span.n && hits->n < limit && zset_walk_next(&w); i++) {
        if (hits->reader && reply_would_be_pointless(hits->reader, hits->reply_bytes)) return;
        struct hit *h = next_hit(hits);
        h->point = geohash_decode(w.score);
        if (!geohash_within(&s->shape, h->point, &h->distance)) continue;
        h->score = w.score;
        h->number = hits->n++;
        hits->reply_bytes += w.member.len;
        h->member = w.member;
        if (w.member.ptr != w.digits) continue;
        memcpy(h->digits, w.digits, w.member.len);
        h->member.ptr = NULL;
    }
}

static int compare_hits(const struct hit *a, const struct hit *b, int by_distance) {
    if (a->distance != b->distance) return a->distance < b->distance ? -by_distance : by_distance;
    return a->number < b->number ? -1 : 1;
}

static int compare_nearest_first(const void *a, const void *b) {
    return compare_hits(a, b, 1);
}

static int compare_farthest_first(const void *a, const void *b) {
    return compare_hits(a, b, -1);
}

/* All hits to reply, in their order. The caller frees the list. */
static struct hits find_hits(struct client *c, const struct search *s) {
    struct hits hits = {.reader = s->stores || s->count ? NULL : c};
    struct geohash_range ranges[GEOHASH_RANGES];
    size_t count = s->count ? (size_t)s->count : SIZE_MAX, limit = s->any ? count : SIZE_MAX;
    int n = geohash_cover(&s->shape, ranges);
    for (int i = 0; i < n && hits.n < limit; i++)
        find_in_range(s, &ranges[i], limit, &hits);
    enum sorting sorting = s->sorting;
    if (s->count && !s->any && sorting == UNSORTED) sorting = ASCENDING;
    if (sorting != UNSORTED && hits.n > 1) {
        qsort(hits.list, hits.n, sizeof *hits.list,
              sorting == ASCENDING ? compare_nearest_first : compare_farthest_first);
    }
    if (hits.n > count) hits.n = count;
    return hits;
}

/* --- Replies --------------------------------------------------------------------------------- */

/* The score as an integer. One that is out of range becomes what x86-64 makes of it, on all machines. */
static int64_t hash_of_score(double score) {
    return score >= -0x1p63 && score < 0x1p63 ? (int64_t)score : INT64_MIN;
}

static void reply_hits(struct client *c, const struct search *s, const struct hits *hits) {
    size_t with = (size_t)s->with_distance + s->with_hash + s->with_point;
    reply_array(c, hits->n);
    for (size_t i = 0; i < hits->n && !reply_is_pointless(c); i++) {
        const struct hit *h = &hits->list[i];
        if (with) reply_array(c, with + 1);
        reply_bulk(c, member_of(h));
        if (s->with_distance) geo_reply_distance(c, h->distance / s->shape.metres);
        if (s->with_hash) reply_int(c, hash_of_score(h->score));
        if (s->with_point) geo_reply_point(c, h->point);
    }
}

static void store_hits(struct client *c, const struct search *s, const struct hits *hits) {
    struct zset *z = hits->n ? zset_new() : NULL;
    for (size_t i = 0; i < hits->n; i++) {
        const struct hit *h = &hits->list[i];
        double score = s->stores_distance ? h->distance / s->shape.metres : h->score;
        if (!zset_find(z, member_of(h))) zset_insert(z, member_of(h), score);
    }
    if (z) db_metrics.dirty += (int64_t)z->order.count - 1; /* Redis counts members */
    zsets_store(c, &s->destination, z, s->form >= SEARCH ? "geosearchstore" : "georadiusstore");
}

static void run_search(struct request *r, enum form form, bool may_store) {
    struct client *c = r->client;
    struct search s = {.form = form, .may_store = may_store};
    struct key source = form == SEARCH_STORE ? key_of(r->argv[2]) : r->key;
    s.source = db_read(c->db, &source);
    if (!lookup_is(c, s.source, ENTRY_ZSET) || !parse_search(r, &s)) return;
    struct hits hits = {.list = NULL};
    if (s.source) hits = find_hits(c, &s);
    if (s.stores) {
        store_hits(c, &s, &hits);
    } else {
        reply_hits(c, &s, &hits);
    }
    alloc_put(hits.list, hits.room * sizeof *hits.list);
}

static void georadius(struct request *r) {
    run_search(r, BY_POINT, true);
}

static void georadius_ro(struct request *r) {
    run_search(r, BY_POINT, false);
}

static void georadiusbymember(struct request *r) {
    run_search(r, BY_MEMBER, true);
}

static void georadiusbymember_ro(struct request *r) {
    run_search(r, BY_MEMBER, false);
}

static void geosearch(struct request *r) {
    run_search(r, SEARCH, false);
}

static void geosearchstore(struct request *r) {
    run_search(r, SEARCH_STORE, false);
}

static const struct command_keys georadius_keys[] = {
    {.flags = "RO access", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "OW update", .keyword = "STORE", .from = 6, .step = 1, .keynum_at = -1},
    {.flags = "OW update", .keyword = "STOREDIST", .from = 6, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys georadiusbymember_keys[] = {
    {.flags = "RO access", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "OW update", .keyword = "STORE", .from = 5, .step = 1, .keynum_at = -1},
    {.flags = "OW update", .keyword = "STOREDIST", .from = 5, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys geosearchstore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command geo_search_commands[] = {
    {"georadius", georadius, -6, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_GEO, .since = "3.2.0", .summary = "Find the places within a circle around a point.",
     .complexity = "O(log n + m) for n places, m in the cells that cover the circle; O(k log k) to sort k hits",
     .syntax = "key:key longitude:double latitude:double radius:double unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] "
               "[WITHHASH] [count-block:(COUNT count:integer [ANY@6.2.0])] [order:(ASC | DESC)] [store:(STORE "
               "storekey<key>:key#1 | STOREDIST storedistkey<key>:key#2)]",
     .history = "6.2.0|New: `ANY`, with `COUNT`.\n"
                "7.0.0|Units may be in upper case.",
     .deprecated = "6.2.0|`GEOSEARCH`, `GEOSEARCHSTORE`: `BYRADIUS`", .keys = georadius_keys},
    {"georadius_ro", georadius_ro, -6, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_GEO, .since = "3.2.10",
     .summary = "Find the places within a circle around a point, without storing them.",
     .complexity = "O(log n + m) for n places, m in the cells that cover the circle; O(k log k) to sort k hits",
     .syntax = "key:key longitude:double latitude:double radius:double unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] "
               "[WITHHASH] [count-block:(COUNT count:integer [ANY@6.2.0])] [order:(ASC | DESC)]",
     .history = "6.2.0|New: `ANY`, with `COUNT`.", .deprecated = "6.2.0|`GEOSEARCH`: `BYRADIUS`"},
    {"georadiusbymember", georadiusbymember, -5, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_GEO, .since = "3.2.0", .summary = "Find the places within a circle around one of them.",
     .complexity = "O(log n + m) for n places, m in the cells that cover the circle; O(k log k) to sort k hits",
     .syntax = "key:key member radius:double unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
               "[count-block:(COUNT count:integer [ANY])] [order:(ASC | DESC)] [store:(STORE storekey<key>:key#1 | "
               "STOREDIST storedistkey<key>:key#2)]",
     .history = "7.0.0|Units may be in upper case.",
     .deprecated = "6.2.0|`GEOSEARCH`, `GEOSEARCHSTORE`: `BYRADIUS`, `FROMMEMBER`", .keys = georadiusbymember_keys},
    {"georadiusbymember_ro", georadiusbymember_ro, -5, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_GEO,
     .since = "3.2.10", .summary = "Find the places within a circle around one of them, without storing them.",
     .complexity = "O(log n + m) for n places, m in the cells that cover the circle; O(k log k) to sort k hits",
     .syntax = "key:key member radius:double unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
               "[count-block:(COUNT count:integer [ANY])] [order:(ASC | DESC)]",
     .deprecated = "6.2.0|`GEOSEARCH`: `BYRADIUS`, `FROMMEMBER`"},
    {"geosearch", geosearch, -7, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_GEO, .since = "6.2.0",
     .summary = "Find the places within a circle or a box.",
     .complexity = "O(log n + m) for n places, m in the cells that cover the shape; O(k log k) to sort k hits",
     .syntax = "key:key from:(FROMMEMBER member | FROMLONLAT fromlonlat:(longitude:double latitude:double)) "
               "by:(circle:(BYRADIUS radius:double unit:(M | KM | FT | MI)) | box:(BYBOX width:double height:double "
               "unit:(M | KM | FT | MI))) [order:(ASC | DESC)] [count-block:(COUNT count:integer [ANY])] [WITHCOORD] "
               "[WITHDIST] [WITHHASH]",
     .history = "7.0.0|Units may be in upper case."},
    {"geosearchstore", geosearchstore, -8, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = 2,
     .group = GROUP_GEO, .since = "6.2.0", .summary = "Store the places within a circle or a box as a sorted set.",
     .complexity = "O(log n + m) for n places, m in the cells that cover the shape; O(k log k) to store k hits",
     .syntax = "destination:key source:key#1 from:(FROMMEMBER member | FROMLONLAT fromlonlat:(longitude:double "
               "latitude:double)) by:(circle:(BYRADIUS radius:double unit:(M | KM | FT | MI)) | box:(BYBOX "
               "width:double height:double unit:(M | KM | FT | MI))) [order:(ASC | DESC)] [count-block:(COUNT "
               "count:integer [ANY])] [STOREDIST]",
     .history = "7.0.0|Units may be in upper case.", .keys = geosearchstore_keys},
    {NULL},
};

const struct module geo_search_module = {.commands = geo_search_commands};
