/* CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO: the bodies that tracking.h declares. Options are checked as a
 * whole before anything changes, so a request that is refused leaves the client as it was. */
#include "base/alloc.h"
#include "cmd/args.h"
#include "publish/broadcast.h"
#include "publish/tracking.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"

struct options {
    unsigned flags;
    const struct client *redirect; /* or NULL */
    struct slice *prefixes;        /* room for as many as there are arguments */
    size_t n;                      /* prefixes */
};

static unsigned flag_of_word(struct slice word) {
    if (slice_is(word, "bcast")) return TRACKING_BCAST;
    if (slice_is(word, "optin")) return TRACKING_OPTIN;
    if (slice_is(word, "optout")) return TRACKING_OPTOUT;
    if (slice_is(word, "noloop")) return TRACKING_NOLOOP;
    return 0;
}

static bool parse_redirect(struct client *c, struct slice value, struct options *o) {
    int64_t id;
    if (o->redirect) {
        reply_error(c, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!args_i64(c, value, &id)) return false;
    o->redirect = id > 0 ? client_by_id((uint64_t)id) : NULL;
    if (o->redirect == NULL) reply_error(c, "ERR The client ID you want redirect to does not exist");
    return o->redirect != NULL;
}

static bool parse_options(const struct request *r, struct options *o) {
    for (int i = 3; i < r->argc; i++) {
        struct slice word = r->argv[i];
        unsigned flag = flag_of_word(word);
        bool has_value = i + 1 < r->argc;
        if (flag) {
            o->flags |= flag;
        } else if (slice_is(word, "redirect") && has_value) {
            if (!parse_redirect(r->client, r->argv[++i], o)) return false;
        } else if (slice_is(word, "prefix") && has_value) {
            o->prefixes[o->n++] = r->argv[++i];
        } else {
            reply_syntax_error(r->client);
            return false;
        }
    }
    return true;
}

/* The error if the options contradict each other, or the flags that the client has now; NULL: they do not. */
static const char *find_conflict(unsigned now, const struct options *o) {
    unsigned flags = o->flags, either = TRACKING_OPTIN | TRACKING_OPTOUT;
    if (o->n && !(flags & TRACKING_BCAST)) return "ERR PREFIX option requires BCAST mode to be enabled";
    if (now & TRACKING_ON && (now ^ flags) & TRACKING_BCAST)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    if (flags & TRACKING_BCAST && flags & either) return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if ((flags & either) == either) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if ((now | flags) & TRACKING_OPTIN && (now | flags) & TRACKING_OPTOUT)
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    return NULL;
}

static bool check_prefixes(struct client *c, const struct options *o) {
    static const struct broadcast_listener none;
    const struct broadcast_listener *has = tracking_prefixes(c);
    struct broadcast_overlap overlap;
    if (!broadcast_overlaps(has ? has : &none, o->prefixes, o->n, &overlap)) return true;
    reply_errorf(c, "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.",
                 (int)overlap.prefix.len, overlap.prefix.ptr, overlap.is_new ? "another provided" : "an existing",
                 (int)overlap.other.len, overlap.other.ptr);
    return false;
}

static void switch_tracking(struct request *r, struct options *o) {
    struct client *c = r->client;
    if (!parse_options(r, o)) return;
    if (slice_is(r->argv[2], "on")) {
        const char *error = find_conflict(tracking_flags(c), o);
        if (error) {
            reply_error(c, error);
            return;
        }
        if (!check_prefixes(c, o)) return;
        tracking_start(c, o->flags, o->redirect, o->prefixes, o->n);
    } else if (slice_is(r->argv[2], "off")) {
        tracking_stop(c);
    } else {
        reply_syntax_error(c);
        return;
    }
    reply_ok(c);
}

/* CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP] */
void tracking_command(struct request *r) {
    size_t bytes = (size_t)r->argc * sizeof(struct slice);
    struct options o = {.prefixes = alloc_get(bytes)};
    switch_tracking(r, &o);
    alloc_put(o.prefixes, bytes);
}

/* CLIENT CACHING YES|NO: whether the keys of the next command or transaction are remembered. */
void tracking_command_caching(struct request *r) {
    struct client *c = r->client;
    unsigned flags = tracking_flags(c);
    bool yes = slice_is(r->argv[2], "yes");
    if (!(flags & TRACKING_ON)) {
        reply_error(c, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
                       "OPTOUT mode enabled");
    } else if (!yes && !slice_is(r->argv[2], "no")) {
        reply_syntax_error(c);
    } else if (!(flags & (yes ? TRACKING_OPTIN : TRACKING_OPTOUT))) {
        reply_errorf(c, "ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode.", yes ? "YES" : "NO",
                     yes ? "OPTIN" : "OPTOUT");
    } else {
        c->flags |= CLIENT_CACHING;
        reply_ok(c);
    }
}

/* CLIENT GETREDIR */
void tracking_command_getredir(struct request *r) {
    reply_int(r->client, tracking_redirection(r->client));
}

static void reply_flags(struct client *c) {
    unsigned flags = tracking_flags(c);
    bool caching = c->flags & CLIENT_CACHING;
    const struct {
        const char *name;
        bool given;
    } names[] = {
        {"on", flags & TRACKING_ON},
        {"off", !(flags & TRACKING_ON)},
        {"bcast", flags & TRACKING_BCAST},
        {"optin", flags & TRACKING_OPTIN},
        {"caching-yes", flags & TRACKING_OPTIN && caching},
        {"optout", flags & TRACKING_OPTOUT},
        {"caching-no", flags & TRACKING_OPTOUT && caching},
        {"noloop", flags & TRACKING_NOLOOP},
        {"broken_redirect", flags & TRACKING_BROKEN},
    };
    size_t place = reply_hold(c), n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!names[i].given) continue;
        reply_bulk_cstr(c, names[i].name);
        n++;
    }
    reply_set_at(c, place, n);
}

/* CLIENT TRACKINGINFO */
void tracking_command_info(struct request *r) {
    struct client *c = r->client;
    const struct broadcast_listener *l = tracking_prefixes(c);
    size_t n = l ? l->count : 0;
    reply_map(c, 3);
    reply_bulk_cstr(c, "flags");
    reply_flags(c);
    reply_bulk_cstr(c, "redirect");
    reply_int(c, tracking_redirection(c));
    reply_bulk_cstr(c, "prefixes");
    reply_array(c, n);
    for (size_t i = 0; i < n; i++)
        reply_bulk(c, broadcast_prefix(l, i));
}
