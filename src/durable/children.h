/* Forked children as processes: their names in ps, the processors that they run on, what the server leaves alone while
 * one lives, and their end at a shutdown. disk/child starts and reaps them. */
#pragma once
#include <stdbool.h>

/* Watch children from now on. `changed` is called in the parent after a child was born and after it has died. */
void children_watch(void (*changed)(void));
/* At a shutdown: kill the child. False, unless forced: it may not be killed, since it writes the only copy of the data;
 * logged. */
bool children_end(bool force);
