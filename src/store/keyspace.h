/* What a database is made of. Only db.c and expire.c touch the fields; all others go by the functions of db.h. */
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
    size_t sweep_above;  /* no sweep before there are more stale marks: twice the number that the last sweep left */
    int64_t ttl_sum_ms;  /* sampled estimate: INFO's avg_ttl */
    int id;
    bool sweeping; /* a sweep of the wheel is under way */
};
