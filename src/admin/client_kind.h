/* The kinds of clients by which CLIENT LIST and CLIENT KILL choose: the argument of TYPE. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct client;

enum client_kind { KIND_ANY, KIND_NORMAL, KIND_REPLICA, KIND_PRIMARY, KIND_PUBSUB };

bool client_kind_fits(const struct client *c, enum client_kind kind);
/* Read a name. False: it is unknown, and `c` was replied so. */
bool client_kind_parse(struct client *c, struct slice name, enum client_kind *kind);
