/* Clients that speak another protocol than RESP: tricked, or mistaken. They get no reply, since they would
 * misunderstand it. */
#pragma once

struct client;

enum stranger {
    STRANGER_HTTP, /* a command is a word of HTTP: a browser or a proxy was tricked into talking to the server */
    STRANGER_TLS,  /* a handshake */
    STRANGERS
};

/* Close the client, and log what it is. Of each kind at most one is logged a minute: there may be many. */
void stranger_refuse(struct client *c, enum stranger kind);
