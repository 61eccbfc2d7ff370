/* Passwords. There is one user, "default", until ACLs come. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct client;
bool auth_required(void); /* a password is set */
/* Check, in time that does not depend on where they differ; on success the client is authenticated. */
bool auth_login(struct client *c, struct slice user, struct slice password);
