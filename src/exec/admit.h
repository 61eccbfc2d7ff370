/* Admission: may a request run? It may not if its command is unknown, if it has too few or too many arguments, or if a
 * gate is closed (gates.h). */
#pragma once
#include <stdbool.h>

struct request;

/* True: the prepared request may run. False: it was answered with an error, or postponed. */
bool admit(struct request *r);
