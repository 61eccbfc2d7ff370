/* Execution of a prepared request: admission, then the call or a place in the queue of a transaction, then what must
 * follow at once: replies that are not wanted are dropped, messages that were kept for the client are written, and the
 * clients that waited for what it changed are served. */
#pragma once

struct request;

/* Execute. The replies are at the tail of the output arena. */
void exec_run(struct request *r);
