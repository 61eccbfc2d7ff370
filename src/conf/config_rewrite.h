/* CONFIG REWRITE: write the running values to the configuration file, and leave everything else in it as it is. */
#pragma once
#include <stdbool.h>

/* Rewrite the file of config_path(). False (errno): the old file is untouched. */
bool config_rewrite(void);
/* The same, but with all options, those that have their defaults included: DEBUG CONFIG-REWRITE-FORCE-ALL. */
bool config_rewrite_all(void);
