/* Choosing what to evict.
 *
 * For LRU and LFU the victim should be the key with the lowest rank of all. To find it, a few keys are drawn at random
 * for each victim, by whole lines of the table: 5 keys by default, which is one line. The best of what was drawn and
 * not evicted stay in a pool of 16, so that a victim is the lowest of far more than 5. (Redis does the same with other
 * ranks, and draws less evenly.) Drawing means cache misses, for the line and for each of its entries; so it is a
 * pipeline: the lines and entries for the victims to come are fetched while the one of now is chosen.
 *
 *     line fetched -> ... -> entries fetched -> ... -> ranked -> pool of 16 -> victim, if it was not used meanwhile
 *
 * Where only keys with a deadline may go and few have one, the marks of the timing wheel are drawn instead.
 * volatile-ttl takes the marks that the wheel has first, and *-random takes a key as it is drawn.
 *
 * Memory beyond the entries, while memory is short: 1 byte a key for ghosts.h, 16 bytes a database, below 100 KB of
 * tables. */
#pragma once
#include <stdbool.h>

/* Evict one key by the policy: db_evict(). False if no key may be evicted, which takes O(1) under volatile-* and else
 * O(databases). Otherwise O(1), apart from freeing a small value. Call it between commands, not from a hook. */
bool evict_one(void);

/* Tell whether used memory is near its limit or over it. While it is, "recent" is measured in look-ups, else in
 * seconds, and accesses teach the choice of victims. Call it when that changes; to repeat it is harmless and tells how
 * many keys there are. O(databases). */
void evict_set_pressure(bool on);
