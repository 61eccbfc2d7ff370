/* CLIENT KILL, in its old form with an address, and in the new one with filters, which must all fit. */
#include "admin/client_kill.h"
#include "admin/client_kind.h"
#include "base/clock.h"
#include "base/num.h"
#include "cmd/args.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"

struct kill_filter {
    int64_t id;                  /* 0: any */
    int64_t age_s;               /* at least; 0: any */
    struct slice address, local; /* ptr NULL: any */
    enum client_kind kind;
    const struct client *spared; /* or NULL */
};

static bool kill_fits(const struct kill_filter *filter, struct client *c) {
    if (c == filter->spared) return false;
    if (filter->id && c->id != (uint64_t)filter->id) return false;
    if (filter->age_s && (clock_steady_ms() - c->created_ms) / 1000 < filter->age_s) return false;
    if (!client_kind_fits(c, filter->kind)) return false;
    if (filter->address.ptr && !slice_eq(filter->address, client_peer(c))) return false;
    return !filter->local.ptr || slice_eq(filter->local, client_local(c));
}

/* Redis 7.4 brought this filter and its errors. */
static bool parse_age(struct client *c, struct slice value, int64_t *age_s) {
    if (!num_parse_i64(value, age_s)) {
        reply_error(c, "ERR maxage is not an integer or out of range");
    } else if (*age_s <= 0) {
        reply_error(c, "ERR maxage should be greater than 0");
    } else {
        return true;
    }
    return false;
}

/* There is one user, and every client is that user. */
static bool parse_user(struct client *c, struct slice name) {
    if (slice_eq(name, SLICE("default"))) return true;
    reply_errorf(c, "ERR No such user '%.*s'", (int)name.len, name.ptr);
    return false;
}

/* Read one pair of an option and its value. False: replied. */
static bool parse_option(struct client *c, struct slice option, struct slice value, struct kill_filter *filter) {
    if (slice_is(option, "id"))
        return args_at_least(c, value, 1, "ERR client-id should be greater than 0", &filter->id);
    if (slice_is(option, "maxage")) return parse_age(c, value, &filter->age_s);
    if (slice_is(option, "type")) return client_kind_parse(c, value, &filter->kind);
    if (slice_is(option, "user")) return parse_user(c, value);
    if (slice_is(option, "addr")) {
        filter->address = value;
    } else if (slice_is(option, "laddr")) {
        filter->local = value;
    } else if (slice_is(option, "skipme") && slice_is(value, "yes")) {
        filter->spared = c;
    } else if (slice_is(option, "skipme") && slice_is(value, "no")) {
        filter->spared = NULL;
    } else {
        reply_syntax_error(c);
        return false;
    }
    return true;
}

static int64_t kill_clients(const struct kill_filter *filter) {
    int64_t killed = 0;
    for (struct client *c = client_first, *next; c; c = next) {
        next = c->next;
        if (!kill_fits(filter, c)) continue;
        client_kill(c);
        killed++;
        if (filter->id) break;
    }
    return killed;
}

static void kill_address(struct request *r) {
    struct kill_filter filter = {.address = r->argv[2]};
    if (kill_clients(&filter)) {
        reply_ok(r->client);
    } else {
        reply_error(r->client, "ERR No such client");
    }
}

void client_kill_command(struct request *r) {
    struct client *c = r->client;
    struct kill_filter filter = {.spared = c};
    if (r->argc == 3) {
        kill_address(r);
        return;
    }
    for (int i = 2; i < r->argc; i += 2) {
        if (i + 1 == r->argc) {
            reply_syntax_error(c);
            return;
        }
        if (!parse_option(c, r->argv[i], r->argv[i + 1], &filter)) return;
    }
    reply_int(c, kill_clients(&filter));
}
