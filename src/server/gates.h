/* What may keep a request from being executed: it is unknown, has too few or too many arguments, or a gate is closed.
 *
 * Gates are an array of conditions, and one mask says which of them are armed at all, so that a server that
 * is neither loading nor protected nor paused pays one AND. The modules that know arm and disarm them. */
#pragma once
#include <stdbool.h>

struct request;

enum gates_condition {
    GATES_NEEDS_AUTH = 1 << 0, /* a password is set: per client, CLIENT_AUTHENTICATED */
    GATES_LOADING = 1 << 1,
    GATES_PAUSED = 1 << 2,     /* requests wait rather than fail: server/pause.h */
    GATES_SUBSCRIBED = 1 << 3, /* somebody has subscriptions: per client, server/pubsub.h */
    GATES_MONITORED = 1 << 4,  /* there are monitors: per client, CLIENT_MONITOR */
    GATES_DISK_ERROR = 1 << 5, /* writes are refused: gates_disk_error says why */
};
void gates_arm(unsigned condition, bool on);
extern char gates_disk_error[512]; /* a whole error, with its code */

/* May a prepared request (see exec.h) run? If not, it has been answered, or put off until the end of a pause. */
bool gates_admit(struct request *r);
