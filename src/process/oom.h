/* The process's OOM score: which process the kernel kills first when memory runs out. */
#pragma once

/* In a forked child: take the score for children, if oom-score-adj is set. */
void oom_become_child(void);
