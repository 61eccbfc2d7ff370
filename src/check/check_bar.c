/* The bar is drawn on standard error, so that the output of the tools can be redirected to a file. */
#include "check/check_bar.h"
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 40

static bool drawn;

void check_bar(void *ctx, uint64_t bytes) {
    int64_t size = *(const int64_t *)ctx;
    if (size <= 0 || !isatty(STDERR_FILENO)) return;
    int done = (int)((double)bytes / (double)size * BAR_WIDTH);
    if (done > BAR_WIDTH) done = BAR_WIDTH;
    fprintf(stderr, "\r[%.*s%*s] %3d %%", done, "########################################", BAR_WIDTH - done, "",
            done * 100 / BAR_WIDTH);
    drawn = true;
    if (done == BAR_WIDTH) check_bar_wipe();
}

void check_bar_wipe(void) {
    if (drawn) fprintf(stderr, "\r%*s\r", BAR_WIDTH + 8, "");
    drawn = false;
}
