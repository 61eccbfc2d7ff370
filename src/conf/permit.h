/* The values of enable-protected-configs, enable-debug-command and enable-module-command: which clients may do it. */
#pragma once
#include "base/option.h"
#include <stdbool.h>

enum permit {
    PERMIT_NO,
    PERMIT_YES,
    PERMIT_LOCAL, /* only clients of this machine */
};

extern const struct option_name permit_names[]; /* for rows of OPTION_ENUM */

/* local: the client that asks is on this machine. */
static inline bool permit_allows(int permit, bool local) {
    return permit == PERMIT_YES || (permit == PERMIT_LOCAL && local);
}
