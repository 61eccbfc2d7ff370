/* MONITOR: every executed request, as a line of text to each monitor. */
#pragma once

struct client;

void monitor_add(struct client *c); /* once; sets CLIENT_MONITOR */
