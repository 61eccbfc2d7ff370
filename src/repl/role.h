/* What this server is: a primary, which takes writes, or the replica of another server. REPLICAOF, ROLE and the
 * directive replicaof choose; the gates READONLY, MASTERDOWN and NOREPLICAS follow from it.
 *
 * role.c includes link.h and feed.h. So these, and what they include, tell it by hooks, and cannot include this header.
 * primary_commands and whatever nobody includes may use it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

extern bool role_replica; /* read it by role_is_replica() */
static inline bool role_is_replica(void) {
    return role_replica;
}
/* The primary, as it was named: not resolved. "" and 0 on a primary. Valid until the role changes. */
const char *role_host(void);
int role_port(void);
/* A replica whose data may be old: it has no link to its primary, or a snapshot is coming in. */
bool role_is_stale(void);
/* For how many seconds it has had no link, as INFO tells it; -1: it has had none since it became a replica. */
int64_t role_down_s(void);

/* Become the replica of this primary, which is contacted in the background. A primary keeps its place in its own
 * history, so that the new primary may continue from there; its clients that wait are sent -UNBLOCKED and closed. Its
 * replicas are disconnected when the history turns out to be another one, not before. */
void role_follow(const char *host, int port);
/* Become a primary, with a new id for what follows. Does nothing on a primary. */
void role_promote(void);

/* As role_follow(), but that replica of ours is bidden to take the lead: FAILOVER. link_handed_over() tells whether it
 * has. */
void role_hand_over(const char *host, int port);
/* Hook: the data are of another history, or it has another id, or the role has changed. NULL: not used. */
extern void (*role_history_changed)(void);
/* Hook: a failover is under way, so REPLICAOF is refused. NULL: never. */
extern bool (*role_is_changing)(void);

/* CLIENT CAPA (Valkey 8): its one capability is "redirect". Such a client is told by -REDIRECT where its keys are,
 * instead of being served stale data or refused. The first one closes a gate on replicas. */
struct request;
void role_command_capa(struct request *r);
/* During a failover nobody knows yet who the primary is: such requests wait, until block_resume_all(). */
void role_hold_redirects(bool hold);

/* After loading, in main.c: contact the primary that the configuration names. */
void role_start(void);

struct role_options {
    bool read_only;         /* replica-read-only */
    bool serves_stale;      /* replica-serve-stale-data */
    bool ignores_maxmemory; /* replica-ignore-maxmemory */
    bool announced;         /* replica-announced */
    int priority;           /* replica-priority */
};
extern struct role_options role_options;
