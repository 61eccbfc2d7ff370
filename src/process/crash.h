/* The report of a crash: registers, stack and memory of the dying process, written to the log by the signal's
 * handler. */
#pragma once

/* Catch SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT from now on, while crash-log-enabled is set. */
void crash_watch(void);
