/* The process as the system sees it: background, pid file, huge pages, processors, working directory, locale, the
 * service manager. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Call first in main: finds the executable, and prepares the title, which moves argv and the environment elsewhere. */
void process_init(int argc, char **argv);
const char *process_executable(void); /* absolute path of the program; "" if unknown */
/* Run the program anew in this process, with the arguments and in the folder of its start. Returns only if it cannot:
 * ask process_can_restart() before anything is given up, which logs why not. */
bool process_can_restart(void);
void process_restart(int64_t delay_ms);

/* Go to the background if the options say so. Call it before threads are started and the loop is set up. */
void process_settle(void);
void process_remove_pid_file(void);
bool process_is_daemon(void);
const char *process_supervisor(void); /* the service manager that watches over it: "systemd", "upstart" or "no" */
/* In a forked child: set its name in ps, its OOM score, and the processors that it may run on ("0,2-3", "0-7:2"; NULL
 * or "": all). A list that is not valid is logged, and the child runs on all. */
void process_become_child(const char *name, const char *cpus);
/* Send a state to the service manager, in systemd's form: "READY=1\n". */
void process_notify(const char *state);

/* Hooks for `dir` at run time, may be NULL. Before: may it become this path? After: it has changed; false takes the
 * change back. *error tells why not. */
extern bool (*process_before_dir)(const char *path, const char **error);
extern bool (*process_after_dir)(const char **error);
