/* Requests, and their execution. Commands run inside of others in two ways: EXEC runs what was queued as a part of
 * itself, and after any command the clients that it has woken run theirs (server/block.h). */
#pragma once
#include "server/command_row.h"
#include "store/db.h"
#include <stdbool.h>
#include <stdint.h>

struct client;
struct command_stats;

/* A request on its way: valid until its body returns. Slices point into the client's input. */
struct request {
    struct client *client;
    const struct command *command; /* a subcommand's row where there is one */
    struct command_stats *stats;
    struct slice *argv;
    int argc;
    struct key key;    /* the first key with its hash, if the row has one */
    struct slice raw;  /* the bytes of the request as they came (empty if it was not RESP) */
    uint64_t redacted; /* bit i: argument i is not for other eyes (MONITOR) */
};

#define REQUEST_REDACTABLE 64 /* arguments that can be */

/* For bodies: argument i is a password or the like. */
static inline void request_redact(struct request *r, int i) {
    if (i < REQUEST_REDACTABLE) r->redacted |= (uint64_t)1 << i;
}

/* Fill in command, stats and key of a request: the look-up half, before prefetching. */
void exec_prepare(struct request *r);
/* Call the body and nothing else, for a log that is replayed: no gates, no reply, no propagation. False if the command
 * cannot have so many arguments. */
bool exec_replay(struct request *r);
/* Time between here and the end of the next command counts as that command's. */
void exec_start_clock(void);
uint64_t exec_began(void); /* when that was, in ticks: tells one command from the next */
/* Gates, call, statistics, propagation: the other half. */
void exec_run(struct request *r);

/* True while commands run inside another one, EXEC: nothing may block then. */
extern bool exec_nested;
/* Around such commands. exec_nest() returns what exec_unnest() needs to charge EXEC for the whole of its time. */
uint64_t exec_nest(void);
void exec_unnest(uint64_t began);
/* Run a prepared request inside another one: no gates, since it has passed them before. */
void exec_run_nested(struct request *r);
/* Drop the reply that begins at mark if the client wants none. A command with CMD_EXEC does so itself,
 * piece by piece, since what runs inside it may be CLIENT REPLY. */
void exec_mute(const struct client *c, size_t mark);
/* The end of a request that had to wait and is answered without being called again. */
void exec_end(struct request *r, void (*reply)(struct client *c));
