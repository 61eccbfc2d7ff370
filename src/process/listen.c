/* See listen.h. A TCP socket is known by its address as `bind` has it, so a change of the options is a comparison of
 * texts: what is named no longer is closed, what is named for the first time is opened. If that fails, CONFIG SET
 * brings the old values back, and the same comparison brings back their sockets. */
#include "process/listen.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "exec/busy.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "net/socket.h"
#include "session/client.h"
#include "session/client_evict.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_US 100000 /* how long no socket accepts once the process is out of descriptors */

struct listener {
    struct loop_source source; /* first; fd -1: not in use */
    char *address;             /* as bind has it, owned; NULL for the Unix socket */
    int port;
};

static struct {
    int port;
    bool protected_mode;
    char *addresses[LISTEN_ADDRESSES]; /* owned */
    size_t address_count;
    char *unix_path;
    int unix_perm;
    int backlog;
} options;

static struct listener tcp[LISTEN_ADDRESSES];
static struct listener local = {.source.fd = -1};
static struct loop_timer retry;
static bool running;

/* --- Accepting ------------------------------------------------------------------------------- */

static const char denied[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    "default user. In this mode connections are only accepted from the loopback interface. If you want to connect from "
    "external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending "
    "the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host "
    "the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG "
    "REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the "
    "Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If "
    "you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an "
    "authentication password for the default user. NOTE: You only need to do one of the above things in order for the "
    "server to start accepting connections from the outside.\r\n";

/* The error is lost if the socket does not take it at once: the server does not wait for a client that it refuses. */
static void refuse_socket(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) log_debug("A refused client did not take its error: %s", strerror(errno));
    close(fd);
    server_metrics.connections_rejected++;
}

static void admit_socket(int fd) {
    if ((int64_t)client_count() >= limits_options.max_clients) {
        refuse_socket(fd, "-ERR max number of clients reached\r\n");
        return;
    }
    if (options.protected_mode && !client_needs_password && !socket_is_loopback(fd)) {
        refuse_socket(fd, denied);
        return;
    }
    struct client *c = client_new(fd, wave_ready);
    if (c) client_evict_weigh(c);
}

static bool out_of_resources(int reason) {
    return reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
}

static void set_all_events(uint32_t events) {
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        if (tcp[i].address) loop_set_events(&tcp[i].source, events);
    }
    if (local.source.fd >= 0) loop_set_events(&local.source, events);
}

static void retry_fire(struct loop_timer *timer) {
    (void)timer;
    set_all_events(LOOP_READ);
}

static void accept_ready(struct loop_source *source, uint32_t events) {
    (void)events;
    for (int i = 0; i < LISTEN_BURST; i++) {
        int fd = socket_accept(source->fd);
        if (fd >= 0) {
            admit_socket(fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        log_warning("Accepting client connection: %s", strerror(errno));
        /* The connection that was not accepted keeps the socket readable: without a rest the loop would spin. */
        if (out_of_resources(errno)) {
            set_all_events(0);
            loop_timer_start(&retry, RETRY_US);
        }
        return;
    }
}

/* --- The set of sockets ---------------------------------------------------------------------- */

static void close_listener(struct listener *l) {
    loop_remove(&l->source);
    close(l->source.fd);
    alloc_put_string(l->address);
    *l = (struct listener){.source.fd = -1};
}

static bool watch_listener(struct listener *l, int fd) {
    l->source = (struct loop_source){.fd = fd, .ready = accept_ready};
    if (loop_add(&l->source, LOOP_READ)) return true;
    log_warning("Unrecoverable error creating a listening socket's event: %s", strerror(errno));
    close(fd);
    l->source.fd = -1;
    return false;
}

static struct listener *find_listener(const char *address, int port) {
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        if (tcp[i].address && tcp[i].port == port && strcmp(tcp[i].address, address) == 0) return &tcp[i];
    }
    return NULL;
}

static bool is_wanted(const struct listener *l) {
    if (options.port == 0 || l->port != options.port) return false;
    for (size_t i = 0; i < options.address_count; i++) {
        if (strcmp(options.addresses[i], l->address) == 0) return true;
    }
    return false;
}

/* An address that begins with a dash may be missing on this machine, and so may every address of a family. */
static bool may_be_missing(const char *address, int reason) {
    if (reason == ENOPROTOOPT || reason == EPROTONOSUPPORT || reason == ESOCKTNOSUPPORT || reason == EPFNOSUPPORT ||
        reason == EAFNOSUPPORT)
        return true;
    return address[0] == '-' && reason == EADDRNOTAVAIL;
}

static bool open_address(const char *address) {
    const char *host = address + (address[0] == '-'), *why;
    if (strcmp(host, "::*") == 0) host = "::";
    int fd = socket_listen_tcp(host, options.port, options.backlog, &why);
    if (fd < 0) {
        int reason = errno;
        bool step = strcmp(why, "bind") == 0 || strcmp(why, "listen") == 0 || strcmp(why, "socket") == 0;
        log_warning("Warning: Could not create server TCP listening socket %s:%d: %s%s%s",
                    address + (address[0] == '-'), options.port, why, step ? ": " : "", step ? strerror(reason) : "");
        return may_be_missing(address, reason);
    }
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        if (tcp[i].address) continue;
        if (!watch_listener(&tcp[i], fd)) return false;
        tcp[i].address = alloc_copy_string(address);
        tcp[i].port = options.port;
        return true;
    }
    close(fd); /* cannot happen: set_bind() takes no more addresses than there is room for */
    return false;
}

/* Close first, then open: a new address may overlap an old one, as "*" and "127.0.0.1" do. */
static bool follow_options(void) {
    if (!running) return true;
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        if (tcp[i].address && !is_wanted(&tcp[i])) close_listener(&tcp[i]);
    }
    if (options.port == 0) return true;
    for (size_t i = 0; i < options.address_count; i++) {
        if (!find_listener(options.addresses[i], options.port) && !open_address(options.addresses[i])) return false;
    }
    return true;
}

static void open_unix(void) {
    const char *why;
    int fd = socket_listen_unix(options.unix_path, options.unix_perm, options.backlog, &why);
    if (fd < 0) {
        log_warning("Failed opening Unix socket: %s: %s", why, strerror(errno));
        exit(1);
    }
    if (!watch_listener(&local, fd)) exit(1);
}

/* The kernel shortens a backlog without telling. */
static void check_backlog(void) {
    int most = 0;
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    if (!file) return;
    if (fscanf(file, "%d", &most) == 1 && most > 0 && most < options.backlog)
        log_warning("WARNING: The TCP backlog setting of %d cannot be enforced because /proc/sys/net/core/somaxconn is "
                    "set to the lower value of %d.",
                    options.backlog, most);
    fclose(file);
}

/* Open what is configured. Logs the reason and exits with 1 if something cannot be opened, or nothing is to be. */
static void listen_start(void) {
    check_backlog();
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        tcp[i].source.fd = -1;
    }
    loop_timer_init(&retry, retry_fire);
    running = true;
    busy_accepts = accept_ready;
    if (!follow_options()) {
        log_warning("Failed listening on port %d (tcp), aborting.", options.port);
        exit(1);
    }
    if (options.unix_path[0]) open_unix();
    bool any = local.source.fd >= 0;
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        any |= tcp[i].address != NULL;
    }
    if (any) return;
    log_warning("Configured to not listen anywhere, exiting.");
    exit(1);
}

void listen_announce(void) {
    if (options.port) log_notice("Ready to accept connections tcp");
    if (local.source.fd >= 0) log_notice("Ready to accept connections unix");
}

void listen_stop(void) {
    if (!running) return;
    running = false;
    loop_timer_stop(&retry);
    for (size_t i = 0; i < LISTEN_ADDRESSES; i++) {
        if (tcp[i].address) close_listener(&tcp[i]);
    }
    if (local.source.fd < 0) return;
    close_listener(&local);
    log_notice("Removing the unix socket file.");
    if (unlink(options.unix_path) < 0) log_warning("Error removing the unix socket file: %s", strerror(errno));
}

/* --- Options --------------------------------------------------------------------------------- */

static bool apply_port(const char **error) {
    *error = "Unable to listen on this port. Check server logs.";
    return follow_options();
}

static bool apply_bind(const char **error) {
    *error = "Failed to bind to specified addresses.";
    return follow_options();
}

/* No word, or one empty word, turns TCP off. */
static bool set_bind(const char *const *words, int count, const char **error) {
    if (count == 1 && words[0][0] == '\0') count = 0;
    if (count > LISTEN_ADDRESSES) {
        *error = "Too many bind addresses specified.";
        return false;
    }
    char *addresses[LISTEN_ADDRESSES];
    for (int i = 0; i < count; i++) {
        addresses[i] = alloc_copy_string(words[i]);
    }
    for (size_t i = 0; i < options.address_count; i++) {
        alloc_put_string(options.addresses[i]);
    }
    memcpy(options.addresses, addresses, (size_t)count * sizeof addresses[0]);
    options.address_count = (size_t)count;
    return true;
}

static void get_bind(struct buf *out) {
    for (size_t i = 0; i < options.address_count; i++) {
        buf_printf(out, "%s%s", i ? " " : "", options.addresses[i]);
    }
}

int listen_port(void) {
    return options.port;
}

const char *listen_unix_path(void) {
    return options.unix_path;
}

size_t listen_address_count(void) {
    return options.address_count;
}

const char *listen_address(size_t i) {
    return options.addresses[i];
}

void listen_describe(struct buf *out) {
    if (options.port == 0 || options.address_count == 0) {
        buf_append_cstr(out, options.unix_path);
        return;
    }
    const char *first = options.addresses[0] + (options.addresses[0][0] == '-');
    buf_printf(out, strchr(first, ':') && first[0] != '*' ? "[%s]:%d" : "%s:%d", first, options.port);
}

static const struct option listen_rows[] = {
    {"port", .type = OPTION_INT, .address = &options.port, .initial = "6379", .max = 65535, .apply = apply_port},
    {"bind", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = "* -::*", .apply = apply_bind, .set = set_bind,
     .get = get_bind},
    {"protected-mode", .type = OPTION_BOOL, .address = &options.protected_mode, .initial = "yes"},
    {"unixsocket", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &options.unix_path, .initial = ""},
    {"unixsocketperm", .type = OPTION_OCTAL, .flags = OPTION_IMMUTABLE, .address = &options.unix_perm, .initial = "0",
     .max = 0777},
    {"tcp-backlog", .type = OPTION_INT, .flags = OPTION_IMMUTABLE, .address = &options.backlog, .initial = "511"},
    {NULL},
};

const struct module listen_module = {.options = listen_rows, .start = listen_start};
