/* Passwords. There is one user, "default", until ACLs come. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct client;
bool auth_required(void); /* a password is set */
/* Authenticate the client if the password is right. Takes the same time wherever a wrong one differs. */
bool auth_login(struct client *c, struct slice user, struct slice password);
