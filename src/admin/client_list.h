/* CLIENT LIST and CLIENT INFO: a line of text about each client. A long list is written over several turns of the
 * loop. */
#pragma once

struct request;

/* The bodies of the commands. */
void client_list_command(struct request *r);
void client_list_info(struct request *r);
