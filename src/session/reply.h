/* Replies: what bodies of commands say, in the protocol that the client chose, RESP2 or RESP3.
 *
 * A reply goes to the tail of the output arena, which is the client's open range; all replies of a wave to one client
 * are sent with one system call. The client must be given even where both protocols agree: elements for no client in
 * particular are written with net/resp_out.h. Error texts begin with their code ("ERR syntax error"), without the dash
 * and the line end; CR and LF in them become blanks. All are O(bytes written), and none can fail. */
#pragma once
#include "base/blob.h"
#include "base/slice.h"
#include "net/conn.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct client;

void reply_ok(struct client *c);
void reply_status(struct client *c, const char *text); /* +text */
void reply_status_slice(struct client *c, struct slice text);
/* -text: sets CLIENT_FAILED, and is counted in errorstats. */
void reply_error(struct client *c, const char *text);
void reply_errorf(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_reason(struct client *c, struct buf *why); /* -ERR why, which is freed */
/* The same for an error that was counted before: the command that it comes from was called by a script. */
void reply_error_again(struct client *c, struct slice text);
void reply_int(struct client *c, int64_t value);
void reply_bulk(struct client *c, struct slice bytes);
void reply_bulk_cstr(struct client *c, const char *s);
void reply_bulk_int(struct client *c, int64_t value);      /* the digits as a bulk */
void reply_bulk_blob(struct client *c, struct blob *blob); /* by reference: takes its own hold of the blob */
void reply_bulk_ld(struct client *c, long double value);
void reply_null(struct client *c);                 /* $-1 or _ */
void reply_null_array(struct client *c);           /* *-1 or _ */
void reply_bool(struct client *c, bool value);     /* #t or :1 */
void reply_double(struct client *c, double value); /* , or bulk */
void reply_big_number(struct client *c, struct slice digits);
void reply_verbatim(struct client *c, struct slice text, const char *format3); /* =15 txt:... or bulk */
void reply_array(struct client *c, size_t elements);
void reply_map(struct client *c, size_t pairs); /* in RESP2 an array of 2 * pairs */
void reply_set(struct client *c, size_t elements);
void reply_push(struct client *c, size_t elements);
void reply_attribute(struct client *c, size_t pairs);
void reply_raw(struct client *c, struct slice protocol); /* already encoded */

/* Nobody will read this reply: it is over the client's limit, or memory cannot hold it. What is still replied is
 * dropped, and the client is closed. A command that does nothing but reply ends early. */
static inline bool reply_is_pointless(const struct client *c) {
    (void)c;
    return conn_arena.refuses;
}
/* As reply_is_pointless(), for a command that collects its reply before it writes it: would a reply of so many bytes be
 * one? */
bool reply_would_be_pointless(const struct client *c, size_t bytes);

/* An aggregate whose length is known later: hold a place, add the elements, then say how many they were. The place is
 * valid until the reply ends. The header is put before the elements: O(bytes written since reply_hold()). */
size_t reply_hold(struct client *c);
void reply_array_at(struct client *c, size_t place, size_t elements);
void reply_map_at(struct client *c, size_t place, size_t pairs);
void reply_set_at(struct client *c, size_t place, size_t elements);
void reply_bulk_at(struct client *c, size_t place, struct slice bytes); /* a bulk of at most 64 bytes */

/* The common errors. */
void reply_wrong_type(struct client *c);
void reply_syntax_error(struct client *c);
void reply_not_integer(struct client *c);  /* ERR value is not an integer or out of range */
void reply_no_key(struct client *c);       /* ERR no such key */
void reply_out_of_range(struct client *c); /* ERR index out of range */
void reply_no_memory(struct client *c);    /* for a string whose length comes from the request */
void reply_wrong_arity(struct client *c, const char *full_name);
/* For container commands: "unknown subcommand or wrong number of arguments", and HELP. */
void reply_unknown_subcommand(struct client *c, struct slice subcommand, const char *container_upper);
void reply_help(struct client *c, const char *container_upper, const char *const *lines); /* a NULL ends the lines */
