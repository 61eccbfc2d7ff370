/* The process in the eyes of the system: background, pid file, title, OOM score, huge pages, the service manager. */
#pragma once
#include "base/option.h"

extern const struct option process_rows[];

/* First of all in main: the title will be written over argv and the environment,
 * which move elsewhere. The name by which the program was called is kept. */
void process_init(int argc, char **argv);
const char *process_executable(void); /* absolute path of the program; "" if it cannot be told */

/* Go to the background if the options say so. Before threads are started and the loop is set up. */
void process_settle(void);
void process_write_pid_file(void);
void process_remove_pid_file(void);
bool process_is_daemon(void);
/* Apply title, OOM score, huge pages and the allocator's thread, once the configuration is known. */
void process_apply(void);
/* What a forked child does about itself: its name in ps, its OOM score, the processors that it may run on ("0,2-3",
 * "0-7:2"; NULL or "": all). */
void process_become_child(const char *name, const char *cpus);
/* Tell the service manager that connections are welcome, or that the end is near. */
void process_notify(const char *state);
