/* DEBUG subcommands about replication: bodies for the table in debug.c. */
#pragma once

struct request;

void debug_repl_replicate(struct request *r);
void debug_repl_change_id(struct request *r);
