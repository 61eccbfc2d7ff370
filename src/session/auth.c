/* See auth.h. The password itself is kept, not a hash of it, since CONFIG GET requirepass shows it, as in Redis. */
#include "session/auth.h"
#include "base/module.h"
#include "base/option.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/request.h"
#include "session/server_metrics.h"

static struct slice password; /* empty: none is needed */

static bool lacks_password(const struct request *r, unsigned flags) {
    (void)flags;
    return !(r->client->flags & CLIENT_AUTHENTICATED);
}

static const struct gate auth_gate = {
    .passes = CMD_NO_AUTH, .holds = lacks_password, .error = "NOAUTH Authentication required."};

static bool password_changed(const char **error) {
    (void)error;
    client_needs_password = password.len > 0;
    gates_set(GATES_AUTH, client_needs_password ? &auth_gate : NULL);
    return true;
}

static bool equal_in_constant_time(struct slice a, struct slice b) {
    size_t longest = a.len > b.len ? a.len : b.len;
    unsigned char differ = a.len != b.len;
    for (size_t i = 0; i < longest; i++)
        differ |= (unsigned char)((i < a.len ? a.ptr[i] : 0) ^ (i < b.len ? b.ptr[i] : 0));
    return differ == 0;
}

bool auth_login(struct client *c, struct slice user, struct slice given) {
    bool known = slice_eq(user, SLICE("default"));
    bool right = !client_needs_password || equal_in_constant_time(given, password);
    if (known && right)
        c->flags |= CLIENT_AUTHENTICATED;
    else
        server_metrics.logins_failed++;
    return known && right;
}

static const struct option auth_rows[] = {
    {"requirepass", .type = OPTION_BYTES, .flags = OPTION_SENSITIVE, .address = &password, .initial = "",
     .apply = password_changed},
    {NULL},
};

const struct module auth_module = {.options = auth_rows};
