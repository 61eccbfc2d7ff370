/* CLIENT KILL. */
#pragma once

struct request;

void client_kill_command(struct request *r); /* the body */
