/* What the two files of hash commands share. */
#pragma once
#include "session/request.h"

/* The key's hash, to be read; *e is NULL if there is none. False: the key is something else; the error was replied. */
bool hashes_find(struct request *r, struct entry **e);
