/* min-replicas-to-write: a primary refuses writes while fewer replicas than that are good. A good replica is online, and
 * has acknowledged within min-replicas-max-lag. */
#pragma once
#include <stdbool.h>

struct good_replicas_options {
    int min;       /* min-replicas-to-write; 0: off */
    int max_lag_s; /* min-replicas-max-lag: the age of the last acknowledgement of a good replica; 0: off */
};
extern struct good_replicas_options good_replicas_options;

bool good_replicas_are_counted(void); /* both options are on */
int good_replicas_count(void);        /* as they were at the last good_replicas_fit(); 0 while they are not counted */
/* Count anew, and close or open the gate: when a replica acknowledged, came or went, when the role has changed, and
 * once a second. O(replicas). */
void good_replicas_fit(void);
