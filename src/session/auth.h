/* Passwords: the option requirepass. There is one user, "default", until ACLs come. While a password is set,
 * client_needs_password is true and the gate of GATES_AUTH is closed to clients that have not given it. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct client;
/* Authenticate the client if it names the right user and password; without a password, any is right. False if not. The
 * time it takes depends on the lengths alone, not on where a wrong password differs. */
bool auth_login(struct client *c, struct slice user, struct slice password);
