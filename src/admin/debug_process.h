/* DEBUG subcommands that end the process, run it anew or upset it: bodies for the table in debug.c. */
#pragma once

struct request;

void debug_process_segfault(struct request *r);
void debug_process_panic(struct request *r);
void debug_process_assert(struct request *r);
void debug_process_oom(struct request *r);
void debug_process_leak(struct request *r);
void debug_process_mallctl(struct request *r);
void debug_process_restart(struct request *r);
void debug_process_crash_and_recover(struct request *r);
