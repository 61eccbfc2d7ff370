/* A feature, as main.c sees it: its rows for the registers of the server. The file of a feature ends with its
 * <stem>_module, a `const struct module`, and src/modules.def lists it. Members that it has no use for are NULL. */
#pragma once

struct client_part;
struct command;
struct option;

struct module {
    const struct option *options;   /* ends with a row without a name: base/option.h */
    const struct command *commands; /* ends with a row without a name: catalog/command_row.h */
    const struct client_part *part; /* what it keeps for a client: session/client.h */
    void (*start)(void); /* once, in the order of modules.def: the configuration is read, the databases are there */
};
