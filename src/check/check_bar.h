/* The bar that the check tools draw on a terminal, for files that take their time. */
#pragma once
#include <stdint.h>

/* So many bytes are done; ctx is an int64_t: how many there are. Nothing is drawn if standard error is no terminal, or
 * the size is not known (0). A reader_progress_fn. */
void check_bar(void *ctx, uint64_t bytes);
/* Away with it, before a line is printed and at the end. */
void check_bar_wipe(void);
