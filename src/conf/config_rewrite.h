/* CONFIG REWRITE: bring the file in line with the running values, and leave
 * everything else of it as its owner wrote it. */
#pragma once
#include <stdbool.h>

/* False (errno) if the new file could not be put in place; the old one is whole then. */
bool config_rewrite(void);
