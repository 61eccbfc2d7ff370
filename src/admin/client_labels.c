/* See client_labels.h. Invariant: a label, once set, is valid and not empty: an empty one removes the label. */
#include "admin/client_labels.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"

bool client_labels_valid(struct slice label) {
    for (size_t i = 0; i < label.len; i++)
        if (label.ptr[i] < '!' || label.ptr[i] > '~') return false;
    return true;
}

void client_labels_getname(struct request *r) {
    const struct client_labels *labels = r->client->labels;
    if (labels && labels->name) {
        reply_bulk_cstr(r->client, labels->name);
    } else {
        reply_null(r->client);
    }
}

void client_labels_setname(struct request *r) {
    struct client *c = r->client;
    if (!client_labels_valid(r->argv[2])) {
        reply_error(c, CLIENT_LABELS_BAD_NAME);
        return;
    }
    client_set_label(&client_labels(c)->name, r->argv[2]);
    reply_ok(c);
}

void client_labels_setinfo(struct request *r) {
    struct client *c = r->client;
    struct slice attribute = r->argv[2];
    bool is_name = slice_is(attribute, "lib-name");
    if (!is_name && !slice_is(attribute, "lib-ver")) {
        reply_errorf(c, "ERR Unrecognized option '%.*s'", (int)attribute.len, attribute.ptr);
        return;
    }
    if (!client_labels_valid(r->argv[3])) {
        reply_errorf(c, "ERR %.*s cannot contain spaces, newlines or special characters.", (int)attribute.len,
                     attribute.ptr);
        return;
    }
    struct client_labels *labels = client_labels(c);
    client_set_label(is_name ? &labels->lib_name : &labels->lib_version, r->argv[3]);
    reply_ok(c);
}
