/* See client_kind.h. */
#include "admin/client_kind.h"
#include "session/client.h"
#include "session/reply.h"

static enum client_kind kind_of(const struct client *c) {
    if (c->flags & CLIENT_PRIMARY) return KIND_PRIMARY;
    if (c->flags & CLIENT_REPLICA) return KIND_REPLICA;
    return c->subscriber ? KIND_PUBSUB : KIND_NORMAL;
}

bool client_kind_fits(const struct client *c, enum client_kind kind) {
    return kind == KIND_ANY || kind == kind_of(c);
}

bool client_kind_parse(struct client *c, struct slice name, enum client_kind *kind) {
    static const struct {
        const char *name;
        enum client_kind kind;
    } names[] = {
        {"normal", KIND_NORMAL},  {"replica", KIND_REPLICA}, {"slave", KIND_REPLICA},
        {"master", KIND_PRIMARY}, {"pubsub", KIND_PUBSUB},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!slice_is(name, names[i].name)) continue;
        *kind = names[i].kind;
        return true;
    }
    reply_errorf(c, "ERR Unknown client type '%.*s'", (int)name.len, name.ptr);
    return false;
}
