/* What this server is: a primary, which takes writes, or the replica of another server. REPLICAOF, ROLE and the directive
 * replicaof choose; the gates READONLY, MASTERDOWN and NOREPLICAS follow from it.
 *
 * role.c includes link.h and feed.h. So neither these nor what they include can include this header: they tell role.c by
 * their hooks. primary_commands, apply and whatever nobody includes may use it. */
#pragma once
#include <stdbool.h>

extern bool role_replica; /* read it by role_is_replica() */
static inline bool role_is_replica(void) {
    return role_replica;
}
/* The primary, as it was named: not resolved. "" and 0 on a primary. Valid until the role changes. */
const char *role_host(void);
int role_port(void);
/* A replica whose data may be old: it has no link to its primary, or a snapshot is coming in. */
bool role_is_stale(void);

/* Become the replica of this primary, which is contacted in the background. A primary keeps its place in its own history,
 * so that the new primary may continue from there; its clients that wait are sent -UNBLOCKED and closed. Its replicas are
 * disconnected when the history turns out to be another one, not before. */
void role_follow(const char *host, int port);
/* Become a primary, with a new id for what follows. Does nothing on a primary. */
void role_promote(void);

/* After loading, in main.c: contact the primary that the configuration names. */
void role_start(void);

struct role_options {
    bool read_only;            /* replica-read-only */
    bool serves_stale;         /* replica-serve-stale-data */
    bool ignores_maxmemory;    /* replica-ignore-maxmemory */
    bool announced;            /* replica-announced */
    int priority;              /* replica-priority */
};
extern struct role_options role_options;
