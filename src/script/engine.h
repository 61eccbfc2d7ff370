/* An engine: a sandboxed Lua state with the functions that were compiled in it. One serves scripts, another one the
 * libraries of functions; a flush replaces an engine by a new one. This is all that commands see of Lua.
 *
 * Only the main thread uses engines. Running out of memory inside of one is an error of the script, not of the server.
 * All that a script allocates counts in used_memory, but not in what eviction looks at. */
#pragma once
#include "base/slice.h"
#include "script/engine_types.h"
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct engine;
struct module;
struct script_run;

struct engine *engine_new(enum engine_kind kind); /* O(size of the libraries): some 0.1 ms */
/* Free it with all of its functions, at once or in the background worker: O(its memory). No function of it runs. */
void engine_free(struct engine *engine);
void engine_free_later(struct engine *engine);
size_t engine_memory(const struct engine *engine); /* bytes in use, what is not collected yet included. O(1) */

/* Compile a script (ENGINE_SCRIPTS). Returns its function, a number above 0 that is good until engine_drop(). 0: the
 * error, as Redis words it, without its code ("Error compiling script (new function): user_script:1: ..."), was
 * appended to *error. O(length). */
int engine_compile(struct engine *engine, struct slice source, struct buf *error);
void engine_drop(struct engine *engine, int function); /* its memory is free after a collection. O(1) */
/* Collect some of the garbage that compiling leaves: after SCRIPT LOAD, FUNCTION LOAD and the like. Tens of
 * microseconds. */
void engine_collect(struct engine *engine);

/* Call a function between run_begin() and run_end(): its result or its error is replied to the run's client. */
void engine_run(struct engine *engine, int function, struct script_run *run);

/* --- Libraries (ENGINE_FUNCTIONS) ------------------------------------------------------------ */

/* Run the code of a library. False: the error, without its code, was appended to *error ("Error compiling function:
 * ...", "Error registering functions: ..."); the caller drops the functions that it took before. */
bool engine_load_library(struct engine *engine, struct slice code, const struct engine_loading *loading,
                         struct buf *error);

extern const struct module engine_module;
