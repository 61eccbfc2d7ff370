/* Execution of a prepared request: admission, then the call or a place in the queue of a transaction, then what has to
 * follow at once: muted replies, messages that were kept back, and the clients that waited for its effect. */
#pragma once

struct request;

/* Execute; the replies are in the output arena. */
void exec_run(struct request *r);
