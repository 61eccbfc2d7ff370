/* The structure of a database. Only db.c and expire.c write its fields; all others use the functions of db.h.
 *
 * Invariant: `expiring` is the number of entries in `keys` that have a deadline, and each of them has a mark in the
 * wheel. */
#pragma once
#include "ds/table.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wheel;

struct db {
    struct table keys;
    struct wheel *wheel; /* NULL until a key has a TTL */
    size_t expiring;     /* keys with a TTL; marks of the wheel beyond this number are stale */
    struct table *local; /* on a replica, keys to which its clients gave a TTL: expire.c. NULL: none */
    size_t sweep_above;  /* the next sweep begins when more marks than this are stale */
    int64_t ttl_sum_ms;  /* mean remaining time in ms, estimated from samples: avg_ttl of INFO */
    int id;
    bool sweeping; /* a sweep of the wheel is under way */
    bool resweep;  /* another one is due */
    bool spare;    /* it is none of the live ones: nothing expires in it */
};
