/* Commands that are propagated in place of a request whose outcome depends on the time at which it runs, on chance, or
 * on rounding. They do nothing while no sink is attached. The arguments are copied or written at once. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

void effect_delete(struct slice key);                                             /* DEL key */
void effect_expire(struct slice key, int64_t deadline_ms);                        /* PEXPIREAT key ms */
void effect_persist(struct slice key);                                            /* PERSIST key */
void effect_set(struct slice key, struct slice value);                            /* SET key value */
void effect_set_keeping(struct slice key, struct slice value);                    /* SET key value KEEPTTL */
void effect_set_until(struct slice key, struct slice value, int64_t deadline_ms); /* SET key value PXAT ms */
