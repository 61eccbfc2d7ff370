/* CONFIG REWRITE: write the running values to the configuration file, and leave everything else in it as it is. */
#pragma once
#include <stdbool.h>

/* Rewrite the file of config_path(). False (errno): the old file is untouched. */
bool config_rewrite(void);
