/* What the two halves of a connection share: conn.c (input, opening and closing) and conn_output.c. */
#pragma once
#include <stddef.h>

struct conn;

size_t conn_output_arena_bytes(void);
void conn_prepare_output(void);
void conn_note_output(const struct conn *c);
void conn_drop_output(struct conn *c); /* drops unsent output; c is no longer queued */
/* The halves of conn_set_aside() and conn_put_back() that are about output. */
void conn_set_output_aside(void);
void conn_put_output_back(void);
