/* Labels that a client gives itself: its name and that of its library. HELLO and CLIENT share their rules. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

struct request;

#define CLIENT_LABELS_BAD_NAME "ERR Client names cannot contain spaces, newlines or special characters."

/* True for printable ASCII without blanks: labels must not break the lines of CLIENT LIST. O(length). */
bool client_labels_valid(struct slice label);

/* The bodies of CLIENT GETNAME, SETNAME and SETINFO. */
void client_labels_getname(struct request *r);
void client_labels_setname(struct request *r);
void client_labels_setinfo(struct request *r);
