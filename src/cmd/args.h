/* Arguments that many commands take. Each function replies the error itself and returns false. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct client;
struct db;

bool args_i64(struct client *c, struct slice arg, int64_t *out);
/* As args_i64, but for the smallest number of all, whose magnitude is none: a count or a rank that may be negative. */
bool args_signed(struct client *c, struct slice arg, int64_t *out);
/* A number of at least min; `error` is what is wrong with all else, be it a number or not. */
bool args_at_least(struct client *c, struct slice arg, int64_t min, const char *error, int64_t *out);
bool args_count(struct client *c, struct slice arg, int64_t *out);   /* how many: 0 or more */
bool args_cursor(struct client *c, struct slice arg, uint64_t *out); /* of SCAN and its kin */
/* COUNT and MATCH behind the cursor of SCAN, HSCAN, SSCAN, ZSCAN, and TYPE where `type` is not NULL. What is not
 * given stays; a pattern without ptr matches all. */
bool args_scan(struct client *c, const struct slice *argv, int argc, struct slice *pattern, int64_t *count,
               struct slice *type);
/* The timeout of a blocking command: seconds, perhaps with a fraction; 0 is for ever. */
bool args_timeout(struct client *c, struct slice arg, int64_t *timeout_ms);
/* The same in whole milliseconds. */
bool args_timeout_ms(struct client *c, struct slice arg, int64_t *timeout_ms);
bool args_db(struct client *c, struct slice arg, struct db **out); /* the index of a database */
/* A database's index as SWAPDB reads it: any int passes, whatever the number of databases. No reply. */
bool args_is_int(struct slice arg, int *out);
/* May a random pick with repetition (a negative count) reply this often? Redis would go on until memory ends. */
#define ARGS_DRAWS_MAX (1 << 24)
bool args_draws(struct client *c, int64_t count);
