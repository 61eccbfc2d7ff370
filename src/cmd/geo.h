/* What the two files of geo commands share. */
#pragma once
#include "session/client.h"
#include "store/geohash.h"

/* A longitude and the latitude behind it. False: the error was replied. */
bool geo_parse_point(struct client *c, const struct slice *argv, struct geohash_point *p);
/* The metres in "m", "km", "ft", "mi". False: the error was replied. */
bool geo_parse_unit(struct client *c, struct slice word, double *metres);
void geo_reply_point(struct client *c, struct geohash_point p);
void geo_reply_distance(struct client *c, double distance); /* with four digits behind the point */
