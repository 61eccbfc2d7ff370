/* Places on the earth as 52-bit numbers, and the areas in which to look for those near one. Pure arithmetic.
 *
 * Longitude and latitude are halved 26 times each, and the halves' bits interleave: those of the latitude at the even
 * positions, the lowest among them. What is near on the earth mostly has a common beginning, so a cell (the first 2n
 * bits) is a range of numbers, and a range of scores of a sorted set. Latitudes end where the Web Mercator projection
 * (EPSG:3857) does. Every number here has to be Redis's to the last bit, as clients see the digits: so the order of the
 * floating-point operations is part of the format, and so is the earth, a sphere. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define GEOHASH_LONGITUDE_MAX 180.0
#define GEOHASH_LATITUDE_MAX 85.05112878

struct geohash_point {
    double longitude, latitude; /* degrees */
};

static inline bool geohash_is_valid(struct geohash_point p) {
    return p.longitude >= -GEOHASH_LONGITUDE_MAX && p.longitude <= GEOHASH_LONGITUDE_MAX &&
           p.latitude >= -GEOHASH_LATITUDE_MAX && p.latitude <= GEOHASH_LATITUDE_MAX;
}

/* The score of a valid point; the middle of a score's cell, valid for any score but NaN. */
double geohash_encode(struct geohash_point p);
struct geohash_point geohash_decode(double score);

#define GEOHASH_TEXT 11
/* The geohash that others use (http://geohash.org): with latitudes to 90, and 5 bits a letter. No terminator. */
void geohash_print(char to[GEOHASH_TEXT], struct geohash_point p);

double geohash_distance(struct geohash_point a, struct geohash_point b); /* metres, along the great circle */

struct geohash_shape {
    enum { GEOHASH_CIRCLE, GEOHASH_BOX } kind;
    struct geohash_point center;
    double metres;                /* in a unit of what follows */
    double radius, width, height; /* of a circle; of a box */
};
/* False: the point is outside. *distance from the center, in metres. */
bool geohash_within(const struct geohash_shape *shape, struct geohash_point p, double *distance);

struct geohash_range {
    double min, max; /* scores; the max is outside */
};
#define GEOHASH_RANGES 9
/* Ranges of scores that cover the shape, in the order in which Redis visits them; returns how many. */
int geohash_cover(const struct geohash_shape *shape, struct geohash_range ranges[GEOHASH_RANGES]);
