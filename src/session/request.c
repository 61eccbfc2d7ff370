/* See request.h. Three modules keep requests for later: a transaction its queue, a waiting client what it sent
 * meanwhile, and propagation the commands of a unit. All of them copy by request_copy_args(). */
#include "session/request.h"
#include "catalog/catalog.h"
#include "session/client.h"
#include <string.h>

void request_prepare(struct request *r) {
    struct catalog_found found = catalog_resolve(r->argv, r->argc);
    const struct command *command = found.command;
    r->command = command;
    r->metrics = found.metrics;
    r->redacted = 0;
    if (command == NULL || command->first_key == 0 || command->first_key >= r->argc) {
        r->key = (struct key){.hash = 0};
        return;
    }
    r->key = key_of(r->argv[command->first_key]);
}

struct blob *request_take_blob(struct request *r, int i) {
    return conn_take_blob(&r->client->conn, r->argv[i].ptr);
}

size_t request_args_size(const struct slice *argv, int argc, struct slice raw) {
    size_t bytes = (size_t)argc * sizeof *argv + raw.len;
    for (int i = 0; raw.len == 0 && i < argc; i++)
        bytes += argv[i].len;
    return bytes;
}

struct slice request_copy_args(struct slice *to, const struct slice *argv, int argc, struct slice raw) {
    char *bytes = (char *)(to + argc), *next = bytes;
    if (raw.len) memcpy(bytes, raw.ptr, raw.len);
    for (int i = 0; i < argc; i++) {
        if (raw.len) {
            to[i] = slice_of(bytes + (argv[i].ptr - raw.ptr), argv[i].len);
            continue;
        }
        memcpy(next, argv[i].ptr, argv[i].len);
        to[i] = slice_of(next, argv[i].len);
        next += argv[i].len;
    }
    return slice_of(bytes, raw.len);
}
