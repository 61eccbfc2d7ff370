/* What the two files of geo commands share. */
#pragma once
#include "session/client.h"
#include "store/geohash.h"

/* A longitude at argv[0] and a latitude at argv[1]. False: the error was replied. */
bool geo_parse_point(struct client *c, const struct slice *argv, struct geohash_point *p);
/* How many metres "m", "km", "ft" or "mi" are. False: the error was replied. */
bool geo_parse_unit(struct client *c, struct slice word, double *metres);
void geo_reply_point(struct client *c, struct geohash_point p);
void geo_reply_distance(struct client *c, double distance); /* in the unit that was asked for; rounded to 0.0001 */
