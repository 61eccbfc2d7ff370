/* The subcommands of DEBUG that look into keys and their values: bodies, called with all arguments in place. */
#pragma once
#include "session/request.h"

void debug_values_digest(struct request *r);       /* DIGEST */
void debug_values_digest_value(struct request *r); /* DIGEST-VALUE key [key ...] */
void debug_values_object(struct request *r);       /* OBJECT key */
void debug_values_sdslen(struct request *r);       /* SDSLEN key */
void debug_values_listpack(struct request *r);     /* LISTPACK key */
void debug_values_quicklist(struct request *r);    /* QUICKLIST key [0|1] */
void debug_values_htstats(struct request *r);      /* HTSTATS db [full] */
void debug_values_htstats_key(struct request *r);  /* HTSTATS-KEY key [full] */
