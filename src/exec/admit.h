/* Admission: may a request run? It may not if its command is unknown, if it has too few or too many arguments, or if a
 * gate stops it (session/gates.h). */
#pragma once
#include <stdbool.h>

struct request;

/* True: the prepared request may run. False: its error was replied, or it was postponed, or the client was killed. */
bool admit(struct request *r);
