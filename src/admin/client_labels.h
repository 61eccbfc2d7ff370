/* Labels of clients (names, library names): shared by HELLO and CLIENT. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

#define CLIENT_LABELS_BAD_NAME "ERR Client names cannot contain spaces, newlines or special characters."

/* Only printable ASCII without blanks, since labels stand in the lines of CLIENT LIST. */
bool client_labels_valid(struct slice label);
