/* The report of a crash: what a signal handler can still say about a dying process. */
#pragma once

/* Catch SEGV, BUS, FPE, ILL and ABRT from now on (or no more, as crash-log-enabled says). */
void crash_watch(void);
