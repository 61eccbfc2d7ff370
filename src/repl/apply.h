/* The primary's stream: bytes become commands, and these are executed without replies.
 *
 * A unit is a command, or all from MULTI to EXEC. The bytes of a unit lie in one place until it is complete; then it is
 * executed as a whole, and the same bytes go to the log (oplog_pass_on()), whose end so moves behind complete units
 * only. Commands that cannot stand in a log (CONFIG, SHUTDOWN, REPLICAOF, DEBUG) are never executed: the stream ends
 * there. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

/* Begin behind oplog_end(), for this client, whose database is the one that the log has selected. */
void apply_begin(struct client *primary);
/* The stream has ended: the bytes of an incomplete unit are dropped. */
void apply_end(void);

/* Room for further bytes of the stream, as many as *room. Write them, then call apply_bytes(). Valid until then. NULL:
 * a unit has more bytes than client-query-buffer-limit, or than there is memory for; logged. The link is to be cut. */
char *apply_room(size_t *room);
enum apply_result {
    APPLY_OK,
    APPLY_ASKED,  /* the same, and the primary asked for an acknowledgement: REPLCONF GETACK */
    APPLY_BROKEN, /* no RESP, or a command that no log has; logged with its offset. The rest is not to be read */
    APPLY_CLOSED, /* the client was closed meanwhile */
};
/* n bytes have been written there: execute the units that are complete. O(bytes + commands). */
enum apply_result apply_bytes(size_t n);
size_t apply_waiting(void); /* received bytes that are not applied: an incomplete unit */
size_t apply_memory(void);  /* bytes of the buffer */

/* Hook, may be NULL: a batch was applied, so oplog_end() has moved. */
extern void (*apply_moved)(void);

enum apply_on_error { APPLY_IGNORE, APPLY_PANIC, APPLY_PANIC_ON_REPLICAS };
struct apply_options {
    int on_error;              /* propagation-error-behavior: enum apply_on_error */
    bool ignores_write_errors; /* replica-ignore-disk-write-errors */
};
extern struct apply_options apply_options;

struct apply_metrics {
    uint64_t commands; /* of the stream, executed */
    uint64_t errors;   /* of these, that failed */
};
extern struct apply_metrics apply_metrics;
