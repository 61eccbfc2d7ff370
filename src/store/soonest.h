/* The key with the shortest time to live, for volatile-ttl: exact, where a sample would only be near it.
 *
 * The timing wheels have marks by deadline, more roughly the later it is. So the marks that may be due first are read
 * together, of all databases, and their keys are put in order: a queue, which serves until it is empty or a key gets an
 * earlier deadline. */
#pragma once
#include "store/keyspace.h"
#include <stdint.h>

struct soonest {
    struct db *db;
    struct entry *entry; /* NULL: no key has a deadline, or all lie many years ahead */
    uint64_t hash;
};
/* O(1) on average, O(databases) where all deadlines are far apart. */
struct soonest soonest_next(void);
