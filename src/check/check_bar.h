/* The progress bar that the check tools draw on a terminal while they read a large file. */
#pragma once
#include <stdint.h>

/* Draw that `bytes` bytes are done. ctx points to an int64_t, the size of the file. Nothing is drawn if the size is
 * unknown (0) or standard error is no terminal. A reader_progress_fn. */
void check_bar(void *ctx, uint64_t bytes);
/* Wipe the bar: before a line is printed, and at the end. */
void check_bar_wipe(void);
