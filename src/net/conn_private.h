/* What the two halves of a connection share: conn.c (input, birth and end) and conn_output.c. */
#pragma once

struct conn;

void conn_drop_output(struct conn *c); /* unsent output, and its place among those with something to send */
