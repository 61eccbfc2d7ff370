/* Reading arguments that many commands take.
 *
 * A function that takes the client replies the error and returns false if the argument does not fit; the output is
 * unspecified then. The others reply nothing. All are O(length of the arguments) and keep no pointer to them. */
#pragma once
#include "session/reply.h"
#include "store/stream_id.h"

struct db;

/* Reply an error, and return false for the caller to return. Inline, so that the compiler knows what they return. */
static inline bool args_refuse(struct client *c, const char *error) {
    reply_error(c, error);
    return false;
}
static inline bool args_syntax_error(struct client *c) {
    reply_syntax_error(c);
    return false;
}

/* --- Numbers --------------------------------------------------------------------------------- */

bool args_i64(struct client *c, struct slice arg, int64_t *out);
/* As args_i64, without INT64_MIN: counts and ranks that may be negative, and whose magnitude must be an int64_t too. */
bool args_signed(struct client *c, struct slice arg, int64_t *out);
/* An integer of at least min. Any other argument, a number or not, gets this error. */
bool args_at_least(struct client *c, struct slice arg, int64_t min, const char *error, int64_t *out);
bool args_count(struct client *c, struct slice arg, int64_t *out); /* 0 or more */
/* The timeout of a blocking command, in seconds that may have a fraction; 0 means for ever. */
bool args_timeout(struct client *c, struct slice arg, int64_t *timeout_ms);
bool args_timeout_ms(struct client *c, struct slice arg, int64_t *timeout_ms); /* whole milliseconds */
/* All of the text as strtod() reads it: blanks may come first, and the empty text is 0. False: other text, or NaN.
 * errno is ERANGE if the number is out of the range of a double, which is no reason for false. */
bool args_strtod(struct slice text, double *out);

/* --- Words ------------------------------------------------------------------------------------ */

/* ASYNC, SYNC: how what is flushed is freed. Another word leaves *in_background as it is. */
bool args_is_flush(struct slice arg, bool *in_background);

/* --- Indexes --------------------------------------------------------------------------------- */

bool args_db(struct client *c, struct slice arg, struct db **out); /* the index of a database */
/* The index of a database as SWAPDB reads it: any int passes, whatever the number of databases. */
bool args_is_int(struct slice arg, int *out);

/* Turn two inclusive indexes into those of a sequence of this length; negative ones count from the end, which is -1.
 * False: no element lies between them. */
static inline bool args_clip(int64_t *first, int64_t *last, int64_t length) {
    if (*first < 0 && (*first += length) < 0) *first = 0;
    if (*last < 0) *last += length;
    if (*last >= length) *last = length - 1;
    return *first <= *last;
}

/* --- SCAN, and members drawn at random ------------------------------------------------------- */

bool args_cursor(struct client *c, struct slice arg, uint64_t *out); /* of SCAN, HSCAN, SSCAN and ZSCAN */
/* The options behind the cursor: COUNT, MATCH, and TYPE unless `type` is NULL. The output keeps its value where an
 * option is missing. A pattern that matches everything is given as one whose ptr is NULL. */
bool args_scan(struct client *c, const struct slice *argv, int argc, struct slice *pattern, int64_t *count,
               struct slice *type);
/* The arguments of HRANDFIELD and ZRANDMEMBER behind the key: a count, and optionally this word. */
bool args_draw_options(struct client *c, const struct slice *argv, int argc, const char *word, int64_t *count);

/* --- Ids of entries of a stream -------------------------------------------------------------- */

/* `ms-seq`, or `ms` alone, for which `seq` is taken. False: it is no id; nothing is replied. */
bool args_is_id(struct slice arg, uint64_t seq, struct stream_id *out);
bool args_id(struct client *c, struct slice arg, uint64_t seq, struct stream_id *out);
bool args_edge_id(struct client *c, struct slice arg, uint64_t seq, struct stream_id *out); /* `-` and `+` as well */
/* What XADD takes: `ms-*` as well, whose seq is to be found: *find_seq. */
bool args_new_id(struct client *c, struct slice arg, struct stream_id *out, bool *find_seq);
/* The ends of an interval, which are included unless `(` stands before them. */
bool args_first_id(struct client *c, struct slice arg, struct stream_id *out);
bool args_last_id(struct client *c, struct slice arg, struct stream_id *out);
