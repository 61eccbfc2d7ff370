/* MONITOR: every request that is executed, as a line of text to each of those who watch. */
#pragma once
#include <stdbool.h>

struct client;
struct request;

extern bool monitor_wanted; /* somebody watches */

void monitor_add(struct client *c); /* once; sets CLIENT_MONITOR */
void monitor_forget(struct client *c);
/* After the request was executed, so that its body has said which arguments are secret (struct request: redacted). */
void monitor_feed(const struct request *r);
