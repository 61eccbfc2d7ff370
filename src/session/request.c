/* See request.h. Three modules keep requests for later: a transaction its queue, a waiting client what it sent
 * meanwhile, and propagation the commands of a unit. All of them copy by request_copy_args(). */
#include "session/request.h"
#include "catalog/catalog.h"
#include "session/client.h"
#include <string.h>

/* The first of the keys whose number an argument tells. The body checks that argument: here it only has to look like a
 * number above 0, since what is no key does no harm. */
static int first_counted_key(const struct request *r) {
    int at = r->command->key_count_at;
    if (at == 0 || at + 1 >= r->argc || r->argv[at].len == 0) return 0;
    char digit = r->argv[at].ptr[0];
    return digit >= '1' && digit <= '9' ? at + 1 : 0;
}

int request_first_key(const struct request *r) {
    int first = r->command->first_key;
    if (first == 0) return first_counted_key(r);
    return first < r->argc ? first : 0;
}

void request_prepare(struct request *r) {
    struct catalog_found found = catalog_resolve(r->argv, r->argc);
    r->command = found.command;
    r->metrics = found.metrics;
    r->redacted = 0;
    int first = found.command ? request_first_key(r) : 0;
    r->key = first ? key_of(r->argv[first]) : (struct key){.hash = 0};
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
