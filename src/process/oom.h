/* The process's OOM score: which process the kernel kills first when memory runs out. */
#pragma once
#include <stdbool.h>

/* This server is a replica, or a primary: take the score for it. */
void oom_set_replica(bool is_replica);
/* In a forked child: take the score for children, if oom-score-adj is set. */
void oom_become_child(void);
