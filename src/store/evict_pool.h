/* Choosing what to evict. */
#pragma once
#include <stdbool.h>

/* Evict one key by the policy: db_evict(). False if no key may be evicted; that answer takes O(databases). Else O(1),
 * apart from freeing a small value. Call it between commands, not from a hook of the store. */
bool evict_one(void);

/* Tell whether used memory is near its limit or over it. While it is, "recent" is measured in look-ups, else in
 * seconds, and accesses teach the choice of victims. Call it when that changes; to repeat it is harmless and lets the
 * choice know how many keys there are. O(databases). */
void evict_set_pressure(bool on);
