/* Points on the earth as numbers of 52 bits, and the ranges of numbers that cover an area. Pure arithmetic.
 *
 * The ranges of longitude and latitude are halved 26 times. The bits that tell the halves interleave, with the latitude
 * at the even positions, from the lowest on. Points that are near each other mostly share their first bits, so a cell
 * (the first 2n bits) is a range of numbers, and a range of scores of a sorted set. Latitudes end where the Web
 * Mercator projection (EPSG:3857) ends. Clients see the digits, so every number must equal that of Redis to the last
 * bit: the order of the floating-point operations is part of the format, and so is the earth, a sphere. */
#pragma once
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

/* The score of a valid point, and the middle of a score's cell, which is valid for any score except NaN. */
double geohash_encode(struct geohash_point p);
struct geohash_point geohash_decode(double score);

#define GEOHASH_TEXT 11
/* The standard geohash (http://geohash.org): latitudes up to 90 degrees, 5 bits a letter. No terminator. */
void geohash_print(char to[GEOHASH_TEXT], struct geohash_point p);

double geohash_distance(struct geohash_point a, struct geohash_point b); /* metres, along the great circle */

struct geohash_shape {
    enum { GEOHASH_CIRCLE, GEOHASH_BOX } kind;
    struct geohash_point center;
    double metres;                /* in one unit of the lengths below */
    double radius, width, height; /* radius of a circle; width and height of a box */
};
/* True if the point is within the shape; then *distance is that from the center, in metres. */
bool geohash_within(const struct geohash_shape *shape, struct geohash_point p, double *distance);

struct geohash_range {
    double min, max; /* scores; max is exclusive */
};
#define GEOHASH_RANGES 9
/* Ranges of scores that cover the shape, in the order in which Redis visits them. Returns their number. */
int geohash_cover(const struct geohash_shape *shape, struct geohash_range ranges[GEOHASH_RANGES]);
